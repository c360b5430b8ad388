"""Mails through a service of the app's own: the mail adapter of a Parse Server, asked over HTTP.

`{"method", "options"}` is posted for each mail; the method is the adapter's, `options` what it would be given.
"""

from __future__ import annotations

import orjson

from mbaas.kernel.values import Object
from mbaas.outbound.calls import Failed, Outbound
from mbaas_auth.mail.ports import Kind, Letter, Undelivered
from mbaas_auth.mail.texts import compose

_METHODS: dict[Kind, str] = {"verification": "sendVerificationEmail", "reset": "sendPasswordResetEmail"}
_SECONDS = 30.0
_MOST_BYTES = 64 * 1024
_LATER = (408, 425, 429)


class HttpMailer:
    """Posts each mail to one address."""

    def __init__(self, outbound: Outbound, url: str) -> None:
        self._outbound, self._url = outbound, url

    async def send(self, letter: Letter) -> None:
        if letter.kind == "sign-in":
            subject, text = compose(letter)
            await self._post("sendMail", {"to": letter.to, "subject": subject, "text": text})
            return
        user = {"__type": "Object", "className": "_User", **letter.user}
        options = {"appName": letter.app_name, "link": letter.link, "user": user}
        await self._post(_METHODS[letter.kind], options)

    async def _post(self, method: str, options: Object) -> None:
        body = orjson.dumps({"method": method, "options": options})
        headers = {"Content-Type": "application/json"}
        try:
            reply = await self._outbound.send("POST", self._url, body, headers, seconds=_SECONDS, most=_MOST_BYTES)
        except Failed as error:
            raise Undelivered(error.detail, again=error.reason != "forbidden") from error
        if not 200 <= reply.status < 300:
            raise Undelivered(f"the mail service answered {reply.status}", again=reply.status >= 500 or reply.status in _LATER)
