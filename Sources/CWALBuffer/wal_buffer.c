// A layer between SQLite and its operating system part (a "shim VFS", sqlite.org/vfs.html), for the write-ahead log.
//
// SQLite writes each page of a commit with two calls: the 24 bytes of the frame's header, then the page. This collects
// them, at most 31 pages, until the commit's last frame is complete, which then goes out with all before it. What is
// held back is therefore never more than an unfinished transaction, which nobody but its own connection may read: other
// connections and a recovery look no further than the last commit frame. All else that is done with the file writes
// first what is held. In C, as SQLite's interface is a table of C functions.

#include "CWALBuffer.h"

#include <sqlite3.h>
#include <string.h>

// SQLite's own file takes no more than 2^17 - 1 bytes at once.
enum { FRAME_HEADER_BYTES = 24, BUFFER_BYTES = 31 * (FRAME_HEADER_BYTES + 4096) };

typedef struct {
    sqlite3_file base;
    /// Where in the file the held bytes belong, and how many there are.
    sqlite3_int64 offset;
    int count;
    /// The last write was the header of a frame; of one that ends a transaction.
    int is_in_frame, is_in_commit_frame;
    /// BUFFER_BYTES, or NULL until the first frame.
    unsigned char *buffer;
    /// The system's own file follows this structure.
} wal_file;

static sqlite3_vfs *system_vfs;
static sqlite3_vfs buffering_vfs;

static sqlite3_file *system_file(sqlite3_file *file) { return (sqlite3_file *)((wal_file *)file + 1); }

static int flush(sqlite3_file *file) {
    wal_file *wal = (wal_file *)file;
    if (wal->count == 0) return SQLITE_OK;
    int count = wal->count;
    // Also when it fails: SQLite then gives up the transaction and writes its frames anew.
    wal->count = 0;
    return system_file(file)->pMethods->xWrite(system_file(file), wal->buffer, count, wal->offset);
}

/// Whether SQLite may be told that these bytes are written.
static int hold(wal_file *wal, const void *bytes, int count, sqlite3_int64 offset) {
    if (!wal->buffer) wal->buffer = sqlite3_malloc(BUFFER_BYTES);
    if (!wal->buffer || wal->count + count > BUFFER_BYTES) return 0;
    if (wal->count == 0) wal->offset = offset;
    memcpy(wal->buffer + wal->count, bytes, count);
    wal->count += count;
    return 1;
}

static int wal_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset) {
    wal_file *wal = (wal_file *)file;
    int is_page = wal->is_in_frame, is_last = wal->is_in_commit_frame;
    wal->is_in_frame = !is_page && count == FRAME_HEADER_BYTES;
    // The size of the database after a commit, big-endian; 0 in all other frames.
    wal->is_in_commit_frame = wal->is_in_frame && memcmp((const char *)bytes + 4, "\0\0\0\0", 4) != 0;
    int is_next = wal->count == 0 || offset == wal->offset + wal->count;
    if (!is_next || wal->count + count > BUFFER_BYTES) {
        int code = flush(file);
        if (code != SQLITE_OK) return code;
    }
    if ((is_page || wal->is_in_frame) && hold(wal, bytes, count, offset)) return is_last ? flush(file) : SQLITE_OK;
    int code = flush(file);
    if (code != SQLITE_OK) return code;
    return system_file(file)->pMethods->xWrite(system_file(file), bytes, count, offset);
}

static int wal_read(sqlite3_file *file, void *bytes, int count, sqlite3_int64 offset) {
    int code = flush(file);
    return code != SQLITE_OK ? code : system_file(file)->pMethods->xRead(system_file(file), bytes, count, offset);
}

static int wal_truncate(sqlite3_file *file, sqlite3_int64 size) {
    int code = flush(file);
    return code != SQLITE_OK ? code : system_file(file)->pMethods->xTruncate(system_file(file), size);
}

static int wal_sync(sqlite3_file *file, int flags) {
    int code = flush(file);
    return code != SQLITE_OK ? code : system_file(file)->pMethods->xSync(system_file(file), flags);
}

static int wal_size(sqlite3_file *file, sqlite3_int64 *size) {
    int code = flush(file);
    return code != SQLITE_OK ? code : system_file(file)->pMethods->xFileSize(system_file(file), size);
}

static int wal_close(sqlite3_file *file) {
    int code = flush(file);
    sqlite3_free(((wal_file *)file)->buffer);
    int closed = system_file(file)->pMethods->xClose(system_file(file));
    return code != SQLITE_OK ? code : closed;
}

static int wal_lock(sqlite3_file *file, int kind) {
    return system_file(file)->pMethods->xLock(system_file(file), kind);
}

static int wal_unlock(sqlite3_file *file, int kind) {
    return system_file(file)->pMethods->xUnlock(system_file(file), kind);
}

static int wal_check_lock(sqlite3_file *file, int *result) {
    return system_file(file)->pMethods->xCheckReservedLock(system_file(file), result);
}

static int wal_control(sqlite3_file *file, int operation, void *argument) {
    return system_file(file)->pMethods->xFileControl(system_file(file), operation, argument);
}

static int wal_sector_size(sqlite3_file *file) {
    return system_file(file)->pMethods->xSectorSize(system_file(file));
}

static int wal_characteristics(sqlite3_file *file) {
    return system_file(file)->pMethods->xDeviceCharacteristics(system_file(file));
}

// Version 1: what later versions add (shared memory, memory mapping) SQLite does with the database file only.
static const sqlite3_io_methods wal_methods = {
    1, wal_close, wal_read, wal_write, wal_truncate, wal_sync, wal_size, wal_lock, wal_unlock, wal_check_lock,
    wal_control, wal_sector_size, wal_characteristics,
};

static int open_file(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *flags_out) {
    (void)vfs;
    // All files but a log are the system's own.
    if (!(flags & SQLITE_OPEN_WAL)) return system_vfs->xOpen(system_vfs, name, file, flags, flags_out);
    memset(file, 0, sizeof(wal_file));
    int code = system_vfs->xOpen(system_vfs, name, system_file(file), flags, flags_out);
    // Without methods SQLite does not close it.
    if (code == SQLITE_OK) file->pMethods = &wal_methods;
    return code;
}

int comblang_buffer_wal(void) {
    if (system_vfs) return SQLITE_OK;
    sqlite3_vfs *found = sqlite3_vfs_find(NULL);
    if (!found) return SQLITE_ERROR;
    system_vfs = found;
    buffering_vfs = *found;
    buffering_vfs.zName = "comblang";
    buffering_vfs.pNext = NULL;
    buffering_vfs.szOsFile = (int)sizeof(wal_file) + found->szOsFile;
    buffering_vfs.xOpen = open_file;
    return sqlite3_vfs_register(&buffering_vfs, 1);
}
