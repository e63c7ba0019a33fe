#ifndef COMBLANG_WAL_BUFFER_H
#define COMBLANG_WAL_BUFFER_H

/// Makes SQLite write the frames of a commit to its write-ahead log with few system calls, in every database that this
/// process opens afterwards. Once is enough; not for two threads at once. Returns SQLite's code.
int comblang_buffer_wal(void);

#endif
