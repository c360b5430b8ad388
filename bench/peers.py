"""`make peers`: the same load on this server, PocketBase and Parse Server, and on a server that does nothing, in one run.

Machines differ and drift, ratios hold: every round visits all servers, and medians of the rounds are compared.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.peer_servers import START, Peer, call
from tests.tools import tool

DOCUMENTS = 2000
WORKS = ("get", "get with a session", "list", "create", "update")
NEW = '{"title":"new %N","score":%N,"tags":["a","b"],"done":true}'


def fill(peer: Peer) -> None:
    """The same documents everywhere, and an index on the field that the list filters and sorts by."""
    if peer.name == "raw":
        return
    if peer.name == "pocketbase":
        _make_collection(peer)
    for number in range(DOCUMENTS):
        body = {"title": f"title {number}", "score": number, "tags": ["a", "b"], "done": False}
        made = call("POST", peer.origin + peer.post, body, peer.headers)
        peer.ids.append(made.get("objectId") or made["id"])
    if peer.name in ("ours", "parse"):
        master = {**peer.headers, "X-Parse-Master-Key": "bench-master"}
        call("PUT", f"{peer.origin}/parse/schemas/Post", {"className": "Post", "indexes": {"by_score": {"score": 1}}}, master)
        person = call("POST", f"{peer.origin}/parse/users", {"username": "bench", "password": "bench-password"}, peer.headers)
        peer.session = person["sessionToken"]


def _make_collection(peer: Peer) -> None:
    login = {"identity": "b@example.com", "password": "bench-master"}
    token = call("POST", f"{peer.origin}/api/collections/_superusers/auth-with-password", login)["token"]
    fields = [{"name": name, "type": kind} for name, kind in (("title", "text"), ("score", "number"), ("tags", "json"), ("done", "bool"))]
    rules = dict.fromkeys(("listRule", "viewRule", "createRule", "updateRule", "deleteRule"), "")
    collection = {"name": "Post", "type": "base", "fields": fields, "indexes": ["CREATE INDEX by_score ON Post (score)"], **rules}
    call("POST", f"{peer.origin}/api/collections", collection, {"Authorization": token})


def rate(peer: Peer, work: str, seconds: int, scratch: Path) -> float | None:
    """Answers per second; None where the work means nothing to this server."""
    headers = dict(peer.headers)
    method, path, body, with_ids = "GET", f"{peer.post}/", "", True
    if peer.name == "raw":
        if work != "get":
            return None
        path, with_ids = "/", False
    elif work == "get with a session":
        if not peer.session:
            return None
        headers["X-Parse-Session-Token"] = peer.session
    elif work == "list":
        path, with_ids = peer.post + peer.list_query, False
    elif work == "create":
        method, path, body, with_ids = "POST", peer.post, NEW, False
    elif work == "update":
        method, path, body, with_ids = peer.update_method, f"{peer.post}/{peer.ids[0]}", '{"title":"changed %N"}', False
    return _wrk(peer, seconds, headers, [method, path, body, *([str(_ids(peer, scratch))] if with_ids else [])])


def _ids(peer: Peer, scratch: Path) -> Path:
    path = scratch / f"{peer.name}.ids"
    path.write_text("\n".join(peer.ids[:500]) + "\n")
    return path


def _wrk(peer: Peer, seconds: int, headers: dict[str, str], arguments: list[str]) -> float:
    """32 connections from one thread. An answer that is not 2xx spoils the run, so it is an error."""
    named = [f"-H{name}: {value}" for name, value in {**headers, "Content-Type": "application/json"}.items()]
    script = str(Path(__file__).with_name("load.lua"))
    command = [tool("wrk"), "-t1", "-c32", f"-d{seconds}s", *named, "-s", script, peer.origin, "--", *arguments]
    out = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", out)
    if not found or "Non-2xx" in out or "Socket errors" in out:
        raise RuntimeError(f"{peer.name} {' '.join(arguments[:2])}:\n{out}")
    return float(found[1])


def memory_mib(peer: Peer) -> float:
    """Proportional share of memory of the server itself, without its database."""
    rollup = Path(f"/proc/{peer.processes[0].pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def show(peers: list[Peer], rates: dict[tuple[str, str], list[float]]) -> None:
    """A table of medians, and how many times more than each peer this server does."""
    print(f"{'per second':20}" + "".join(f"{peer.name:>12}" for peer in peers) + "   ours is")
    for work in WORKS:
        medians = {peer.name: statistics.median(found) for peer in peers if (found := rates.get((peer.name, work)))}
        if medians:
            times = [f"{medians['ours'] / other:.1f} × {name}" for name, other in medians.items() if "ours" in medians and name != "ours"]
            print(f"{work:20}" + "".join(f"{medians.get(peer.name, float('nan')):12,.0f}" for peer in peers) + "   " + ", ".join(times))
    print(f"{'start, s':20}" + "".join(f"{peer.started_s:12.2f}" for peer in peers))
    print(f"{'memory, MiB':20}" + "".join(f"{memory_mib(peer):12.0f}" for peer in peers))


def main() -> None:
    """Start, fill, measure, show, stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(START), help="servers, separated by commas: %(default)s")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    wanted = parser.parse_args()
    if unknown := set(wanted.only.split(",")) - set(START):
        parser.error(f"{', '.join(sorted(unknown))}: there are {', '.join(START)}")
    peers: list[Peer] = []
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        try:
            for name in wanted.only.split(","):
                peers.append(START[name](Path(folder)))
                fill(peers[-1])
            rates: dict[tuple[str, str], list[float]] = {}
            for work in WORKS:
                for _ in range(wanted.rounds):
                    for peer in peers:
                        if (found := rate(peer, work, wanted.seconds, Path(folder))) is not None:
                            rates.setdefault((peer.name, work), []).append(found)
            show(peers, rates)
        finally:
            for peer in reversed(peers):
                peer.stop()


if __name__ == "__main__":
    main()
