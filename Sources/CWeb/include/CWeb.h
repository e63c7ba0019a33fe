#ifndef COMBLANG_WEB_H
#define COMBLANG_WEB_H
#include <stddef.h>

/// One embedded file for browsers: the path at which it is served, its media type, its bytes (not NUL-terminated).
typedef struct {
    const char *path;
    const char *type;
    const unsigned char *bytes;
    size_t size;
} comblang_web_file;

/// All of them; `count` receives their number.
const comblang_web_file *comblang_web_files(size_t *count);
#endif
