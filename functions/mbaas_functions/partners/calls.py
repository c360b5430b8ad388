"""Calling a partner's operation: who may, what is sent, how long it may take, and what becomes of a bad answer.

In this order: the partner is enabled and serves, the params meet its schema, one of its places is free, the quotas have room, the
breaker is closed; then a signed call by `mbaas.outbound`, whose answer must meet the declared schema. An operation that is idempotent
is tried once more under the same `webhook-id` if there is time left.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import orjson

from mbaas.data.app import App
from mbaas.data.once import Once
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, ParseError, TooMany
from mbaas.kernel.values import Json, Object
from mbaas.observe.logs import get_logger
from mbaas.outbound.calls import Failed, Outbound, Reply
from mbaas_functions.partners.environments import Environment
from mbaas_functions.partners.keys import Keys
from mbaas_functions.partners.line import Line
from mbaas_functions.partners.operations import Operation
from mbaas_functions.partners.promotion import Promotion
from mbaas_functions.partners.quotas import Quotas
from mbaas_functions.partners.registry import Partner, Registry
from mbaas_functions.partners.rehearsal import rehearse
from mbaas_functions.partners.subjects import Subjects
from mbaas_functions.partners.usage import Usage

Tell = Callable[[str, str], None]
"""Adds a header to the answer."""
_AGAIN = (502, 503, 504)
"""Statuses after which an idempotent call is worth another attempt."""


def nobody(name: str, value: str) -> None:
    """For who cannot be told."""


class Partners:
    """The partners of one app, as functions."""

    def __init__(self, app: App, outbound: Outbound) -> None:
        self.registry = Registry(app, outbound.reach)
        self.promotion = Promotion(app, self.registry, outbound)
        self.subjects = Subjects(app)
        self.keys = Keys(app, self.registry)
        self.usage, self.quotas = Usage(app), Quotas(app)
        self.line = Line(app, outbound, self.usage)
        self._app, self._once = app, Once(app)
        self._running: dict[tuple[str, Environment], int] = {}

    async def close(self) -> None:
        """Write what was counted."""
        await self.usage.close()

    async def call(self, function: str, caller: Caller, params: Object, key: str | None = None, tell: Tell = nobody) -> Object:
        """`{"result": …}` of `partner.operation`. ParseError 141 if there is none, 142 for wrong params, 141 as it fails; TooMany.

        `key` is the caller's Idempotency-Key. `tell` is given the headers that say what is left of the quotas.
        """
        name, _, called = function.partition(".")
        partner, operation = await self._found(function, name, called)
        grant = partner.grant
        if grant is None:
            raise _failed(f"The partner {name} is not enabled.")
        environment: Environment = grant["environment"]
        if not partner.serves(environment):
            raise _failed(f"The partner {name} is {partner.state}.")
        if operation.require_user and caller.user_id is None and not caller.master:
            raise ParseError(Code.VALIDATION_ERROR, "Validation failed. Please login to continue.")
        if operation.subject is not None:
            params = await self._with_subject(partner, environment, operation, operation.subject, caller, params)
        if environment == "sandbox" and partner.url("sandbox") is None:
            return {"result": await rehearse(operation, params)}
        operation.check_params(params)

        async def run(message_id: str) -> Json:
            with self._place(partner, environment):
                lefts = await self.quotas.reserve(partner, environment)
                tell("RateLimit-Policy", ", ".join(left.policy for left in lefts))
                tell("RateLimit", ", ".join(left.state for left in lefts))
                return await self._send(partner, environment, operation, params, message_id)

        if key is None:
            return {"result": await run(f"msg_{self._app.ids.uuid()}")}
        result, again = await self._once.answer(f"{environment} {function}", caller, key, params, run)
        if again:
            tell("Idempotent-Replayed", "true")
        return {"result": result}

    async def _found(self, function: str, name: str, called: str) -> tuple[Partner, Operation]:
        try:
            partner = await self.registry.get(name)
        except ParseError:
            raise _failed(f'Invalid function: "{function}"') from None
        operation = partner.operations().get(called)
        if operation is None:
            raise _failed(f'Invalid function: "{function}"')
        return partner, operation

    async def _with_subject(
        self, partner: Partner, environment: Environment, operation: Operation, name: str, caller: Caller, params: Object
    ) -> Object:
        """The params with the partner's own id of the user. ParseError 142 if it is not known, or not to be told, and needed."""
        if name in params:
            raise ParseError(Code.VALIDATION_ERROR, f"{name} is filled in by the server.")
        known = await self.subjects.external(partner.name, environment, caller.user_id)
        if known is not None:
            return {**params, name: known}
        if not operation.accepts(params) and operation.accepts({**params, name: "1"}):
            raise ParseError(Code.VALIDATION_ERROR, f"{operation.name} needs the user's consent to be known to {partner.name}.")
        return params

    @contextmanager
    def _place(self, partner: Partner, environment: Environment) -> Iterator[None]:
        """One of the places that a partner has in this process, so that a slow one takes up no more. TooMany if none is free."""
        key, most = (partner.name, environment), partner.limit(environment, "concurrency")
        if self._running.get(key, 0) >= most:
            raise TooMany(f"{most} calls of the partner {partner.name} are under way already.", 1, f'"{partner.name} calls"; q={most}; w=1')
        self._running[key] = self._running.get(key, 0) + 1
        try:
            yield
        finally:
            self._running[key] -= 1

    async def _send(self, partner: Partner, environment: Environment, operation: Operation, params: Object, message_id: str) -> Json:
        base = partner.url(environment)
        assert base is not None
        url, body, headers = operation.request(base, params)
        until = time.monotonic() + operation.seconds
        attempts = 2 if operation.idempotent else 1
        while True:
            attempts -= 1
            if (seconds := self.line.wait(partner, environment)) > 0:
                text = f"The partner {partner.name} does not answer at present. Try again in {math.ceil(seconds)} s."
                raise TooMany(text, math.ceil(seconds), f'"{partner.name} breaker"', Code.SCRIPT_FAILED)
            left = until - time.monotonic()
            outcome = await self.line.send(partner, environment, operation.name, (operation.method, url, body, headers), message_id, left)
            if isinstance(outcome, Reply) and 200 <= outcome.status < 300:
                return _read(partner, operation, outcome)
            worth = outcome.status in _AGAIN if isinstance(outcome, Reply) else outcome.reason == "unreachable"
            if attempts == 0 or not worth or until - time.monotonic() < operation.seconds / 4:
                raise _failed(_complaint(partner, operation, outcome))


def _read(partner: Partner, operation: Operation, reply: Reply) -> Json:
    try:
        value: Json = orjson.loads(reply.body) if reply.body else None
    except orjson.JSONDecodeError:
        raise _failed(f"{partner.name}.{operation.name} failed: its answer is not JSON.") from None
    if (wrong := operation.misanswered(value)) is not None:
        get_logger(__name__).warning("a partner answered wrongly", partner=partner.name, operation=operation.name, reason=wrong)
        raise _failed(f"{partner.name}.{operation.name} failed: its answer is not what it declares.")
    return value


def _complaint(partner: Partner, operation: Operation, outcome: Reply | Failed) -> str:
    """What the caller is told: never what the partner said, and nothing of the network behind it."""
    why = f"its answer has the status {outcome.status}" if isinstance(outcome, Reply) else outcome.told
    return f"{partner.name}.{operation.name} failed: {why}."


def _failed(text: str) -> ParseError:
    return ParseError(Code.SCRIPT_FAILED, text)
