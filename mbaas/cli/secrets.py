"""`mbaas secrets`: what functions may know. Values go to the server and never come back."""

from __future__ import annotations

import sys

import typer

from mbaas.cli.remote import remote


def show(server: str | None) -> None:
    """List the names of secrets."""
    for each in remote(server).get("secrets")["results"]:
        typer.echo(f"{each['name']}  {each['updatedAt']}")


def keep(name: str, server: str | None) -> None:
    """Set a secret. Its value is asked for, or read from standard input: a command line is seen by others."""
    value = typer.prompt(name, hide_input=True) if sys.stdin.isatty() else sys.stdin.read().removesuffix("\n")
    remote(server).put("secrets", name, body={"value": value})
    typer.echo(f"{name} is set, and what runs has it")


def forget(name: str, server: str | None) -> None:
    """Forget a secret."""
    remote(server).delete("secrets", name)
    typer.echo(f"{name} is forgotten")
