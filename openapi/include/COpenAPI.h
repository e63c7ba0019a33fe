#ifndef COMBLANG_OPENAPI_H
#define COMBLANG_OPENAPI_H
#include <stddef.h>

/// The bytes of `openapi/openapi.yaml` (UTF-8, not NUL-terminated); `size` receives their number.
const unsigned char *comblang_openapi(size_t *size);
#endif
