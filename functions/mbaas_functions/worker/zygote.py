"""The process that workers are forked from: it has loaded what each of them needs and no developer's code, has no key and no
database, and runs one thread.

Its argument is the descriptor of its connection to the server. A byte there, with three descriptors beside it, asks for a worker; what
it says in turn are lines of JSON: `{"forked": pid}` for each, or `{"refused": errno}`, and `{"exited": pid, "status": n}` when one has
ended.

What a worker's code has started and left behind, in whichever session, is this process's child then, and is killed. When the server lets
go, or ends, it kills all that there is, and ends.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mbaas_functions.worker.limits import adopt_orphans, go_on_without_parent
from mbaas_functions.worker.main import main as work

DESCRIPTORS = 3
"""What a worker is given: its connection, the page that counts begun calls, and where its output goes."""


def main() -> None:
    """Fork workers until the server lets go, and be one in each of them."""
    adopt_orphans()
    go_on_without_parent()
    server = int(sys.argv[1])
    # The loop that started it has left it some more.
    os.closerange(3, server)
    os.closerange(server + 1, os.sysconf("SC_OPEN_MAX"))
    # What is here already is not looked through, and so not copied, by each worker.
    gc.freeze()
    given = _serve(socket.socket(fileno=server))
    if given is not None:
        connection, counter, output = given
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        # As Python opens them at a start: what it had here was no pipe.
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)
        sys.stderr = os.fdopen(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)
        work(connection, counter)


def _serve(server: socket.socket) -> list[int] | None:
    """The descriptors in a new worker; None in the process itself, when the server has let go."""
    woken, wakes = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    both: list[socket.socket | int] = [server, woken]
    workers: set[int] = set()
    while True:
        ready = select.select(both, [], [])[0]
        if woken in ready:
            with suppress(BlockingIOError):
                os.read(woken, 4096)
            for pid, status in _ended():
                if pid in workers:
                    workers.discard(pid)
                    _tell(server, exited=pid, status=status)
            for pid in _children() - workers:
                os.kill(pid, signal.SIGKILL)
        if server in ready:
            asked, given, _, _ = socket.recv_fds(server, 1, DESCRIPTORS)
            if not asked:
                _end(workers)
                return None
            try:
                pid = os.fork()
            except OSError as error:
                _tell(server, refused=error.errno or 0)
            else:
                if pid == 0:
                    _leave(server, woken, wakes)
                    return given
                workers.add(pid)
                _tell(server, forked=pid)
            for each in given:
                os.close(each)


def _leave(server: socket.socket, *own: int) -> None:
    """What a worker does not share with the process that it was forked from."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    server.close()
    for each in own:
        os.close(each)


def _ended() -> Iterator[tuple[int, int]]:
    """Children that have ended, each with its status."""
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            yield ended[0], os.waitstatus_to_exitcode(ended[1])


def _children() -> set[int]:
    """All that this process is the parent of; none where no system tells (proc_pid_children(5))."""
    try:
        return {int(pid) for pid in Path("/proc/thread-self/children").read_text().split()}
    except OSError:
        return set()


def _end(workers: set[int]) -> None:
    """Kill all that there is below this process: what has lost its parent by that is its child next."""
    for pid in workers:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        while True:
            for pid in _children():
                os.kill(pid, signal.SIGKILL)
            os.wait()


def _tell(server: socket.socket, **what: int) -> None:
    # A server that has let go is seen at the next turn.
    with suppress(OSError):
        server.sendall(json.dumps(what).encode() + b"\n")
