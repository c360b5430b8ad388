"""The layers that keep a developer's code apart from the server and the machine: what they are called, and what the lack of one means.

A worker takes them before it loads any code, and tells which it got (`worker/limits.py`). Which are there differs by kernel, by
processor, and by what the container around the server allows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

STRICT = "strict"
"""The isolation with which no code runs where a layer is missing."""

Found = Mapping[str, str]
"""The layers that a worker has, by name, each with what there is to say of it."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One of them. `without` says what code may do where it is missing, `remedy` how to get it."""

    name: str
    without: str
    remedy: str


PROCESS = Layer(
    "separate process",
    "functions that crash or hang take the server with them",
    "run the server on Linux or macOS",
)
LIMITS = Layer(
    "rlimits",
    "a function can take all memory of the machine",
    "run the server on Linux, with a hard limit of data segments (`ulimit -H -d`) that leaves a worker its memory",
)
PRIVILEGES = Layer(
    "no-new-privs",
    "what a function starts may gain rights by a setuid program, and the layers that rest on it cannot be had",
    "run the server on Linux 3.5 or later, in a container whose seccomp profile lets prctl pass",
)
FILES = Layer(
    "Landlock",
    "functions can read and change whatever the server's user can: its database, files and keys, and those of other apps",
    "run the server on Linux 5.13 or later with landlock among the modules of /sys/kernel/security/lsm (the kernel's parameter lsm=), "
    "in a container whose seccomp profile lets it pass",
)
SCOPES = Layer(
    "Landlock scopes",
    "functions can send signals to the server and to workers of other apps, and end them",
    "run the server on Linux 6.12 or later (version 6 of Landlock)",
)
CALLS = Layer(
    "seccomp",
    "functions have all system calls that the server's user has, to debug processes, mount and make namespaces among them",
    "run the server on Linux with CONFIG_SECCOMP_FILTER, on x86_64 or aarch64, in a container whose own profile lets seccomp pass",
)
LAYERS = (PROCESS, LIMITS, PRIVILEGES, FILES, SCOPES, CALLS)


def missing(found: Found) -> list[Layer]:
    """The layers that a worker has not got."""
    return [layer for layer in LAYERS if layer.name not in found]


def told(found: Found) -> str:
    """The layers that it has, in a line: `separate process, rlimits (512 MB of memory), …`."""
    named = [(layer.name, found[layer.name]) for layer in LAYERS if layer.name in found]
    return ", ".join(f"{name} ({detail})" if detail else name for name, detail in named)


def refusal(lacking: Sequence[Layer]) -> str:
    """Why workers with that isolation run nothing."""
    why = " and ".join(f"{layer.name}, without which {layer.without}" for layer in lacking)
    return f"MBAAS_FUNCTIONS_ISOLATION is {STRICT}, and workers of functions lack {why}"
