"""`mbaas users`: who may use the console of a running server."""

from __future__ import annotations

import typer

from mbaas.cli.remote import remote


def invite(role: str, email: str | None, server: str | None, app_id: str | None) -> None:
    """Print a link by which somebody becomes one of them."""
    made = remote(server, app_id).post("console", "invitations", body={"role": role, **({"email": email} if email else {})})
    typer.echo(made["url"])
    typer.echo(f"for {made['email'] or 'whoever has it'}, as {made['role']}; good once, until {made['expiresAt']}", err=True)


def show(server: str | None, app_id: str | None) -> None:
    """List them."""
    found = remote(server, app_id).get("console", "people")
    people = found["results"]
    for each in people:
        typer.echo(f"{each['role']:<10} {each['email']}  since {each['since']}{'  with a second factor' if each['factor'] else ''}")
    if found["factorRequired"]:
        typer.echo("whoever has no second factor sets one up at the next sign-in", err=True)
    if not people:
        typer.echo("nobody uses the console yet: mbaas users invite --role owner", err=True)


def remove(email: str, server: str | None, app_id: str | None) -> None:
    """Take the console from somebody."""
    remote(server, app_id).delete("console", "people", email)
    typer.echo(f"{email} may no longer use the console")


def reset_factor(email: str, server: str | None, app_id: str | None) -> None:
    """Take the second factor of somebody who has lost it."""
    remote(server, app_id).delete("console", "people", email, "factor")
    typer.echo(f"{email} signs in with the password alone, until there is a new second factor")


def require_factor(everybody: bool, server: str | None, app_id: str | None) -> None:
    """Say whether everybody needs a second factor."""
    remote(server, app_id).put("console", "factor", body={"required": everybody})
    typer.echo("whoever has no second factor sets one up before anything else" if everybody else "a second factor is as each likes")
