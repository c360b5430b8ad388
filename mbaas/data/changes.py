"""What has changed in a class since a position of the feed, as one caller sees it: for clients that keep objects of their own.

Who starts from a find, and puts and drops what she is told, ends with what a find shows her now. The states told are those of
the feed, the rights those of the moment of asking; where these are not the rights that she had at the position, what she keeps
cannot be set right by changes, and she has to start again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

import orjson

from mbaas.data.admission import refuse_unknown_class
from mbaas.data.app import App
from mbaas.data.search import columns_in
from mbaas.data.sight import Sight, watchable
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object, read_object
from mbaas.query.match import AtMost, matcher
from mbaas.storage.ports import Document, Entry

LIMIT, MOST = 100, 1000
_READ, _AT_ONCE = 2000, 250
"""How many entries are read for one answer, whoever they concern, and how many at once."""
_BYTES = 4 * 1024 * 1024
"""No change is added to an answer that would become longer; the first always is."""
_SECONDS = 0.25
"""How long a `where` may compute for one entry."""
_KNOWN = frozenset({"className", "since", "where", "limit"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client asks for. Without `since` only the present position; then the class need not be named."""

    class_name: str | None
    since: str | None = None
    where: Object = field(default_factory=dict)
    limit: int = LIMIT

    @staticmethod
    def parse(arguments: Mapping[str, Json]) -> Wanted:
        """The arguments of a request. Raises 102 for one that is unknown or cannot be, 103 without a class, 107 for `where`."""
        for name in arguments:
            if name not in _KNOWN:
                raise ParseError(Code.INVALID_QUERY, f"Invalid parameter for changes: {name}")
        class_name, since = _text(arguments, "className"), _text(arguments, "since")
        if class_name is None and (since is not None or "where" in arguments):
            raise ParseError(Code.INVALID_CLASS_NAME, "className is missing")
        where = read_object(arguments.get("where", {}))
        if where is None:
            raise ParseError(Code.INVALID_JSON, "where parameter is not valid JSON")
        return Wanted(class_name, since, where, _limit(arguments.get("limit", LIMIT)))


def _text(arguments: Mapping[str, Json], name: str) -> str | None:
    value = arguments.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise ParseError(Code.INVALID_QUERY, f"{name} should be a text that is not empty")
    return value


def _limit(value: Json) -> int:
    """A whole number from 1; more than the most is the most."""
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit()) or len(text) > 15 or int(text) < 1:
        raise ParseError(Code.INVALID_QUERY, f"limit should be a whole number from 1 to {MOST}")
    return min(int(text), MOST)


async def changes(app: App, caller: Caller, wanted: Wanted) -> bytes:
    """The JSON answer: `{"results", "next", "more"}`, or `next` alone.

    Raises what a find would, 102 for a `where` that no single object can answer, and 120 with HTTP 410 if the client has to start again.
    """
    if wanted.class_name is None:
        return orjson.dumps({"next": await app.store.feed.latest()})
    await app.classes.sought(wanted.class_name, columns_in(wanted.where))
    view = ChangesView(app, caller, wanted.class_name, wanted.where)
    if wanted.since is None:
        return orjson.dumps({"next": view.marked(await app.store.feed.latest())})
    results, place, more = await read(app, view, view.opened(wanted.since), wanted.limit)
    closing = orjson.dumps({"next": view.marked(place), "more": more})
    return b'{"results":[%b],%b' % (b",".join(results), closing[1:])


async def read(app: App, view: ChangesView, place: str, limit: int) -> tuple[list[bytes], str, bool]:
    """Changes after a place in the feed, the place behind the last entry read, and whether there are more."""
    results: list[bytes] = []
    size = read = 0
    while read < _READ:
        entries = await app.store.feed.after(place, _AT_ONCE)
        if entries is None:
            raise start_again("The position is none of this app's, or older than what is kept.")
        if not view.exists and any(entry.class_name == view.class_name for entry in entries):
            await app.classes.reload()
            if app.classes.get(view.class_name) is not None:
                # The class was made while this was read: whoever asks again is told by its definition.
                return results, place, True
        for entry in entries:
            with AtMost(_SECONDS):
                change = view.change(entry)
            if change is not None:
                told = orjson.dumps(change)
                size += len(told)
                if len(results) == limit or (results and size > _BYTES):
                    return results, place, True
                results.append(told)
            place = entry.seq
        if not entries.more:
            return results, place, False
        read += _AT_ONCE  # also where that is fewer, since they are large
    return results, place, True


class ChangesView:
    """A query on a class as one caller may ask it, and what an entry of the feed is to her."""

    def __init__(self, app: App, caller: Caller, class_name: str, where: Object) -> None:
        """Raises what a find would, and 102 for a `where` that no single object can answer, or not always in the same way."""
        self._sight = Sight(app, caller, class_name)
        refuse_unknown_class(app, caller, class_name)
        node = watchable(app, caller, class_name, where)
        self._sight.refuse_hidden(node, ())
        if b'"$relativeTime"' in orjson.dumps(where):
            raise ParseError(Code.INVALID_QUERY, "$relativeTime matches other objects as time goes by, without any change of them")
        self._matches = matcher(node)
        self.class_name, self.exists = class_name, app.classes.get(class_name) is not None
        self._who = _digest([class_name, caller.user_id, caller.master, caller.maintenance])
        self._rights = _digest([sorted(caller.readers or ()), self._sight.rules.reading]) if self.exists else ""

    def marked(self, place: str) -> str:
        """A position: a place in the feed with a mark of whose it is and of her rights there."""
        return f"{place}.{self._who}-{self._rights}"

    def opened(self, since: str) -> str:
        """The place of a position; 410 if it is this caller's own and her rights have changed since.

        A `seq`, and the position of somebody else, say nothing of her rights. Where the class was not there yet she had no objects.
        """
        place, _, mark = since.partition(".")
        who, _, rights = mark.partition("-")
        if who == self._who and rights and rights != self._rights:
            raise start_again("Your roles, or the permissions of the class, have changed.")
        return place

    def change(self, entry: Entry) -> Object | None:
        """What an entry is to the caller; None if it does not concern her.

        An object that she may no longer see, or that no longer matches, is deleted to her, and one that does so now is created.
        """
        if not self.exists or entry.class_name != self.class_name:
            return None
        if (entry.before is None and entry.op != "create") or (entry.after is None and entry.op != "delete"):
            # Written before the database kept states, or by a server that does not ask it to: nobody knows who saw the object.
            raise start_again("The state of an object before a change of it is not known.")
        was, is_now = self._found(entry.before), self._found(entry.after)
        if not was and not is_now:
            return None
        op = "delete" if not is_now else "update" if was else "create"
        told: Object = {"op": op, "className": entry.class_name, "objectId": entry.object_id, "seq": entry.seq}
        if is_now and entry.after is not None:
            told["object"] = self._sight.show(entry.after.body)
        return told

    def _found(self, state: Document | None) -> bool:
        return state is not None and self._matches(state.body) and self._sight.sees(state.body)


def place_of(position: str) -> str:
    """The place in the feed of a position or of a `seq`."""
    return position.partition(".")[0]


def start_again(why: str) -> ParseError:
    """120 with HTTP 410: what the client keeps cannot be brought up to date."""
    return ParseError(Code.CACHE_MISS, f"{why} Ask for `next` and for the objects anew.", status=410)


def _digest(value: Json) -> str:
    return blake2b(orjson.dumps(value, default=dict, option=orjson.OPT_SORT_KEYS), digest_size=6).hexdigest()
