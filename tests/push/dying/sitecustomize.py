"""Has a server die at a point that `MBAAS_TEST_DIES` names: `<table> <before|after> <number>`.

Before or after the commit of that number of a task of the table, counted from the start; the table `wire` is the deliveries' way to the
provider: before or after that many are sent. Python loads this by its name from `PYTHONPATH`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from mbaas.jobs.queue import Task
from mbaas.storage.ports import Row, Step
from mbaas_push.transports.port import Outcome, Parcel
from mbaas_push.transports.providers import Providers

_TABLE, _WHEN, _NUMBER = os.environ["MBAAS_TEST_DIES"].split()
_left = {"before": int(_NUMBER), "after": int(_NUMBER)}
_write, _send = Task._write, Providers.send


def _pass(table: str, when: str) -> None:
    if table == _TABLE:
        _left[when] -= 1
        if when == _WHEN and _left[when] == 0:
            os._exit(9)


async def _dying_write(self: Task, row: Row, beside: Sequence[Step]) -> None:
    _pass(self.table, "before")
    await _write(self, row, beside)
    _pass(self.table, "after")


async def _dying_send(self: Providers, parcel: Parcel) -> Outcome:
    _pass("wire", "before")
    outcome = await _send(self, parcel)
    _pass("wire", "after")
    return outcome


Task._write = _dying_write  # type: ignore[method-assign]
Providers.send = _dying_send  # type: ignore[method-assign]
