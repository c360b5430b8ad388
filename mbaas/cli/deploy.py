"""`mbaas deploy` and `mbaas deployments`: a folder of code on its way to a server, and what is there already."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from mbaas.cli.remote import Remote, remote
from mbaas.kernel.errors import MbaasError
from mbaas.settings import SettingsError

_LOOK_SECONDS = 0.3


def deploy(folder: Path, server: str | None, canary: float | None, *, only_upload: bool) -> None:
    """Deploy a folder, and activate it if it can be loaded. SettingsError says why it is not."""
    from mbaas_functions.archive import pack

    asked, console = remote(server), Console(highlight=False, soft_wrap=True)
    if not folder.is_dir():
        raise SettingsError(f"there is no folder {folder}; name the one with main.py: mbaas deploy FOLDER")
    with console.status(f"packing {folder}") as status:
        try:
            archive = pack(folder)
        except MbaasError as error:
            raise SettingsError(error.message) from error
        except OSError as error:
            raise SettingsError(f"{error.filename or folder} cannot be read: {error.strerror}") from error
        status.update(f"uploading {len(archive) / 1024:.0f} KiB")
        made = asked.post("deployments", body=archive)
        number = made["number"]
        status.update(f"deployment {number}: installing its packages and loading it")
        while made["state"] == "building":
            time.sleep(_LOOK_SECONDS)
            made = asked.get("deployments", number)
    if made["state"] != "ready":
        raise SettingsError(f"deployment {number} failed, and what was active still is:\n{made['reason']}")
    console.print(f"deployment {number} is ready: {_declared(made)}")
    if only_upload:
        console.print(f"activate it by: mbaas deployments activate {number}")
    else:
        _activate(asked, number, canary)


def _activate(asked: Remote, number: int, canary: float | None) -> None:
    asked.post("deployments", number, "activate", body={} if canary is None else {"percent": canary})
    whose = "is active" if canary is None else f"gets {canary:g} of a hundred calls"
    typer.echo(f"deployment {number} {whose}")


def _declared(made: Any) -> str:
    names = [f"{each['kind']} {each['name']}" for each in made["declares"]]
    return ", ".join(names) if names else "it declares nothing"


def show(server: str | None, limit: int) -> None:
    """List deployments, the latest first."""
    found = remote(server).get("deployments", limit=limit)["results"]
    table = Table("number", "state", "made", "from", "size", "digest", box=None)
    for each in found:
        state = "active" if each["active"] else f"canary {each['percent']:g} %" if "percent" in each else each["state"]
        size = f"{each['size'] / 1024:.0f} KiB"
        table.add_row(str(each["number"]), state, each["createdAt"], each["createdFrom"], size, each["digest"][:12])
    Console(highlight=False, soft_wrap=True).print(table if found else "nothing is deployed; `mbaas deploy` does it")


def activate(number: int, server: str | None, canary: float | None) -> None:
    """Have a deployment run, an earlier one too."""
    _activate(remote(server), number, canary)


def deactivate(server: str | None) -> None:
    """Have no deployment run."""
    remote(server).delete("deployments", "active")
    typer.echo("no deployment is active; a server that was started with a folder of functions runs that")


def download(number: int, file: Path | None, server: str | None) -> None:
    """Write the archive of a deployment into a file that is not there yet."""
    target = file or Path(f"deployment-{number}.tar.gz")
    data = remote(server).download("deployments", number, "archive")
    try:
        with target.open("xb") as out:
            out.write(data)
    except OSError as error:
        raise SettingsError(f"{target} cannot be written: {error.strerror}") from error
    typer.echo(f"wrote {target}")
