#include "COpenAPI.h"

static const unsigned char openapi[] = {
#embed "openapi.yaml"
};

const unsigned char *comblang_openapi(size_t *size) {
    *size = sizeof openapi;
    return openapi;
}
