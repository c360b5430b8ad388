"""A function that hangs, crashes or eats memory costs its own call, and reaches nothing of the server's."""

from __future__ import annotations

import os
import signal
import stat
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mbaas.testing.process import APP_ID, TestServer
from mbaas_functions.worker.limits import landlock_version
from tests.functions.conftest import APPS

HEADERS = {"X-Parse-Application-Id": APP_ID}
ERRORS = {
    "spin": (124, "function spin did not end in time."),
    "spinInThread": (124, "function spinInThread did not end in time."),
    "sleep": (124, "function sleep did not end in time."),
    "block": (124, "function block did not end in time."),
    "eat": (141, "function eat ran out of memory."),
    "leave": (141, "function leave did not end: its worker ended with status 3"),
    "hangUp": (141, "function hangUp did not end: its worker ended by SIGKILL"),
    "leaveChild": (141, "function leaveChild did not end: its worker ended with status 3"),
    "crash": (141, "function crash did not end: its worker ended by SIGSEGV"),
    "unsendable": (111, "a object cannot be sent to the server"),
    "deeper": (141, "Functions and triggers call one another more than 20 times deep."),
}
"""What each is answered: its own end, by its own name."""
ODD_ERRORS = {
    "panic": (141, "out of luck"),
    "mute": (141, "function mute failed, and its error cannot be told: AttributeError"),
    "oddCode": (141, "function oddCode failed, and its error cannot be told: ValueError"),
    "cancelled": (141, "CancelledError"),
}

confined = pytest.mark.skipif(landlock_version() == 0, reason="the kernel has no Landlock")


def call(server: TestServer, name: str, **params: Any) -> tuple[int, Any]:
    return server.call("POST", f"/parse/functions/{name}", params, HEADERS)


@pytest.mark.parametrize("name", [*ERRORS, *ODD_ERRORS])
def test_trouble_is_told_by_its_name(trouble: TestServer, name: str) -> None:
    code, text = {**ERRORS, **ODD_ERRORS}[name]
    assert call(trouble, name) == (400, {"code": code, "error": text})
    assert call(trouble, "fine") == (200, {"result": "fine"})


def test_trouble_costs_nobody_else_anything(trouble: TestServer) -> None:
    """While each of them runs into its limit, many others are called, and every one of those is answered."""
    with ThreadPoolExecutor(24) as pool:
        bad = {name: pool.submit(call, trouble, name) for name in ERRORS for _ in range(2)}
        good = [pool.submit(call, trouble, "fine") for _ in range(600)]
        assert Counter(str(each.result()) for each in good) == {str((200, {"result": "fine"})): 600}
        for name, answer in bad.items():
            code, text = ERRORS[name]
            assert answer.result() == (400, {"code": code, "error": text})


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("spin", (400, {"code": 124, "error": "function mostly did not end in time."})),
        ("leave", (400, {"code": 141, "error": "function mostly did not end: its worker ended with status 3"})),
        ("sleep", (200, {"result": "fine"})),
    ],
)
def test_those_who_wait_behind_a_call_are_answered_whatever_becomes_of_it(trouble: TestServer, how: str, told: tuple[int, Any]) -> None:
    fine = (200, {"result": "fine"})
    with ThreadPoolExecutor(24) as pool:
        assert {str(each) for each in pool.map(lambda _: call(trouble, "mostly"), range(100))} == {str(fine)}
        some = [pool.submit(call, trouble, "mostly") for _ in range(20)]
        bad = pool.submit(call, trouble, "mostly", how=how)
        more = [pool.submit(call, trouble, "mostly") for _ in range(100)]
        assert Counter(str(each.result()) for each in [*some, *more]) == {str(fine): 120}
        assert bad.result() == told


@pytest.mark.parametrize("said", ["no JSON", '["no object"]', '{"of no kind": 1}', '{"done": ["nobody"]}', '{"returned": 7}', '{"ask": 1}'])
def test_what_is_no_message_ends_its_worker_and_no_other(trouble: TestServer, said: str) -> None:
    error = {"code": 141, "error": "function forge did not end: its worker ended with status 0"}
    for _ in range(9):
        assert call(trouble, "forge", said=said) == (400, error)
    assert call(trouble, "fine") == (200, {"result": "fine"})
    assert "a worker sent what is no message, and is ended" in trouble.log.read_text()


