"""`python -m bench push [DEVICES]`: messages a second to the mock provider, which shares the machine: the lane alone, and end to end."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import firebase_admin
import orjson
import uvloop
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from firebase_admin import messaging

from bench.audience import running_app, seed
from bench.live import spent
from mbaas.cli.interpreter import tune_interpreter
from mbaas.configuration import push_options
from mbaas.kernel.caller import MASTER
from mbaas.outbound.reach import Reach
from mbaas.settings import Settings
from mbaas.testing.process import clean_environment
from mbaas_push.mock import credentials
from mbaas_push.mock.providers import ACCESS
from mbaas_push.room import opened, runs_of
from mbaas_push.transports.port import Address, Parcel
from mbaas_push.transports.providers import Providers
from mbaas_push.transports.signing import base64url

DEVICES, ON_THE_WIRE = 20_000, 900
SAID = {"title": "News", "alert": "Something has happened", "uri": "app://news"}
NODE = Path(__file__).parents[1] / "tests/compat"


class Mock:
    """`mbaas push mock` in a process of its own."""

    def __init__(self, folder: Path, found: dict[str, str], pid: int) -> None:
        self.folder, self.settings, self.origin = folder, found, found["fcm_endpoint"]
        self.options, self._pid = push_options(Settings.model_validate(found)), pid

    def used(self) -> float:
        """The seconds of processor time that it has taken so far."""
        return spent(self._pid)

    @classmethod
    @contextmanager
    def running(cls, folder: Path) -> Iterator[Mock]:
        """It, as long as the block."""
        command = [sys.executable, "-m", "mbaas", "push", "mock", "--folder", str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment({})) as process:
            assert process.stdout is not None
            found = {}
            while "mock/script" not in (line := process.stdout.readline()):
                if line.startswith("export MBAAS_"):
                    name, _, value = line.removeprefix("export MBAAS_").strip().partition("=")
                    found[name.lower()] = value.strip("'")
            try:
                yield cls(folder, found, process.pid)
            finally:
                process.terminate()


async def sent(name: str, parcels: list[Parcel], send: Callable[[Parcel], Awaitable[Any]], mock: Mock) -> float:
    """Send them, so many on the wire at a time, and print the rate; it is returned."""
    left, bad = iter(parcels), 0

    async def one_after_the_other() -> None:
        nonlocal bad
        for parcel in left:
            bad += (await send(parcel)).verdict != "sent"

    begun, used, mocks = time.perf_counter(), time.process_time(), mock.used()
    await asyncio.gather(*(one_after_the_other() for _ in range(ON_THE_WIRE)))
    return told(name, len(parcels), time.perf_counter() - begun, time.process_time() - used, mock.used() - mocks, bad)


def told(name: str, count: int, seconds: float, processor: float, mocks: float, bad: int = 0) -> float:
    """Print a rate, and the processor time of the sender and of the mock for each."""
    each = f"{processor / count * 1e6:6.0f} µs of its processor each, {mocks / count * 1e6:4.0f} of the mock's"
    print(f"{name:42} {count / seconds:9,.0f}/s  {each}" + (f"  {bad} FAILED" if bad else ""), flush=True)
    return count / seconds


def parcels(provider: Any, count: int, mock: Mock) -> list[Parcel]:
    """Messages to that many devices of a provider."""
    if provider == "webpush":
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        point = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        keys = {"p256dh": base64url(point), "auth": base64url(bytes(16))}
        values = [orjson.dumps({"endpoint": f"{mock.origin}/wp/{n}", "keys": keys}).decode() for n in range(count)]
        return [
            Parcel(f"00000000-0000-8000-8000-{n:012d}", Address("webpush", value, "subscription"), SAID) for n, value in enumerate(values)
        ]
    return [Parcel(f"00000000-0000-8000-8000-{n:012d}", Address(provider, f"{n:064x}"), SAID) for n in range(count)]


async def firebase(mock: Mock, count: int) -> float:
    """The same by firebase-admin's `send_each_async`, 500 at a time."""
    account = firebase_admin.credentials.Certificate(str(mock.options.fcm_credentials))
    # Its own way to the token endpoint speaks no HTTP/2, as the mock does.
    granted = account.get_credential()
    granted.token, granted.expiry = ACCESS, datetime.max  # noqa: DTZ901 -- Google's library keeps naive times
    os.environ["SSL_CERT_FILE"] = str(mock.folder / "cert.pem")
    app = firebase_admin.initialize_app(account, {"projectId": "mock"})
    service = messaging._get_messaging_service(app)
    service._fcm_url = service._fcm_url.replace("https://fcm.googleapis.com", mock.origin)
    begun, used, mocks, bad = time.perf_counter(), time.process_time(), mock.used(), 0
    for first in range(0, count, 500):
        lot = [messaging.Message(token=f"{n:064x}", data={"data": "x"}) for n in range(first, min(first + 500, count))]
        bad += (await messaging.send_each_async(lot)).failure_count
    seconds = time.perf_counter() - begun
    await service._async_client.aclose()
    return told("firebase-admin send_each_async", count, seconds, time.process_time() - used, mock.used() - mocks, bad)


