"""People by the ids that partners know them by: `{partner, externalId}`, linked with a user only by her consent.

A signed-in user consents by having a code made, which the partner redeems with its own id of her: so the partner says who she is
there, and she says that it may. Neither learns the other's id of her. She withdraws when she likes; from then on nothing
about her is sent under that id. Sandbox and live are apart. An id that is not linked is counted, and nobody is told of it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import quote

from mbaas.data.app import App
from mbaas.kernel.caller import Caller
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.ids import token_hash
from mbaas.kernel.values import Json, Object
from mbaas.storage.ports import DropRow, PutRow, Row, Step
from mbaas_functions.partners.environments import Environment
from mbaas_functions.partners.registry import Partner

_LINKS, _OWNERS, _CODES, _UNLINKED = "partner_links", "partner_link_owners", "partner_link_codes", "partner_unlinked"
_EXTERNAL = re.compile(r"[\x21-\x7e]{1,200}")
_CODE_LETTERS, _CODE_MS = 27, 600_000
_KEPT_MS = 400 * 24 * 3600 * 1000


class Subjects:
    """The links of one app's users with its partners."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def consent(self, partner: Partner, user_id: str) -> Object:
        """A code `{code, expiresAt}` by which the partner may link the user, once and soon. ParseError 141 if it is not enabled."""
        code, expires = self._app.ids.object_id(_CODE_LETTERS), self._app.clock.now() + _CODE_MS
        made: Object = {"partner": partner.name, "environment": enabled(partner), "userId": user_id}
        await self._app.store.rows.put_many(_CODES, [Row(token_hash(code), made, expires=expires)])
        return {"code": code, "expiresAt": iso(expires)}

    async def redeem(self, partner: Partner, code: Json, external_id: Json) -> None:
        """Link the user whose code it is with the partner's id of her. ParseError 101 for a code that is not good, 142 for the id."""
        external = checked(external_id)
        place = token_hash(code) if isinstance(code, str) else ""
        row = await self._app.store.rows.get(_CODES, place)
        meant = row is not None and (row.value["partner"], row.value["environment"]) == (partner.name, enabled(partner))
        if row is None or not meant or not await self._app.store.rows.drop(_CODES, place):
            raise ParseError(Code.OBJECT_NOT_FOUND, "The code is not valid.")
        await self.link(partner.name, row.value["environment"], external, row.value["userId"])

    async def link(self, partner: str, environment: Environment, external_id: str, user_id: str) -> None:
        """Link an id with a user, who has consented. What either was linked with before is not any more."""
        rows, owner, place = self._app.store.rows, _owner(user_id, partner, environment), _place(partner, environment, external_id)
        before, other = await rows.get(_OWNERS, owner), await rows.get(_LINKS, place)
        steps: list[Step] = []
        if before is not None and before.value["externalId"] != external_id:
            steps.append(DropRow(_LINKS, _place(partner, environment, before.value["externalId"])))
        if other is not None and other.value["userId"] != user_id:
            steps.append(DropRow(_OWNERS, _owner(other.value["userId"], partner, environment)))
        value: Object = {"externalId": external_id, "status": "granted", "grantedAt": iso(self._app.clock.now()), "withdrawnAt": None}
        steps += [PutRow(_LINKS, place, {"externalId": external_id, "userId": user_id}), PutRow(_OWNERS, owner, value)]
        await self._app.store.documents.commit(steps)

    async def withdraw(self, user_id: str, partner: str) -> None:
        """Take a user's consent back, in every environment. ParseError 101 if there was none."""
        found = await self._app.store.rows.scan(_OWNERS, prefix=_owner(user_id, partner))
        if not found:
            raise ParseError(Code.OBJECT_NOT_FOUND, "There is no such consent.")
        for row in found:
            await self._app.store.rows.alter(_OWNERS, row.key, self._withdrawn)

    def _withdrawn(self, row: Row | None) -> Row:
        if row is None:
            raise ParseError(Code.OBJECT_NOT_FOUND, "There is no such consent.")
        if row.value["status"] == "withdrawn":
            return Row(row.key, row.value)
        return Row(row.key, {**row.value, "status": "withdrawn", "withdrawnAt": iso(self._app.clock.now())})

    async def withdraw_external(self, partner: str, environment: Environment, external_id: str) -> None:
        """The same by the partner's id; an id that is not linked is nothing special."""
        row = await self._app.store.rows.get(_LINKS, _place(partner, environment, external_id))
        if row is not None:
            owner = _owner(row.value["userId"], partner, environment)
            if await self._app.store.rows.get(_OWNERS, owner) is not None:
                await self._app.store.rows.alter(_OWNERS, owner, self._withdrawn)

    async def consents(self, user_id: str) -> list[Object]:
        """What a user has consented to: `{partner, environment, status, grantedAt, withdrawnAt}`."""
        found = []
        for row in await self._app.store.rows.scan(_OWNERS, prefix=_owner(user_id)):
            _, partner, environment = row.key.split("|")
            told = {name: row.value[name] for name in ("status", "grantedAt", "withdrawnAt")}
            found.append({"partner": partner, "environment": environment, **told})
        return found

    async def of(self, user_id: str, caller: Caller) -> AsyncIterator[tuple[str, Object]]:
        """The same, as what belongs to her."""
        for each in await self.consents(user_id):
            yield "consent", each

    async def leave(self, user_id: str) -> list[Step]:
        """Steps that take away what partners call her, with her account."""
        steps: list[Step] = []
        for row in await self._app.store.rows.scan(_OWNERS, prefix=_owner(user_id)):
            _, partner, environment = row.key.split("|")
            steps += [DropRow(_OWNERS, row.key), DropRow(_LINKS, f"{partner}|{environment}|{token_hash(row.value['externalId'])}")]
        return steps

    async def external(self, partner: str, environment: Environment, user_id: str | None) -> str | None:
        """The partner's id of a user; None unless she has consented, and still does."""
        if user_id is None:
            return None
        row = await self._app.store.rows.get(_OWNERS, _owner(user_id, partner, environment))
        if row is None or row.value["status"] != "granted":
            return None
        external_id = str(row.value["externalId"])
        if await self._app.store.documents.get(self._app.classes.known_or_blank("_User"), user_id) is None:
            # Her account is gone, and with it what she had consented to.
            place = _place(partner, environment, external_id)
            await self._app.store.documents.commit([DropRow(_OWNERS, row.key), DropRow(_LINKS, place)])
            return None
        return external_id

    async def user(self, partner: str, environment: Environment, external_id: str) -> str | None:
        """The user behind a partner's id, who has consented; None for all others, which are counted."""
        row = await self._app.store.rows.get(_LINKS, _place(partner, environment, external_id))
        user_id = str(row.value["userId"]) if row is not None else None
        if user_id is not None and await self.external(partner, environment, user_id) == external_id:
            return user_id
        month = f"{datetime.fromtimestamp(self._app.clock.now() / 1000, UTC):%Y-%m}"
        key = f"{partner}|{environment}|{month}"
        await self._app.store.rows.count_up(_UNLINKED, key, expires=self._app.clock.now() + _KEPT_MS)
        return None

    async def summary(self, partner: str) -> Object:
        """How many are linked and consent, how many have withdrawn; and how often ids were named, by month, that are not linked."""
        counts = {"granted": 0, "withdrawn": 0}
        after = ""
        while rows := await self._app.store.rows.scan(_LINKS, after, prefix=f"{partner}|"):
            for row in rows:
                environment = row.key.split("|")[1]
                owner = await self._app.store.rows.get(_OWNERS, _owner(row.value["userId"], partner, environment))
                if owner is not None:
                    counts[owner.value["status"]] += 1
            after = rows[-1].key
        unlinked = [
            {"environment": row.key.split("|")[1], "month": row.key.split("|")[2], "count": row.value}
            for row in await self._app.store.rows.scan(_UNLINKED, prefix=f"{partner}|")
        ]
        return {**counts, "unlinked": unlinked}


def checked(external_id: Json) -> str:
    """A partner's id of somebody. ParseError 142 for what can be none."""
    if not isinstance(external_id, str) or not _EXTERNAL.fullmatch(external_id):
        raise ParseError(Code.VALIDATION_ERROR, "externalId is a text of 1 to 200 visible characters of ASCII.")
    return external_id


def enabled(partner: Partner) -> Environment:
    """The environment in which the app uses a partner. ParseError 141 if it does not."""
    grant = partner.grant
    if grant is None or not partner.serves(grant["environment"]):
        raise ParseError(Code.SCRIPT_FAILED, f"The partner {partner.name} is not enabled.")
    environment: Environment = grant["environment"]
    return environment


def _owner(user_id: str, partner: str = "", environment: str = "") -> str:
    """The key of a user's link, or what the keys of all her links begin with."""
    return "|".join((quote(user_id, safe=""), *((partner, environment) if partner else ("",))))


def _place(partner: str, environment: Environment, external_id: str) -> str:
    return f"{partner}|{environment}|{token_hash(external_id)}"
