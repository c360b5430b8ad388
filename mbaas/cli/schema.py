"""`mbaas schema`: classes, their permissions and indexes move between servers as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from mbaas.cli.remote import Remote
from mbaas.cli.schema_file import Change, changes, from_file, from_server, to_file
from mbaas.kernel.errors import ParseError
from mbaas.kernel.values import Object
from mbaas.settings import SettingsError


def pull(server: Remote, file: Path) -> None:
    """Write what the server has into the file."""
    state = from_server(_described(server))
    try:
        file.write_text(to_file(state), encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{file} cannot be written: {error.strerror}") from error
    typer.echo(f"wrote {file}")


def diff(server: Remote, file: Path) -> None:
    """Print what a push would change. Exit 1 if there is anything."""
    found = _changes(server, file)
    _print(found)
    if found:
        raise typer.Exit(1)
    typer.echo(f"{server.url} is as {file} says")


def push(server: Remote, file: Path, *, destructive: bool, sure: bool) -> None:
    """Show what is to be changed, and change it."""
    wanted = _changes(server, file)
    if not wanted:
        typer.echo(f"{server.url} is as {file} says")
        return
    _print(wanted)
    _refuse_losses(server, wanted, destructive=destructive)
    if not sure:
        typer.confirm(f"Change {server.url} so?", abort=True)
    for change in wanted:
        _do(server, change)
    if left := _changes(server, file):
        _print(left)
        raise SettingsError("that is still to be done: somebody else has changed classes meanwhile; push again")
    typer.echo(f"{server.url} is as {file} says now")


def _ask(server: Remote, about: str, method: str, path: str, body: Object | None = None) -> Any:
    try:
        return server.call(method, path, body)
    except ParseError as error:
        raise SettingsError(f"{about}: {error.message} ({error.code})") from error


def _described(server: Remote) -> list[Object]:
    found: list[Object] = _ask(server, f"{server.url} does not tell its classes", "GET", "/schemas")["results"]
    return found


def _changes(server: Remote, file: Path) -> list[Change]:
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SettingsError(f"{file} is not there; `mbaas schema pull` writes it") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read: {error}") from error
    wanted = from_file(text, str(file))
    described = _described(server)
    return changes(from_server(described), wanted, frozenset(one["className"] for one in described))


def _print(found: list[Change]) -> None:
    for change in found:
        for line in change.lines:
            typer.echo(f"{line}   (its data goes, too)" if line in change.lost else line)


def _refuse_losses(server: Remote, wanted: list[Change], *, destructive: bool) -> None:
    """Nothing has been changed when this refuses."""
    if any(change.lost for change in wanted) and not destructive:
        raise SettingsError("objects would lose data by that, so nothing was changed; `mbaas schema push --destructive` does it")
    for change in wanted:
        if change.requests == [("DELETE", None)]:
            path = f"/classes/{change.class_name}?limit=0&count=1"
            if count := _ask(server, f"nothing was changed: {change.class_name} cannot be counted", "GET", path)["count"]:
                text = (
                    f"the class {change.class_name} has {count} objects, so nothing was changed; delete them first, or keep it in the file"
                )
                raise SettingsError(text)


def _do(server: Remote, change: Change) -> None:
    about = f"{change.class_name} cannot be changed so, what stands before it has been; mend it and push again"
    for method, body in change.requests:
        _ask(server, about, method, f"/schemas/{change.class_name}", body)
