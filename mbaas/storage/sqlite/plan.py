"""Whole statements: a search as text and arguments, ready to run on any read connection."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import apsw

from mbaas.kernel.errors import Code, ParseError
from mbaas.query import ast, geo
from mbaas.query.compare import order_key
from mbaas.storage.ports import Find
from mbaas.storage.sqlite.catalog import Catalog, Table
from mbaas.storage.sqlite.columns import SCALARS, column
from mbaas.storage.sqlite.compile import Where, text_index
from mbaas.storage.sqlite.permissions import readable
from mbaas.storage.sqlite.text import match_text

_FIRST_REACH = 2e-5
_ARGUMENTS = 30_000
"""Fewer than SQLite's limit on bound values."""

Rows = list[tuple[Any, ...]]


class Plan(NamedTuple):
    """How to run a search. `scored`: each row ends with its text score."""

    run: Callable[[apsw.Cursor], Rows]
    linear: bool
    scored: bool = False
    sql: str = ""
    arguments: tuple[Any, ...] = ()


def plan(catalog: Catalog, table: Table, find: Find, columns: str) -> Plan:
    """The search for these columns of each row, in the order it asks for."""
    parts = find.where.parts if isinstance(find.where, ast.And) else (find.where,)
    for part in parts:
        if isinstance(part, ast.Near) and not find.order and len(part.path) == 1 and part.path[0] in table.geo:
            return _nearest(catalog, table, find, columns, part, tuple(p for p in parts if p is not part))
        if isinstance(part, ast.Text):
            return _ranked(catalog, table, find, columns, part, tuple(p for p in parts if p is not part))
    where = Where(catalog, table, find.schema)
    sql = f"SELECT {columns} FROM {_from(table, find)} WHERE {condition(where, find)}{_order(where, find)}"
    return _statement(where, find, sql)


def condition(where: Where, find: Find, node: ast.Node | None = None) -> str:
    """The query (or `node` in its place) and the caller's right to read."""
    text = where.condition(find.where if node is None else node)
    if len(where.arguments) > _ARGUMENTS:
        raise ParseError(Code.INVALID_QUERY, "the query is too large")
    if find.readers is not None:
        readable_text, names = readable(find.readers)
        where.arguments.extend(names)
        return f"{text} AND {readable_text}"
    return text


def _from(table: Table, find: Find) -> str:
    if find.hint is None:
        return table.name
    if find.hint == "_id_":
        return table.name
    if find.hint not in table.indexes:
        raise ParseError(Code.INVALID_QUERY, "hint provided does not correspond to an existing index")
    return f"{table.name} INDEXED BY {table.indexes[find.hint]}"


def _order(where: Where, find: Find, *, ranked: bool = False) -> str:
    if not find.order and not ranked:
        return " ORDER BY rid"
    terms: list[str] = []
    descending = False
    for path, descending in find.order:
        if path == ("$score",):
            if ranked:
                terms.append("score DESC")
            continue
        at = column(find.schema, path)
        if at is not None and at.kind in SCALARS:
            term = at.expr
        else:
            where.arguments.append(apsw.pyobject(_sorting(path, descending)))
            term = "judge(?, doc)"
        terms.append(f"{term} DESC" if descending else term)
    if not terms and ranked:
        terms.append("score DESC")
    # Equals follow in the direction of the last term, so that an index gives the whole order.
    terms.append("rid DESC" if descending and not ranked else "rid")
    return " ORDER BY " + ", ".join(terms)


def _sorting(path: ast.Path, descending: bool) -> Callable[[dict[str, Any]], bytes]:
    return lambda body: order_key(body, path, descending)


def _statement(where: Where, find: Find, sql: str, *, scored: bool = False) -> Plan:
    if find.skip:
        sql += " LIMIT ? OFFSET ?"
        where.arguments += (-1 if find.limit is None else find.limit, find.skip)
    elif find.limit is not None:
        sql += " LIMIT ?"
        where.arguments.append(find.limit)
    arguments = tuple(where.arguments)
    return Plan(lambda cursor: cursor.execute(sql, arguments).fetchall(), where.linear, scored, sql, arguments)


def _ranked(catalog: Catalog, table: Table, find: Find, columns: str, text: ast.Text, rest: tuple[ast.Node, ...]) -> Plan:
    where = Where(catalog, table, find.schema)
    index = text_index(table, text)
    where.arguments.append(match_text(text.term))
    strict = (text,) if text.case_sensitive or text.diacritic_sensitive else ()
    sql = f"SELECT {columns}, -{index}.rank AS score FROM {index} JOIN {table.name} ON rid = {index}.rowid WHERE {index} MATCH ? AND "
    sql += condition(where, find, ast.And((*rest, *strict)))
    return _statement(where, find, sql + _order(where, find, ranked=True), scored=True)


def _nearest(catalog: Catalog, table: Table, find: Find, columns: str, near: ast.Near, rest: tuple[ast.Node, ...]) -> Plan:
    """Nearest first: looks in growing circles until enough is found, so that a small limit stays cheap."""
    tree, at = table.geo[near.path[0]], f"doc->>'$.{near.path[0]}"
    farthest = math.pi if near.max_radians is None else near.max_radians
    inner = Where(catalog, table, find.schema)
    rest_sql = condition(inner, find, ast.And(rest))
    arguments, limit = inner.arguments, -1 if find.limit is None else find.limit
    measure = f"geo_distance({at}.latitude', {at}.longitude', ?, ?)"

    def search(reach: float) -> tuple[str, tuple[Any, ...]]:
        around = Where(catalog, table, find.schema)
        windows = around.in_windows(tree, geo.windows_around(near.point, reach))
        sql = f"SELECT {columns} FROM (SELECT *, {measure} AS away FROM {table.name} WHERE {windows} AND {rest_sql}) "
        sql += "WHERE away <= ? ORDER BY away, rid LIMIT ? OFFSET ?"
        return sql, (*near.point, *around.arguments, *arguments, reach, limit, find.skip)

    def run(cursor: apsw.Cursor) -> Rows:
        if limit < 0:
            return cursor.execute(*search(farthest)).fetchall()
        reach = min(_populated(cursor, tree, near.point, limit + find.skip), farthest)
        while True:
            rows = cursor.execute(*search(reach)).fetchall()
            if len(rows) >= limit or reach >= farthest:
                return rows
            reach = min(reach * 4, farthest)

    sql, sample = search(farthest)
    return Plan(run, inner.linear, False, sql, sample)


def _populated(cursor: apsw.Cursor, tree: str, point: geo.Point, wanted: int) -> float:
    """A radius whose box holds as many points as are wanted."""
    reach = _FIRST_REACH
    one = f"SELECT 1 FROM {tree} WHERE north >= ? AND south <= ? AND east >= ? AND west <= ?"
    while reach < math.pi:
        windows = geo.windows_around(point, reach)
        sql = f"SELECT count(*) FROM ({' UNION ALL '.join([one] * len(windows))} LIMIT ?)"
        if cursor.execute(sql, (*(edge for window in windows for edge in window), wanted)).get >= wanted:
            break
        reach *= 3
    return reach
