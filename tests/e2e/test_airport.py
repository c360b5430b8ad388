"""The airport example, as its README says to run it: real data in, the stock SDK out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer, free_port
from tests.mock_provider import mock_provider, received
from tests.wire.people import Person

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "airport"


def test_the_nearest_airports_are_found_among_all_of_them(tmp_path: Path) -> None:
    """28,000 airports are seeded by one command, a second run adds none, and the SDK finds Berlin's first."""
    with TestServer(tmp_path / "server", "dev") as server:
        environment = {**os.environ, "MBAAS_APP_ID": APP_ID, "MBAAS_MASTER_KEY": MASTER_KEY, "MBAAS_URL": f"{server.url}/parse"}
        seed = [sys.executable, str(EXAMPLE / "seed.py"), "--url", f"{server.url}/parse"]
        first = subprocess.run(seed, env=environment, capture_output=True, text=True, check=True)
        second = subprocess.run(seed, env=environment, capture_output=True, text=True, check=True)
        shutil.copy(EXAMPLE / "nearest.mjs", tmp_path)
        (tmp_path / "node_modules").symlink_to(ROOT / "tests" / "compat" / "node_modules")
        found = subprocess.run(
            ["node", "nearest.mjs", "52.52", "13.405"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
    total = int(first.stdout.split()[-2])
    assert total > 28_000
    assert second.stdout.strip() == f"0 airports added, {total} there"
    lines = found.stdout.splitlines()
    assert len(lines) == 5
    distances = [int(line.split()[1]) for line in lines]
    assert distances == sorted(distances)
    assert any(line.startswith("BER") for line in lines[:2])


def test_a_ride_is_offered_by_a_partner_and_told_to_it(tmp_path: Path) -> None:
    """The example's function asks the taxi service, which runs in a process of its own, and hears of rides that users book."""
    port = free_port()
    with TestServer(tmp_path / "server", "dev", settings={"functions": EXAMPLE / "functions"}) as server:
        berlin = {"iata": "BER", "icao": "EDDB", "location": {"__type": "GeoPoint", "latitude": 52.36, "longitude": 13.5}}
        Person.master(server).save("Airport", berlin)
        environment = {**os.environ, "MBAAS_APP_ID": APP_ID, "MBAAS_MASTER_KEY": MASTER_KEY, "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, str(EXAMPLE / "taxi.py"), "--url", server.url, "--data-dir", str(tmp_path), "--port", str(port)]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as taxi:
            assert taxi.stdout is not None
            assert taxi.stdout.readline() == f"taxi serves on port {port}\n"
            status, told = Person(server).call("POST", "/functions/ride", {"latitude": 52.52, "longitude": 13.405})
            assert (status, told["result"]["airport"], told["result"]["km"]) == (200, "BER", 18.9)
            ride = Person.signed_up(server).save("Ride", {"to": "BER"})
            assert taxi.stdout.readline() == f"told of Ride.created {ride['objectId']}\n"
            assert Person(server).find("Ride") == []
            taxi.terminate()


MASTER = {"X-Parse-Application-Id": APP_ID, "X-Parse-Master-Key": MASTER_KEY}
NEAR = {"latitude": 52.3625, "longitude": 13.5007}


def test_who_lands_is_sent_a_taxis_offer_once_and_a_partner_tells_of_whom_it_knows(tmp_path: Path) -> None:
    """By a device that comes near the airport; then a partner tells of its guest by its own id of her, and a function takes a play back."""
    port = free_port()
    with (
        mock_provider(tmp_path / "mock") as mock,
        TestServer(tmp_path / "server", "dev", settings={**mock, "functions": EXAMPLE / "functions"}) as server,
    ):
        berlin = {"iata": "BER", "city": "Berlin", "location": {"__type": "GeoPoint", "latitude": 52.362247, "longitude": 13.500672}}
        Person.master(server).save("Airport", berlin)
        ann = Person.signed_up(server)
        phone: dict[str, object] = {
            "installationId": "phone-1",
            "deviceType": "android",
            "deviceToken": "token-1",
            "timeZone": "Asia/Tokyo",
        }
        phone["user"] = {"__type": "Pointer", "className": "_User", "objectId": ann.id}
        assert ann.call("POST", "/installations", phone)[0] == 201
        environment = {**os.environ, "MBAAS_APP_ID": APP_ID, "MBAAS_MASTER_KEY": MASTER_KEY, "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, str(EXAMPLE / "taxi.py"), "--url", server.url, "--data-dir", str(tmp_path), "--port", str(port)]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as taxi:
            try:
                assert taxi.stdout is not None
                assert taxi.stdout.readline() == f"taxi serves on port {port}\n"
                # At nine tomorrow is now already, where the day begins first.
                day = f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}"
                welcome = [sys.executable, str(EXAMPLE / "welcome.py"), "BER", "--url", server.url, "--budget", "5000", "--day", day]
                made = subprocess.run(welcome, env=environment, capture_output=True, text=True, check=True).stdout.replace(",", "").split()
                play, campaign = made[1], made[3]
                app = {"X-Parse-Application-Id": APP_ID}
                [fence] = server.call("GET", "/api/v1/geofences", headers=app)[1]["results"]
                assert (fence["id"], fence["on"]) == (play, ["enter", "exit"])
                landing = {"eventId": "landing-1", "transition": "enter", "location": NEAR}
                device = {**app, "X-Parse-Installation-Id": "phone-1"}
                answers = [server.call("POST", "/api/v1/geofences", landing, device) for _ in range(3)]
                assert len({(status, told["id"]) for status, told in answers}) == 1
                assert answers[0][0] == 202
                assert came_of(server, answers[0][1]["id"]) == [{"play": play, "sent": 1}]
                assert server.call("POST", "/api/v1/geofences", landing, app)[0] == 403
                assert server.call("POST", "/api/v1/moments/landed/fire", landing, device)[0] == 403
                [receipt] = received(mock)
                said = json.loads(receipt["message"]["data"]["data"])
                assert (receipt["token"], said["title"]) == ("token-1", "Welcome to Berlin")
                assert said["alert"] == "A taxi to the centre: 18.7 km for 37.62 €"
                report = server.call("GET", f"/api/v1/plays/{play}/report", headers=MASTER)[1]
                assert report["functions"]["taxi.offer"]["answered"] == report["by"]["partner"]["taxi.offer"]["sent"] == 1
                assert server.call("GET", f"/api/v1/campaigns/{campaign}", headers=MASTER)[1]["next"].endswith("T09:00:00.000")
                told_by_partner(server, ann)
                assert ann.call("POST", "/functions/boarded", {"flight": "LH123"})[0] == 200
            finally:
                taxi.terminate()


def came_of(server: TestServer, moment: str) -> list[object]:
    """What came of something that happened, once it is decided and sent."""
    while (told := server.call("GET", f"/api/v1/moments/{moment}", headers=MASTER)[1])["state"] != "done":
        assert told["state"] == "accepted"
    return list(told["plays"])


def told_by_partner(server: TestServer, ann: Person) -> None:
    """A play that the taxi service sets off, for whom it is linked with; of others it is told the same."""
    play = {"name": "Here", "trigger": {"moment": "taxi.arrived"}, "content": {"body": "Your taxi is here"}, "validFor": "5m"}
    made = server.call("POST", "/api/v1/plays", play, MASTER)[1]["id"]
    assert server.call("POST", f"/api/v1/plays/{made}/start", {}, MASTER)[0] == 200
    assert server.call("PUT", "/api/v1/partners/taxi/subjects/M-1", {"userId": ann.id}, MASTER)[0] == 200
    scopes = {"environment": "live", "scopes": {"rights": ["moments"], "classes": ["*"]}}
    status, key = server.call("POST", "/api/v1/partners/taxi/keys", scopes, MASTER)
    assert status == 201, key
    partner = {"Authorization": f"Bearer {key['key']}"}
    arrived = "/api/v1/partner/moments/arrived/fire"
    known, unknown = (server.call("POST", arrived, {"eventId": "ride-1", "externalId": who}, partner) for who in ("M-1", "M-2"))
    assert (known[0], sorted(known[1])) == (unknown[0], sorted(unknown[1])) == (202, ["id"])
    assert came_of(server, known[1]["id"]) == [{"play": made, "sent": 1}]
    assert server.call("POST", arrived, {"eventId": "ride-1"}, partner)[0] == 400
