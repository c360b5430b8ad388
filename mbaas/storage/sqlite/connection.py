"""Opening SQLite: the pragmas and functions that every connection of the store has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from mbaas.storage.sqlite import functions

STATEMENTS = 300
"""Prepared statements that each connection keeps."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a test or an operator may change. Sizes are bytes."""

    synchronous: str = "FULL"
    vfs: str | None = None
    writer_cache: int = 2 << 20
    reader_cache: int = 2 << 20
    """Pages that are in the log alone; others are read from the mapped file. Every commit empties it."""
    mmap: int = 1 << 30
    checkpoint_pages: int = 4000
    turn_units: int = 64
    quick_seconds: float = 0.002
    """Where commits take longer than this, on average, the event loop does not wait for them."""
    turn_seconds: float = 0.003
    inline_seconds: float = 0.003
    readers: int = 2


def connect(file: Path, tuning: Tuning, *, cache: int, writer: bool = False) -> apsw.Connection:
    """A connection in WAL mode. Only the writer may change anything."""
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOMUTEX
    if writer:
        flags |= apsw.SQLITE_OPEN_CREATE
    connection = apsw.Connection(str(file), flags=flags, vfs=tuning.vfs, statementcachesize=STATEMENTS)
    functions.register(connection)
    connection.set_busy_timeout(5000)
    if writer:
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", tuning.synchronous)
        connection.pragma("journal_size_limit", 4 * tuning.checkpoint_pages * 4096)
    else:
        connection.pragma("query_only", "on")
    connection.pragma("cache_size", -(cache // 1024))
    connection.pragma("mmap_size", tuning.mmap)
    connection.pragma("temp_store", "memory")
    return connection


def fetch(source: apsw.Connection | apsw.Cursor, sql: str, arguments: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    return source.execute(sql, arguments).fetchall()
