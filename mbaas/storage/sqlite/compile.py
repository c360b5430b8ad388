"""The query tree as an SQL condition.

What SQLite can decide by typed columns, JSON functions and side tables becomes SQL; the rest of a query is handed, as a
compiled predicate, to the function `judge`, so that a search and the matcher in memory always agree. A condition may be
NULL for false; negations therefore ask IS NOT TRUE. The same shape of query gives the same text, so statements are reused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import apsw
import orjson

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.schema import ClassSchema
from mbaas.kernel.values import Json
from mbaas.query import ast, geo
from mbaas.query.match import matcher
from mbaas.query.regex import compiled, literal
from mbaas.storage.sqlite.catalog import Catalog, Table
from mbaas.storage.sqlite.columns import SCALARS, Column, column, listed, safe, untyped
from mbaas.storage.sqlite.functions import folded
from mbaas.storage.sqlite.scalars import JSON_TYPES, argument, element, kind_of
from mbaas.storage.sqlite.text import match_text, strict_words

_INLINE = 16
"""Longer lists of values are bound as one JSON array."""


class Where:
    """Translates one query; `arguments` grows in the order of the text."""

    def __init__(self, catalog: Catalog, table: Table, schema: ClassSchema) -> None:
        self.catalog, self.table, self.schema = catalog, table, schema
        self.arguments: list[Any] = []
        self.linear = True

    def condition(self, node: ast.Node) -> str:
        """The condition, judged in memory where SQL has no words for it."""
        return self._native(node) or self._judged(node)

    def _native(self, node: ast.Node) -> str | None:
        return _NATIVE[type(node)](self, node)

    def _judged(self, node: ast.Node) -> str:
        self._note_patterns(node)
        self.arguments.append(apsw.pyobject(matcher(node)))
        return "judge(?, doc, hidden)" if _touches_hidden(node) else "judge(?, doc)"

    def _note_patterns(self, node: ast.Node) -> None:
        if isinstance(node, (ast.And, ast.Or, ast.Nor)):
            for part in node.parts:
                self._note_patterns(part)
        elif isinstance(node, ast.Regex):
            self.linear = self.linear and compiled(node.pattern, node.flags).linear
        elif isinstance(node, ast.AllPrefixes):
            self.linear = self.linear and all(compiled(pattern).linear for pattern in node.patterns)

    def column(self, path: ast.Path) -> Column | None:
        """The column at the path; an untyped one only where an index makes it worth while."""
        found = column(self.schema, path)
        return untyped(path) if found is None and path in self.table.keyed else found

    def _with_lists(self, text: str, node: ast.Equals | ast.In | ast.Compare) -> str:
        """A condition on the scalar at an untyped path, or else on lists along it; few objects have such, and an index knows them.

        Lists in hidden fields are never searched: whoever wants to find by a hidden field keeps a scalar there.
        """
        if node.path[0].startswith("_"):
            return text
        return f"({text} OR (rid IN (SELECT rid FROM {self.table.name} WHERE {listed(node.path)}) AND {self._judged(node)}))"

    # Connectives

    def _and(self, node: ast.And) -> str:
        found, awkward = [], []
        for part in node.parts:
            text = self._native(part)
            if text is None:
                awkward.append(part)
            else:
                found.append(text)
        if awkward:
            found.append(self._judged(ast.And(tuple(awkward))))
        return _joined(" AND ", found) if found else "1"

    def _or(self, node: ast.Or) -> str:
        return _joined(" OR ", [self.condition(part) for part in node.parts]) if node.parts else "0"

    def _nor(self, node: ast.Nor) -> str:
        return _joined(" AND ", [f"{self.condition(part)} IS NOT TRUE" for part in node.parts]) if node.parts else "1"

    def _negated(self, node: ast.NotEquals | ast.NotIn) -> str | None:
        positive = ast.Equals(node.path, node.value) if isinstance(node, ast.NotEquals) else ast.In(node.path, node.values)
        text = self._native(positive)
        return None if text is None else f"({text} IS NOT TRUE)"

    # Values

    def _equals(self, node: ast.Equals) -> str | None:
        at = self.column(node.path)
        if at is None or at.kind not in SCALARS or node.value is None or at.expr in self.table.folded:
            return self._among(node, (node.value,))
        # By far the most frequent condition, hence a short way.
        value = argument(at, node.value)
        if value is None or value is NotImplemented:
            return None if value is NotImplemented else "0"
        self.arguments.append(value)
        return f"{at.expr} = ?"

    def _in(self, node: ast.In) -> str | None:
        return self._among(node, node.values)

    def _among(self, node: ast.Equals | ast.In, values: Sequence[Json]) -> str | None:
        at = self.column(node.path)
        if at is None:
            return None
        if at.kind in SCALARS:
            return self._scalar_among(at, values)
        if at.kind == "Any":
            return self._untyped_among(at, node, values)
        return self._list_holds(at, values) if at.kind == "Array" else None

    def _scalar_among(self, at: Column, values: Sequence[Json]) -> str | None:
        wanted = [argument(at, value) for value in values if value is not None]
        if any(value is NotImplemented for value in wanted):
            return None
        known = [value for value in wanted if value is not None]
        parts = [self._exactly(at, known)] if known else []
        if len(wanted) < len(values):
            parts.append(f"{at.expr} IS NULL")
        return _joined(" OR ", parts) if parts else "0"

    def _exactly(self, at: Column, values: list[Any]) -> str:
        """The column is one of the values; said twice where the only index is one that ignores case."""
        text = self._one_of(at.expr, values)
        if at.expr not in self.table.folded:
            return text
        return f"({text} AND {self._one_of(f'folded({at.expr})', [folded(value) for value in values])})"

    def _untyped_among(self, at: Column, node: ast.Equals | ast.In, values: Sequence[Json]) -> str | None:
        kinds = {kind_of(value) for value in values}
        if kinds == {"null"} and node.path[0].startswith("_"):
            return f"{at.expr} IS NULL"
        if len(kinds) != 1 or not kinds <= {"text", "number"}:
            return None
        known = [argument(Column("Number" if kinds == {"number"} else "String", "", ""), value) for value in values]
        return self._with_lists(f"({self._one_of(at.expr, known)} AND json_type({at.json}) IN {JSON_TYPES[kinds.pop()]})", node)

    def _list_holds(self, at: Column, values: Sequence[Json]) -> str | None:
        """Some element is one of the values, which are all of one type that SQL can compare."""
        kinds = {kind_of(value) for value in values}
        if len(kinds) != 1:
            return None if kinds else "0"
        kind = kinds.pop()
        if kind not in ("text", "number", "true", "false", "pointer"):
            return None
        return f"EXISTS(SELECT 1 FROM json_each({at.json}) WHERE {self._element(kind, values)})"

    def _element(self, kind: str, values: Sequence[Json]) -> str:
        """The condition on a row of json_each that it is one of the values."""
        types = f"type IN {JSON_TYPES[kind]}"
        if kind in ("true", "false"):
            return types
        if kind == "pointer":
            self.arguments.append(orjson.dumps([[value["className"], value["objectId"]] for value in values]).decode())
            key = "json_array(value->>'$.className', value->>'$.objectId')"
            wanted = "SELECT json_array(value->>0, value->>1) FROM json_each(?)"
            return f"{types} AND value->>'$.__type'='Pointer' AND {key} IN ({wanted})"
        return f"{types} AND {self._one_of('value', [element(value) for value in values])}"

    def _one_of(self, expr: str, values: list[Any]) -> str:
        if len(values) == 1:
            self.arguments.append(values[0])
            return f"{expr} = ?"
        if len(values) > _INLINE:
            self.arguments.append(orjson.dumps(values).decode())
            return f"{expr} IN (SELECT value FROM json_each(?))"
        # Filled up to a power of two, so that few different texts arise.
        room = 1 << (len(values) - 1).bit_length()
        self.arguments.extend(values + values[-1:] * (room - len(values)))
        return f"{expr} IN ({','.join('?' * room)})"

    def _compare(self, node: ast.Compare) -> str | None:
        at = self.column(node.path)
        if at is None or node.value is None:
            return None
        if at.kind == "Any":
            kind = kind_of(node.value)
            if kind not in ("text", "number"):
                return None
            self.arguments.append(element(node.value))
            return self._with_lists(f"({at.expr} {node.op} ? AND json_type({at.json}) IN {JSON_TYPES[kind]})", node)
        if at.kind not in ("String", "Number", "Date"):
            return None
        value = argument(at, node.value)
        if value is NotImplemented:
            return None
        if value is None:
            return "0"
        self.arguments.append(value)
        return f"{at.expr} {node.op} ?"

    def _exists(self, node: ast.Exists) -> str | None:
        key = node.path[0]
        if len(node.path) != 1 or not safe(key):
            return None
        holder = "hidden" if key.startswith("_") else "doc"
        return f"json_type({holder},'$.{key}') IS {'NOT ' if node.present else ''}NULL"

    def _all(self, node: ast.All) -> str | None:
        return self._all_parts(tuple(ast.Equals(node.path, value) for value in node.values))

    def _all_prefixes(self, node: ast.AllPrefixes) -> str | None:
        return self._all_parts(tuple(ast.Regex(node.path, pattern) for pattern in node.patterns))

    def _all_parts(self, parts: tuple[ast.Node, ...]) -> str | None:
        return self._and(ast.And(parts)) if parts else "0"

    def _contained_by(self, node: ast.ContainedBy) -> str | None:
        at = self.column(node.path)
        kinds = {kind_of(value) for value in node.values}
        if at is None or at.kind != "Array" or len(kinds) != 1 or not kinds <= {"text", "number", "pointer"}:
            return None
        inside = self._element(kinds.pop(), node.values)
        outside = f"EXISTS(SELECT 1 FROM json_each({at.json}) WHERE ({inside}) IS NOT TRUE)"
        return f"(json_type({at.json}) IS NOT 'array' OR NOT {outside})"

    def _regex(self, node: ast.Regex) -> str | None:
        at = self.column(node.path)
        if at is None or at.kind not in ("String", "Array"):
            return None
        if at.kind == "Array":
            return f"EXISTS(SELECT 1 FROM json_each({at.json}) WHERE type='text' AND {self._found('value', node)})"
        plain = None if node.flags else literal(node.pattern)
        if plain is not None and plain.start and plain.end:
            self.arguments.append(plain.text)
            return f"{at.expr} = ?"
        if plain is not None and plain.start and plain.text:
            after = text_after(plain.text)
            if after is not None:
                self.arguments += [plain.text, after]
                return f"({at.expr} >= ? AND {at.expr} < ?)"
        return self._found(at.expr, node)

    def _found(self, expr: str, node: ast.Regex) -> str:
        pattern = compiled(node.pattern, node.flags)
        self.linear = self.linear and pattern.linear
        self.arguments.append(apsw.pyobject(pattern.found))
        return f"found(?, {expr})"

    # Places

    def _sphere(self, node: ast.Near | ast.WithinSphere) -> str | None:
        tree = self._tree(node.path)
        if tree is None:
            return None
        if isinstance(node, ast.Near):
            center, radians = node.point, node.max_radians
        else:
            center, radians = node.center, node.radians
        if radians is None:
            return f"rid IN (SELECT id FROM {tree})"
        return self._windows(tree, geo.windows_around(center, radians), node)

    def _box(self, node: ast.WithinBox) -> str | None:
        tree = self._tree(node.path)
        return tree and self._windows(tree, geo.windows_of_box(node.southwest, node.northeast), node)

    def _polygon(self, node: ast.WithinPolygon) -> str | None:
        tree = self._tree(node.path)
        return tree and self._windows(tree, [geo.window_of_polygon(node.points)], node)

    def _tree(self, path: ast.Path) -> str | None:
        return self.table.geo.get(path[0]) if len(path) == 1 else None

    def _windows(self, tree: str, windows: list[geo.Window], node: ast.Node) -> str:
        return f"({self.in_windows(tree, windows)} AND {self._judged(node)})"

    def in_windows(self, tree: str, windows: list[geo.Window]) -> str:
        """The row's point lies in one of the windows (or a rounding error beside it)."""
        for window in windows:
            self.arguments.extend(window)
        one = f"SELECT id FROM {tree} WHERE north >= ? AND south <= ? AND east >= ? AND west <= ?"
        return f"rid IN ({' UNION ALL '.join([one] * len(windows))})"

    # Side tables

    def _text(self, node: ast.Text) -> str:
        index = text_index(self.table, node)
        self.arguments.append(match_text(node.term))
        condition = f"rid IN (SELECT rowid FROM {index} WHERE {index} MATCH ?)"
        if not (node.case_sensitive or node.diacritic_sensitive):
            return condition
        columns = next(text.columns for text in self.table.texts if text.table == index)
        self.arguments.append(apsw.pyobject(strict_words(node, columns)))
        return f"({condition} AND judge(?, doc))"

    def _related_to(self, node: ast.RelatedTo) -> str:
        owner = self.catalog.get(node.class_name)
        if owner is None:
            return "0"
        self.arguments += [owner.number, node.key, node.object_id]
        return f"id IN (SELECT related FROM relations WHERE rel={RELATION} AND owner=?)"

    def _relates(self, node: ast.Relates) -> str:
        self.arguments += [self.table.number, node.key]
        among = self._one_of("related", list(node.object_ids)) if node.object_ids else "0"
        return f"id {'NOT ' if node.negated else ''}IN (SELECT owner FROM relations WHERE rel={RELATION} AND {among})"


