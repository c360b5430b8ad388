"""Fill a running server with the world's airports: some 28,000, from the PyPI package airportsdata.

    make serve                                    # in one terminal
    .venv/bin/python examples/airport/seed.py     # in another

Keys are those that `make serve` keeps in ./data, or MBAAS_APP_ID and MBAAS_MASTER_KEY. Run again, it adds only what is missing,
by ICAO code.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import airportsdata
from asking import Server, arguments, server_of
from rich.progress import track

BATCH = 500
SCHEMA = {
    "className": "Airport",
    "fields": {
        "icao": {"type": "String", "required": True},
        "iata": {"type": "String"},
        "name": {"type": "String"},
        "city": {"type": "String"},
        "country": {"type": "String"},
        "timeZone": {"type": "String"},
        "elevation": {"type": "Number"},
        "location": {"type": "GeoPoint"},
    },
    "classLevelPermissions": {
        "find": {"*": True},
        "get": {"*": True},
        "count": {"*": True},
        "create": {},
        "update": {},
        "delete": {},
        "addField": {},
    },
    "indexes": {"by_icao": {"icao": 1}, "by_iata": {"iata": 1}, "by_name": {"name": "text"}},
}


def airports() -> Iterator[dict[str, Any]]:
    """Each airport as an object of the class."""
    for icao, airport in airportsdata.load("ICAO").items():
        yield {
            "icao": icao,
            "iata": airport["iata"],
            "name": airport["name"],
            "city": airport["city"],
            "country": airport["country"],
            "timeZone": airport["tz"],
            "elevation": airport["elevation"],
            "location": {"__type": "GeoPoint", "latitude": airport["lat"], "longitude": airport["lon"]},
        }


def seed(server: Server) -> int:
    """Make the class if it is not there, and add the airports that it lacks; how many."""
    classes = {schema["className"] for schema in server.call("GET", "/schemas")["results"]}
    if "Airport" not in classes:
        server.call("POST", "/schemas/Airport", SCHEMA)
    known = set(server.call("GET", "/aggregate/Airport?distinct=icao")["results"])
    missing = [airport for airport in airports() if airport["icao"] not in known]
    mount = "/" + server.url.split("/", 3)[3] if server.url.count("/") > 2 else ""
    for start in track(range(0, len(missing), BATCH), "airports", disable=not missing):
        requests = [{"method": "POST", "path": f"{mount}/classes/Airport", "body": body} for body in missing[start : start + BATCH]]
        failed = [part["error"] for part in server.call("POST", "/batch", {"requests": requests}) if "error" in part]
        if failed:
            raise SystemExit(f"an airport was refused: {failed[0]}")
    return len(missing)


def main() -> None:
    """Read where the server is, and fill it."""
    parser = argparse.ArgumentParser(description="Fill a running server with the world's airports.")
    server = server_of(arguments(parser, "http://localhost:1337/parse"))
    added = seed(server)
    total = server.call("GET", "/classes/Airport?count=1&limit=0")["count"]
    print(f"{added} airports added, {total} there")


if __name__ == "__main__":
    main()
