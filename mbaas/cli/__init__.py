"""The `mbaas` command. Each subcommand is a module of its own, loaded when it is called, so that a server starts fast."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="A mobile backend in one small server.")

schema = typer.Typer(no_args_is_help=True, help="Move classes, their permissions and indexes between servers as a file.")
app.add_typer(schema, name="schema")

OptionsFile = Annotated[Path | None, typer.Option("--parse-config", metavar="FILE", help="Options file of Parse Server 9 (JSON).")]

SchemaFile = Annotated[Path, typer.Argument(help="The file.")]
ServerAddress = Annotated[
    str | None,
    typer.Option("--server", metavar="URL", help="The Parse API to ask (https://api.example.com/parse); else the one of this place."),
]
AppId = Annotated[str | None, typer.Option("--app", metavar="ID", help="Which of the apps of MBAAS_APPS_FILE.")]


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


@schema.command("pull")
def schema_pull(file: SchemaFile = Path("schema.json"), server: ServerAddress = None, app_id: AppId = None) -> None:
    """Write the server's classes into the file."""
    from mbaas.cli.remote import remote
    from mbaas.cli.schema import pull

    pull(remote(server, app_id), file)


@schema.command("diff")
def schema_diff(file: SchemaFile = Path("schema.json"), server: ServerAddress = None, app_id: AppId = None) -> None:
    """Print what a push would change; exit with 1 if there is anything."""
    from mbaas.cli.remote import remote
    from mbaas.cli.schema import diff

    diff(remote(server, app_id), file)


@schema.command("push")
def schema_push(
    file: SchemaFile = Path("schema.json"),
    server: ServerAddress = None,
    app_id: AppId = None,
    destructive: Annotated[bool, typer.Option("--destructive", help="Take classes and fields away, with their data.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Show what differs, and make the server's classes those of the file."""
    from mbaas.cli.remote import remote
    from mbaas.cli.schema import push

    push(remote(server, app_id), file, destructive=destructive, sure=yes)


@app.command()
def version() -> None:
    """Print the version."""
    from mbaas import __version__

    typer.echo(__version__)
