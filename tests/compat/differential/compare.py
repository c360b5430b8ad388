"""Runs a sequence on both servers and says where their answers differ, up to what may: dates of now, and named differences."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.compat.differential.peers import Peer, Request

Answer = tuple[int, Any]


@dataclass(frozen=True)
class Difference:
    """One request that was answered in two ways."""

    request: Request
    theirs: Answer
    ours: Answer

    def __str__(self) -> str:
        asked = f"{self.request.who} {self.request.method} {self.request.path} {json.dumps(self.request.body, ensure_ascii=False)}"
        return f"{asked}\n  theirs {_shown(self.theirs)}\n  ours   {_shown(self.ours)}"


class Comparison:
    """Two peers, and names for the classes of each example."""

    def __init__(self, theirs: Peer, ours: Peer) -> None:
        self._peers = (theirs, ours)
        self._names = count()
        self._pool = ThreadPoolExecutor(2)
        self.requests = 0

    def differences(self, steps: list[Request]) -> list[Difference]:
        """Those of a sequence, named ones left out. One that does not come again, with other classes and people, is none: Parse Server
        remembers classes, permissions and sessions for some seconds, and answers by what it remembers."""
        return self._run(steps) and self._run(steps)

    def _run(self, steps: list[Request]) -> list[Difference]:
        """Every step on both servers. It ends where what is stored may no longer be the same."""
        number = next(self._names)
        named = [_with_names(step, number) for step in steps]
        self.requests += len(named)
        theirs, ours = self._pool.map(lambda peer: peer.run(named), self._peers)
        found = []
        for step, a, b in zip(named, theirs, ours, strict=True):
            one, two = normal(step, a), normal(step, b)
            if one == two and step.method != "GET" and one[0] >= 400 and step.body:
                break  # A refused write adds no columns: Parse Server may have added some of them.
            if one == two:
                continue
            difference = Difference(step, one, two)
            if not _is_of_the_database(difference) and not any(holds(difference) for holds in NAMED.values()):
                found.append(difference)
            if step.method != "GET":
                break
        return found


def _counts_nothing(it: Difference) -> bool:
    return isinstance(it.theirs[1], dict) and it.theirs[1].get("count") == [] and it.ours[1] == {**it.theirs[1], "count": 0}


def _finds_nothing(it: Difference) -> bool:
    return it.request.method == "GET" and it.theirs in _NOTHING and it.ours[0] == 400


def _is_their_fault(it: Difference) -> bool:
    return it.theirs[0] >= 500 and it.ours[0] < 500


def _is_refused_by_both(it: Difference) -> bool:
    writes = it.request.method != "GET" and it.request.path.startswith("/classes/C")
    return it.theirs[0] >= 400 and it.ours[0] >= 400 and not writes


def _is_locked_out(it: Difference) -> bool:
    return it.ours == (400, {"code": 209, "error": "Invalid session token"})


def _orders_pointers(it: Difference) -> bool:
    return re.search(r'"\$(lte?|gte?)": \{"__type": "Pointer"', json.dumps(it.request.body)) is not None


def _is_of_the_database(it: Difference) -> bool:
    """SecantusDB, which Parse Server stands on here, finds no document without the array by `$all: [null]`; MongoDB does
    (SERVER-3820). Parse Server asks so for any `null` compared with an array."""
    return re.search(r'"l": (null|\{"\$(all": \[null|eq": null))', json.dumps(it.request.body)) is not None


_NOTHING: list[Answer] = [(200, {"results": []}), (200, {"results": [], "count": 0}), (200, {"results": [], "count": []})]

NAMED: dict[str, Callable[[Difference], bool]] = {
    "A count is a number": _counts_nothing,
    "A query is read even if it cannot find anything": _finds_nothing,
    "Pointers have no order": _orders_pointers,
    "A client's mistake is not a server's error": _is_their_fault,
    "Of several mistakes one is told": _is_refused_by_both,
    "Who is gone or locked out has no session": _is_locked_out,
}
"""Headings of docs/parse-differences.md, with what tells such a difference."""


def _with_names(step: Request, number: int) -> Request:
    text = json.dumps([step.who, step.path, step.body])
    for name in "CDEU":
        text = text.replace(f"@{name}", f"{name}{number}")
    who, path, body = json.loads(text)
    return Request(who, step.method, path, body)


def normal(step: Request, answer: Answer) -> Answer:
    """An answer without what may differ: the dates of now, and the order of a find that asked for none."""
    status, body = answer
    body = _without_now(body)
    if status == 201 and isinstance(body, dict):
        body = {k: "<own>" if k in ("objectId", "username") and k not in step.body else v for k, v in body.items()}
    if isinstance(body, dict) and isinstance(body.get("results"), list) and "order" not in step.body:
        body["results"].sort(key=lambda row: str(row.get("objectId")) if isinstance(row, dict) else json.dumps(row))
    return status, body


def _without_now(value: Any) -> Any:
    if isinstance(value, dict):
        session = "createdWith" in value
        return {k: "<own>" if _is_own(k, v, session) else _without_now(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_now(v) for v in value]
    return value


def _is_own(name: str, value: Any, session: bool) -> bool:
    """Dates of now, and what a server makes up."""
    return (
        (name in ("createdAt", "updatedAt") and isinstance(value, str))
        or (name == "sessionToken" and str(value).startswith("r:"))
        or (session and name in ("objectId", "expiresAt"))
    )


def _shown(answer: Answer) -> str:
    return f"{answer[0]} {json.dumps(answer[1], ensure_ascii=False)}"[:1500]
