"""The developer's API: `from mbaas_functions import cloud`. What is declared with it in `main.py` runs in a worker, not in the server."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from mbaas.kernel.values import Json
from mbaas.kernel.values import Object as Body
from mbaas_functions.cloud.calls import ask
from mbaas_functions.cloud.definitions import (
    after_delete,
    after_delete_file,
    after_find,
    after_find_file,
    after_live_query_event,
    after_login,
    after_logout,
    after_save,
    after_save_file,
    auth_provider,
    before_connect,
    before_delete,
    before_delete_file,
    before_find,
    before_find_file,
    before_login,
    before_password_reset_request,
    before_save,
    before_save_file,
    before_subscribe,
    define,
    http,
    job,
    schedule,
)
from mbaas_functions.cloud.errors import Error
from mbaas_functions.cloud.objects import Installation, Object, Relation, Role, Session, User
from mbaas_functions.cloud.query import Query
from mbaas_functions.cloud.requests import (
    AuthRequest,
    ConnectRequest,
    EventRequest,
    FileRequest,
    FunctionRequest,
    HttpRequest,
    JobRequest,
    QueryRequest,
    Response,
    TriggerRequest,
)
from mbaas_functions.cloud.transactions import Transaction
from mbaas_functions.cloud.values import File, GeoPoint, Polygon, decode, encode, from_date

__all__ = [
    "AuthRequest",
    "ConnectRequest",
    "Error",
    "EventRequest",
    "File",
    "FileRequest",
    "FunctionRequest",
    "GeoPoint",
    "HttpRequest",
    "Installation",
    "JobRequest",
    "Object",
    "Polygon",
    "Query",
    "QueryRequest",
    "Relation",
    "Response",
    "Role",
    "Session",
    "Transaction",
    "TriggerRequest",
    "User",
    "after_delete",
    "after_delete_file",
    "after_find",
    "after_find_file",
    "after_live_query_event",
    "after_login",
    "after_logout",
    "after_save",
    "after_save_file",
    "auth_provider",
    "before_connect",
    "before_delete",
    "before_delete_file",
    "before_find",
    "before_find_file",
    "before_login",
    "before_password_reset_request",
    "before_save",
    "before_save_file",
    "before_subscribe",
    "config",
    "define",
    "http",
    "job",
    "moment",
    "push",
    "run",
    "schedule",
    "tx",
]


async def run(name: str, params: dict[str, Any] | None = None, *, use_master_key: bool = False) -> Any:
    """Call another function, as the caller or with the master key."""
    return decode(await ask("run", name=name, params=encode(params or {}), use_master_key=use_master_key))


async def config(*, use_master_key: bool = False) -> Body:
    """The params of the app's config; with the master key those for it alone, too."""
    found: Json = await ask("config", use_master_key=use_master_key)
    return {name: decode(value) for name, value in found.items()}


def tx() -> Transaction:
    """`async with cloud.tx():` saves and deletes within are done together at its end, or none of them is."""
    return Transaction()


async def push(
    data: dict[str, Any],
    *,
    where: Query | None = None,
    channels: Iterable[str] | None = None,
    topic: str | None = None,
    condition: str | None = None,
    push_time: datetime | None = None,
    expiration_time: datetime | None = None,
    expiration_interval: float | None = None,
    use_master_key: bool = False,
) -> str:
    """Send a push to the installations that a query finds, or to channels; the id of its `_PushStatus`. It takes the master key.

    Or to a `topic` of Firebase, or a `condition` over some: one message, to all who have subscribed.

    `data` is what devices get (`alert`, `badge`, …). `push_time`: when it is sent, if not now. It is of no use after `expiration_time`, or
    `expiration_interval` seconds after it is sent.
    """
    body: Body = {"data": encode(data)}
    if where is not None:
        body["where"] = where.to_json()["where"]
    if channels is not None:
        body["channels"] = list(channels)
    body |= {name: to for name, to in (("topic", topic), ("condition", condition)) if to is not None}
    for name, at in (("push_time", push_time), ("expiration_time", expiration_time)):
        if at is not None:
            body[name] = from_date(at)
    if expiration_interval is not None:
        body["expiration_interval"] = expiration_interval
    return str(await ask("push", body=body, use_master_key=use_master_key))


async def moment(
    key: str,
    event_id: str,
    *,
    user: str | None = None,
    installation: str | None = None,
    partner: tuple[str, str] | None = None,
    where: Query | None = None,
    occurred_at: datetime | None = None,
    props: dict[str, Any] | None = None,
    use_master_key: bool = False,
) -> str:
    """Say that something happened, once for each `event_id`; its id. It takes the master key. Plays bound to `key` do the rest.

    It happened to a user or an installation (by their ids), to whom a partner knows by an id (`("taxi", "rider-7")`), or to all
    installations that a query finds; now, unless `occurred_at` is given.
    """
    named: Body = {"user": user, "installation": installation}
    if partner is not None:
        named |= {"partner": partner[0], "externalId": partner[1]}
    if where is not None:
        named["where"] = where.to_json()["where"]
    body: Body = {"eventId": event_id, "subject": {name: value for name, value in named.items() if value is not None}}
    if occurred_at is not None:
        body["occurredAt"] = from_date(occurred_at)
    if props is not None:
        body["props"] = encode(props)
    return str(await ask("moment", key=key, body=body, use_master_key=use_master_key))
