"""The `mbaas` command. Each subcommand is a module of its own, loaded when it is called, so that a server starts fast."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="A mobile backend in one small server.")

OptionsFile = Annotated[Path | None, typer.Option("--parse-config", metavar="FILE", help="Options file of Parse Server 9 (JSON).")]


def main() -> None:
    """Entry point; what an operator got wrong is told in a sentence, without a traceback."""
    from mbaas.settings import SettingsError

    try:
        app()
    except SettingsError as error:
        typer.echo("\n".join(f"error: {line}" for line in str(error).splitlines()), err=True)
        raise SystemExit(2) from None


@app.command()
def serve(parse_config: OptionsFile = None) -> None:
    """Serve, with the safe defaults of production."""
    from mbaas.cli.serve import serve as run

    run(parse_config)


@app.command()
def dev(parse_config: OptionsFile = None) -> None:
    """Serve for development: open defaults, keys made where none are given, snippets for each SDK."""
    from mbaas.cli.dev import dev as run

    run(parse_config)


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="The folder to make.")]) -> None:
    """Make a project folder: settings and a README."""
    from mbaas.cli.init import init as run

    run(folder)


@app.command()
def doctor(parse_config: OptionsFile = None) -> None:
    """Name the first thing that is wrong here, and how to mend it."""
    from mbaas.cli.doctor import doctor as run

    run(parse_config)


@app.command()
def migrate(
    parse_config: OptionsFile = None,
    seal: Annotated[bool, typer.Option("--seal", help="Make the database this server's alone; cannot be undone.")] = False,
) -> None:
    """End the time in which Parse Server can use the database: tokens are hashed, passwords become argon2id."""
    from mbaas.cli.migrate import migrate as run

    run(parse_config, seal=seal)


@app.command()
def keys() -> None:
    """Print new random keys, ready for a .env file."""
    from mbaas.cli.keys import new_keys

    for name, value in new_keys().items():
        typer.echo(f"MBAAS_{name.upper()}={value}")


@app.command()
def version() -> None:
    """Print the version."""
    from mbaas import __version__

    typer.echo(__version__)
