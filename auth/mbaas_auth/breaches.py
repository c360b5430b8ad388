"""Whether a password is among those that were stolen elsewhere, asked of a service that is not told the password.

It is told the first five digits of the password's SHA-1, and answers with the rest of every hash that begins so (the range API of Have I
Been Pwned). Where it does not answer within a second, the password will do: nobody is kept out because somebody else is down.
"""

from __future__ import annotations

import hashlib

from mbaas.observe.logs import get_logger
from mbaas.outbound.calls import Failed, Outbound

ROOM = "breaches"
_TOLD_DIGITS = 5
_SECONDS = 1.0
_MOST_BYTES = 1024 * 1024


class Breaches:
    """A service that knows such passwords; the hash's beginning is added to its URL."""

    def __init__(self, outbound: Outbound, url: str) -> None:
        self._outbound, self._url = outbound, url

    async def knows(self, password: str) -> bool:
        """True if the service says so in time."""
        digest = hashlib.sha1(password.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest().upper()
        told, rest = digest[:_TOLD_DIGITS], digest[_TOLD_DIGITS:]
        headers = {"Add-Padding": "true"}  # the length of the answer tells an onlooker nothing
        try:
            reply = await self._outbound.send("GET", self._url + told, b"", headers, seconds=_SECONDS, most=_MOST_BYTES)
        except Failed as error:
            get_logger(__name__).warning("a password was not looked up", reason=error.detail)
            return False
        if reply.status != 200:
            get_logger(__name__).warning("a password was not looked up", reason=f"the service answered {reply.status}")
            return False
        return any(_seen(line, rest) for line in reply.body.decode("ascii", "replace").splitlines())


def _seen(line: str, rest: str) -> bool:
    """True for `<rest>:<count>`; what is there for padding has a count of 0."""
    found, _, count = line.partition(":")
    return found.strip().upper() == rest and count.strip() != "0"
