"""What reads texts of strangers, fed by a fuzzer that sees which code each text reaches, and changes those that reach more
(https://github.com/google/atheris, libFuzzer): `python -m tests.fuzz.parsers [libFuzzer's options] [folders of texts]`.

The first letter of a text says who reads it. Anything but a refusal with a code ends the run, and libFuzzer writes the text down.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import atheris

with atheris.instrument_imports(include=["mbaas", "mbaas_push"]):
    from mbaas.data.body import columns_of, read_create, read_update
    from mbaas.kernel.clock import from_iso, iso
    from mbaas.kernel.errors import ParseError
    from mbaas.kernel.ops import apply
    from mbaas.kernel.schema import ClassSchema, Field
    from mbaas.kernel.values import read_json
    from mbaas.query.match import matcher
    from mbaas.query.parse import Scope, parse_where
    from mbaas.testing.clock import FakeClock
    from mbaas.wire.json_text import why
    from mbaas.wire.live.messages import complaint
    from mbaas_push import message
    from mbaas_push.campaigns import content, recurrence

COLUMNS = {
    "n": Field("Number"),
    "s": Field("String"),
    "b": Field("Boolean"),
    "d": Field("Date"),
    "o": Field("Object"),
    "l": Field("Array"),
    "g": Field("GeoPoint"),
    "p": Field("Polygon"),
    "f": Field("File"),
    "c": Field("Bytes"),
    "t": Field("Pointer", "Thing"),
}
SCHEMA = ClassSchema("Thing", COLUMNS)
NOW = 1_764_547_200_000
STORED = {
    "objectId": "aaaaaaaaaa",
    "n": 1,
    "s": "text",
    "b": True,
    "o": {"k": [1, {"m": None}]},
    "l": [1, "a", {"k": 1}, None],
    "d": {"__type": "Date", "iso": "2026-01-31T09:05:00.123Z"},
    "g": {"__type": "GeoPoint", "latitude": 53.4, "longitude": -6.2},
    "p": {"__type": "Polygon", "coordinates": [[0, 0], [0, 1], [1, 1], [0, 0]]},
    "t": {"__type": "Pointer", "className": "Thing", "objectId": "bbbbbbbbbb"},
}


def _where(text: str) -> None:
    matcher(parse_where(read_json(text), Scope(COLUMNS, FakeClock(NOW))))(STORED)


def _write(text: str) -> None:
    body = read_json(text)
    if isinstance(body, dict):
        schema = SCHEMA.with_fields(columns_of(SCHEMA, body))
        read_create(schema, body)
        apply(read_update(schema, body).ops, STORED)


def _live(text: str) -> None:
    complaint(read_json(text))


def _explain(text: str) -> None:
    wrong = why(text)
    try:
        value = read_json(text)
    except ValueError:
        return
    assert wrong is None or not isinstance(value, (dict, list)), wrong


def _push(text: str) -> None:
    body = read_json(text)
    if isinstance(body, dict):
        message.read(body, NOW)


def _content(text: str) -> None:
    said = content.check(read_json(text))
    content.render(said, "default", {"user.name": "Ada"})


def _repeat(text: str) -> None:
    recurrence.check(text)
    recurrence.next_wall(text, NOW, None)


def _date(text: str) -> None:
    found = from_iso(text)
    assert found is None or from_iso(iso(found)) == found


READERS: dict[str, Callable[[str], None]] = {
    "w": _where,
    "c": _write,
    "l": _live,
    "j": _explain,
    "p": _push,
    "t": _content,
    "r": _repeat,
    "d": _date,
}


def read(data: bytes) -> None:
    """One text, to its reader."""
    text = data.decode("utf-8", "surrogateescape" if data[:1] == b"d" else "replace")
    reader = READERS.get(text[:1])
    if reader is None:
        return
    try:
        reader(text[1:])
    except (ParseError, ValueError) as refused:
        # What is no JSON is told by `why`, in every other way it has a code.
        assert isinstance(refused, ParseError) or reader not in (_repeat, _date), refused


if __name__ == "__main__":
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()