def test_nothing_is_left_over(trouble: TestServer) -> None:
    """After many calls and many ends of workers there are no more processes and descriptors than before."""
    assert trouble.process is not None
    call(trouble, "fine")
    pid = trouble.process.pid

    def there() -> tuple[int, int]:
        return len(list(Path(f"/proc/{pid}/fd").iterdir())), len(trouble.function_workers())

    def settled() -> tuple[int, int]:
        """When what ends has ended: one worker's death is heard of, and another takes its place."""
        deadline, last = time.monotonic() + 20, there()
        while time.monotonic() < deadline:
            assert call(trouble, "fine")[0] == 200
            if (now := there()) == last and now[1] <= 9:
                break
            last = now
        return last

    before = settled()
    for _ in range(10):
        call(trouble, "leave")
        call(trouble, "crash")
    with ThreadPoolExecutor(8) as pool:
        assert {status for status, _ in pool.map(lambda _: call(trouble, "fine"), range(1000))} == {200}
    after = settled()
    assert after[0] - before[0] <= 4 * max(0, after[1] - before[1])


def test_a_worker_that_is_killed_from_outside_is_replaced(trouble: TestServer) -> None:
    _, told = call(trouble, "who")
    os.kill(told["result"], signal.SIGKILL)
    deadline = time.monotonic() + 20
    while call(trouble, "who")[1].get("result") in (None, told["result"]):
        assert time.monotonic() < deadline
    assert call(trouble, "fine") == (200, {"result": "fine"})


def test_where_workers_are_forked_from_a_process_that_ends_others_are_there(trouble: TestServer) -> None:
    """It takes its workers with it, whose calls fail with their names; the next call has a worker again."""
    _, told = call(trouble, "who")
    zygote = int(Path(f"/proc/{told['result']}/stat").read_text().rpartition(")")[2].split()[1])
    with ThreadPoolExecutor(1) as pool:
        lost = pool.submit(call, trouble, "spinForLong")
        deadline = time.monotonic() + 20
        # One that computes and takes no messages gives way.
        while len({os.getpriority(os.PRIO_PROCESS, pid) for pid in trouble.function_workers()}) < 2:
            assert time.monotonic() < deadline
        os.kill(zygote, signal.SIGKILL)
        error = "function spinForLong did not end: its worker ended by SIGKILL"
        assert lost.result() == (400, {"code": 141, "error": error})
    assert call(trouble, "fine") == (200, {"result": "fine"})
    while Path(f"/proc/{told['result']}").exists():
        assert time.monotonic() < deadline


def test_a_call_that_has_ended_may_do_nothing_more(trouble: TestServer) -> None:
    assert call(trouble, "late") == (200, {})
    deadline = time.monotonic() + 10
    while (told := call(trouble, "wasLate")[1]) == {}:
        assert time.monotonic() < deadline
    assert told == {"result": "119 The call has ended; nothing is done in its name."}


def test_what_is_printed_is_in_the_log_and_holds_up_nothing(trouble: TestServer) -> None:
    assert call(trouble, "shout") == (200, {})
    assert "xxxxxxxxxx" in trouble.log.read_text()


def test_a_long_answer_arrives(trouble: TestServer) -> None:
    assert len(call(trouble, "long", size=5_000_000)[1]["result"]) == 5_000_000
    assert call(trouble, "long", size=34_000_000)[1]["code"] == 116
    status, told = call(trouble, "many", size=34_000_000)
    assert (status, told) == (400, {"code": 141, "error": "the result cannot be sent: a message has no more than 24 MB"})


def test_broken_code_is_told_at_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "functions"
    folder.mkdir()
    (folder / "main.py").write_text("from mbaas_functions import cloud\n\nraise ValueError('not yet')\n")
    with pytest.raises(RuntimeError, match="ValueError: not yet"):
        TestServer(tmp_path / "server", settings={"functions": folder}).start()
    with pytest.raises(RuntimeError, match=r"there is no main\.py"):
        TestServer(tmp_path / "other", settings={"functions": tmp_path / "nowhere"}).start()


