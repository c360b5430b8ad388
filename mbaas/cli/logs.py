"""`mbaas logs`: what functions printed and logged, with the id of each invocation."""

from __future__ import annotations

import json
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from mbaas.cli.remote import remote

_WAIT_SECONDS = 2
_STYLES = {"warning": "yellow", "error": "red"}


def logs(function: str | None, server: str | None, *, follow: bool, number: int, as_json: bool) -> None:
    """Print the last lines, and go on with what is said from then on."""
    asked, console = remote(server), Console(highlight=False, soft_wrap=True)
    page = asked.get("logs", function=function, limit=number)
    while True:
        for line in page["results"]:
            if as_json:
                typer.echo(json.dumps(line, ensure_ascii=False))
            else:
                console.print(_shown(line))
        if not follow:
            return
        try:
            page = asked.get("logs", function=function, cursor=page["next"], wait=_WAIT_SECONDS)
        except KeyboardInterrupt:
            return


def _shown(line: Any) -> Text:
    """`time  function hello  invocation  #deployment  text`."""
    who = f"{line['kind']} {line['function']}  {line['call']}" if line["call"] else "(no call)"
    deployment = "" if line["deployment"] is None else f"  #{line['deployment']}"
    values = "".join(f" {name}={value}" for name, value in line["values"].items())
    return Text.assemble(
        (line["at"], "dim"), "  ", (who, "cyan"), (deployment, "dim"), "  ", (line["text"] + values, _STYLES.get(line["level"], ""))
    )
