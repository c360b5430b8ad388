"""`mbaas doctor`: the checks in the order in which they would bite; the first that fails is named with its remedy. Then what
functions lack, and what is open that production keeps shut."""

from __future__ import annotations

import asyncio
import errno
import importlib
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mbaas import settings
from mbaas.cli.loosened import loosened
from mbaas.configuration import Configuration, configure
from mbaas.kernel.errors import MbaasError
from mbaas.kernel.options import AppOptions
from mbaas_functions import isolation
from mbaas_functions.code import Code
from mbaas_functions.pool import Pool
from mbaas_functions.zygote import Zygote

if TYPE_CHECKING:
    from mbaas_push.checking import Checked

OLDEST_PYTHON = (3, 11)
NEEDED = ("apsw", "httptools", "orjson", "passlib", "pydantic", "re2", "regex", "starlette", "structlog", "uvicorn", "websockets")
FREE_BYTES = 256 * 1024**2
RELEASED = 1_790_000_000
"""A moment shortly before this version was made: a clock that shows less is wrong."""

_VARIABLE = re.compile(r"MBAAS_\w+")
_LACKS, _LOOSE = "lacks  ", "loose  "
"""What lines begin with that name something to know of, and nothing wrong."""
_NEEDS_KEYS = "`mbaas serve` needs MBAAS_APP_ID and MBAAS_MASTER_KEY, which `mbaas keys` prints for a .env file"


