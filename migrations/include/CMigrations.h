#ifndef COMBLANG_MIGRATIONS_H
#define COMBLANG_MIGRATIONS_H
#include <stddef.h>

/// One embedded migration: its file name and its SQL text (UTF-8, not NUL-terminated).
typedef struct {
    const char *name;
    const unsigned char *bytes;
    size_t size;
} comblang_migration;

/// All migrations in the order in which they are applied; `count` receives their number.
const comblang_migration *comblang_migrations(size_t *count);
#endif
