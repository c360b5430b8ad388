"""Sending pushes and firing moments: the ports that the push room fills, for routes and for functions alike."""

from __future__ import annotations

from typing import Protocol

from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Object

TOPICS = ("topic", "condition")
"""What a push has instead of `where` or `channels` if it goes to topics of Firebase."""


class Pushes(Protocol):
    """The pushes of one app."""

    async def send(self, caller: Caller, body: Object) -> str:
        """Send what the body of `POST /push` says; the id of its `_PushStatus`. ParseError 115 if it cannot be sent."""
        ...


class NoPushes:
    """An app that has nothing to send pushes with."""

    async def send(self, caller: Caller, body: Object) -> str:
        check(body)
        raise ParseError(Code.PUSH_MISCONFIGURED, "Missing push configuration")


class Moments(Protocol):
    """The business moments of one app."""

    async def fire(self, key: str, body: Object) -> str:
        """Say that something happened: `{eventId, subject, occurredAt?, props?}`; the id of that. It is on disk when this returns.

        Once for each `eventId`. ParseError 142 for what cannot be, 115 if there is nothing to send with.
        """
        ...


class NoMoments:
    """An app that has nothing to send pushes with."""

    async def fire(self, key: str, body: Object) -> str:
        raise ParseError(Code.PUSH_MISCONFIGURED, "Missing push configuration")


def check(body: Object) -> None:
    """Refuse a push that does not say whom it is for. Texts of what Parse Server knows are its 9.10's."""
    if topics := [name for name in TOPICS if name in body]:
        if beside := [name for name in (*TOPICS, "where", "channels") if name in body and name != topics[0]]:
            raise ParseError(Code.PUSH_MISCONFIGURED, f"A push with a {topics[0]} goes to whoever has subscribed: without {beside[0]}.")
        return
    if "where" in body and "channels" in body:
        raise ParseError(Code.PUSH_MISCONFIGURED, "Channels and query can not be set at the same time.")
    if "where" not in body and "channels" not in body:
        raise ParseError(Code.PUSH_MISCONFIGURED, 'Sending a push requires either "channels" or a "where" query.')
