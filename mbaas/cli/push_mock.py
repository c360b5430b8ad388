"""`mbaas push mock`: a provider on this machine, and the settings by which a server uses it."""

from __future__ import annotations

import asyncio
import shlex
import signal
from pathlib import Path

import uvloop
from rich.console import Console

from mbaas.cli.interpreter import tune_interpreter
from mbaas.settings import SettingsError
from mbaas_push.mock import credentials
from mbaas_push.mock.script import Script
from mbaas_push.mock.server import listening


def mock(folder: Path, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    folder = folder.absolute()
    try:
        credentials.make(folder)
        tune_interpreter()
        uvloop.run(_serve(folder, port))
    except OSError as error:
        raise SettingsError(f"the mock cannot be started with its keys in {folder}, on port {port}: {error}") from error


async def _serve(folder: Path, port: int) -> None:
    script, done, console = Script(), asyncio.Event(), Console(highlight=False)
    for ending in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(ending, done.set)
    async with listening(script, folder / "cert.pem", folder / "cert.key", port) as bound:
        console.print("Start a server with these settings, and it sends here:\n", soft_wrap=True)
        for name, value in credentials.settings(folder, bound).items():
            console.print(f"export {name}={shlex.quote(value)}", soft_wrap=True, markup=False)
        asked = f"curl --cacert {shlex.quote(str(folder / 'cert.pem'))}"
        origin = f"https://127.0.0.1:{bound}"
        console.print("\nWhat it was sent, and how it is to answer (to one token: first 429, then 200):\n", soft_wrap=True)
        console.print(f"{asked} {origin}/mock/receipts", soft_wrap=True, markup=False)
        told = '{"tokens": {"TOKEN": [{"status": 429, "reason": "QUOTA_EXCEEDED", "retry_after_s": 2}, {}]}}'
        console.print(f"{asked} -X PUT {origin}/mock/script -d {shlex.quote(told)}", soft_wrap=True, markup=False)
        await done.wait()