# What it can reach


@confined
@pytest.mark.parametrize("path", ["/etc/passwd", "/proc/self/environ", "{data}/keys", "{data}", "{root}/pyproject.toml", "{home}", "{tmp}"])
def test_files_of_the_server_cannot_be_read(trouble: TestServer, path: str) -> None:
    at = path.format(data=trouble.folder / "data", root=Path(__file__).parents[2], home=Path.home(), tmp=tempfile.gettempdir())
    for name in ("read", "list"):
        status, told = call(trouble, name, path=at)
        assert (status, told["code"]) == (400, 141)
        assert "Permission denied" in told["error"] or "Not a directory" in told["error"] or "No such file" in told["error"]


@confined
def test_the_store_cannot_be_read_and_is_there(trouble: TestServer) -> None:
    files = [at for at in (trouble.folder / "data").iterdir() if at.is_file()]
    assert files
    for at in files:
        assert "Permission denied" in call(trouble, "read", path=str(at))[1]["error"]


@confined
def test_nothing_outside_can_be_written_or_signalled(trouble: TestServer) -> None:
    assert "Permission denied" in call(trouble, "write", path=str(Path(tempfile.gettempdir(), "from-a-function")))[1]["error"]
    assert "Permission denied" in call(trouble, "write", path=str(Path(__file__).parent / "apps/trouble/new.py"))[1]["error"]
    assert "not permitted" in call(trouble, "signal")[1]["error"]


def test_the_environment_holds_nothing_of_the_server(trouble: TestServer) -> None:
    names = set(call(trouble, "environment")[1]["result"])
    assert names <= {"LANG", "TMPDIR", "LC_CTYPE", "PWD", "SHLVL", "_"}
    assert "test-master-key" not in str(call(trouble, "arguments"))


def test_a_worker_has_no_database_and_no_descriptor_but_its_own(trouble: TestServer) -> None:
    loaded = call(trouble, "modules")[1]["result"]
    assert {name for name in loaded if not name.startswith("mbaas.kernel")} <= {"mbaas", "mbaas_functions"}
    kinds = Counter(stat.S_IFMT(mode) for mode in call(trouble, "descriptors")[1]["result"].values())
    assert kinds[stat.S_IFREG] <= 1, "the page that counts calls"
    assert kinds[stat.S_IFDIR] == kinds[stat.S_IFBLK] == 0


def has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_what_a_function_leaves_behind_ends_when_a_worker_does(trouble: TestServer) -> None:
    _, told = call(trouble, "leaveDaemon")
    assert not has_ended(told["result"])
    call(trouble, "leave")
    deadline = time.monotonic() + 20
    while not has_ended(told["result"]):
        assert time.monotonic() < deadline


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_a_function_leaves_behind_ends_with_the_server(number: signal.Signals, tmp_path: Path) -> None:
    """Also where the process that workers are forked from has been stopped."""
    server = TestServer(tmp_path, settings={"preset": "parse", "functions": APPS / "trouble"}).start()
    _, told = call(server, "leaveDaemon")
    if number is signal.SIGKILL:
        zygote = int(Path(f"/proc/{server.function_workers()[0]}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(zygote, signal.SIGSTOP)
    assert not has_ended(told["result"])
    server.stop() if number is signal.SIGTERM else server.kill()
    deadline = time.monotonic() + 20
    while not has_ended(told["result"]):
        assert time.monotonic() < deadline


def test_no_worker_outlives_a_server_that_is_killed(tmp_path: Path) -> None:
    """Not even one that never gives way."""
    server = TestServer(tmp_path, settings={"preset": "parse", "functions": APPS / "trouble"}).start()
    with ThreadPoolExecutor(1) as pool:
        lost = pool.submit(call, server, "spinForLong")
        deadline = time.monotonic() + 20
        while call(server, "fine")[0] != 200 or len(workers := server.function_workers()) < 2:
            assert time.monotonic() < deadline
        server.kill()
        while any(Path(f"/proc/{pid}").exists() for pid in workers):
            assert time.monotonic() < deadline
        assert isinstance(lost.exception(), OSError)
