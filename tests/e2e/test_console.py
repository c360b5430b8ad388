"""A marketer's day in a real browser: an audience, an A/B campaign in two languages for 09:00 local, a pause, and a report that is true."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from playwright.sync_api import Page, expect

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer
from mbaas_push.mock import credentials
from mbaas_push.mock.script import Script
from mbaas_push.mock.server import listening
from tests.waiting import PATIENT_SECONDS, PAUSE_SECONDS

KEYS = {"X-Parse-Application-Id": APP_ID, "X-Parse-Master-Key": MASTER_KEY}
EVIL = "<img src=x onerror=window.pwned=1>"
PASSWORD = "three green bicycles"
MESSAGE_OF = {"Good morning you": "A", "Guten Morgen": "A", "Second try": "B", "Zweiter Versuch": "B"}
LANGUAGE_OF = {"Good morning you": "default", "Guten Morgen": "de", "Second try": "default", "Zweiter Versuch": "de"}


@contextmanager
def mocked(folder: Path, script: Script) -> Iterator[dict[str, str]]:
    """A provider on a thread of its own; the settings that lead to it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    provider = listening(script, folder / "cert.pem", folder / "cert.key")
    credentials.make(folder)
    port = asyncio.run_coroutine_threadsafe(provider.__aenter__(), loop).result(20)
    yield {name.removeprefix("MBAAS_").lower(): value for name, value in credentials.settings(folder, port).items()}
    asyncio.run_coroutine_threadsafe(provider.__aexit__(None, None, None), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def script() -> Script:
    return Script(tokens={})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, script: Script) -> Iterator[TestServer]:
    folder = tmp_path_factory.mktemp("console")
    with (
        mocked(folder / "mock", script) as settings,
        TestServer(folder / "server", settings={**settings, "preset": "development"}) as running,
    ):
        seed(running)
        yield running


def seed(server: TestServer) -> None:
    """40 phones: 36 where it is 09:00 first, of which four have opted out and one lost the app; 2 where it is last; 2 of others."""
    bodies = []
    for number in range(40):
        zone = "Pacific/Kiritimati" if number < 36 else "Pacific/Pago_Pago"
        body = {"installationId": f"i{number:03}", "deviceType": "android", "deviceToken": f"t{number}", "timeZone": zone, "plan": "free"}
        body["localeIdentifier"] = "de-DE" if number % 2 else "en-GB"
        bodies.append(body | ({"optOuts": ["promo"]} if number < 4 else {}) | ({"plan": "plus"} if number >= 38 else {}))
    requests = [{"method": "POST", "path": "/parse/installations", "body": body} for body in bodies]
    status, made = server.call("POST", "/parse/batch", {"requests": requests}, KEYS)
    assert (status, all("success" in each for each in made)) == (200, True)
    server.call("POST", "/parse/push_audiences", {"name": EVIL, "query": "{}"}, KEYS)


def day() -> str:
    """A day whose 09:00 has passed in the first zone of the world, and for which it is not yet too late in the last one."""
    now = datetime.now(UTC)
    return f"{now if now.hour < 20 else now + timedelta(days=1):%Y-%m-%d}"


def shown(page: Page, tmp_path: Path, name: str) -> None:
    """Keep what is seen; nothing that somebody typed has run."""
    page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
    assert page.evaluate("window.pwned") is None


def sent(script: Script) -> Counter[str]:
    return Counter(receipt.token for receipt in script.receipts if receipt.status == 200)


def count(page: Page, name: str) -> int:
    return int(page.locator(f"[data-count={name}]").inner_text().replace(",", ""))


def until(holds: Callable[[], bool]) -> None:
    """The page polls by itself; the browser has its turn while this waits."""
    deadline = time.monotonic() + PATIENT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(PAUSE_SECONDS)


@pytest.fixture(autouse=True)
def patience(page: Page) -> Iterator[None]:
    """As much as every test has."""
    page.set_default_timeout(PATIENT_SECONDS * 1000)
    expect.set_options(timeout=PATIENT_SECONDS * 1000)
    yield
    expect.set_options(timeout=5000)


