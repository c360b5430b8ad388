"""A sandbox without a URL: the declared examples answer, with trouble on request."""

from __future__ import annotations

import asyncio

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object
from mbaas_functions.partners.operations import Operation

_ASKED = "$sandbox"
"""The param by which a caller asks a sandbox of examples for trouble: `{"status": 503, "latencyMs": 200}`."""
_MOST_LATENCY_MS = 10_000


async def rehearse(operation: Operation, params: Object) -> Json:
    """What a sandbox of examples answers: the example with these params, else the first one that has none, else the first."""
    given = dict(params)
    asked = given.pop(_ASKED, None)
    operation.check_params(given)
    if isinstance(asked, dict):
        latency = asked.get("latencyMs", 0)
        if isinstance(latency, (int, float)) and 0 < latency <= _MOST_LATENCY_MS:
            await asyncio.sleep(latency / 1000)
        if asked.get("status", 200) != 200:
            raise _failed(f"{operation.name} failed: the answer has the status {asked['status']}.")
    if not operation.examples:
        raise _failed(f"{operation.name} has no examples, and its sandbox no URL.")
    same = [each for each in operation.examples if each.get("params") == given]
    return (same or [each for each in operation.examples if "params" not in each] or list(operation.examples))[0]["reply"]


def _failed(text: str) -> ParseError:
    return ParseError(Code.SCRIPT_FAILED, text)
