"""System calls that no function needs, tried on nobody but oneself."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
from collections.abc import Callable

_LIBC = ctypes.CDLL(None, use_errno=True)
_NEW_USER = 0x10000000
_NUMBERS = {"kcmp": (312, 272), "io_uring_setup": (425, 425), "pidfd_getfd": (438, 438), "keyctl": (250, 219), "clone": (56, 220)}


def _by_number(name: str, *arguments: int) -> int:
    number = _NUMBERS[name][platform.machine() == "aarch64"]
    return int(_LIBC.syscall(number, *map(ctypes.c_long, arguments)))


def _read_oneself() -> int:
    there, here = ctypes.create_string_buffer(b"secret"), ctypes.create_string_buffer(6)
    remote = (ctypes.c_size_t * 2)(ctypes.addressof(there), 6)
    local = (ctypes.c_size_t * 2)(ctypes.addressof(here), 6)
    return int(_LIBC.process_vm_readv(os.getpid(), local, ctypes.c_long(1), remote, ctypes.c_long(1), ctypes.c_long(0)))


def _clone() -> int:
    pid = _by_number("clone", _NEW_USER | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    return pid


ANYBODY: dict[str, Callable[[], int]] = {
    "ptrace": lambda: int(_LIBC.ptrace(0, 0, None, None)),
    "process_vm_readv": _read_oneself,
    "kcmp": lambda: _by_number("kcmp", os.getpid(), os.getpid(), 2, 0, 0),
    "unshare": lambda: int(_LIBC.unshare(0)),
    "setns": lambda: int(_LIBC.setns(-1, 0)),
    "pidfd_getfd": lambda: _by_number("pidfd_getfd", -1, 0, 0),
    "keyctl": lambda: _by_number("keyctl", 0, -3, 0),
}
"""What a kernel lets anybody do, or says something else than EPERM to."""
PRIVILEGED: dict[str, Callable[[], int]] = {
    "clone into a namespace": _clone,
    "unshare a namespace": lambda: int(_LIBC.unshare(_NEW_USER)),
    "mount": lambda: int(_LIBC.mount(None, b"/nowhere", b"tmpfs", 0, None)),
    "umount2": lambda: int(_LIBC.umount2(b"/nowhere", 0)),
    "io_uring_setup": lambda: _by_number("io_uring_setup", 0, 0),
    "swapoff": lambda: int(_LIBC.swapoff(b"/nowhere")),
}
"""What some kernels keep for some."""


def tried(name: str) -> str:
    """The error that a call has, or nothing."""
    ctypes.set_errno(0)
    return errno.errorcode[ctypes.get_errno()] if {**ANYBODY, **PRIVILEGED}[name]() < 0 else ""
