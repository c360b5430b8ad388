"""The mock provider in a process of its own, as `mbaas push mock` starts it, and what it was sent."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from mbaas.testing.process import clean_environment

_SETTING = re.compile(r"^export MBAAS_(\w+)=(.+)$", re.MULTILINE)


@contextmanager
def mock_provider(folder: Path) -> Iterator[dict[str, str]]:
    """While it runs; the settings that it prints, as a `TestServer` takes them."""
    command = [sys.executable, "-m", "mbaas", "push", "mock", "--folder", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment({})) as process:
        assert process.stdout is not None
        told = ""
        while "/mock/script" not in told:
            line = process.stdout.readline()
            assert line, told
            told += line
        try:
            yield {name.lower(): value for name, value in _SETTING.findall(told)}
        finally:
            process.terminate()
    assert process.returncode == 0


def received(mock: dict[str, str]) -> list[Any]:
    """What it was sent: `provider`, `token`, `status`, `at`, `message` of each."""
    with httpx.Client(verify=ssl.create_default_context(cafile=mock["push_ca_file"]), http2=True, timeout=120) as client:
        return [json.loads(line) for line in client.get(f"{mock['fcm_endpoint']}/mock/receipts").text.splitlines()]
