"""A database that cannot be read or written for a while, and is whole afterwards."""

import contextlib
import sqlite3
import struct
from pathlib import Path

# Of the shared-memory file: two copies of a header of 48 bytes, whose last 8 are the checksum of the others.
HEADER_BYTES = 48
# As if a later SQLite had it open: every transaction is refused with SQLITE_CANTOPEN, at once.
VERSION = 9_999_999


def _checksum(data: bytes) -> bytes:
    """The one of SQLite's write-ahead log, in the machine's byte order (walChecksumBytes in wal.c)."""
    first = second = 0
    for one, other in struct.iter_unpack("=II", data):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return struct.pack("=II", first, second)


@contextlib.contextmanager
def refusing_storage(data: Path):
    """While the block lasts, the database in this directory refuses every read and write of its server.

    The WAL index says so, which all connections share; nothing that is stored is touched.
    """
    with open(data / "comblang.sqlite-shm", "r+b", buffering=0) as index:
        good = index.read(2 * HEADER_BYTES)
        header = struct.pack("=I", VERSION) + good[4 : HEADER_BYTES - 8]
        index.seek(0)
        index.write(2 * (header + _checksum(header)))
        try:
            yield
        finally:
            index.seek(0)
            index.write(good)


@contextlib.contextmanager
def refusing_writes(data: Path):
    """While the block lasts, the database lets its server read, and fails each write after the 5 s that it waits for
    somebody else to finish."""
    with contextlib.closing(sqlite3.connect(data / "comblang.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")
