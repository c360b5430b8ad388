"""What a worker takes from itself before it loads a developer's code: memory, core dumps, and all files but those it needs.

Landlock (kernel documentation, "Landlock: unprivileged access control") where the kernel has it: nothing is readable but Python,
the libraries and the deployment's own folder; nothing is writable but the scratch folder; no signal and no abstract socket
reaches another process. It is called by its numbers, since there is no call in the standard library. What `seccomp.py` refuses is
refused last.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from mbaas_functions import isolation
from mbaas_functions.worker.seccomp import refuse_calls

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_ASK_VERSION = 1
_PATH_BENEATH = 1
_NO_NEW_PRIVILEGES = 38
_DEATH_SIGNAL = 1
_SUBREAPER = 36

_READ = 1 << 0 | 1 << 2 | 1 << 3
"""Execute, read a file, list a folder."""
_ON_FILES = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15
"""The rights that a rule for a single file may name."""
_FILES_SINCE = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many rights on files a version of the interface knows."""
_SCOPES, _SCOPES_SINCE = 0b11, 6
"""Abstract sockets and signals."""
_TRUNCATE_SINCE = 3
"""Before that version Landlock lets files be truncated that cannot be written."""
_SYSTEM = (
    "/usr/lib",
    "/usr/local/lib",
    "/lib",
    "/lib64",
    "/usr/share/zoneinfo",
    "/etc/ssl/certs",
    "/etc/localtime",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/usr/share/ca-certificates",
    "/dev/null",
    "/dev/urandom",
)
"""What Python and outgoing connections need of a system."""


def landlock_version() -> int:
    """The version of the kernel's interface; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_libc().syscall(_CREATE, None, 0, _ASK_VERSION)))


def end_with_parent() -> None:
    """Be killed when the process that this one was forked from ends: code that never gives way would not hear of it."""
    if sys.platform == "linux":
        _libc().prctl(_DEATH_SIGNAL, signal.SIGKILL)


def go_on_without_parent() -> None:
    """Be woken, if stopped, when the process that started this one ends: there is something left to do then."""
    if sys.platform == "linux":
        _libc().prctl(_DEATH_SIGNAL, signal.SIGCONT)


def adopt_orphans() -> None:
    """Be the parent of all that is started below this process, once its own parent has ended (prctl(2), PR_SET_CHILD_SUBREAPER)."""
    if sys.platform == "linux":
        _libc().prctl(_SUBREAPER, 1)


def confine(own: Iterable[Path], scratch: Path, memory: int) -> dict[str, str]:
    """Give up what the worker does not need; it reads its `own` folders. The layers that this system has for it (`isolation.Found`)."""
    found = {isolation.PROCESS.name: ""}
    end_with_parent()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
            found[isolation.LIMITS.name] = f"{memory // 1024 // 1024} MB of memory"
        if _libc().prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0:
            found[isolation.PRIVILEGES.name] = ""
        version = landlock_version()
        if version and _restrict(version, [*map(Path, _SYSTEM), *_python(), *own], scratch):
            found[isolation.FILES.name] = f"version {version}"
            if version >= _SCOPES_SINCE:
                found[isolation.SCOPES.name] = ""
        if count := refuse_calls(truncate=0 < version < _TRUNCATE_SINCE):
            found[isolation.CALLS.name] = f"{count} system calls are refused"
    return found


def _python() -> Iterable[Path]:
    """Where Python, its libraries and this package are."""
    import mbaas
    import mbaas_functions

    return [
        *(Path(prefix) / "lib" for prefix in {sys.prefix, sys.base_prefix}),
        *(Path(at) for at in sys.path if Path(at).is_relative_to(sys.prefix) or Path(at).is_relative_to(sys.base_prefix)),
        *(Path(room.__file__).parent for room in (mbaas, mbaas_functions) if room.__file__),
        Path(sys.executable).resolve(),
        Path(sys.prefix) / "pyvenv.cfg",
    ]


def _restrict(version: int, readable: Iterable[Path], scratch: Path) -> bool:
    rights = (1 << max(count for since, count in _FILES_SINCE.items() if since <= version)) - 1
    attributes = struct.pack("QQQ", rights, 0, _SCOPES)
    size = 24 if version >= _SCOPES_SINCE else 16 if version >= 4 else 8
    ruleset = _libc().syscall(_CREATE, attributes, size, 0)
    if ruleset < 0:
        return False
    for path in readable:
        _allow(ruleset, path, _READ & rights)
    _allow(ruleset, scratch, rights)
    restricted = int(_libc().syscall(_RESTRICT, ruleset, 0)) == 0
    os.close(ruleset)
    return restricted


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        at = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not path.is_dir():
        rights &= _ON_FILES
    _libc().syscall(_ADD, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, at), 0)
    os.close(at)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
