"""The `mbaas` command. Each subcommand is a module of its own, loaded when it is called, so that a server starts fast."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="A mobile backend in one small server.")

deployments = typer.Typer(no_args_is_help=True, help="What is deployed: list it, activate an earlier one, download it.")
secrets = typer.Typer(no_args_is_help=True, help="Secrets of the functions: environment variables that nobody reads back.")
app.add_typer(deployments, name="deployments")
app.add_typer(secrets, name="secrets")
schema = typer.Typer(no_args_is_help=True, help="Move classes, their permissions and indexes between servers as a file.")
app.add_typer(schema, name="schema")

push = typer.Typer(no_args_is_help=True, help="Push notifications: a provider to rehearse with.")
app.add_typer(push, name="push")

users = typer.Typer(no_args_is_help=True, help="Who may use the console: invite, list, remove, second factors.")
app.add_typer(users, name="users")

OptionsFile = Annotated[Path | None, typer.Option("--parse-config", metavar="FILE", help="Options file of Parse Server 9 (JSON).")]

SchemaFile = Annotated[Path, typer.Argument(help="The file.")]
ServerAddress = Annotated[
    str | None,
    typer.Option("--server", metavar="URL", help="The Parse API to ask (https://api.example.com/parse); else the one of this place."),
]
Canary = Annotated[float | None, typer.Option("--canary", metavar="PERCENT", help="Have only so many of a hundred calls run it.")]
Number = Annotated[int, typer.Argument(help="The number of a deployment.")]
SecretName = Annotated[str, typer.Argument(help="The environment variable that functions read.")]
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
    gc.disable()  # Nothing that is loaded at the start is garbage; a server looks for some from when it serves.
    from mbaas.cli.serve import serve as run

    run(parse_config)


@app.command()
def dev(parse_config: OptionsFile = None) -> None:
    """Serve for development: open defaults, keys made where none are given, snippets for each SDK."""
    gc.disable()
    from mbaas.cli.dev import dev as run

    run(parse_config)


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="The folder to make.")]) -> None:
    """Make a project folder: settings and a README."""
    from mbaas.cli.init import init as run

    run(folder)


@app.command()
def doctor(
    parse_config: OptionsFile = None,
    security: Annotated[bool, typer.Option("--security", help="Fail if anything is open that production keeps shut.")] = False,
) -> None:
    """Name the first thing that is wrong here and how to mend it, and what is open that production keeps shut."""
    from mbaas.cli.doctor import doctor as run

    run(parse_config, security=security)


@app.command()
def migrate(
    parse_config: OptionsFile = None,
    seal: Annotated[bool, typer.Option("--seal", help="Make the database this server's alone; cannot be undone.")] = False,
) -> None:
    """End the time in which Parse Server can use the database: tokens are hashed, passwords become argon2id."""
    from mbaas.cli.migrate import migrate as run

    run(parse_config, seal=seal)


@app.command()
def deploy(
    folder: Annotated[Path, typer.Argument(help="The folder with main.py.")] = Path("functions"),
    server: ServerAddress = None,
    canary: Canary = None,
    only_upload: Annotated[bool, typer.Option("--only-upload", help="Leave active what is.")] = False,
) -> None:
    """Deploy cloud functions to a running server, and activate them if they can be loaded."""
    from mbaas.cli.deploy import deploy as run

    run(folder, server, canary, only_upload=only_upload)


@push.command()
def mock(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on loopback; 0 takes a free one.")] = 0,
    folder: Annotated[Path, typer.Option(help="Where its keys and certificate are kept.")] = Path("push-mock"),
) -> None:
    """Answer as FCM, APNs and Web Push do, and deliver nothing: for rehearsals and tests."""
    from mbaas.cli.push_mock import mock as run

    run(folder, port)


@deployments.command("list")
def list_deployments(server: ServerAddress = None, limit: Annotated[int, typer.Option(help="At most so many.")] = 20) -> None:
    """List deployments, the latest first."""
    from mbaas.cli.deploy import show

    show(server, limit)


@deployments.command()
def activate(number: Number, server: ServerAddress = None, canary: Canary = None) -> None:
    """Have a deployment run; an earlier one is gone back to."""
    from mbaas.cli.deploy import activate as run

    run(number, server, canary)


@deployments.command()
def deactivate(server: ServerAddress = None) -> None:
    """Have no deployment run, but the folder that the server was started with."""
    from mbaas.cli.deploy import deactivate as run

    run(server)


@deployments.command()
def download(
    number: Number,
    file: Annotated[Path | None, typer.Argument(help="Where to put it; else deployment-NUMBER.tar.gz.")] = None,
    server: ServerAddress = None,
) -> None:
    """Download the archive of a deployment, as it was uploaded."""
    from mbaas.cli.deploy import download as run

    run(number, file, server)


@secrets.command("list")
def list_secrets(server: ServerAddress = None) -> None:
    """List the names of secrets."""
    from mbaas.cli.secrets import show

    show(server)


@secrets.command("set")
def set_secret(name: SecretName, server: ServerAddress = None) -> None:
    """Set a secret; its value is asked for, or read from standard input."""
    from mbaas.cli.secrets import keep

    keep(name, server)


@secrets.command("delete")
def delete_secret(name: SecretName, server: ServerAddress = None) -> None:
    """Forget a secret."""
    from mbaas.cli.secrets import forget

    forget(name, server)


@users.command("invite")
def invite_user(
    role: Annotated[str, typer.Option(help="owner, developer, marketer or read-only.")],
    email: Annotated[str | None, typer.Option(help="Whose link it is; else whoever has it chooses an address.")] = None,
    server: ServerAddress = None,
    app_id: AppId = None,
) -> None:
    """Print a link by which somebody may use the console. For one who may already it is a new password and role."""
    from mbaas.cli.users import invite as run

    run(role, email, server, app_id)


@users.command("list")
def list_users(server: ServerAddress = None, app_id: AppId = None) -> None:
    """List who may use the console."""
    from mbaas.cli.users import show

    show(server, app_id)


@users.command("remove")
def remove_user(email: Annotated[str, typer.Argument(help="Whose.")], server: ServerAddress = None, app_id: AppId = None) -> None:
    """Take the console from somebody, at once."""
    from mbaas.cli.users import remove as run

    run(email, server, app_id)


@users.command("reset-factor")
def reset_factor(email: Annotated[str, typer.Argument(help="Whose.")], server: ServerAddress = None, app_id: AppId = None) -> None:
    """Take the second factor of somebody who has lost it; the password alone signs in then."""
    from mbaas.cli.users import reset_factor as run

    run(email, server, app_id)


@users.command("require-factor")
def require_factor(
    off: Annotated[bool, typer.Option("--off", help="Leave it to each.")] = False, server: ServerAddress = None, app_id: AppId = None
) -> None:
    """Have everybody set up a second factor before anything else."""
    from mbaas.cli.users import require_factor as run

    run(not off, server, app_id)


@app.command()
def logs(
    function: Annotated[str | None, typer.Argument(help="A function, trigger's class or job; else all.")] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what is said from now on.")] = False,
    number: Annotated[int, typer.Option("-n", "--lines", min=1, max=500, help="How many of the last lines to begin with.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    server: ServerAddress = None,
) -> None:
    """Print what functions said, with the id of each invocation."""
    from mbaas.cli.logs import logs as run

    run(function, server, follow=follow, number=number, as_json=as_json)


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
