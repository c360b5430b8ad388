"""The store's own tables, and how an older file becomes one of this version.

Each class has a table `o_<n>` of its own, numbered by `classes`: a class's or a column's name never becomes an SQL
identifier. Its `doc` is the JSON that clients are answered, byte for byte. Side tables are numbered by `side`:
`i_<n>` an index, `g_<n>` an R*Tree over one GeoPoint column, `t_<n>` a full-text index,
`l_<n>` the index of those objects that hold a list on the way to an indexed key inside an object.
"""

from __future__ import annotations

import os

import apsw

from mbaas.kernel.errors import MbaasError

MIGRATIONS = (
    """
    CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE classes(n INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, definition TEXT NOT NULL);
    CREATE TABLE side(n INTEGER PRIMARY KEY AUTOINCREMENT, class INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
                      spec TEXT NOT NULL, UNIQUE(class, kind, name));
    CREATE TABLE relation_keys(rel INTEGER PRIMARY KEY AUTOINCREMENT, class INTEGER NOT NULL, key TEXT NOT NULL, UNIQUE(class, key));
    CREATE TABLE relations(n INTEGER PRIMARY KEY, rel INTEGER NOT NULL, owner TEXT NOT NULL, related TEXT NOT NULL,
                           UNIQUE(rel, owner, related));
    CREATE INDEX relations_reverse ON relations(rel, related, owner);
    CREATE TABLE rows(tbl TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, due INTEGER, expires INTEGER, owner TEXT,
                      fence INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(tbl, key)) WITHOUT ROWID;
    CREATE INDEX rows_due ON rows(tbl, due) WHERE due IS NOT NULL;
    CREATE INDEX rows_expire ON rows(expires) WHERE expires IS NOT NULL;
    CREATE TABLE feed(seq INTEGER PRIMARY KEY, op TEXT NOT NULL, class TEXT NOT NULL, id TEXT NOT NULL, before BLOB, after BLOB,
                      at INTEGER NOT NULL, version INTEGER NOT NULL);
    INSERT INTO meta VALUES('feed_trimmed', 0);
    """,
    "INSERT INTO meta VALUES('catalog', 0)",
)


def migrate(connection: apsw.Connection) -> str:
    """Bring the file to this version; returns the store's own id, made when it was created."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = connection.pragma("user_version")
        if version > len(MIGRATIONS):
            text = f"{connection.filename} is of version {version}; this server knows {len(MIGRATIONS)}: use a newer server"
            raise MbaasError(text)
        for statements in MIGRATIONS[version:]:
            connection.execute(statements)
        connection.execute("INSERT OR IGNORE INTO meta VALUES('store', ?)", (os.urandom(4).hex(),))
        connection.pragma("user_version", len(MIGRATIONS))
        store = connection.execute("SELECT value FROM meta WHERE key='store'").get
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return str(store)


def create_class(table: str) -> str:
    """The SQL of a class's own table. Row order is insertion order, which is the default order of results.

    `doc` comes last: what stands behind a long document would be read through all of its pages.
    """
    return (
        f"CREATE TABLE {table}(rid INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, rperm TEXT, wperm TEXT, "
        "hidden TEXT, doc TEXT NOT NULL)"
    )
