"""What the mock does: how it answers each address, how it treats connections, and what it has taken.

A message is *accepted* when the provider would deliver it; the receipts say so, whether or not the sender ever heard of it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from mbaas_push.topics import holds

_RECEIPTS = 2_000_000


@dataclass(slots=True)
class Reply:
    """One answer. `reason` is APNs's reason or FCM's errorCode; `drop`: the connection ends instead, after the message was taken."""

    status: int = 200
    reason: str = ""
    retry_after_s: int | None = None
    timestamp: int | None = None
    """APNs: since when the address is dead, in ms."""
    latency_ms: int | None = None
    drop: bool = False


@dataclass(slots=True)
class Receipt:
    """What was asked of the mock: `token` is the address, `message` the body, `headers` those that the provider reads."""

    provider: str
    token: str
    status: int
    at: int
    message: Any
    headers: dict[str, str]


@dataclass(slots=True)
class Script:
    """The behaviour of one mock."""

    latency_ms: int = 0
    streams: int = 1000
    """Streams that a connection may have open."""
    window: int = 65_535
    """Bytes of a message that may be on their way."""
    goaway_every: int = 0
    """A connection says farewell after so many messages; 0: never."""
    reset_every: int = 0
    """A connection is cut after so many messages, with what is under way unanswered; 0: never."""
    tokens: dict[str, deque[Reply]] = field(default_factory=dict)
    """Answers to the next messages to an address; the last one stays."""
    topics: dict[str, set[str]] = field(default_factory=dict)
    """Who has subscribed to each of Firebase's topics."""
    receipts: deque[Receipt] = field(default_factory=lambda: deque(maxlen=_RECEIPTS))

    def change(self, given: dict[str, Any]) -> None:
        """Take over what `PUT /mock/script` says: the numbers above, and `tokens`: a list of replies for each address.

        ValueError, TypeError or AttributeError for what is no script.
        """
        numbers = ("latency_ms", "streams", "window", "goaway_every", "reset_every")
        if unknown := sorted(set(given) - {*numbers, "tokens"}):
            raise ValueError(f"nothing is called {unknown[0]}")
        # What is wrong changes nothing.
        found = {name: int(given[name]) for name in numbers if name in given}
        tokens = {token: deque(Reply(**reply) for reply in replies) for token, replies in given.get("tokens", {}).items()}
        for name, number in found.items():
            setattr(self, name, number)
        self.tokens |= tokens

    def reply(self, token: str) -> Reply:
        """The answer to the next message to an address."""
        replies = self.tokens.get(token)
        if not replies:
            return Reply()
        return replies.popleft() if len(replies) > 1 else replies[0]

    def note(self, provider: str, token: str, reply: Reply, message: Any, headers: dict[str, str]) -> None:
        """Keep a receipt."""
        self.receipts.append(Receipt(provider, token, reply.status, time.time_ns() // 1_000_000, message, headers))

    def note_topics(self, condition: str, message: Any) -> None:
        """Keep a receipt for each device that gets a message to topics: it is told as `fcm topics`."""
        for token in sorted(set().union(*self.topics.values())):
            if holds(condition, [topic for topic, tokens in self.topics.items() if token in tokens]):
                self.note("fcm topics", token, Reply(), message, {})

    def accepted(self) -> list[Receipt]:
        """The messages that were accepted."""
        return [receipt for receipt in self.receipts if receipt.status in (200, 201)]

    def lines(self) -> Iterator[bytes]:
        """The receipts as NDJSON."""
        for receipt in self.receipts:
            yield orjson.dumps(asdict(receipt), option=orjson.OPT_APPEND_NEWLINE)
