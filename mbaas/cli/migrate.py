"""`mbaas migrate --seal`: a database that was shared with Parse Server becomes this server's alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import typer

from mbaas import settings
from mbaas.cli.keys import new_keys
from mbaas.configuration import configure
from mbaas.kernel.clock import SystemClock
from mbaas.kernel.errors import MbaasError

_NO_MONGO = (
    "there is nothing to seal: the data is in SQLite, which Parse Server never shares; to seal a MongoDB name it by MBAAS_DATABASE_URL"
)


def migrate(parse_config: Path | None, *, seal: bool) -> None:
    """Seal the database of every app that is on MongoDB. SettingsError says why that cannot be."""
    if not seal:
        raise settings.SettingsError("say what to do: `mbaas migrate --seal` ends the time in which Parse Server can use the database")
    # Only the databases matter here, so whatever keys there are will do.
    configuration = configure(settings.read(), parse_config=parse_config, keys=new_keys())
    urls = [app.database_url for app in configuration.apps if app.database_url]
    if not urls:
        raise settings.SettingsError(_NO_MONGO)
    for url in urls:
        _seal(url)


def _seal(url: str) -> None:
    from mbaas.storage.mongo.seal import seal

    try:
        done = asyncio.run(seal(url, SystemClock(), _progress))
    except MbaasError as error:
        raise settings.SettingsError(error.message) from error
    state = "was sealed before" if done.earlier else "is sealed: Parse Server must not use it any more"
    typer.echo(f"the database {done.database} {state}")
    typer.echo(f"session tokens hashed: {done.sessions}")
    typer.echo(f"links to reset a password that no longer hold: {done.resets}")
    typer.echo(f"users whose password is hashed anew, by argon2id, when they log in next: {done.users}")


def _progress(done: int, total: int) -> None:
    typer.echo(f"session tokens: {done} of {total}", err=True)
