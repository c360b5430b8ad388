"""Rows 14, 25, 32, 33, 36, 48, 49, 59, 71, 72 and A8, where they are about mails, their links, and the pages that these lead to."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import httpx
import pytest
from bson import ObjectId

from mbaas.testing.process import TestServer, free_port
from tests.auth.post import Post, link_in, post
from tests.secantus import GIVEN, database, running
from tests.security.attack import ANON, MASTER, PASSWORD, WAYS, Target, Way

APPS = "/apps/test-app"
RESET = f"{APPS}/request_password_reset"
MAINTENANCE = {**ANON, "X-Parse-Maintenance-Key": "maintenance-key"}


class Mailed:
    """A server with a mail server, and the mails of each person."""

    def __init__(self, target: Target, office: Post, public: str) -> None:
        self.target, self.office, self.public = target, office, public

    def link(self, address: str, count: int = 1) -> str:
        """The path of the link in the mail of that number to an address."""
        deadline = time.monotonic() + 20
        while len(found := [mail for mail in self.office.mails if mail["To"] == address]) < count:
            assert time.monotonic() < deadline, f"{len(found)} mails to {address}"
            time.sleep(0.01)
        link = link_in(found[count - 1])
        assert link.startswith(f"{self.public}/parse/apps/")
        return link.removeprefix(f"{self.public}/parse")

    def person(self) -> tuple[str, str]:
        """Somebody new: her name and address."""
        name = self.target.name("mailed")
        made = self.target.ask("POST", "/users", {"username": name, "password": PASSWORD, "email": f"{name}@example.org"})
        assert made.status == 201, made.text
        return name, f"{name}@example.org"

    def reset_token(self) -> tuple[str, str]:
        """Somebody who has asked for a new password: her name, and the token that she was sent."""
        name, address = self.person()
        assert self.target.ask("POST", "/requestPasswordReset", {"email": address}).body == {}
        return name, self.link(address, 2).partition("token=")[2]

    def signs_in(self, name: str, password: str) -> bool:
        return self.target.ask("POST", "/login", {"username": name, "password": password}).status == 200


def _mailed(folder: Any, **settings: object) -> Iterator[Mailed]:
    public = "https://api.example.com"
    with post() as office:
        given = {"smtp_url": office.url, "public_url": public, "verify_user_emails": "true", "maintenance_key": "maintenance-key"}
        with TestServer(folder, settings={**given, "preset": "parse", **settings}) as server:
            target = Target(server)
            with target.http:
                yield Mailed(target, office, public)


@pytest.fixture(scope="module", params=["sqlite", "mongo"])
def mailed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailed]:
    """On both stores."""
    folder = tmp_path_factory.mktemp("mailed")
    if request.param == "sqlite":
        yield from _mailed(folder)
        return
    with running(tmp_path_factory.mktemp("mongo")) as url:
        yield from _mailed(folder, database_url=database(GIVEN or url, f"mails_{ObjectId()}"))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("field", ["_email_verify_token", "_perishable_token", "_failed_login_count", "_account_lockout_expires_at"])
def test_row_14_nobody_searches_by_the_tokens_of_mails(mailed: Mailed, field: str, way: Way) -> None:
    mailed.reset_token()
    for where in ({field: {"$regex": "^a"}}, {field: {"$exists": True}}, {"$or": [{field: {"$ne": None}}]}, {f"{field}.x": 1}):
        for sent in (ANON, MASTER):
            assert mailed.target.ask("GET", "/users", {"where": where}, sent, way).code == 105
    assert mailed.target.ask("GET", "/users", {"order": field}, ANON, way).code in (105, 119)


def test_row_14_tokens_are_shown_to_the_maintenance_key_alone(mailed: Mailed) -> None:
    name, token = mailed.reset_token()
    for sent, shown in ((ANON, False), (MASTER, False), (MAINTENANCE, True)):
        answer = mailed.target.ask("GET", "/users", {"where": {"username": name}}, sent)
        assert (token in answer.text) is shown
        assert "_hashed_password" not in answer.text


OPERATORS: list[Any] = [{"$regex": "."}, {"$ne": None}, {"$exists": True}, ["x"], {"__op": "Delete"}, 5, True]


@pytest.mark.parametrize("value", OPERATORS, ids=str)
def test_row_25_a_token_is_a_text_and_nothing_else(mailed: Mailed, value: Any) -> None:
    name, token = mailed.reset_token()
    ask = mailed.target.raw
    for answer in (
        ask("POST", RESET, json={"token": value, "new_password": "stolen"}),
        ask("POST", RESET, json={"token": value, "new_password": "stolen"}, headers={"X-Requested-With": "XMLHttpRequest"}),
        ask("POST", RESET, json={"token": token, "new_password": {"$ne": 1}}),
        ask("POST", f"{APPS}/resend_verification_email", json={"token": value, "username": value}),
        ask("GET", f"{RESET}?token[$regex]=."),
        ask("GET", f"{APPS}/verify_email?token[$ne]=x&token[$exists]=true"),
        ask("GET", f"{RESET}?token={token}&token={token}"),
    ):
        assert answer.status_code < 500
        assert "<form" not in answer.text
    for body in ({"email": value}, {"token": value}):
        assert mailed.target.ask("POST", "/requestPasswordReset", body).code in (125, 162)
    if value is not True and value != 5:
        assert mailed.target.ask("POST", "/verificationEmailRequest", {"email": value}).code == 125
    assert mailed.signs_in(name, PASSWORD)


def test_row_32_of_those_who_come_with_one_reset_token_one_chooses(mailed: Mailed) -> None:
    name, token = mailed.reset_token()
    passwords = [f"password {n}" for n in range(20)]

    def choose(password: str) -> bool:
        answer = httpx.post(mailed.target.base + RESET, data={"token": token, "new_password": password}, timeout=30)
        return "Success!" in answer.text

    with ThreadPoolExecutor(20) as pool:
        chosen = [password for password, done in zip(passwords, pool.map(choose, passwords), strict=True) if done]
    assert len(chosen) == 1
    assert [password for password in (PASSWORD, *passwords) if mailed.signs_in(name, password)] == chosen
    assert "<form" not in mailed.target.raw("GET", f"{RESET}?token={token}").text


def test_row_32_of_those_who_come_with_one_verification_token_one_proves(mailed: Mailed) -> None:
    _, address = mailed.person()
    link = mailed.link(address)

    def opened(_: int) -> bool:
        return "Email verified!" in httpx.get(mailed.target.base + link, timeout=30).text

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(opened, range(20))) == 1


def test_row_32_what_ends_a_link(mailed: Mailed) -> None:
    """Another link, a change of the password, a change of the address; and a link for one purpose is none for another."""
    name, address = mailed.person()
    ask = mailed.target.ask
    user = ask("GET", "/users", {"where": {"username": name}}, MASTER).results[0]["objectId"]
    verification = mailed.link(address).partition("token=")[2]
    assert "<form" not in mailed.target.raw("GET", f"{RESET}?token={verification}").text
    earlier = ""
    for count, change in ((2, None), (3, {"password": PASSWORD}), (4, {"email": f"other-{address}"})):
        ask("POST", "/requestPasswordReset", {"email": address})
        link = mailed.link(address, count)
        assert "Invalid" in mailed.target.raw("GET", link.replace("request_password_reset", "verify_email")).text
        assert "<form" in mailed.target.raw("GET", link).text
        if earlier:
            assert "<form" not in mailed.target.raw("GET", earlier).text
        if change:
            assert ask("PUT", f"/users/{user}", change, MASTER).status == 200
            assert "<form" not in mailed.target.raw("GET", link).text
        earlier = link
    assert "Invalid" in mailed.target.raw("GET", f"{APPS}/verify_email?token={verification}").text


def test_row_33_no_more_passwords_are_looked_at_than_the_app_allows(tmp_path: Any) -> None:
    """However many come at once, and through whichever process; right ones that come at once are no wrong ones."""
    options = {"appId": "test-app", "masterKey": "test-master-key", "accountLockout": {"duration": 1, "threshold": 3}}
    with TestServer.with_parse_options(tmp_path, options, workers=2) as server:
        for name in ("ann", "bob"):
            server.call("POST", "/parse/users", {"username": name, "password": PASSWORD}, ANON)

        def sign_in(password: str, name: str = "ann") -> str:
            status, answer = server.call("POST", "/parse/login", {"username": name, "password": password}, ANON)
            return "in" if status == 200 else str(answer["error"])

        with ThreadPoolExecutor(25) as pool:
            assert set(pool.map(sign_in, [PASSWORD] * 50)) == {"in"}
            said = list(pool.map(sign_in, ["wrong"] * 50))
            assert said.count("Invalid username/password.") <= 3
            assert all(each.startswith(("Invalid", "Your account is locked")) for each in said)
            assert sign_in(PASSWORD).startswith("Your account is locked")
            assert sign_in(PASSWORD, "bob") == "in"


@pytest.mark.parametrize("path", ["/requestPasswordReset", "/verificationEmailRequest"])
def test_row_36_nobody_learns_who_has_an_account_from_an_answer(mailed: Mailed, path: str) -> None:
    _, known = mailed.person()
    _, verified = mailed.person()
    mailed.target.raw("GET", mailed.link(verified))
    answers = [mailed.target.raw("POST", path, json={"email": email}, headers=ANON) for email in (known, verified, "nobody@example.org")]
    shown = [(each.status_code, each.text, {k: v for k, v in each.headers.items() if k != "date"}) for each in answers]
    assert shown[0] == shown[1] == shown[2]


def test_row_36_nobody_learns_it_from_a_page(mailed: Mailed) -> None:
    name, _ = mailed.person()
    ask = mailed.target.raw
    resent = [ask("POST", f"{APPS}/resend_verification_email", data={"username": each}) for each in (name, "nobody")]
    opened = [ask("GET", f"{APPS}/verify_email?token={token}") for token in ("a" * 57, "b" * 57)]
    for first, second in (resent, opened):
        assert first.status_code == second.status_code
        assert first.headers.get("location") == second.headers.get("location")
        assert first.text.replace("a" * 57, "") == second.text.replace("b" * 57, "")


def test_row_36_nobody_learns_it_from_how_long_an_answer_takes(mailed: Mailed) -> None:
    """Medians over many, taken in turn, since machines have moods; each when the mail of the one before has been sent."""
    _, known = mailed.person()
    mailed.link(known)
    times: dict[str, list[float]] = {known: [], "nobody@example.org": []}
    for count in range(20):
        for email, taken in times.items():
            began = time.perf_counter()
            mailed.target.ask("POST", "/requestPasswordReset", {"email": email})
            taken.append(time.perf_counter() - began)
            mailed.link(known, count + 2)
            for _ in range(5):
                mailed.target.raw("GET", "/health")
    here, nowhere = (median(taken) for taken in times.values())
    assert abs(here - nowhere) < max(0.5 * min(here, nowhere), 0.004)


BAD_PATHS = [
    "/apps/..%2f..%2f..%2fetc%2fpasswd",
    "/apps/%2e%2e/%2e%2e/etc/passwd",
    "/apps/..%5c..%5cwindows",
    "/apps/%2fetc%2fpasswd",
    "/apps/de/..%2fpassword_reset.html",
    "/apps/password_reset.html%00",
    "/apps/../users",
    "/apps/.%2e/server.json",
]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_row_48_no_page_leads_out_of_its_folder(mailed: Mailed, tmp_path: Any, path: str) -> None:
    with httpx.Client() as client:
        request = client.build_request("GET", mailed.target.base)
        request.url = request.url.copy_with(raw_path=f"/parse{path}".encode())
        assert client.send(request).status_code in (400, 403, 404)


def test_row_48_an_apps_own_folder_is_all_that_is_read(tmp_path: Any) -> None:
    """Not by dots, not by a link out of it, not by a locale."""
    folder = tmp_path / "pages"
    (folder / "de").mkdir(parents=True)
    (tmp_path / "secret.html").write_text("secret")
    (folder / "link.html").symlink_to(tmp_path / "secret.html")
    (folder / "de" / "password_reset_success.html").write_text("<p>{{appName}} {{{locale}}}</p>")
    options = {"appId": "test-app", "masterKey": "test-master-key", "appName": "<b>App</b>", "publicServerURL": "https://api.example.com"}
    pages = {"pagesPath": str(folder), "enableLocalization": True}
    with TestServer.with_parse_options(tmp_path / "server", {**options, "pages": pages}) as server, httpx.Client() as client:

        def get(path: str) -> str:
            request = client.build_request("GET", server.url)
            request.url = request.url.copy_with(raw_path=f"/parse/apps/{path}".encode())
            return client.send(request).text

        assert get("de/password_reset_success.html?locale=de") == "<p>&lt;b&gt;App&lt;/b&gt; de</p>"
        for path in ("..%2fsecret.html", "link.html", "de%2f..%2f..%2fsecret.html", "../secret.html", "."):
            assert "secret" not in get(path)
        for locale in ("..", "../..", "..%2f..", "de/..", "%00"):
            assert "secret" not in get(f"password_reset_success.html?locale={locale}")


MARKUP = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}"


@pytest.mark.parametrize("row", ["49", "72"])
def test_row_49_and_72_what_an_address_or_a_form_says_is_escaped(mailed: Mailed, row: str) -> None:
    ask = mailed.target.raw
    name, token = mailed.reset_token()
    given = {"token": MARKUP, "username": MARKUP, "locale": MARKUP, "error": MARKUP, "appId": "test-app", "appName": MARKUP}
    pages = [
        ask("GET", "/apps/choose_password", params=given),
        ask("GET", f"{APPS}/verify_email", params=given),
        ask("GET", RESET, params=given),
        ask("GET", "/apps/password_reset.html", params=given),
        ask("POST", RESET, data={**given, "new_password": MARKUP}),
        ask("POST", RESET, data={**given, "token": token, "new_password": "a", "confirm_new_password": MARKUP}),
        ask("POST", f"{APPS}/resend_verification_email", data=given),
    ]
    for answer in pages:
        assert answer.status_code < 500
        assert "<script" not in answer.text
        assert "<img" not in answer.text
        if answer.headers["content-type"].startswith("text/html"):
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "script-src" not in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
    assert mailed.signs_in(name, PASSWORD)


FORGED = {
    "Host": "evil.example",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "gopher",
    "X-Forwarded-Server": "evil.example",
    "Forwarded": "host=evil.example",
    "X-Original-Host": "evil.example",
    "Origin": "https://evil.example",
    "Referer": "https://evil.example/",
}


def test_row_59_no_link_goes_where_a_request_says(mailed: Mailed) -> None:
    """`Mailed.link` compares each with the public address."""
    _, address = mailed.person()
    mailed.link(address)
    for count, path in ((2, "/requestPasswordReset"), (3, "/verificationEmailRequest")):
        mailed.target.raw("POST", path, json={"email": address}, headers={**ANON, **FORGED})
        mailed.link(address, count)
    form = mailed.target.raw("GET", mailed.link(address, 2), headers=FORGED)
    moved = mailed.target.raw("POST", f"{APPS}/resend_verification_email", data={}, headers=FORGED)
    for text in (form.text, *form.headers.values(), *moved.headers.values()):
        assert "evil.example" not in text


def test_row_59_no_page_tells_its_address(mailed: Mailed) -> None:
    """A token in an address reaches no other site, no cache and no script."""
    _, token = mailed.reset_token()
    page = mailed.target.raw("GET", f"{RESET}?token={token}")
    assert (page.headers["referrer-policy"], page.headers["cache-control"]) == ("no-referrer", "no-store")
    assert "http" not in page.text.replace(mailed.public, "")


def test_row_71_a_token_opens_nothing_in_another_app(tmp_path: Any) -> None:
    """Two apps of one server, even with the same master key; and no token is made of another's half."""
    apps = tmp_path / "apps.json"
    port = free_port()
    entries = [
        {
            "appId": name,
            "masterKey": "master",
            "appName": name,
            "verifyUserEmails": True,
            "publicServerURL": f"http://127.0.0.1:{port}/parse",
        }
        for name in ("one", "two")
    ]
    apps.write_text(json.dumps(entries))
    with post() as office:
        settings = {"apps_file": apps, "smtp_url": office.url, "port": port, "preset": "parse"}
        with TestServer(tmp_path, settings=settings, bare=True) as server:
            for count, name in enumerate(("one", "two"), 1):
                keys = {"X-Parse-Application-Id": name}
                body = {"username": name, "password": PASSWORD, "email": f"{name}@example.org"}
                assert server.call("POST", "/parse/users", body, keys)[0] == 201
                office.until(count)
            links = {str(mail["To"]).partition("@")[0]: link_in(mail).removeprefix(server.url) for mail in office.mails}
            tokens = {name: link.partition("token=")[2] for name, link in links.items()}
            crossed = links["two"].replace(tokens["two"], tokens["one"])
            mixed = links["two"].replace(tokens["two"], tokens["two"][:25] + tokens["one"][25:])
            for link in (crossed, mixed, links["two"][:-1], links["two"] + "0"):
                assert "Invalid" in server.get(link)[1]
            assert "Email verified!" in server.get(links["two"])[1]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("field", ["_email_verify_token", "_email_verify_token_expires_at", "_perishable_token", "_failed_login_count"])
def test_row_a8_the_fields_of_mails_are_written_by_nobody(mailed: Mailed, field: str, way: Way) -> None:
    user = mailed.target.user()
    before = mailed.target.ask("GET", f"/users/{user.id}", None, MAINTENANCE).body
    for sent in (user.sent, MASTER):
        mailed.target.ask("PUT", f"/users/{user.id}", {field: "chosen"}, sent, way)
        mailed.target.ask("POST", "/users", {"username": mailed.target.name(), "password": "x", field: "chosen"}, sent, way)
    after = mailed.target.ask("GET", f"/users/{user.id}", None, MAINTENANCE).body
    assert after.get(field) == before.get(field)
    assert "<form" not in mailed.target.raw("GET", f"{RESET}?token=chosen").text
