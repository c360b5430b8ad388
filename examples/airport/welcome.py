"""The airport example's marketing: a push to who lands, with a taxi's offer, and a campaign at nine in the morning wherever somebody is.

    python examples/airport/welcome.py BER        # for the airport of that code, with the server of ./data; it needs something to send with

The play is set off by a device that comes near the airport, whose coordinates are those of the class `Airport`. It asks the taxi service
(`taxi.py`) for a ride to the city, and waits for 300 ms; if that does not answer, it tells where taxis are. It is of use for 20 minutes.
"""

from __future__ import annotations

import argparse
from datetime import date, datetime, timedelta
from typing import Any

from asking import arguments, server_of

METRES = 5000


def play(airport: Any, city: Any, budget: int) -> Any:
    """What is sent to who lands at an airport, and when."""
    place = {"latitude": airport["location"]["latitude"], "longitude": airport["location"]["longitude"]}
    welcome = f"Welcome to {airport['city']}"
    return {
        "name": f"Landing at {airport['iata']}",
        "category": "travel",
        "trigger": {"geofence": {"on": "enter", "center": place, "radius": METRES}},
        "cancelOn": [{"geofence": "exit"}, {"moment": "boarded"}],
        "functions": [{"name": "taxi.offer", "params": {"from": "{{moment.location}}", "to": city}, "budgetMs": budget}],
        "content": {"title": welcome, "body": "A taxi to the centre: {{offer.km}} km for {{offer.price}} €", "link": "app://taxi"},
        "fallback": {"title": welcome, "body": "Taxis wait at the exit"},
        "validFor": "20m",
        "value": {"amount": 5, "curve": "linear"},
        "cooldown": "6h",
    }


def campaign(day: date) -> Any:
    """What everybody is sent at nine by her own clock."""
    return {
        "name": f"Good morning, {day}",
        "category": "travel",
        "content": {"title": "Good morning", "body": "Where do you fly today?"},
        "schedule": {"at": f"{day}T09:00:00", "local": True, "past": "skip"},
    }


def main() -> None:
    """Make the play and the campaign, and start them."""
    tomorrow = (datetime.now().astimezone() + timedelta(days=1)).date()
    parser = argparse.ArgumentParser(description="A push to who lands at an airport, and one in the morning.")
    parser.add_argument("iata", help="the airport's code")
    parser.add_argument("--city", default="52.52,13.405", help="where a taxi would go: latitude,longitude (%(default)s)")
    parser.add_argument("--budget", type=int, default=300, help="for how many ms the taxi service is waited for (%(default)s)")
    parser.add_argument("--day", type=date.fromisoformat, default=tomorrow, help="of the campaign: %(default)s")
    given = arguments(parser)
    server = server_of(given)
    found = server.call("GET", f"/parse/classes/Airport?where={{%22iata%22:%22{given.iata}%22}}&limit=1")["results"]
    if not found:
        raise SystemExit(f"there is no airport {given.iata}; run seed.py")
    latitude, longitude = map(float, given.city.split(","))
    made = server.call("POST", "/api/v1/plays", play(found[0], {"latitude": latitude, "longitude": longitude}, given.budget))
    server.call("POST", f"/api/v1/plays/{made['id']}/start", {})
    morning = server.call("POST", "/api/v1/campaigns", campaign(given.day))
    for order in ("approve", "schedule"):
        server.call("POST", f"/api/v1/campaigns/{morning['id']}/{order}", {})
    print(f"play {made['id']}, campaign {morning['id']}")


if __name__ == "__main__":
    main()
