#ifndef COMBLANG_MEMORY_H
#define COMBLANG_MEMORY_H

/// Gives memory that is free in the allocator back to the system, where the C library can (glibc's `malloc_trim`, which
/// Swift's Glibc module leaves out). Takes some milliseconds; safe on any thread.
void comblang_release_memory(void);

#endif