def test_a_marketer_makes_sends_and_reads_a_campaign(server: TestServer, script: Script, page: Page, tmp_path: Path) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    script.change({"tokens": {"t5": [{"status": 404, "reason": "UNREGISTERED"}]}})
    enter(server, page, tmp_path)
    choose(page, tmp_path)
    write(page, tmp_path)
    plan(page, tmp_path)
    launch(page, tmp_path)

    # It is under way: a pause holds what has not left, and only that.
    until(lambda: len(sent(script)) > 2)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    until(lambda: count(page, "sent") == len(sent(script)))
    held = sent(script)
    assert count(page, "pending") == 38 - 4 - count(page, "failed") - len(held) > 0
    for _ in range(2):
        page.wait_for_event("response", lambda answer: answer.url.endswith("/live"))
    assert sent(script) == held
    shown(page, tmp_path, "paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    until(lambda: count(page, "sent") == 31)
    expect(page.locator("[data-live=rate]")).to_contain_text("2 devices wait for their time")
    expect(page.locator("[data-live=reasons]")).to_contain_text("UNREGISTERED")
    shown(page, tmp_path, "live")
    report(page, script, tmp_path)
    play(page, tmp_path)
    assert said == []


def enter(server: TestServer, page: Page, tmp_path: Path) -> None:
    _, invited = server.call("POST", "/api/v1/console/invitations", {"role": "marketer"}, KEYS)
    page.goto(invited["url"].replace("localhost", "127.0.0.1"))
    page.get_by_label("E-mail address").fill("mara@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("The same again").fill(PASSWORD)
    page.get_by_role("button", name="Open the console").click()
    expect(page.get_by_text("No campaigns yet")).to_be_visible()
    page.locator("header [data-bs-toggle=dropdown]").click()
    page.locator("header").get_by_role("button", name="Sign out").click()
    shown(page, tmp_path, "sign-in")
    page.get_by_label("E-mail address").fill("mara@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="Audiences")).to_be_visible()
    expect(page.get_by_role("link", name="People")).to_have_count(0)


def choose(page: Page, tmp_path: Path) -> None:
    """An audience, saved under a name, with which the campaign then begins."""
    page.get_by_role("link", name="Audiences").click()
    expect(page.get_by_text(EVIL)).to_be_visible()
    shown(page, tmp_path, "audiences")
    page.get_by_role("link", name="New audience").click()
    page.get_by_label("Name", exact=True).fill("On the free plan")
    page.get_by_role("button", name="About the device").click()
    page.get_by_label("Device: what").select_option("plan")
    page.get_by_label("Value", exact=True).fill("free")
    expect(page.locator("#count")).to_contain_text("38")
    page.get_by_label("Or something else").click()
    other = page.get_by_role("group", name="Condition 1, alternative 2", exact=True)
    other.get_by_label("Device: what").select_option("plan")
    other.get_by_label("Value", exact=True).fill("plus")
    expect(page.locator("#count")).to_contain_text("40")
    other.get_by_label("Value", exact=True).fill("none")
    expect(page.locator("#count")).to_contain_text("38")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("is saved.")).to_be_visible()
    shown(page, tmp_path, "audience")
    page.goto(page.url.partition("/audiences")[0] + "/compose")
    page.get_by_label("Name of the campaign").fill(f"Morning {EVIL}")
    page.get_by_label("Category", exact=True).fill("promo")
    page.get_by_label("begin with").select_option(label="On the free plan")
    expect(page.locator("#audience-size")).to_have_text("38")
    expect(page.locator("#would-get")).to_have_text("34")
    expect(page.locator("#count")).to_contain_text("opted out")
    shown(page, tmp_path, "composer-audience")


def write(page: Page, tmp_path: Path) -> None:
    """Two messages, each in two languages."""
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Title", exact=True).fill("{{user.city")
    expect(page.locator("#previews")).to_contain_text("cannot be read")
    page.get_by_label("Title", exact=True).fill("Good morning {{user.city | you}}")
    page.get_by_label("Text", exact=True).fill(f"Coffee is ready {EVIL}")
    page.get_by_label("Another language").fill("de")
    page.get_by_role("button", name="Add language").click()
    page.get_by_label("Title", exact=True).fill("Guten Morgen")
    expect(page.locator(".shot.ios")).to_contain_text("Guten Morgen")
    for kind in ("ios", "android", "web"):
        expect(page.locator(f".shot.{kind}")).to_contain_text(EVIL)
    page.get_by_role("button", name="+ A/B test").click()
    page.get_by_role("button", name="German (de)").click()
    page.get_by_label("Title", exact=True).fill("Zweiter Versuch")
    page.get_by_role("button", name="any language").click()
    page.get_by_label("Title", exact=True).fill("Second try")
    expect(page.locator(".shot.android")).to_contain_text("Second try")
    expect(page.locator("#gauge")).to_contain_text("of 4,096 bytes")
    shown(page, tmp_path, "composer-message")


def plan(page: Page, tmp_path: Path) -> None:
    page.get_by_role("button", name="Next").click()
    page.get_by_label("At each person’s own time").check()
    page.get_by_label("Day", exact=True).fill(day())
    page.get_by_label("Time", exact=True).fill("09:00")
    page.get_by_label("Where that time has already passed").select_option("send")
    page.get_by_label("At most a second").fill("3")
    expect(page.locator("#timeline tbody tr")).to_have_count(2)
    expect(page.locator("#timeline")).to_contain_text("Kiritimati")
    expect(page.locator("#timeline")).to_contain_text("Pago Pago")
    shown(page, tmp_path, "composer-schedule")


def launch(page: Page, tmp_path: Path) -> None:
    page.get_by_role("button", name="Next").click()
    expect(page.locator("#sentences")).to_contain_text("34 people get it")
    expect(page.locator("#sentences")).to_contain_text("4 devices are held back: 4 opted out of this category.")
    expect(page.locator("#sentences")).to_contain_text("A 50%, B 50%")
    shown(page, tmp_path, "composer-review")
    page.get_by_role("button", name="Launch for 34 devices").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()


def report(page: Page, script: Script, tmp_path: Path) -> None:
    """What the report says is what the provider was sent: in all, by message, and by language."""
    page.get_by_role("link", name="Report").click()
    receipts = sent(script)
    assert (len(receipts), set(receipts.values())) == (31, {1})
    figures = {str(row.get_attribute("data-step")): row.locator("[data-count]").inner_text() for row in page.locator("[data-step]").all()}
    expected = {"audience": 38, "suppressed": 4, "pending": 2, "failed": 1, "sent": len(receipts)}
    assert {name: int(figures[name]) for name in expected} == expected
    titles = [orjson.loads(each.message["data"]["data"])["title"] for each in script.receipts if each.status == 200]
    for name, of in (("variant", MESSAGE_OF), ("locale", LANGUAGE_OF)):
        rows = page.locator(f"#by-{name} tbody tr").all()
        told = {str(row.get_attribute("data-key")): int(row.locator("td").nth(4).text_content() or "") for row in rows}
        assert told == Counter(of[title] for title in titles)
    shown(page, tmp_path, "report")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download CSV").click()
    assert f"total,,38,4,2,{len(receipts)},1," in Path(download.value.path()).read_text()


def play(page: Page, tmp_path: Path) -> None:
    """A play is written on one page, which says what is missing and what it will do; started, and ended once she has said so twice."""
    page.get_by_role("link", name="Plays").click()
    page.get_by_role("link", name="New play").first.click()
    expect(page.locator("#sentences")).to_contain_text("Still to do")
    page.get_by_label("Name of the play").fill("Taxi")
    page.get_by_label("Moment", exact=True).fill("landed")
    page.get_by_label("Title").fill(f"{EVIL} {{{{offer.price}}}}")
    page.get_by_label("Ask a function").check()
    page.get_by_label("Function", exact=True).fill("taxi.offer")
    page.get_by_label("And then").select_option("halfLife")
    page.get_by_label("After", exact=True).fill("5")
    expect(page.locator("#sentences")).to_contain_text("Without an offer: Write a title or a text.")
    page.get_by_role("button", name="Save draft").click()
    expect(page.locator("#text-problem")).to_have_text("Write a title or a text.")
    expect(page.locator("#variants .active")).to_have_text("Without an offer")
    page.locator("#body").fill("Taxis are at exit B")
    rule = "When “landed” happens to somebody, she is sent it: for 10 minutes, "
    rule += "worth 1 at first, half of it after every 5 minutes, and nothing after."
    expect(page.locator("#sentences")).to_contain_text(rule)
    shown(page, tmp_path, "play-form")
    page.get_by_role("button", name="Save draft").click()
    expect(page.locator("#rule")).to_have_text(rule)
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text("Live: it is sent whenever it is set off.")).to_be_visible()
    page.get_by_role("button", name="Retire for good").click()
    page.get_by_role("dialog").get_by_role("button", name="Retire for good").click()
    expect(page.get_by_text("Retired: it sends nothing any more.")).to_be_visible()
    shown(page, tmp_path, "play")
    page.get_by_role("link", name="Plays").first.click()
    expect(page.locator("[data-figure=fired]")).to_have_text("0")
    shown(page, tmp_path, "plays")
