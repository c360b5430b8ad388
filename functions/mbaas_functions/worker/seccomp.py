"""System calls that are refused to a worker: those that reach into other processes, the kernel, mounts and namespaces.

A filter in the kernel (seccomp(2), kernel documentation "Seccomp BPF") answers them with EPERM; all others stay as they are. A list
of what is refused is no sandbox: it takes away what no function needs and much that has been used to break out.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
import sys
from collections.abc import Mapping

_MACHINES = {"x86_64": (0, 0xC000003E, 317), "aarch64": (1, 0xC00000B7, 277)}
"""The column of the processor in the table below, what the kernel calls it, and its number of seccomp(2)."""
_OF_32_BITS = 0x40000000
"""What numbers of the 32-bit interface of x86_64 begin at."""
_CALLS = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "syslog": (103, 116),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
}
"""What no function needs, with the numbers of both processors."""
_TRUNCATE = (76, 45)
_CLONE, _CLONE3 = (56, 220), (435, 435)
_NAMESPACES = 0x7E020000
"""The flags of clone(2) that make namespaces; clone3(2) has them in memory, where a filter cannot look."""

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ANSWER = 0x7FFF0000, 0x00050000
_NUMBER_AT, _MACHINE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_SET_FILTER = 1
_INSTRUCTION = struct.Struct("HBBI")


def refuse_calls(*, truncate: bool) -> int:
    """Have them refused from now on, `truncate` by a path too if asked; how many there are, or 0 if this system cannot do it.

    Privileges must have been given up. It holds for this thread and what it starts: there must be no other yet.
    """
    column = _MACHINES.get(platform.machine(), (0,))[0]
    refused = {numbers[column]: errno.EPERM for numbers in (*_CALLS.values(), *([_TRUNCATE] if truncate else []))}
    # Who is told that there is no clone3 uses clone.
    return len(refused) if answer({**refused, _CLONE3[column]: errno.ENOSYS}) else 0


def answer(errors: Mapping[int, int]) -> bool:
    """Have the kernel answer calls, by their numbers, with an error, and with EPERM a clone that makes namespaces. False if it does not."""
    if sys.platform != "linux" or (machine := _MACHINES.get(platform.machine())) is None:
        return False
    column, name, seccomp = machine
    program = _program(name, errors, _CLONE[column])
    kept = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("HP", len(program) // _INSTRUCTION.size, ctypes.addressof(kept))
    return int(ctypes.CDLL(None, use_errno=True).syscall(seccomp, _SET_FILTER, 0, described)) == 0


def _program(machine: int, errors: Mapping[int, int], clone: int) -> bytes:
    """The filter's instructions."""
    answers = sorted({errno.EPERM, *errors.values()})
    # Behind the comparisons: look at clone's flags, allow, and one answer for each error.
    flags = 4 + len(errors) + 1
    allow, answered = flags + 2, {error: flags + 3 + at for at, error in enumerate(answers)}
    out: list[tuple[int, int, int, int]] = []

    def compare(how: int, value: int, then: int, otherwise: int | None = None) -> None:
        behind = len(out) + 1
        out.append((how, then - behind, 0 if otherwise is None else otherwise - behind, value))

    out.append((_LOAD, 0, 0, _MACHINE_AT))
    compare(_EQUAL, machine, 2, answered[errno.EPERM])
    out.append((_LOAD, 0, 0, _NUMBER_AT))
    compare(_AT_LEAST, _OF_32_BITS, answered[errno.EPERM])
    for number, error in errors.items():
        compare(_EQUAL, number, answered[error])
    compare(_EQUAL, clone, flags, allow)
    out.append((_LOAD, 0, 0, _FIRST_ARGUMENT_AT))
    compare(_ANY_BIT, _NAMESPACES, answered[errno.EPERM], allow)
    out.append((_RETURN, 0, 0, _ALLOW))
    out += [(_RETURN, 0, 0, _ANSWER | error) for error in answers]
    return b"".join(_INSTRUCTION.pack(*each) for each in out)
