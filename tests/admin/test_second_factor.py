"""A second factor at the console: set up, asked for, lost, required of everybody.

The server is these tests' own: what is required holds for all who are there.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest

from mbaas.testing.process import TestServer, mbaas
from mbaas_auth.totp import Totp, secret_of
from tests.admin.visitor import PASSWORD, Visitor, invited, joined, keys

PAGE = "/console/account"
WHERE = ("--app", "first")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    folder = tmp_path_factory.mktemp("factor")
    push = {"adapter": {"module": "accept"}}
    apps = [{"appId": name, "masterKey": f"{name}-master-key", "push": push} for name in ("first", "other")]
    (folder / "apps.json").write_text(json.dumps(apps))
    settings = {"apps_file": folder / "apps.json", "trusted_proxies": "127.0.0.1", "preset": "production"}
    with TestServer(folder, settings={**settings, "public_url": "http://127.0.0.1"}, bare=True) as running:
        yield running


def command(server: TestServer, *arguments: str) -> str:
    variables = {"MBAAS_APPS_FILE": str(server.folder / "apps.json")}
    done = mbaas(server.folder, "users", *arguments, "--server", f"{server.url}/parse", *WHERE, **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout


def code(secret: str, ahead: int = 0) -> str:
    """The code of now, or of the next step, which is good already."""
    raw = secret_of(secret)
    assert raw is not None
    return Totp().code(raw, int(time.time()) // 30 + ahead)


def secret_in(page: str) -> str:
    return page.split('name="secret" value="')[1].split('"')[0]


def set_up(visitor: Visitor) -> tuple[str, list[str]]:
    """Her secret, and her recovery codes as they are shown."""
    secret = secret_in(visitor.get(PAGE).text)
    answer = visitor.post(f"{PAGE}/set-up", secret=secret, code=code(secret, -1), password=PASSWORD)
    assert answer.status_code == 200, answer.text
    return secret, re.findall(r"<code>([\w-]+)</code>", answer.text)


def asked(server: TestServer, email: str, **more: str) -> tuple[Visitor, dict[str, str]]:
    """Somebody who has shown her password, and what the page for the code sends back."""
    visitor = Visitor(server)
    page = visitor.sign_in(email, app="first", **more)
    assert (page.status_code, "mbaas_console" in visitor.http.cookies) == (200, False)
    return visitor, {name: page.text.split(f'name="{name}" value="')[1].split('"')[0] for name in ("ticket", "app", "next")}


def test_it_is_set_up_with_a_picture_a_code_and_the_password(server: TestServer) -> None:
    visitor, elsewhere = joined(server, "read-only"), Visitor(server)
    assert elsewhere.sign_in(visitor.email, app="first").status_code == 303
    page = visitor.get(PAGE).text
    secret = secret_in(page)
    assert ("<svg" in page, len(secret)) == (True, 32)
    for wrong, said in (({"code": "000000"}, "not of this secret"), ({"password": "another one"}, "not your password")):
        form = {"secret": secret, "code": code(secret), "password": PASSWORD, **wrong}
        answer = visitor.post(f"{PAGE}/set-up", **form)
        # The picture that was read is still the one that is shown.
        assert (answer.status_code, said in answer.text, secret_in(answer.text)) == (400, True, secret)
    for weak in ("AAAA", "A" * 5000, "!"):
        assert visitor.post(f"{PAGE}/set-up", secret=weak, code="000000", password=PASSWORD).status_code == 400
    answer = visitor.post(f"{PAGE}/set-up", secret=secret, code=code(secret), password=PASSWORD)
    assert (answer.status_code, len(re.findall(r"<code>", answer.text))) == (200, 8)
    assert visitor.get("/console/").status_code == 200
    assert elsewhere.get("/console/").status_code == 303
    assert secret not in visitor.get(PAGE).text


def test_a_sign_in_asks_for_a_code_that_is_good_once(server: TestServer) -> None:
    visitor = joined(server, "marketer")
    secret, recovery = set_up(visitor)
    again, form = asked(server, visitor.email, next="/console/plays")
    assert again.get("/console/").status_code == 303
    assert again.post("/console/login", **form, code="123456").status_code == 401
    now = code(secret)
    assert again.post("/console/login", **form, code=f"{now[:3]} {now[3:]}").headers["location"] == "/console/plays"
    assert again.get("/console/").status_code == 200
    # Neither the ticket nor the code is good again.
    assert "took too long" in again.post("/console/login", **form, code=code(secret, 1)).text
    third, form = asked(server, visitor.email)
    assert third.post("/console/login", **form, code=now).status_code == 401
    assert third.post("/console/login", **form, code=recovery[0]).status_code == 303
    fourth, form = asked(server, visitor.email)
    assert fourth.post("/console/login", **form, code=recovery[0]).status_code == 401
    assert fourth.post("/console/login", **{**form, "app": "other"}, code=recovery[1]).status_code == 401
    assert fourth.post("/console/login", **{**form, "ticket": "0" * 64}, code=recovery[1]).status_code == 401


def test_nobody_guesses_codes_for_long(server: TestServer) -> None:
    visitor = joined(server, "marketer")
    _, recovery = set_up(visitor)
    said = []
    for number in range(12):
        guesser, form = asked(server, visitor.email)
        said.append(guesser.post("/console/login", **form, code=f"{number:06}").status_code)
    assert said == [401] * 10 + [429] * 2
    _, form = asked(server, visitor.email)
    assert Visitor(server).post("/console/login", **form, code=recovery[0]).status_code == 429


def test_a_link_for_a_new_password_leaves_it_as_it_is(server: TestServer) -> None:
    visitor, again = joined(server, "marketer"), Visitor(server)
    _, recovery = set_up(visitor)
    page = again.join(invited(server, "developer", "first", email=visitor.email), email=visitor.email)
    assert (page.status_code, "Second factor" in page.text, again.get("/console/").status_code) == (200, True, 303)
    ticket = page.text.split('name="ticket" value="')[1].split('"')[0]
    assert again.post("/console/login", ticket=ticket, app="first", code=recovery[0]).headers["location"] == "/console/"


def test_it_is_renewed_and_turned_off_with_a_code(server: TestServer) -> None:
    visitor = joined(server, "marketer")
    _, recovery = set_up(visitor)
    for act in ("codes", "turn-off"):
        assert visitor.post(f"{PAGE}/{act}", code="nothing").status_code == 400
    page = visitor.post(f"{PAGE}/codes", code=recovery[0]).text
    renewed = re.findall(r"<code>([\w-]+)</code>", page)
    assert not set(renewed) & set(recovery)
    assert visitor.post(f"{PAGE}/turn-off", code=recovery[1]).status_code == 400
    assert visitor.post(f"{PAGE}/turn-off", code=renewed[0]).headers["location"] == PAGE
    assert Visitor(server).sign_in(visitor.email, app="first").status_code == 303


def test_owners_and_commands_reset_it(server: TestServer) -> None:
    owner, lost = joined(server, "owner"), joined(server, "marketer")
    set_up(lost)
    assert lost.post("/console/people/reset-factor", email=lost.email).status_code == 403
    assert f"{lost.email}" in command(server, "list")
    assert "with a second factor" in next(line for line in command(server, "list").splitlines() if lost.email in line)
    assert owner.post("/console/people/reset-factor", email=lost.email.upper()).status_code == 303
    assert Visitor(server).sign_in(lost.email, app="first").status_code == 303
    set_up(lost)
    command(server, "reset-factor", lost.email)
    assert Visitor(server).sign_in(lost.email, app="first").status_code == 303
    status, _ = server.call("DELETE", "/api/v1/console/people/nobody@example.com/factor", headers=keys("first"))
    assert status == 404


def test_where_everybody_needs_one_nobody_gets_further_without(server: TestServer) -> None:
    owner, marketer = joined(server, "owner"), joined(server, "marketer")
    assert marketer.post("/console/people/require-factor", everybody="yes").status_code == 403
    # Who says nothing does not say no.
    assert owner.post("/console/people/require-factor").status_code == 400
    assert owner.post("/console/people/require-factor", everybody="yes").status_code == 303
    try:
        for path in ("", "plays", "people", "compose", "account-of-nobody"):
            assert owner.get(f"/console/{path}").headers["location"] == PAGE
        assert marketer.ask("/console/audiences/count", {"rows": []})[0] == 303
        assert "to go on" in marketer.get(PAGE).text
        # Nor by what the client says the server is called.
        for host in ("x/console/account?", "x/console/account/"):
            assert marketer.get("/console/plays", headers={"Host": host}).headers["location"] == PAGE
        _, recovery = set_up(marketer)
        assert marketer.get("/console/").status_code == 200
        # Another phone: off, and set up anew before anything else.
        marketer.post(f"{PAGE}/turn-off", code=recovery[0])
        assert marketer.get("/console/").headers["location"] == PAGE
        assert marketer.post("/console/logout").status_code == 303
        other = joined(server, "marketer", "other")
        assert other.get("/console/").status_code == 200
    finally:
        command(server, "require-factor", "--off")
    assert owner.get("/console/people").status_code == 200


@pytest.mark.parametrize("body", [{}, {"required": "yes"}, {"required": True, "more": 1}])
def test_the_api_says_what_it_does_not_take(server: TestServer, body: dict[str, object]) -> None:
    status, answer = server.call("PUT", "/api/v1/console/factor", body, keys("first"))
    assert (status, answer["error"]) == (400, "required is true or false.")


def test_the_audit_names_who_has_changed_it(server: TestServer) -> None:
    visitor = joined(server, "marketer")
    set_up(visitor)
    _, found = server.call("GET", "/api/v1/audit?limit=1000", headers=keys("first"))
    assert "console second factor on" in {each["event"] for each in found["results"] if each.get("person") == visitor.email}
