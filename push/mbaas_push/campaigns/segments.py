"""Audiences: which installations a campaign is for, by their own fields, their users' and what they have done.

    {"where": {…}, "users": {…}, "events": [{"name": "AppOpened", "atLeast": 3, "days": 7}, {"name": "Bought", "atMost": 0, "days": 30}]}

`where` is a query of installations, `users` one of the users that their column `user` points to. An event counts for the user, if the
installation has one, wherever she did it; `of: "installation"` counts what was done on that device. What a field is that everybody is not
shown may not be asked, and no text may show it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress

from mbaas.data.admission import rules_for
from mbaas.data.app import App
from mbaas.data.find import find_objects
from mbaas.data.options import FindOptions
from mbaas.data.search import prepare, refuse_protected, scope_of
from mbaas.kernel.caller import ANONYMOUS, MASTER
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.schema import Field
from mbaas.kernel.values import Json, Object
from mbaas.query import ast
from mbaas.query.parse import parse_where
from mbaas.query.regex import compiled
from mbaas_push import event_queries
from mbaas_push.campaigns.content import wrong
from mbaas_push.event_queries import DAY_MS, Window
from mbaas_push.events import subject_of

CLASS = "_Installation"
PAGE = 1000
_KNOWN = frozenset(("where", "users", "events"))
_OF_EVENT = frozenset(("name", "atLeast", "atMost", "days", "of", "where"))
_MOST_EVENTS, _MOST_DAYS = 10, 400
SECRET = frozenset(("deviceToken", "authData", "ACL", "password", "sessionToken"))
"""What no text shows, whatever the app says of it."""
_UNASKED = frozenset(("authData", "password", "sessionToken"))
"""What no query asks: how many are found would tell it bit by bit."""

Belongs = Callable[[Object], bool]
"""Says whether an installation, which the query has found, is in the audience."""


def shape(given: Json) -> Object:
    """An audience as it is kept. ParseError 142 says what of it cannot be."""
    if not isinstance(given, dict) or not set(given) <= _KNOWN:
        raise wrong(f"audience is an object of {', '.join(sorted(_KNOWN))}")
    if not all(isinstance(given.get(name, {}), dict) for name in ("where", "users")):
        raise wrong("audience: where and users are queries")
    events = given.get("events", [])
    if not isinstance(events, list) or len(events) > _MOST_EVENTS:
        raise wrong(f"audience.events is a list of up to {_MOST_EVENTS}")
    for event in events:
        _check_event(event)
    return given


def _check_event(event: Json) -> None:
    if not isinstance(event, dict) or not set(event) <= _OF_EVENT or not isinstance(event.get("name"), str):
        raise wrong(f"audience.events: each has a name, and {', '.join(sorted(_OF_EVENT - {'name'}))}")
    limits = [event[name] for name in ("atLeast", "atMost") if name in event]
    if not limits or not all(isinstance(limit, int) and not isinstance(limit, bool) and limit >= 0 for limit in limits):
        raise wrong("audience.events: atLeast, atMost or both say how often")
    days = event.get("days")
    if not isinstance(days, int) or isinstance(days, bool) or not 0 < days <= _MOST_DAYS:
        raise wrong(f"audience.events: days is a number from 1 to {_MOST_DAYS}")
    if event.get("of", "user") not in ("user", "installation") or not isinstance(event.get("where", {}), dict):
        raise wrong("audience.events: of is user or installation; where is an object of dimensions")


def check(app: App, audience: Object) -> None:
    """ParseError for a query that cannot be asked, or asks for what not everybody is shown."""
    check_query(app, CLASS, audience.get("where", {}))
    check_query(app, "_User", audience.get("users", {}))


def check_paths(app: App, paths: Iterable[str]) -> None:
    """ParseError 119 for a field that not everybody is shown."""
    for path in paths:
        root, _, field = path.partition(".")
        if root not in ("user", "installation"):
            raise wrong(f"{{{{{path}}}}} is known in plays alone: user.<column> or installation.<column>")
        class_name = "_User" if root == "user" else CLASS
        names = tuple(field.split("."))
        if names[0] in SECRET:
            raise ParseError(Code.OPERATION_FORBIDDEN, f"{path} may not be shown in a text.", status=403)
        rules_for(app, ANONYMOUS, class_name).refuse_protected(ANONYMOUS, names, "show")


def check_query(app: App, class_name: str, where: Object) -> None:
    """ParseError for a query of a class that cannot be asked, or asks for what not everybody is shown."""
    if class_name == "_Session":
        raise ParseError(Code.OPERATION_FORBIDDEN, "An audience may not ask for sessions.", status=403)
    schema = app.classes.known_or_blank(class_name)
    node = parse_where(where, scope_of(app, MASTER, schema))
    refuse_protected(rules_for(app, ANONYMOUS, class_name), ANONYMOUS, node)
    _check_nested(app, node)


def _check_nested(app: App, node: ast.Node) -> None:
    if isinstance(node, (ast.And, ast.Or, ast.Nor)):
        for part in node.parts:
            _check_nested(app, part)
        return
    if isinstance(node, ast.Regex):
        # A store would say so when it is asked: after it was answered that all is well.
        compiled(node.pattern, node.flags)
    if not isinstance(node, (ast.RelatedTo, ast.Relates)):
        # A whole token is known to who asks for it; of a part of one the number of matches tells the rest.
        guesses = isinstance(node, (ast.Regex, ast.Compare)) and node.path[0] == "deviceToken"
        if guesses or node.path[0] in _UNASKED:
            raise ParseError(Code.OPERATION_FORBIDDEN, f"An audience may not ask for {node.path[0]}.", status=403)
    if isinstance(node, ast.Subquery):
        rules_for(app, ANONYMOUS, node.class_name).refuse_protected(ANONYMOUS, tuple(node.key.split(".")), "query")
        check_query(app, node.class_name, node.where or {})


def askable(app: App, class_name: str) -> dict[str, Field]:
    """The columns of installations or of users that an audience may ask for."""
    rules, found = rules_for(app, ANONYMOUS, class_name), dict[str, Field]()
    for name, field in app.classes.known_or_blank(class_name).fields.items():
        with suppress(ParseError):
            rules.refuse_protected(ANONYMOUS, (name,), "query")
            if name not in SECRET:
                found[name] = field
    return found


def query_of(audience: Object) -> Object:
    """The query of installations, the users' own in it."""
    where: Object = audience.get("where") or {}
    users = audience.get("users")
    if not users:
        return where
    of_user: Object = {"user": {"$inQuery": {"className": "_User", "where": users}}}
    return {"$and": [where, of_user]} if where else of_user