RELATION = "(SELECT rel FROM relation_keys WHERE class=? AND key=?)"


def text_after(prefix: str) -> str | None:
    """The least string above every string that begins so; None if there is none."""
    last = ord(prefix[-1])
    if last == 0x10FFFF:
        return text_after(prefix[:-1]) if len(prefix) > 1 else None
    return prefix[:-1] + chr(0xE000 if last == 0xD7FF else last + 1)


def text_index(table: Table, node: ast.Text) -> str:
    """The full-text table that answers the node."""
    for text in table.texts:
        if ".".join(node.path) in text.columns:
            return text.table
    raise ParseError(Code.INVALID_QUERY, "text index required for $text query")


def _joined(word: str, parts: list[str]) -> str:
    """The parts in parentheses; nested evenly, since SQLite limits the depth of an expression."""
    if len(parts) == 1:
        return parts[0]
    if len(parts) > 100:
        half = len(parts) // 2
        parts = [_joined(word, parts[:half]), _joined(word, parts[half:])]
    return f"({word.join(parts)})"


def _touches_hidden(node: ast.Node) -> bool:
    if isinstance(node, (ast.And, ast.Or, ast.Nor)):
        return any(map(_touches_hidden, node.parts))
    path: ast.Path = getattr(node, "path", ())
    return bool(path) and path[0].startswith("_")


def _unknown(where: Where, node: ast.Node) -> None:
    return None


_NATIVE: dict[type[Any], Callable[[Where, Any], str | None]] = {
    ast.And: Where._and,
    ast.Or: Where._or,
    ast.Nor: Where._nor,
    ast.Equals: Where._equals,
    ast.NotEquals: Where._negated,
    ast.Compare: Where._compare,
    ast.In: Where._in,
    ast.NotIn: Where._negated,
    ast.Exists: Where._exists,
    ast.All: Where._all,
    ast.AllPrefixes: Where._all_prefixes,
    ast.ContainedBy: Where._contained_by,
    ast.Regex: Where._regex,
    ast.Near: Where._sphere,
    ast.WithinSphere: Where._sphere,
    ast.WithinBox: Where._box,
    ast.WithinPolygon: Where._polygon,
    ast.Intersects: _unknown,
    ast.Text: Where._text,
    ast.RelatedTo: Where._related_to,
    ast.Relates: Where._relates,
    ast.Subquery: _unknown,
}
