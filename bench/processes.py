"""What a second process is worth: the same reads with one and two, and of a bare server with one and two; wrk is on the same cores.

Beside the rates it tells what a request costs the servers' and wrk's processors, and how much of the machine was left idle.
Where nothing is left, the cores bound the factor and not the server; the bare server's factor says what they give to anybody.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path

from bench.peer_servers import ROOT, Peer, free_port, ours, spawn, until_up
from bench.peers import fill, rate

COUNTS = (1, 2)
ROUNDS, SECONDS = 5, 3
TICKS = os.sysconf("SC_CLK_TCK")
Row = tuple[str, int]


def main() -> None:
    """Start all, visit each in each round, print the medians."""
    found: dict[Row, list[tuple[float, float, float, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="processes-") as folder:
        servers: dict[Row, Peer] = {}
        try:
            for count in COUNTS:
                servers["ours", count] = _ours(Path(folder) / f"ours-{count}", count)
                servers["bare", count] = _bare(Path(folder) / f"bare-{count}", count)
            for _ in range(ROUNDS):
                for work in ("get", "get with a session", "list"):
                    for (name, count), peer in servers.items():
                        if (seen := _measure(peer, work, Path(folder))) is not None:
                            found.setdefault((f"{name}, {work}", count), []).append(seen)
        finally:
            for peer in servers.values():
                peer.stop()
    _show(found)


def _ours(folder: Path, count: int) -> Peer:
    folder.mkdir()
    os.environ["MBAAS_WORKERS"] = str(count)
    peer = ours(folder)
    fill(peer)
    return peer


def _bare(folder: Path, count: int) -> Peer:
    folder.mkdir()
    port, log = free_port(), folder / "log"
    command = [sys.executable, "-m", "uvicorn", "bench.peer_servers:bare", "--port", str(port), "--log-level", "error", "--no-access-log"]
    process = spawn([*command, "--workers", str(count)], log, cwd=ROOT)
    until_up(f"http://127.0.0.1:{port}/", process, log)
    return Peer("raw", port, [process], 0.0)


def _measure(peer: Peer, work: str, scratch: Path) -> tuple[float, float, float, float] | None:
    """Answers a second; microseconds of processor that one costs the server and wrk; the share of the machine that was idle."""
    before, idle = _spent(peer.processes[0].pid), _idle()
    client = os.times()
    per_second = rate(peer, work, SECONDS, scratch)
    if per_second is None:
        return None
    after = os.times()
    answers = per_second * SECONDS
    wrk = after.children_user + after.children_system - client.children_user - client.children_system
    share = (_idle() - idle) / ((after.elapsed - client.elapsed) * (os.cpu_count() or 1))
    return per_second, (_spent(peer.processes[0].pid) - before) / answers * 1e6, wrk / answers * 1e6, share


def _spent(pid: int) -> float:
    """Seconds of processor of a process and all below it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    return (int(fields[11]) + int(fields[12])) / TICKS + sum(_spent(child) for child in children)


def _idle() -> float:
    """Seconds that all processors together were idle."""
    return int(Path("/proc/stat").read_text().split()[4]) / TICKS


def _show(found: dict[Row, list[tuple[float, float, float, float]]]) -> None:
    print(f"{'':28}{'processes':>10}{'per second':>12}{'server, µs':>12}{'wrk, µs':>10}{'idle':>7}")
    for name in dict.fromkeys(name for name, _ in found):
        medians = {count: [statistics.median(column) for column in zip(*found[name, count], strict=True)] for count in COUNTS}
        for count, (per_second, server, wrk, idle) in medians.items():
            print(f"{name:28}{count:10}{per_second:12,.0f}{server:12.1f}{wrk:10.1f}{idle:7.0%}")
        (one, cost, *_), (two, shared, wrk, _) = medians[1], medians[2]
        cores = os.cpu_count() or 1
        bound = f"these {cores} cores, wholly used, would serve {cores * 1e6 / (shared + wrk) / one:.2f} times"
        print(f"{'':28}{two / one:.2f} times as many; {bound} (a request cost {shared / cost:.2f} times as much)")
