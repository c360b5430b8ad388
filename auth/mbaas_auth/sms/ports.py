"""What sends text messages: the port that the console and an HTTP service fill."""

from __future__ import annotations

from typing import Protocol


class NotSent(Exception):
    """A message was not taken; the text is for the operator."""


class Texter(Protocol):
    """Something that takes text messages."""

    async def send(self, number: str, text: str) -> None:
        """Hand a message over; when this returns, somebody else is answerable for it. NotSent if not, within a bounded time."""
        ...
