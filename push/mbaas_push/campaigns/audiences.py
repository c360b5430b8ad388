"""Audiences with a name, as objects of Parse's `_Audience`, so that Parse Dashboard shows those made here and the other way round.

Its column `query` has what a query can say. What people have done is said by the column `audience` alone: such a one finds nobody in
Parse Dashboard, rather than everybody who did it or not.
"""

from __future__ import annotations

import orjson

from mbaas.data import objects
from mbaas.data.app import App
from mbaas.data.find import find_objects
from mbaas.data.options import FindOptions
from mbaas.kernel.caller import MASTER, Caller
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object
from mbaas_push.campaigns import segments
from mbaas_push.campaigns.content import wrong

CLASS = "_Audience"
MOST = 500
_LONGEST_NAME = 100
_NOBODY: Object = {"objectId": {"$in": []}}


async def all_audiences(app: App) -> list[Object]:
    """`{"id", "name", "audience", "updatedAt"}`, by name; `audience` is None where its query cannot be read."""
    found = await find_objects(app, MASTER, CLASS, FindOptions(order=(("name", False),), limit=MOST))
    return [_told(each) for each in found]


async def get(app: App, audience_id: str) -> Object:
    """One of them. 101."""
    found = await find_objects(app, MASTER, CLASS, FindOptions(where={"objectId": audience_id}, limit=1))
    if not found:
        raise ParseError(Code.OBJECT_NOT_FOUND, "There is no such audience.")
    return _told(found[0])


async def keep(app: App, caller: Caller, audience_id: str | None, name: str, audience: Object) -> str:
    """Make one, or change it; its id. 142 for what can be none, 101 if it is not there."""
    if not 0 < len(name.strip()) <= _LONGEST_NAME:
        raise wrong(f"name is a text of up to {_LONGEST_NAME} characters")
    kept = segments.shape(audience)
    segments.check(app, kept)
    query = _NOBODY if kept.get("events") else segments.query_of(kept)
    body: Object = {"name": name.strip(), "query": orjson.dumps(query).decode(), "audience": orjson.dumps(kept).decode()}
    if audience_id is not None:
        await objects.update(app, caller, CLASS, audience_id, body)
        return audience_id
    return str((await objects.create(app, caller, CLASS, body)).answer["objectId"])


async def forget(app: App, caller: Caller, audience_id: str) -> None:
    """Take one away; campaigns that were made of it keep what it was. 101 if it is not there."""
    await objects.delete(app, caller, CLASS, audience_id)


def _told(each: Object) -> Object:
    audience = _read(each.get("audience"))
    if audience is None:
        where = _read(each.get("query"))
        audience = None if where is None else {"where": where}
    return {"id": each["objectId"], "name": each.get("name") or "", "audience": audience, "updatedAt": each["updatedAt"]}


def _read(text: Json) -> Object | None:
    try:
        read = orjson.loads(text) if isinstance(text, str) else None
    except orjson.JSONDecodeError:
        return None
    return read if isinstance(read, dict) else None
