"""What functions, the app's own or partners', offer somebody: each is asked within its budget, and no more at once than it bears.

    {"name": "taxi.offer", "params": {"from": "{{moment.location}}"}, "budgetMs": 300, "concurrency": 32, "worth": "price"}

A param that is nothing but a place is the value there, whatever it is; without `params` it is asked with the moment's props. `worth` names
the number in its reply that says what the offer is worth, instead of the play's amount. It is called with the master key, for the user
whose it is.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from mbaas.data.app import App
from mbaas.kernel.caller import MASTER
from mbaas.kernel.errors import MbaasError
from mbaas.kernel.values import Json, Object, is_number
from mbaas_push.campaigns.content import wrong
from mbaas_push.campaigns.templates import parse, value_at

_NAME = re.compile(r"[A-Za-z]\w*(\.\w+)?")
_KNOWN = frozenset(("name", "params", "budgetMs", "worth", "concurrency"))
_MOST_FUNCTIONS = 5
_BUDGET_MS, _MOST_BUDGET_MS = 300, 5000
_AT_ONCE, _MOST_AT_ONCE = 32, 1000
_LONE = re.compile(r"\{\{\s*([\w.]+)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Offer:
    """What became of asking one function: `answered`, `timeout` or `failed`; the reply, and what it says that it is worth."""

    name: str
    how: str
    reply: Object | None = None
    worth: float | None = None


def check(given: Json) -> list[Object]:
    """The functions of a play as they are kept. ParseError 142."""
    if not isinstance(given, list) or len(given) > _MOST_FUNCTIONS:
        raise wrong(f"functions is a list of up to {_MOST_FUNCTIONS}")
    for each in given:
        if not isinstance(each, dict) or not set(each) <= _KNOWN:
            raise wrong(f"functions: each has {', '.join(sorted(_KNOWN))}")
        name, params, named = each.get("name"), each.get("params", {}), each.get("worth", "x")
        if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > 100:
            raise wrong("functions: name is that of a function, as offer or taxi.offer")
        if not isinstance(params, dict) or not isinstance(named, str) or not named:
            raise wrong(f"functions: {name}: params is an object; worth is the name of a number in the reply")
        for key, most in (("budgetMs", _MOST_BUDGET_MS), ("concurrency", _MOST_AT_ONCE)):
            number = each.get(key, 1)
            if not isinstance(number, int) or isinstance(number, bool) or not 0 < number <= most:
                raise wrong(f"functions: {name}: {key} is a number from 1 to {most}")
        paths(each)
    if len({each["name"] for each in given}) < len(given):
        raise wrong("functions: each is asked once")
    return given


def paths(function: Object) -> frozenset[str]:
    """The fields that its params name. ParseError 142 for a text that cannot be read, or an offer that is not there yet."""
    found = _paths(function.get("params", {}))
    if any(path.startswith("offer.") for path in found):
        raise wrong(f"functions: {function['name']}: its params are made before there is an offer")
    return found


def _paths(value: Json) -> frozenset[str]:
    if isinstance(value, str):
        return parse(value).paths
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return frozenset(path for part in parts for path in _paths(part))


class Offers:
    """Asks the functions of one app's plays."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._places: dict[tuple[str, int], asyncio.Semaphore] = {}

    async def ask(self, functions: list[Object], user_id: str, roots: Mapping[str, Object]) -> list[Offer]:
        """What all of them offer one person."""
        return list(await asyncio.gather(*(self._ask(function, user_id, roots) for function in functions)))

    async def _ask(self, function: Object, user_id: str, roots: Mapping[str, Object]) -> Offer:
        name, budget = function["name"], function.get("budgetMs", _BUDGET_MS) / 1000
        most = function.get("concurrency", _AT_ONCE)
        places = self._places.setdefault((name, most), asyncio.Semaphore(most))
        params = _filled(function["params"], roots) if "params" in function else roots["moment"]
        caller = replace(MASTER, user_id=user_id or None)
        try:
            async with asyncio.timeout(budget), places:
                answer = await self._app.functions.call(name, caller, params)
        except TimeoutError:
            return Offer(name, "timeout")
        except MbaasError:
            return Offer(name, "failed")
        reply = answer.get("result")
        if not isinstance(reply, dict):
            return Offer(name, "failed")
        worth = reply.get(function["worth"]) if "worth" in function else None
        return Offer(name, "answered", reply, float(worth) if is_number(worth) else None)


def _filled(value: Json, roots: Mapping[str, Object]) -> Json:
    if isinstance(value, str):
        if (lone := _LONE.fullmatch(value)) is not None:
            return _raw(roots, lone[1])
        template = parse(value)
        return template.render({path: value_at(roots, path) for path in template.paths})
    if isinstance(value, dict):
        return {key: _filled(part, roots) for key, part in value.items()}
    return [_filled(part, roots) for part in value] if isinstance(value, list) else value


def _raw(roots: Mapping[str, Object], path: str) -> Json:
    """Whatever is there; None if nothing is."""
    at: Json = dict(roots)
    for key in path.split("."):
        at = at.get(key) if isinstance(at, dict) else None
    return at
