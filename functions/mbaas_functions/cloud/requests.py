"""What a function, trigger or job is handed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mbaas.kernel.values import Object as Body
from mbaas_functions.cloud.calls import ask, current
from mbaas_functions.cloud.objects import Object, User
from mbaas_functions.cloud.query import Query
from mbaas_functions.cloud.values import File


class Log:
    """Lines for the server's log, with the id of the call."""

    def info(self, text: str, **values: Any) -> None:
        self._say("info", text, values)

    def warning(self, text: str, **values: Any) -> None:
        self._say("warning", text, values)

    def error(self, text: str, **values: Any) -> None:
        self._say("error", text, values)

    def _say(self, level: str, text: str, values: dict[str, Any]) -> None:
        current().say({"level": level, "text": str(text), "values": {name: repr(value) for name, value in values.items()}})


@dataclass(kw_only=True)
class Request:
    """Who asks. `headers` are the client's, by lower-case names, without keys, tokens and cookies."""

    master: bool = False
    user: User | None = None
    roles: frozenset[str] = frozenset()
    """Names of the roles that the user has, inherited ones included."""
    installation_id: str | None = None
    ip: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    context: Body = field(default_factory=dict)
    """What the client sent as context, passed on from trigger to trigger: what one puts in, the next one finds."""
    deadline: datetime | None = None
    """When the call is ended if it has not by itself."""
    log: Log = field(default_factory=Log)


@dataclass(kw_only=True)
class FunctionRequest(Request):
    """A call of a function."""

    function_name: str
    params: dict[str, Any] = field(default_factory=dict)
    model: Any = None
    """The params as the pydantic model that was declared for them."""


@dataclass(kw_only=True)
class JobRequest(Request):
    """A run of a job."""

    job_name: str
    job_id: str
    params: dict[str, Any] = field(default_factory=dict)

    async def message(self, text: str) -> None:
        """Say how far it is: what `_JobStatus` shows as `message`."""
        await ask("message", text=str(text), use_master_key=True)


@dataclass(kw_only=True)
class TriggerRequest(Request):
    """A trigger: before and after saves, deletes, sign-ins."""

    trigger_name: str
    object: Object
    original: Object | None = None


@dataclass(kw_only=True)
class QueryRequest(Request):
    """A trigger before or after a find. `objects` are those found, after it."""

    trigger_name: str
    query: Query
    count: bool = False
    is_get: bool = False
    objects: list[Object] = field(default_factory=list)


@dataclass(kw_only=True)
class FileRequest(Request):
    """A trigger around what is done to a file. `file_size` is in bytes, None where it is not known."""

    trigger_name: str
    file: File
    file_size: int | None = None
    force_download: bool = False
    """Set after a find: the browser is to store the file, not to show it."""
    response_headers: dict[str, str] = field(default_factory=dict)
    """After a find: headers that the answer has."""


@dataclass(kw_only=True)
class ConnectRequest(Request):
    """Somebody connects to live queries. `clients` and `subscriptions` are those of the server's process that she came to."""

    trigger_name: str
    client_id: str
    clients: int
    subscriptions: int


@dataclass(kw_only=True)
class EventRequest(Request):
    """An event of a live query on its way to one client: `event` is create, enter, update, leave or delete.

    What is sent is `object`, and `original` where there is one; nothing if `send_event` is set to False.
    """

    trigger_name: str
    event: str
    object: Object
    original: Object | None
    clients: int
    subscriptions: int
    send_event: bool = True


@dataclass(kw_only=True)
class HttpRequest(Request):
    """A request to an endpoint. `params` are the variables of its pattern, `rest` what a `*` stands for."""

    method: str
    path: str
    params: dict[str, str] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    """The query string: texts by name, a list where a name comes twice."""
    body: bytes = b""

    def json(self) -> Any:
        """The body as JSON. ValueError if it is none."""
        return json.loads(self.body)


@dataclass
class Response:
    """What an endpoint answers when it is more than a body: text, bytes, or anything else as JSON."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None


@dataclass(kw_only=True)
class AuthRequest(Request):
    """Somebody comes with a provider's data. `object` is the user whom it is to be linked to, None before she is known."""

    provider: str
    auth_data: dict[str, Any]
    options: dict[str, Any]
    object: User | None
