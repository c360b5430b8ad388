"""What a push is worth as time goes by: from when it happened, along a curve, until it is worth nothing any more.

    {"amount": 12}                                                                     as much until the end of `validFor`
    {"amount": 12, "curve": "linear"}                                                  nothing is left at its end
    {"amount": 12, "curve": "halfLife", "halfLife": "5m"}                              half of it is left after so long
    {"amount": 12, "curve": "step", "steps": [{"after": "2m", "share": 0.5}]}          so much of it is left from then on

Amounts are the marketer's: money, points, anything that can be compared between plays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mbaas.kernel.values import Json, Object, is_number
from mbaas_push.campaigns.content import wrong
from mbaas_push.campaigns.schedule import duration_ms

_CURVES = ("constant", "linear", "halfLife", "step")
_MOST_STEPS, _MOST_AMOUNT = 20, 1e12
ONE: Object = {"amount": 1, "curve": "constant"}
"""The value of a play that names none."""


@dataclass(frozen=True, slots=True)
class Worth:
    """The curve of a play. `lasts` is how long a push is of any use, in ms; `least` what it must be worth to be sent."""

    value: Object
    lasts: int
    least: float

    @classmethod
    def of(cls, definition: Object) -> Worth:
        """That of a definition that was checked."""
        value = definition["value"]
        return cls(value, duration_ms(definition["validFor"], "validFor"), float(definition.get("minValue", 0)))

    @property
    def amount(self) -> float:
        """What it is worth at first, unless an offer says."""
        return float(self.value["amount"])

    def share(self, elapsed: int) -> float:
        """What is left of the amount so many ms after it happened."""
        if elapsed >= self.lasts:
            return 0.0
        elapsed = max(elapsed, 0)
        match self.value["curve"]:
            case "linear":
                return 1 - elapsed / self.lasts
            case "halfLife":
                return float(2 ** (-elapsed / duration_ms(self.value["halfLife"], "halfLife")))
            case "step":
                return min((share for after, share in self._steps() if after <= elapsed), default=1.0)
        return 1.0

    def useful(self, amount: float) -> int:
        """For how many ms after it happened a push that is worth so much at first is worth at least the least; `lasts` at most."""
        if amount < self.least:
            return 0
        if self.least <= 0:
            return self.lasts
        left = self.least / amount
        found: float = self.lasts
        match self.value["curve"]:
            case "linear":
                found = self.lasts * (1 - left)
            case "halfLife":
                found = -duration_ms(self.value["halfLife"], "halfLife") * math.log2(left)
            case "step":
                found = min((after for after, share in self._steps() if share < left), default=self.lasts)
        return min(self.lasts, int(found))

    def _steps(self) -> list[tuple[int, float]]:
        return [(duration_ms(step["after"], "after"), float(step["share"])) for step in self.value["steps"]]


def check(given: Json) -> Object:
    """A value as it is kept. ParseError 142 says what of it cannot be."""
    if not isinstance(given, dict) or not set(given) <= {"amount", "curve", "halfLife", "steps"}:
        raise wrong("value has an amount, and may have a curve, with its halfLife or steps")
    amount, curve = given.get("amount"), given.get("curve", "constant")
    if not is_number(amount) or not 0 < amount <= _MOST_AMOUNT:
        raise wrong("value.amount is a number above 0")
    if curve not in _CURVES:
        raise wrong(f"value.curve is {', '.join(_CURVES)}")
    for name, of in (("halfLife", "halfLife"), ("steps", "step")):
        if (name in given) != (curve == of):
            raise wrong(f"value.{name} is for the curve {of}, which needs it")
    if curve == "halfLife" and duration_ms(given["halfLife"], "value.halfLife") == 0:
        raise wrong("value.halfLife is longer than nothing")
    if curve == "step":
        _check_steps(given["steps"])
    return {**given, "curve": curve}


def _check_steps(given: Json) -> None:
    if not isinstance(given, list) or not 0 < len(given) <= _MOST_STEPS:
        raise wrong(f"value.steps is a list of 1 to {_MOST_STEPS}")
    before, share = -1, 1.0
    for step in given:
        if not isinstance(step, dict) or set(step) != {"after", "share"} or not is_number(step["share"]):
            raise wrong('value.steps: each is {"after": "2m", "share": 0.5}')
        after = duration_ms(step["after"], "value.steps.after")
        if after <= before or not 0 <= step["share"] <= share:
            raise wrong("value.steps come one after the other, and each leaves no more than the one before")
        before, share = after, step["share"]
