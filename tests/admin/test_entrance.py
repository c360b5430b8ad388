"""Into the console and out of it, over HTTP."""

from __future__ import annotations

import httpx
import pytest

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer, mbaas
from tests.admin.visitor import PASSWORD, Visitor, invited, joined, keys

COOKIE = "mbaas_console"


def test_a_link_is_used_once(server: TestServer) -> None:
    url, first, second = invited(server, "marketer", "first"), Visitor(server), Visitor(server)
    assert first.join(url).status_code == 303
    answer = second.join(url)
    assert (answer.status_code, "was used" in answer.text, COOKIE in second.http.cookies) == (404, True, False)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"again": "something else"}, "not the same"),
        ({"password": "short", "again": "short"}, "at least 12"),
        ({"email": "nobody"}, "no e-mail address"),
    ],
)
def test_a_link_that_was_filled_in_wrong_is_still_good(server: TestServer, form: dict[str, str], said: str) -> None:
    url, visitor = invited(server, "marketer", "first"), Visitor(server)
    answer = visitor.join(url, **form)
    assert (answer.status_code, said in answer.text) == (400, True)
    assert visitor.join(url).status_code == 303


def test_an_open_link_takes_nobodys_account(server: TestServer, owner: Visitor) -> None:
    answer = Visitor(server).join(invited(server, "marketer", "first"), email=owner.email.upper())
    assert (answer.status_code, "already" in answer.text) == (400, True)
    assert owner.get("/console/people").status_code == 200


def test_who_is_invited_anew_has_a_new_password_and_is_signed_out_elsewhere(server: TestServer) -> None:
    marketer = joined(server, "marketer")
    again = Visitor(server)
    assert again.join(
        invited(server, "read-only", "first", email=marketer.email), password="another long one", again="another long one"
    ).is_redirect
    assert marketer.get("/console/").status_code == 303
    assert Visitor(server).sign_in(marketer.email, app="first").status_code == 401
    assert Visitor(server).sign_in(marketer.email, "another long one", app="first").status_code == 303
    assert again.get("/console/compose").status_code == 403


def test_a_sign_in_begins_a_session_of_its_own(server: TestServer, marketer: Visitor) -> None:
    """A token that somebody else put into the browser is not the one that is signed in."""
    visitor = Visitor(server)
    visitor.http.cookies.set(COOKIE, "first:planted-by-somebody", domain="127.0.0.1", path="/console")
    answer = visitor.sign_in(marketer.email, app="first")
    [cookie] = [each for each in answer.headers.get_list("set-cookie") if each.startswith(COOKIE)]
    assert "planted" not in cookie
    assert all(word in cookie.lower() for word in ("httponly", "samesite=lax", "path=/console", "max-age"))
    planted = Visitor(server)
    planted.http.cookies.set(COOKIE, "first:planted-by-somebody", domain="127.0.0.1", path="/console")
    assert planted.get("/console/").status_code == 303


def test_who_signs_out_is_out_with_every_copy_of_her_cookie(server: TestServer) -> None:
    visitor = joined(server, "marketer")
    kept = visitor.http.cookies[COOKIE]
    assert visitor.post("/console/logout").status_code == 303
    visitor.http.cookies.set(COOKIE, kept, domain="127.0.0.1", path="/console")
    assert visitor.get("/console/").status_code == 303


@pytest.mark.parametrize("origin", ["http://127.0.0.1:1", "http://127.0.0.1.evil.example", "https://evil.example", "null", "http://["])
def test_a_page_from_elsewhere_changes_nothing_where_the_browser_says_only_where_it_is_from(server: TestServer, origin: str) -> None:
    """Over plain http browsers send no Sec-Fetch-Site, and a page at another port of the same host plants cookies, and is the same site."""
    visitor, evil = joined(server, "marketer"), Visitor(server)
    evil.get("/console/login")
    token = evil.http.cookies["starlette_admin_csrftoken"]
    cookies = f"{COOKIE}={visitor.http.cookies[COOKIE]}; starlette_admin_csrftoken={token}"
    asked = evil.http.post("/console/logout", data={"csrftoken": token}, headers={"Origin": origin, "Cookie": cookies})
    assert asked.status_code == 403
    assert visitor.get("/console/").status_code != 303
    assert visitor.get("/console/login").headers["referrer-policy"] == "same-origin", "else browsers call its own pages null"


@pytest.mark.parametrize("origin", ["{own}", "http://127.0.0.1"])
def test_the_consoles_own_pages_are_known_by_where_they_are_from(server: TestServer, origin: str) -> None:
    """By the host that was asked, or by the public address, where a proxy asks by another name."""
    visitor = joined(server, "marketer")
    visitor.http.headers["Origin"] = origin.format(own=server.url)
    assert visitor.post("/console/logout").status_code == 303
    assert visitor.get("/console/").status_code == 303


def test_nobody_guesses_for_long(server: TestServer) -> None:
    victim = joined(server, "marketer")
    guesser = Visitor(server)
    said = [guesser.sign_in(victim.email, f"wrong {number}", app="first").status_code for number in range(12)]
    assert said == [401] * 10 + [429] * 2
    assert Visitor(server).sign_in(victim.email, app="first").status_code == 303


