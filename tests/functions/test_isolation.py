"""Which layers keep functions apart: what each one takes away, and what is said and done where a kernel lacks one."""

from __future__ import annotations

import json
import platform
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

import pytest

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer, clean_environment
from mbaas_functions.archive import pack
from mbaas_functions.isolation import LAYERS
from mbaas_functions.worker import limits
from tests.functions.apps.trouble.probes import ANYBODY, PRIVILEGED
from tests.functions.conftest import APPS
from tests.functions.deploying import Deployer, folder_with, version
from tests.functions.test_containment import call

SECCOMP = {"x86_64": 317, "aarch64": 277}.get(platform.machine(), 0)
LANDLOCK = 444
OLD = """
import errno, os, sys
from mbaas_functions.worker import seccomp
assert seccomp.answer(dict.fromkeys(map(int, sys.argv[1].split(",")), errno.ENOSYS))
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
"""What follows runs on a kernel without these system calls."""


def confined(script: str, *arguments: str) -> str:
    """What a process of its own prints that may confine itself."""
    return subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=60, check=True).stdout


def layers() -> dict[str, str]:
    """What a process gets that confines itself."""
    script = "import json, sys; from pathlib import Path; from mbaas_functions.worker.limits import confine"
    script += "; print(json.dumps(confine([], Path(sys.argv[1]), 2**29)))"
    with tempfile.TemporaryDirectory() as scratch:
        found: dict[str, str] = json.loads(confined(script, scratch))
    return found


FOUND = layers()
"""The layers of this machine."""

filtered = pytest.mark.skipif("seccomp" not in FOUND, reason="the kernel has no seccomp")
whole = pytest.mark.skipif(len(FOUND) < len(LAYERS), reason=f"this machine has no other layers than {', '.join(FOUND)}")


def without(*numbers: int) -> tuple[str, ...]:
    """Arguments of a Python that goes on as on a kernel without these calls."""
    return ("-c", OLD, ",".join(map(str, numbers)))


def doctor(folder: Path, python: Sequence[str] = (), **variables: str) -> subprocess.CompletedProcess[str]:
    keys = {"MBAAS_APP_ID": APP_ID, "MBAAS_MASTER_KEY": MASTER_KEY, "MBAAS_PORT": "0"}
    command = [sys.executable, *python, "-m", "mbaas", "doctor"]
    return subprocess.run(command, cwd=folder, env=clean_environment({**keys, **variables}), capture_output=True, text=True, timeout=60)


def said(server: TestServer) -> list[dict[str, object]]:
    """What the log says of isolation."""
    return [line for line in map(json.loads, server.log.read_text().splitlines()) if "isolation" in line]


@filtered
@pytest.mark.parametrize("name", [*ANYBODY, *PRIVILEGED])
def test_what_no_function_needs_is_refused(trouble: TestServer, name: str) -> None:
    assert call(trouble, "tryCall", call=name) == (200, {"result": "EPERM"})


@filtered
def test_the_kernel_itself_would_not_have_refused_it() -> None:
    script = (
        "import json, sys; sys.path.append(sys.argv[1]); import probes; print(json.dumps({n: probes.tried(n) for n in probes.ANYBODY}))"
    )
    told = json.loads(confined(script, str(APPS / "trouble")))
    assert set(told) == set(ANYBODY)
    assert "EPERM" not in told.values()


def test_what_functions_do_all_the_time_goes_on(trouble: TestServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            with listener.accept()[0] as made:
                made.sendall(b"socket")

        thread = Thread(target=greet)
        thread.start()
        assert call(trouble, "ordinary", port=listener.getsockname()[1]) == (200, {"result": ["thread", "process", "socket", "file"]})
        thread.join()


@whole
def test_doctor_names_what_is_there(tmp_path: Path) -> None:
    run = doctor(tmp_path, MBAAS_FUNCTIONS_ISOLATION="strict")
    assert run.returncode == 0, run.stdout
    names = [re.escape(name) for name in ("separate process", "rlimits (512 MB of memory)", "no-new-privs")]
    pattern = ", ".join([*names, r"Landlock \(version \d+\), Landlock scopes, seccomp \(\d+ system calls are refused\)"])
    assert re.search(f"^ok     functions are kept apart by {pattern}$", run.stdout, re.MULTILINE), run.stdout
    assert "lacks" not in run.stdout


LACKING = [(LANDLOCK, ["Landlock", "Landlock scopes"]), (SECCOMP, ["seccomp"])]


@whole
@pytest.mark.parametrize(("number", "names"), LACKING)
def test_doctor_says_what_a_kernel_lacks(tmp_path: Path, number: int, names: list[str]) -> None:
    run = doctor(tmp_path, without(number))
    assert run.returncode == 0, run.stdout
    lacking = {layer.name: layer for layer in LAYERS if layer.name in names}
    told = [line for line in run.stdout.splitlines() if line.startswith("lacks")]
    assert told == [f"lacks  {each.name}: without it {each.without}; to have it, {each.remedy}" for each in lacking.values()]
    run = doctor(tmp_path, without(number), MBAAS_FUNCTIONS_ISOLATION="strict")
    *_, what, remedy = run.stdout.splitlines()
    assert (run.returncode, what[:7], remedy[:7]) == (1, "wrong  ", "mend   ")
    assert all(f"{each.name}, without which {each.without}" in what and each.remedy in remedy for each in lacking.values())


@whole
@pytest.mark.parametrize(("number", "names"), LACKING)
def test_where_a_layer_is_missing_functions_run_and_the_log_says_it_once(tmp_path: Path, number: int, names: list[str]) -> None:
    with TestServer(tmp_path, settings={"preset": "parse", "functions": APPS / "trouble"}, python=without(number)) as server:
        assert call(server, "fine") == (200, {"result": "fine"})
    (line,) = said(server)
    assert (line["level"], line["missing"]) == ("warning", names)


@whole
@pytest.mark.parametrize(("number", "names"), LACKING)
def test_strict_runs_nothing_where_a_layer_is_missing(tmp_path: Path, number: int, names: list[str]) -> None:
    wanted = {"preset": "parse", "functions": APPS / "trouble", "functions_isolation": "strict"}
    sentence = f"error: MBAAS_FUNCTIONS_ISOLATION is strict, and workers of functions lack {names[0]}, without which "
    with pytest.raises(RuntimeError, match=sentence):
        TestServer(tmp_path, settings=wanted, python=without(number)).start()


@whole
def test_strict_lets_no_deployment_become_ready_where_a_layer_is_missing(tmp_path: Path) -> None:
    code = pack(folder_with(tmp_path / "code", main=version(1)))
    with TestServer(tmp_path / "server", settings={"functions_isolation": "strict"}, python=without(LANDLOCK)) as server:
        made = Deployer(server).built(code)
        assert made["state"] == "failed"
        assert "MBAAS_FUNCTIONS_ISOLATION is strict, and workers of functions lack Landlock" in made["reason"]


@whole
def test_strict_runs_where_none_is_missing_and_the_log_says_once_what_there_is(tmp_path: Path) -> None:
    """With two apps in two processes, too."""
    apps = [{"appId": name, "masterKey": f"master of {name}"} for name in ("one", "two")]
    (tmp_path / "apps.json").write_text(json.dumps(apps))
    wanted = {"apps_file": "apps.json", "workers": 2, "functions": APPS / "trouble", "functions_isolation": "strict"}
    with TestServer(tmp_path, settings=wanted) as server:
        for name in ("one", "two"):
            assert server.call("POST", "/parse/functions/fine", {}, {"X-Parse-Application-Id": name}) == (200, {"result": "fine"})
    (line,) = said(server)
    assert line["level"] == "info"
    assert all(layer.name in str(line["isolation"]) for layer in LAYERS)


@whole
def test_a_kernel_of_an_older_version_is_said_to_be_one(tmp_path: Path) -> None:
    """Version 2 knows no scopes, and would let files be truncated: then that is refused with the system calls."""
    (tmp_path / "outside").write_text("kept")
    script = """
import json, os, sys
from pathlib import Path
from mbaas_functions.worker import limits
limits.landlock_version = lambda: 2
(Path(sys.argv[1]) / "scratch").mkdir()
found = limits.confine([], Path(sys.argv[1]) / "scratch", 2**29)
try:
    os.truncate(sys.argv[1] + "/outside", 0)
except PermissionError:
    print(json.dumps(found))
"""
    found = json.loads(confined(script, str(tmp_path)))
    assert found["Landlock"] == "version 2"
    assert "Landlock scopes" not in found
    assert (tmp_path / "outside").read_text() == "kept"


def test_where_there_is_no_landlock_its_version_is_none() -> None:
    script = "from mbaas_functions.worker.limits import landlock_version; print(landlock_version())"
    if "seccomp" in FOUND:
        assert confined(OLD, str(LANDLOCK), "-c", script) == "0\n"
    assert limits.landlock_version() == int(FOUND.get("Landlock", "version 0").split()[1])