async def belonging(app: App, audience: Object, now: int) -> Belongs:
    """What says of an installation that the query has found whether it did what the audience has done, until now."""
    conditions: list[tuple[Counter[str], Object]] = []
    for event in audience.get("events", []):
        window = Window(now - event["days"] * DAY_MS, now + 1)
        conditions.append((await event_queries.counts(app, event["name"], window, event.get("where")), event))

    def belongs(installation: Object) -> bool:
        for counts, event in conditions:
            count = counts[subject_of(installation, as_user=event.get("of", "user") == "user")]
            if count < event.get("atLeast", 0) or count > event.get("atMost", count):
                return False
        return True

    return belongs


async def pages(app: App, audience: Object, now: int) -> AsyncIterator[list[Object]]:
    """The installations of an audience, in the order of their ids."""
    where, cursor = query_of(audience), ""
    belongs = await belonging(app, audience, now)
    while page := await find_objects(app, MASTER, CLASS, after(where, cursor)):
        cursor = page[-1]["objectId"]
        yield [installation for installation in page if belongs(installation)]


def after(where: Object, cursor: str, most: int = PAGE) -> FindOptions:
    """What finds the page of a query that comes after an id."""
    narrowed: Object = {"$and": [where, {"objectId": {"$gt": cursor}}]} if cursor else where
    return FindOptions(where=narrowed, order=(("objectId", False),), limit=most)


async def size(app: App, audience: Object, now: int) -> int:
    """How many installations are in an audience, exactly. Without events it is counted by the store."""
    if audience.get("events"):
        return sum([len(page) async for page in pages(app, audience, now)])
    search = await prepare(app, MASTER, CLASS, FindOptions(where=query_of(audience)))
    plan = search.plan("count")
    return await app.store.documents.count(plan) if plan else 0