def test_a_person_of_one_app_is_nobody_in_another(server: TestServer, marketer: Visitor) -> None:
    assert Visitor(server).sign_in(marketer.email, app="other").status_code == 401
    name, _, token = marketer.http.cookies[COOKIE].partition(":")
    forged = Visitor(server)
    forged.http.cookies.set(COOKIE, f"other:{token}", domain="127.0.0.1", path="/console")
    assert (name, forged.get("/console/").status_code) == ("first", 303)


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/console/", "//evil.example/console/x", "/console/../parse", "javascript:alert(1)", "/\\evil"]
)
def test_a_sign_in_leads_nowhere_else(server: TestServer, marketer: Visitor, wanted: str) -> None:
    answer = Visitor(server).sign_in(marketer.email, app="first", next=wanted)
    assert answer.headers["location"].startswith("/console/")


def test_an_owner_invites_and_removes(server: TestServer, owner: Visitor) -> None:
    page = owner.post("/console/people", role="marketer", email="New@Example.com").text
    url = page.split('value="http', 1)[1].split('"', 1)[0]
    visitor = Visitor(server)
    assert visitor.join(f"http{url}").is_redirect
    assert "new@example.com" in owner.get("/console/people").text
    assert owner.post("/console/people/remove", email="new@example.com").status_code == 303
    assert visitor.get("/console/").status_code == 303
    for mine in (owner.email, f" {owner.email.upper()} "):
        owner.post("/console/people/remove", email=mine)
        assert "cannot remove yourself" in owner.get("/console/people").text
    assert owner.post("/console/people/remove", email="new@example.com").status_code == 404
    assert owner.post("/console/people", role="emperor").status_code == 400
    for unprintable in ("new@exam\0ple.com", "new@\u202eelpmaxe.com"):
        assert owner.post("/console/people", role="marketer", email=unprintable).status_code == 400


def test_the_audit_says_who_did_what(server: TestServer, owner: Visitor) -> None:
    _, found = server.call("GET", "/api/v1/audit?limit=1000", headers=keys("first"))
    mine = [each for each in found["results"] if each.get("person") == owner.email]
    assert mine[0]["event"] == "console joined"
    assert {each["by"] for each in mine} == {"console"}
    assert all(PASSWORD not in str(each) for each in found["results"])


def test_the_commands_invite_list_and_remove(server: TestServer) -> None:
    where = ("--server", f"{server.url}/parse", "--app", "other")
    variables = {"MBAAS_APPS_FILE": str(server.folder / "apps.json")}

    def run(*arguments: str) -> str:
        done = mbaas(server.folder, "users", *arguments, *where, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout

    url = run("invite", "--role", "marketer", "--email", "cli@example.com").strip()
    assert Visitor(server).join(url).is_redirect
    assert run("list").split()[:2] == ["marketer", "cli@example.com"]
    run("remove", "cli@example.com")
    assert "cli@example.com" not in run("list")
    refused = mbaas(server.folder, "users", "invite", "--role", "emperor", *where, **variables)
    assert (refused.returncode, "role is one of" in refused.stderr) == (2, True)


def test_the_first_owners_link_is_printed_and_works_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    with TestServer(tmp_path_factory.mktemp("dev"), "dev", bare=True) as server:
        printed = (server.folder / "server.out").read_text()
        listed = mbaas(server.folder, "users", "list", "--server", f"{server.url}/parse")
        assert (listed.returncode, listed.stdout, "nobody uses the console yet" in listed.stderr) == (0, "", True)
        [url] = [word for word in printed.split() if "/console/join/" in word]
        first, second = Visitor(server), Visitor(server)
        assert first.join(url).headers["location"] == "/console/"
        assert "People" in first.get("/console/people").text
        assert second.join(url).status_code == 404
        # Nothing is set up to send with, and the console says so.
        page = first.get("/console/")
        assert (page.status_code, "nothing to send with" in page.text, "mbaas push mock" in page.text) == (400, True, True)
        assert "To the campaigns" not in page.text
        assert "To the campaigns" in first.get("/console/compose").text


def test_over_https_no_other_host_can_plant_the_cookie(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = {"public_url": "https://api.example.com", "preset": "development"}
    with TestServer(tmp_path_factory.mktemp("https"), settings=settings) as server:
        _, made = server.call("POST", "/api/v1/console/invitations", {"role": "owner"}, keys(APP_ID, MASTER_KEY))
        assert made["url"].startswith("https://api.example.com/console/join/")
        visitor = Visitor(server)
        visitor.http.headers["Host"] = "api.example.com"
        cookies = visitor.get("/console/login").headers.get_list("set-cookie")
        token = cookies[0].partition("=")[2].partition(";")[0]
        form = {"email": "a@example.com", "password": PASSWORD, "again": PASSWORD, "csrftoken": token}
        path, sent = httpx.URL(made["url"]).raw_path.decode(), {"Cookie": f"starlette_admin_csrftoken={token}"}
        joined_now = visitor.http.post(path, data=form, headers=sent).headers
        [cookie] = [each for each in joined_now.get_list("set-cookie") if "mbaas_console" in each]
        assert cookie.startswith("__Host-mbaas_console=")
        assert all(word in cookie.lower() for word in ("; secure", "; path=/;", "; httponly"))
        assert all("; secure" in each.lower() for each in cookies)
        value = cookie.partition(";")[0].partition("=")[2]
        for name, status in (("__Host-mbaas_console", 400), ("mbaas_console", 303)):
            assert visitor.get("/console/", headers={"Cookie": f"{name}={value}"}).status_code == status
