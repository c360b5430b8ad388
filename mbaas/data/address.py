"""The address of the mount as the client knows it, for Location headers and file URLs.

It is what the operator says (`MBAAS_PUBLIC_URL`, `serverURL`). Where nobody says, a client is told the address that it
used itself: right for phones, emulators and browsers alike. Nothing that is stored or mailed may use that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from mbaas.data.app import App

origin: ContextVar[Callable[[], str | None] | None] = ContextVar("origin", default=None)
"""Tells the scheme and host that the request being served was sent to; set by the wire."""


@contextmanager
def shown_to(used: str | None) -> Iterator[None]:
    """What is shown in this block is shown to a client that used this scheme and host."""
    before = origin.set(lambda: used)
    try:
        yield
    finally:
        origin.reset(before)


def public_url(app: App) -> str:
    """The address of the app's mount."""
    if app.options.public_url_given:
        return app.options.public_url
    ask = origin.get()
    used = ask() if ask is not None else None
    return app.options.public_url if used is None else used + app.options.mount
