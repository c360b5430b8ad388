"""Receipts: what apps tell of the campaigns that reached them. Each is kept once, however often it is posted.

A device tells by the `receipt` that it was sent, which is the key of its delivery and known to nobody else, that it was `delivered`,
`opened` or `dismissed`, and that the person then `converted`: did what the campaign was for, with a value and its currency.
"""

from __future__ import annotations

import asyncio
import math
import re
from dataclasses import dataclass, field
from decimal import Decimal

from mbaas.data.app import App
from mbaas.kernel.clock import from_iso
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.ids import token_hash
from mbaas.kernel.values import Json, Object, date_ms, is_number
from mbaas.storage.ports import Row
from mbaas_push.deliveries import KEPT_MS, TABLE

RECEIPTS = "receipts"
KINDS = ("delivered", "opened", "dismissed", "converted")
_OF_DELIVERY = re.compile(r"\w{1,40}:\d{14}:[0-9a-f]{24}", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}")
_KNOWN = frozenset(("receipt", "kind", "at", "value", "currency", "id"))
_MOST, _LONGEST_ID, _PAGE = 1000, 200, 1000
_MOST_CONVERSIONS = 100
"""Of one delivery."""


@dataclass(slots=True)
class Told:
    """What was told of one delivery."""

    kinds: set[str] = field(default_factory=set)
    conversions: int = 0
    value: dict[str, Decimal] = field(default_factory=dict)
    """By currency."""


async def keep(app: App, body: Object) -> Object:
    """Keep the receipts of `{"receipts": [{"receipt", "kind", …}]}`: how many are `kept`, were `known`, or are of `unknown` deliveries,
    as are conversions beyond the hundredth of one."""
    given = body.get("receipts")
    if not isinstance(given, list) or len(given) > _MOST:
        raise ParseError(Code.INVALID_JSON, f"receipts is a list of up to {_MOST}.")
    now, rows = app.clock.now(), {}
    for each in given:
        delivery, row = _read(each, now)
        rows[row.key] = delivery, row
    there = await asyncio.gather(*(app.store.rows.get(RECEIPTS, key) for key in rows))
    new = [told for told, known in zip(rows.values(), there, strict=True) if known is None]
    left = dict(await asyncio.gather(*(_left(app, delivery) for delivery in {delivery for delivery, _ in new})))
    kept: list[Row] = []
    for delivery, row in new:
        converted = row.value["kind"] == "converted"
        if left[delivery] > 0 or (left[delivery] == 0 and not converted):
            left[delivery] -= converted
            kept.append(row)
    if kept:
        await app.store.rows.put_many(RECEIPTS, kept)
    return {"kept": len(kept), "known": len(given) - len(new), "unknown": len(new) - len(kept)}


async def told_of(app: App, prefix: str, first: str, last: str) -> dict[str, Told]:
    """What was told of the deliveries whose keys begin so, from one key to another, by their keys."""
    found: dict[str, Told] = {}
    after = first
    while rows := await app.store.rows.scan(RECEIPTS, after, _PAGE, prefix):
        for row in rows:
            delivery, _, kind = row.key[: row.key.index("|")], None, row.value["kind"]
            if delivery > last:
                return found
            told = found.setdefault(delivery, Told())
            told.kinds.add(kind)
            if kind == "converted":
                told.conversions += 1
                if "value" in row.value:
                    currency = row.value["currency"]
                    told.value[currency] = told.value.get(currency, Decimal(0)) + Decimal(str(row.value["value"]))
        after = rows[-1].key
    return found


async def _left(app: App, delivery: str) -> tuple[str, int]:
    """A delivery, and how many conversions it may still have; -1 unless a provider has, or may have, accepted it."""
    row = await app.store.rows.get(TABLE, delivery)
    if row is None or (row.value["state"] in ("skipped", "failed") and not row.value.get("ambiguous")):
        return delivery, -1
    return delivery, _MOST_CONVERSIONS - len(await app.store.rows.scan(RECEIPTS, "", _MOST_CONVERSIONS, f"{delivery}|converted:"))


def _read(given: Json, now: int) -> tuple[str, Row]:
    if not isinstance(given, dict) or not set(given) <= _KNOWN or given.get("kind") not in KINDS:
        raise _wrong(f"a receipt has {', '.join(sorted(_KNOWN))}; its kind is {', '.join(KINDS)}")
    delivery, kind, name = given.get("receipt"), given["kind"], given.get("id", "")
    if not isinstance(delivery, str) or not _OF_DELIVERY.fullmatch(delivery):
        raise _wrong("receipt is what the device was sent under that name")
    if not isinstance(name, str) or len(name) > _LONGEST_ID:
        raise _wrong(f"id is a text of up to {_LONGEST_ID} characters")
    value: Object = {"kind": kind, "at": _moment(given.get("at"), now)}
    if "value" in given:
        amount, currency = given["value"], given.get("currency")
        if kind != "converted" or not is_number(amount) or not math.isfinite(amount) or abs(amount) > 1e12:
            raise _wrong("value is a number, of what has converted")
        if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
            raise _wrong("currency is a code of three letters, as EUR")
        value |= {"value": amount, "currency": currency}
    which = f"{kind}:{token_hash(name)[:32]}" if kind == "converted" else kind
    return delivery, Row(f"{delivery}|{which}", value, expires=now + KEPT_MS)


def _moment(given: Json, now: int) -> int:
    at = now if given is None else from_iso(given) if isinstance(given, str) else date_ms(given)
    if at is None:
        raise _wrong("at is a date")
    return min(at, now)


def _wrong(text: str) -> ParseError:
    return ParseError(Code.VALIDATION_ERROR, f"{text}.")
