"""Is the SQLite that comes with APSW new enough, and built with what the store needs? Asked by `mbaas doctor`."""

from __future__ import annotations

import apsw

OLDEST = (3, 45, 0)
"""The first SQLite with JSONB."""
NEEDED = ("ENABLE_FTS5", "ENABLE_RTREE")


def version() -> str:
    """SQLite's version as APSW links it."""
    return apsw.sqlite_lib_version()


def missing() -> list[str]:
    """What this SQLite lacks, in words; nothing if it will do."""
    lacking = [] if tuple(map(int, version().split("."))) >= OLDEST else [f"version {'.'.join(map(str, OLDEST))} or later"]
    return lacking + [option.removeprefix("ENABLE_") for option in NEEDED if option not in apsw.compile_options]
