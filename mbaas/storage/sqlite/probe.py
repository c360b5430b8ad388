"""Does the installed SQLite have what the store stands on? Asked by `mbaas doctor`."""

from __future__ import annotations

import apsw

_NEEDED = {
    "JSON functions": "SELECT json_extract('{\"a\":1}', '$.a')",
    "FTS5": "CREATE VIRTUAL TABLE temp.words USING fts5(word)",
    "R*Tree": "CREATE VIRTUAL TABLE temp.places USING rtree(id, a, b)",
    "expression indexes": "CREATE TABLE temp.t(doc); CREATE INDEX temp.i ON t(json_extract(doc, '$.a'))",
}


def version() -> str:
    """The version of SQLite in APSW's wheel."""
    return apsw.sqlite_lib_version()


def missing() -> list[str]:
    """What the store needs and this SQLite lacks."""
    connection = apsw.Connection(":memory:")
    lacking = []
    for name, sql in _NEEDED.items():
        try:
            connection.execute(sql).fetchall()
        except apsw.SQLError:
            lacking.append(name)
    connection.close()
    return lacking
