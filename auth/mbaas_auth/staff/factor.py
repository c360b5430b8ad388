"""The second factor of the console's people: codes of an authenticator app, and recovery codes, as the app's users have them.

What is kept stands in the person's row: the secret, hashes of the recovery codes, the last step that was used. A code is used up by a
change of that row under its fence: of those who come with it at the same time one is let in. Whether everybody needs one is the app's.
"""

from __future__ import annotations

from mbaas.data.app import App
from mbaas.kernel.errors import Code, Conflict, ParseError
from mbaas.kernel.ids import token_hash
from mbaas.kernel.values import Json, Object
from mbaas.storage.ports import Row
from mbaas_auth.staff.people import TABLE, Person, changed
from mbaas_auth.totp import Totp, text_of

_RULES, _REQUIRED = "console rules", "factor"
_SECRET_BYTES = 20
_RECOVERY_CODES, _RECOVERY_SIZE = 8, 16
_LONGEST = 100
_TRIES, _TRIES_MS = 10, 600_000
_ATTEMPTS = 5
_TOTP = Totp()


async def required(app: App) -> bool:
    """True if nobody gets further than to the page where a factor is set up without one."""
    return await app.store.rows.get(_RULES, _REQUIRED) is not None


async def require(app: App, everybody: bool) -> None:
    """Say whether everybody needs one."""
    if everybody:
        await app.store.rows.put_many(_RULES, [Row(_REQUIRED, None)])
    else:
        await app.store.rows.drop(_RULES, _REQUIRED)


def offered(app: App, person: Person, secret: str = "") -> tuple[str, str]:
    """A new secret, unless there is one already, and the address that an authenticator app reads. Nothing is kept yet."""
    secret = secret or text_of(bytes.fromhex(app.ids.hex(_SECRET_BYTES)))
    return secret, _TOTP.address(secret, f"{app.options.app_name or app.options.app_id} console", person.email)


async def enrol(app: App, person: Person, secret: str, code: str) -> list[str]:
    """Have her sign in with codes of this secret; the recovery codes, which are told this once. 210 for a wrong code.

    Who calls this has counted the attempt.
    """
    row = await _row(app, person)
    made = _TOTP.enrolled(secret, _bare(code), app.clock.now()) if len(secret) <= _LONGEST else None
    if made is None:
        raise _wrong("This code is not of this secret. Is the phone's clock right?")
    if "factor" in row.value:
        raise _wrong("There is a second factor already.")
    codes = _recovery_codes(app)
    await _keep(app, row, {**made, "recovery": _hashes(codes)})
    await app.uses.forget("console factor", person.email)
    return codes


async def prove(app: App, person: Person, code: str) -> None:
    """Use a code up. 210 for one that is wrong or was used; TooMany, whoever has tried."""
    await _used(app, person, code)


async def renew(app: App, person: Person, code: str) -> list[str]:
    """New recovery codes, for a code; the earlier ones open nothing any more."""
    codes = _recovery_codes(app)
    await _used(app, person, code, recovery=_hashes(codes))
    return codes


async def end(app: App, person: Person, code: str) -> None:
    """Take her factor away, for a code."""
    await _used(app, person, code)
    await reset(app, person)


async def reset(app: App, person: Person) -> None:
    """Take her factor away, without a code: for one who has lost her phone."""
    for _ in range(_ATTEMPTS):
        try:
            await _keep(app, await _row(app, person), None)
            return
        except Conflict:
            continue
    raise Conflict


async def _used(app: App, person: Person, code: str, **more: Json) -> None:
    await count(app, person)
    for _ in range(_ATTEMPTS):
        row = await _row(app, person)
        kept = row.value.get("factor")
        left = _TOTP.used(kept, _bare(code), app.clock.now()) if kept and 0 < len(code) <= _LONGEST else None
        if left is None:
            break
        try:
            await _keep(app, row, {**left, **more})
        except Conflict:
            continue
        await app.uses.forget("console factor", person.email)
        return
    raise _wrong("This code is wrong, or was used already.")


async def _row(app: App, person: Person) -> Row:
    row = await app.store.rows.get(TABLE, person.email)
    if row is None or row.value["id"] != person.id:
        raise ParseError(Code.OBJECT_NOT_FOUND, "Nobody uses the console with this address.")
    return row


async def _keep(app: App, row: Row, kept: Object | None) -> None:
    value = {name: each for name, each in row.value.items() if name != "factor"}
    await app.store.documents.commit(changed(row, value if kept is None else {**value, "factor": kept}))


async def count(app: App, person: Person) -> None:
    """Count an attempt; TooMany where there were too many of late, for her, wherever they came from."""
    # There are too few codes for a limit that presets could take away.
    most = _TRIES * max(1, app.options.rate_limit_factor)
    await app.uses.use("console factor", person.email, most, _TRIES_MS, "Too many attempts at the second factor.", tell=True)


def _recovery_codes(app: App) -> list[str]:
    return [app.ids.object_id(_RECOVERY_SIZE) for _ in range(_RECOVERY_CODES)]


def _hashes(codes: list[str]) -> list[Json]:
    return [token_hash(code) for code in codes]


def _bare(code: str) -> str:
    """A code as it is, however it was typed: apps show it in groups."""
    return "".join(code.split()).replace("-", "")


def _wrong(text: str) -> ParseError:
    return ParseError(Code.MFA_ERROR, text)
