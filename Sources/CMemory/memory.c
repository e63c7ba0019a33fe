#include "comblang_memory.h"

#include <stdlib.h>  // Defines __GLIBC__.

#ifdef __GLIBC__
#include <malloc.h>
#endif

void comblang_release_memory(void) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}