class Wrong(Exception):
    """A check that failed: what is wrong, and how to mend it."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what, self.remedy = what, remedy


def doctor(parse_config: Path | None, *, security: bool = False) -> None:
    """Run the checks; exit 1 at the first that fails. `security`: exit 1 also if anything is loosened."""
    try:
        opened, keyless = False, _keyless(parse_config)
        for fine in _checks(parse_config, keyless, security):
            typer.echo(fine if fine.startswith((_LACKS, _LOOSE)) else f"ok     {fine}")
            opened |= fine.startswith(_LOOSE)
    except Wrong as wrong:
        typer.echo(f"wrong  {wrong.what}\nmend   {wrong.remedy}")
        raise SystemExit(1) from None
    if security and opened:
        typer.echo("what is loose is open to attack; the server runs all the same")
        raise SystemExit(1)
    typer.echo(f"all is well for `mbaas dev`; {_NEEDS_KEYS}" if keyless else "all is well")


def _keyless(parse_config: Path | None) -> bool:
    """True where `dev` would make keys, and `serve` would ask for them."""
    try:
        found = settings.read()
    except settings.SettingsError:
        return False  # the check of the settings says what is wrong
    return not (found.app_id and found.master_key) and not found.apps_file and not parse_config


def _checks(parse_config: Path | None, keyless: bool, security: bool) -> Iterator[str]:
    """Yields a sentence for each check that passes."""
    yield _python()
    yield _packages()
    yield _clock()
    configuration = _settings(parse_config, keyless)
    own = "application id and master key are those that `mbaas dev` makes"
    yield f"settings ({own if keyless else ', '.join(app.app_id for app in configuration.apps)})"
    checks: tuple[Callable[[Configuration], str], ...] = (_data_dir, _sqlite, _databases, _port)
    for check in checks:
        yield check(configuration)
    yield from _providers(configuration)
    yield from _isolation(configuration)
    yield from _loosened(configuration, security)


def _python() -> str:
    if sys.version_info < OLDEST_PYTHON:
        raise Wrong(f"Python {sys.version.split()[0]} is too old", "install Python 3.11 or later and make the virtual environment anew")
    return f"Python {sys.version.split()[0]}"


def _packages() -> str:
    for name in NEEDED:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise Wrong(f"the package {name} cannot be imported ({error})", "pip install --require-hashes -r requirements.lock") from error
    return "packages are complete"


def _clock() -> str:
    if time.time() < RELEASED:
        raise Wrong("the clock of this machine is behind", "set it (timedatectl set-ntp true); sessions and schedules rest on it")
    return "clock"


def _settings(parse_config: Path | None, keyless: bool) -> Configuration:
    """As `serve` reads them, or as `dev` does where there are no keys; none are written."""
    from mbaas.cli.keys import FILE, kept_keys, new_keys

    try:
        found = settings.read()
        keys = (kept_keys(found.data_dir) if (found.data_dir / FILE).exists() else new_keys()) if keyless else {}
        return configure(found, parse_config=parse_config, keys=keys)
    except settings.SettingsError as error:
        first = str(error).splitlines()[0]
        raise Wrong(*_remedied(first)) from error


def _remedied(said: str) -> tuple[str, str]:
    """What is wrong with the settings, and what mends it: what the sentence itself advises, else what fits its kind."""
    if "is not a setting" in said:
        return said, "spell it so, or take it out; docs/settings.md lists every setting"
    what, _, advice = said.partition("; ")
    if advice:
        return what, advice
    if "needs a" in said:
        return said, "`mbaas keys` prints an application id and a master key"
    if "must differ" in said or said.startswith("two apps"):
        return said, "give each a value of its own; `mbaas keys` prints new ones"
    if variable := _VARIABLE.match(said):
        return said, f"correct {variable[0]} in the environment or in .env; docs/settings.md says what it may be"
    return said, "correct that file; docs/settings.md says what may be in it"


def _data_dir(configuration: Configuration) -> str:
    folder = configuration.server.data_dir
    nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        if not nearest.is_dir():
            raise NotADirectoryError(20, "Not a directory")
        with tempfile.TemporaryFile(dir=nearest) as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        remedy = "change its owner, or choose another by MBAAS_DATA_DIR"
        raise Wrong(f"the data dir {folder} cannot be written: {error.strerror}", remedy) from error
    if (free := shutil.disk_usage(nearest).free) < FREE_BYTES:
        raise Wrong(f"only {free // 1024**2} MiB are free for the data dir {folder}", "make room, or choose another disk by MBAAS_DATA_DIR")
    return f"data dir {folder}"


def _sqlite(configuration: Configuration) -> str:
    from mbaas.storage.sqlite.probe import missing, version

    if lacking := missing():
        remedy = "install the wheel of apsw: pip install --only-binary apsw -U apsw"
        raise Wrong(f"SQLite {version()} lacks {', '.join(lacking)}", remedy)
    return f"SQLite {version()}"


def _databases(configuration: Configuration) -> str:
    standalone = {app.database_url: app.database_standalone for app in configuration.apps if app.database_url}
    if standalone:
        from mbaas.storage.mongo.probe import unreachable

        for url, allowed in standalone.items():
            if why := unreachable(url, standalone=allowed):
                raise Wrong(why, "start it as a replica set (mongod --replSet rs0), or correct MBAAS_DATABASE_URL")
    return "MongoDB answers" if standalone else "embedded store"


_OTHERWISE: dict[object, str] = {
    errno.EADDRINUSE: "stop what listens there, or choose another by MBAAS_PORT",
    errno.EACCES: "choose a port above 1023 by MBAAS_PORT",
}


def _port(configuration: Configuration) -> str:
    from mbaas.cli.serve import listen

    server = configuration.server
    try:
        for listener in listen(server):
            listener.close()
    except settings.SettingsError as error:
        remedy = _OTHERWISE.get(getattr(error.__cause__, "errno", 0), "set MBAAS_HOST to an address of this machine, or to 0.0.0.0")
        raise Wrong(str(error).partition(";")[0], remedy) from error
    return f"port {server.port} is free"


def _providers(configuration: Configuration) -> Iterator[str]:
    """Whether the push providers take the credentials: a message to nobody says so. Those that are not set up are not missed."""
    if not configuration.server.push.configured:
        return
    try:
        found = asyncio.run(_providers_asked(configuration))
    except MbaasError as error:
        raise Wrong(error.message, "docs/push.md says what each provider needs") from error
    for each in found:
        if each.state in ("wrong", "unreachable"):
            raise Wrong(f"{each.provider}: {each.says}", each.todo)
        if each.state == "good":
            yield f"{each.provider}: {each.says}"


async def _providers_asked(configuration: Configuration) -> list[Checked]:
    from mbaas.app import open_app
    from mbaas.services import Services
    from mbaas_push.room import checked

    server = configuration.server
    with tempfile.TemporaryDirectory() as folder:
        # The keys of all apps are the server's; what signs with them keeps its tokens in a store, here one of its own.
        services = Services(server, {})
        app = await open_app(AppOptions(app_id="doctor", master_key="doctor", data_dir=Path(folder)), services)
        try:
            return await checked(app, server.push, services.outbound.reach)
        finally:
            await app.close()


def _isolation(configuration: Configuration) -> Iterator[str]:
    """What workers of cloud functions are kept apart by here, as one of them says that is started for it; then what they lack."""
    try:
        found = asyncio.run(_layers())
    except (MbaasError, OSError) as error:
        raise Wrong(f"a worker of cloud functions cannot be started: {error}", "correct that, or functions cannot run here") from error
    lacking = isolation.missing(found)
    if lacking and any(app.functions_isolation == isolation.STRICT for app in configuration.apps):
        raise Wrong(isolation.refusal(lacking), "; ".join(layer.remedy for layer in lacking))
    yield f"functions are kept apart by {isolation.told(found)}"
    for layer in lacking:
        yield f"{_LACKS}{layer.name}: without it {layer.without}; to have it, {layer.remedy}"


def _loosened(configuration: Configuration, security: bool) -> Iterator[str]:
    """What `serve` would leave open. Development is meant to be open, and is not told so unless that is asked."""
    if not security and all(app.preset == "development" for app in configuration.apps):
        return
    found = list(loosened(configuration))
    yield from (f"{_LOOSE}{sentence}" for sentence in found)
    if not found:
        yield "nothing is loosened"


async def _layers() -> isolation.Found:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "main.py").touch()
        zygote = Zygote()
        pool = Pool(Code(Path(folder)), zygote, lambda *_: None, lambda _: None)
        try:
            await pool.open()
        finally:
            await pool.close()
            await zygote.close()
        return pool.isolation
