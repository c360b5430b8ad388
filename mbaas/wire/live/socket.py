"""One live-query connection: reads its messages, keeps its subscriptions, and sends what the hub has for them.

Source: the Parse LiveQuery protocol as Parse Server 9.10 speaks it; `since`, `seq` and `resync` are ours.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

import orjson

from mbaas.data.changes import place_of
from mbaas.kernel.addresses import client_address, forwarded_for
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.tasks import end
from mbaas.kernel.values import Object, read_json
from mbaas.observe.metrics import Metrics
from mbaas.realtime.hub import Hub
from mbaas.realtime.ports import Left
from mbaas.realtime.subscriptions import Subscription
from mbaas.wire.errors import Unauthorized, body_of, record
from mbaas.wire.json_text import unkept
from mbaas.wire.keys import Identity, Keyring, Keys
from mbaas.wire.live.frames import direct
from mbaas.wire.live.messages import Told, complaint
from mbaas.wire.request import Receive, Scope, Send, origin_of

MALFORMED, UNKNOWN, WRONG_KEY = 1, 2, 4
"""The protocol's own error codes; others are Parse's."""
TRY_LATER, START_AGAIN, NOBODY = 1013, 1012, 1008
"""Close codes: the client reads too slowly, or there are too many of them; it missed events; it has not said who it is. SDKs connect again
after each."""
_COUNTED = {
    "entries": "Entries of the feed that were read",
    "matches": "Distinct queries that were asked of an entry",
    "checks": "Groups of callers whose rights were asked for an entry",
    "frames": "Events that were sent",
}
_GRACE_SECONDS = 10
_KEY_NAMES = {
    "applicationId": "app_id",
    "javascriptKey": "javascript",
    "masterKey": "master",
    "clientKey": "client",
    "windowsKey": "dotnet",
    "restAPIKey": "rest",
    "sessionToken": "session",
    "installationId": "installation",
}


class Refusal(Exception):
    """An error frame with a code of the protocol."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class Live:
    """The live side of the apps: their keys and hubs."""

    def __init__(
        self, keyring: Keyring, hubs: Mapping[str, Hub], trusted_proxies: Iterable[str], metrics: Metrics, hello_seconds: float
    ) -> None:
        """`hello_seconds` is how long a socket has to say who it is."""
        self.keyring, self.hubs, self.hello_seconds = keyring, hubs, hello_seconds
        self._trusted = tuple(trusted_proxies)
        self._sockets = 0
        metrics.gauge("live_connections", "Open live-query sockets", lambda: self._sockets)
        metrics.gauge("live_subscriptions", "Live-query subscriptions", lambda: sum(hub.size for hub in hubs.values()))
        for name, about in _COUNTED.items():
            metrics.tally(f"live_{name}", about, lambda name=name: sum(getattr(hub.counters, name) for hub in hubs.values()))  # type: ignore[misc]

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, from its handshake to its end."""
        await receive()
        await send({"type": "websocket.accept"})
        if self._sockets >= sum(hub.options.live_connections for hub in self.hubs.values()):
            await send({"type": "websocket.close", "code": TRY_LATER, "reason": "too many connections"})
            return
        self._sockets += 1
        try:
            await Socket(self, self._address(scope), _origin(scope), send).run(receive)
        finally:
            self._sockets -= 1

    def _address(self, scope: Scope) -> str:
        peer = scope["client"][0] if scope["client"] else ""
        return client_address(peer, forwarded_for(scope["headers"]), self._trusted)


class Socket:
    """The state of one connection."""

    def __init__(self, live: Live, ip: str, origin: str | None, send: Send) -> None:
        self._live, self._ip, self._origin, self._send = live, ip, origin, send
        self._identity: Identity | None = None
        self._hub: Hub | None = None
        self._names: Object = {}
        self._subscriptions: dict[float, Subscription] = {}
        self._direct = direct(send)
        self._sending = False
        self._outbox: deque[str] = deque()
        self._waiting = 0
        """Characters in the outbox: about as many bytes."""
        self._closing: int | None = None
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._writer: asyncio.Task[None] | None = None

    async def run(self, receive: Receive) -> None:
        """Serve until either side ends it."""
        writer = self._writer = asyncio.create_task(self._write())
        # A client that is gone takes nothing: who waits for that would wait for ever.
        writer.add_done_callback(lambda _: self._room.set())
        hello = asyncio.get_running_loop().call_later(self._live.hello_seconds, self._nobody)
        try:
            while (message := await receive())["type"] == "websocket.receive":
                await self._take(message)
        finally:
            hello.cancel()
            self._leave()
            await end([writer])

    # What the hub calls.

    def push(self, frame: str) -> None:
        """Queue a frame. Who lets too many characters wait is disconnected: a client that reads has a bounded memory here."""
        if self._closing is not None or (not self._outbox and not self._sending and self._direct(frame)):
            return
        self._outbox.append(frame)
        self._waiting += len(frame)
        self._room.clear()
        self._wake.set()
        if self._identity is not None and self._waiting > self._identity.app.options.live_queue_bytes:
            self._close(TRY_LATER)

    def refuse(self, request_id: int | float | None, error: ParseError) -> None:
        """An error frame for one subscription, or for the connection."""
        sanitized = self._identity is None or self._identity.app.options.sanitized_errors
        told = body_of(error, sanitized)
        self._error(told["code"], told["error"], reconnect=False, request_id=request_id)

    def resync(self, request_id: int | float, numbered: bool) -> None:
        """Events were missed."""
        if numbered:
            self._answer("resync", request_id)
        else:
            self._close(START_AGAIN)

    async def drained(self) -> None:
        """Wait until nothing waits to be sent. Left if nothing is sent any more."""
        await self._room.wait()
        if self._closing is not None or self._writer is None or self._writer.done():
            raise Left

    # Messages.

    async def _take(self, message: MutableMapping[str, Any]) -> None:
        try:
            given = read_json(message.get("text") or message.get("bytes") or "")
        except ValueError as error:
            # Parse Server answers nothing to what is not JSON.
            if (text := unkept(error)) is not None:
                self._error(MALFORMED, text, reconnect=True, request_id=None)
            return
        except ParseError as error:
            self._error(error.code, error.message, reconnect=True, request_id=None)
            return
        try:
            wrong = complaint(given)
            if wrong is not None:
                raise Refusal(MALFORMED, wrong)
            await self._act(given)
        except Refusal as refusal:
            self._error(refusal.code, refusal.text, reconnect=True, request_id=None)
        except ParseError as error:
            self.refuse(given.get("requestId"), error)
        except Left:
            return
        except Exception as error:
            record(error, f"a live-query {given['op']}")
            self._error(1, "Internal server error.", reconnect=True, request_id=None)

    async def _act(self, given: Object) -> None:
        if self._identity is not None and self._identity.app.store.behind:
            await self._identity.app.catch_up()
        if given["op"] == "connect":
            await self._connect(given)
        elif given["op"] == "unsubscribe":
            self._unsubscribe(given["requestId"])
            self._answer("unsubscribed", given["requestId"])
        else:
            if given["op"] == "update":
                try:
                    self._unsubscribe(given["requestId"])
                except Refusal as refusal:
                    self._error(refusal.code, refusal.text, reconnect=True, request_id=None)
            await self._subscribe(given)

    async def _connect(self, given: Object) -> None:
        """Say who one is; doing so again is a new start."""
        door = self._live.keyring.doors.get(given["applicationId"])
        keys = Keys(self._ip, **{slot: given[name] for name, slot in _KEY_NAMES.items() if name in given})
        try:
            if door is None:
                raise Unauthorized
            identity = door.enter(keys)
        except Unauthorized:
            raise Refusal(WRONG_KEY, "Key in request is not valid") from None
        hub, client_id = self._live.hubs[identity.app.options.app_id], identity.app.ids.uuid()
        await hub.admit(keys.session, identity.caller, client_id)
        self._leave()
        if hub.sockets >= hub.options.live_connections:
            self._close(TRY_LATER)
            return
        hub.sockets += 1
        self._identity, self._hub = identity, hub
        self._names = {"clientId": client_id}
        if keys.installation:
            self._names["installationId"] = keys.installation
        self._tell("connected", self._names)

    async def _subscribe(self, given: Object) -> None:
        identity, hub = self._identity, self._hub
        if identity is None or hub is None:
            raise Refusal(UNKNOWN, "Can not find this client, make sure you connect to server before subscribing")
        request_id, query = given["requestId"], given["query"]
        token = given.get("sessionToken") or identity.caller.session_token
        subscription = Subscription(
            sink=self,
            request_id=request_id,
            head=orjson.dumps({**self._names, "requestId": request_id}).decode()[1:-1],
            class_name=query["className"],
            where=query["where"],
            keys=tuple(query.get("keys", ())),
            watch=tuple(query.get("watch", ())),
            audience=await hub.audience(token, master=identity.caller.master),
            numbered="since" in given or identity.app.options.live_sequences,
            installation_id=identity.caller.installation_id,
            origin=None if identity.app.options.public_url_given else self._origin,
        )
        checked = await hub.check(subscription)
        earlier = self._subscriptions.pop(request_id, None)
        if earlier is not None:
            hub.unsubscribe(earlier)
        most = identity.app.options.live_subscriptions
        if len(self._subscriptions) >= most:
            raise ParseError(Code.REQUEST_LIMIT_EXCEEDED, f"A connection has no more than {most} subscriptions.")
        since = given.get("since")
        self._subscriptions[request_id] = subscription
        if since is None:
            await hub.join(checked, subscription)
            self._answer("subscribed", request_id)
            return
        self._answer("subscribed", request_id)
        if not await hub.join(checked, subscription, place_of(since)):
            self.resync(request_id, numbered=True)

    def _unsubscribe(self, request_id: int | float) -> None:
        if self._hub is None:
            raise Refusal(UNKNOWN, "Can not find this client, make sure you connect to server before unsubscribing")
        subscription = self._subscriptions.pop(request_id, None)
        if subscription is None:
            whose = f"clientId {self._names['clientId']} subscriptionId {_js_number(request_id)}"
            text = f"Cannot find subscription with {whose}. Make sure you subscribe to live query server before unsubscribing."
            raise Refusal(UNKNOWN, text)
        self._hub.unsubscribe(subscription)

    def _leave(self) -> None:
        if self._hub is not None:
            for subscription in self._subscriptions.values():
                self._hub.unsubscribe(subscription)
            self._hub.sockets -= 1
            self._hub = None
        self._subscriptions.clear()

    # Frames.

    def _answer(self, op: Told, request_id: int | float) -> None:
        self._tell(op, {**self._names, "requestId": request_id})

    def _error(self, code: int, text: str, *, reconnect: bool, request_id: int | float | None) -> None:
        self._tell("error", {"error": text, "code": code, "reconnect": reconnect, "requestId": request_id})

    def _tell(self, op: Told, members: Object) -> None:
        self.push(orjson.dumps({"op": op, **members}).decode())

    def _nobody(self) -> None:
        if self._identity is None:
            self._close(NOBODY)

    def _close(self, code: int) -> None:
        """Close, once what is being sent is sent; a client that does not even take that is cut off."""
        self._closing = code
        self._outbox.clear()
        self._room.set()
        self._wake.set()
        asyncio.get_running_loop().call_later(_GRACE_SECONDS, self._cut)

    def _cut(self) -> None:
        transport = getattr(getattr(self._send, "__self__", None), "transport", None)
        if transport is not None:
            transport.abort()

    async def _write(self) -> None:
        """The only place that sends, one frame after the other."""
        while self._closing is None:
            if not self._outbox:
                self._room.set()
                self._wake.clear()
                await self._wake.wait()
                continue
            frame = self._outbox.popleft()
            self._waiting -= len(frame)
            self._sending = True
            await self._send({"type": "websocket.send", "text": frame})
            self._sending = False
        await self._send({"type": "websocket.close", "code": self._closing})


def _origin(scope: Scope) -> str | None:
    """The scheme and host of requests that go the same way as the socket."""
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    return origin_of("https" if scope.get("scheme", "ws") == "wss" else "http", host.decode("latin-1"))


def _js_number(value: int | float) -> str:
    """A number as JavaScript writes it into a text."""
    return str(int(value)) if float(value).is_integer() else str(value)