def node_apn(mock: Mock, count: int) -> float:
    """The same by npm's @parse/node-apn."""
    command = ["node", str(Path(__file__).with_name("apn.mjs")), mock.origin, str(mock.folder), str(count)]
    mocks = mock.used()
    answer = orjson.loads(subprocess.run(command, check=True, capture_output=True, cwd=NODE).stdout)
    return told("@parse/node-apn", count, answer["seconds"], answer["processor"], mock.used() - mocks, answer["failed"])


async def lanes(mock: Mock, count: int, folder: Path) -> None:
    """What each provider takes, without rows; beside what others' clients reach."""
    async with running_app(folder) as app:
        providers = Providers(app, mock.options, Reach(open=True))
        await sent("(warm)", parcels("fcm", 2000, mock), providers.send, mock)
        fcm = await sent("lane, FCM", parcels("fcm", count, mock), providers.send, mock)
        apns = await sent("lane, APNs", parcels("apns", count, mock), providers.send, mock)
        await sent("lane, Web Push", parcels("webpush", count // 2, mock), providers.send, mock)
        await providers.close()
    print(f"{'times firebase-admin':42} {fcm / await firebase(mock, min(count, 3000)):9.1f}")
    print(f"{'times @parse/node-apn':42} {apns / node_apn(mock, min(count, 20_000)):9.1f}")


async def end_to_end(mock: Mock, count: int, folder: Path) -> None:
    """From a query of installations to the last outcome, with durable rows."""
    async with running_app(folder) as app:
        await seed(app, count)
        async with opened(app, mock.options, Reach(open=True)):
            begun, used, mocks = time.perf_counter(), time.process_time(), mock.used()
            push = await app.pushes.send(MASTER, {"where": {}, "data": SAID})
            found, materialised = 0, 0.0
            while (await runs_of(app).told(push))["status"] != "succeeded":
                await asyncio.sleep(0.05)
                task = await app.store.rows.get("pushes", push)
                if task is not None and not materialised and task.value["state"] == "sending":
                    materialised = time.perf_counter() - begun
            counts = (await runs_of(app).told(push))["counts"]
            found = counts.get("sent", 0)
            seconds = time.perf_counter() - begun
            told("end to end, durable rows", count, seconds, time.process_time() - used, mock.used() - mocks, count - found)
            print(f"{'  of which to find the devices':42} {count / (materialised or 1):9,.0f}/s")
    print(f"{'  most memory of this process':42} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:9,.0f} MB")


def main() -> None:
    """Run in folders that are removed afterwards, end to end with as many devices as the arguments say."""
    count = next((int(argument) for argument in sys.argv[1:] if argument.isdecimal()), DEVICES)
    tune_interpreter()
    made = Path(tempfile.mkdtemp())
    try:
        credentials.make(made / "mock")
        with Mock.running(made / "mock") as mock:
            uvloop.run(lanes(mock, min(count, DEVICES), made / "lanes"))
            uvloop.run(end_to_end(mock, count, made / "rows"))
    finally:
        shutil.rmtree(made)


if __name__ == "__main__":
    main()
