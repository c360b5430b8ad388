"""The pages that the links of mails lead to, in a real browser: on a phone, without a script, in the browser's language."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer, free_port
from tests.auth.post import Post, post

KEYS = {"X-Parse-Application-Id": APP_ID}
PHONE: ViewportSize = {"width": 360, "height": 640}
DESK: ViewportSize = {"width": 1280, "height": 800}


@pytest.fixture(scope="module")
def office() -> Iterator[Post]:
    with post() as made:
        yield made


@pytest.fixture(scope="module")
def server(office: Post, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    port = free_port()
    options = {
        "appId": APP_ID,
        "masterKey": MASTER_KEY,
        "appName": "Ein sehr langer Name einer App, wie ihn niemand wählen würde, der noch bei Sinnen ist",
        "publicServerURL": f"http://127.0.0.1:{port}/parse",
        "port": port,
        "verifyUserEmails": True,
        "passwordPolicy": {"doNotAllowUsername": True},
    }
    with TestServer.with_parse_options(tmp_path_factory.mktemp("pages"), options, smtp_url=office.url) as running:
        yield running


class Reader:
    """Somebody who opens links, and all that her browser complains of."""

    def __init__(self, page: Page) -> None:
        self.page, self.complaints = page, list[str]()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self.complaints.append(message.text) if message.type in ("error", "warning") else None)

    def sees(self, heading: str, picture: Path) -> None:
        """A page with this heading, which fits the screen in width."""
        expect(self.page.locator("h1")).to_have_text(heading)
        self.page.screenshot(path=picture)
        assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.fixture
def browser(page: Page) -> Browser:
    found = page.context.browser
    assert found is not None
    return found


def sign_up(server: TestServer, office: Post, name: str) -> str:
    """The link that somebody new is sent."""
    before = len(office.mails)
    body = {"username": name, "password": "secret", "email": f"{name}@example.org"}
    assert server.call("POST", "/parse/users", body, KEYS)[0] == 201
    return office.link(before + 1)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
@pytest.mark.parametrize(
    ("locale", "headings", "button"),
    [
        ("en-GB", ("Reset Your Password", "Success!", "Invalid password reset link!"), "Change Password"),
        ("de-AT", ("Neues Passwort wählen", "Geschafft!", "Dieser Link gilt nicht"), "Passwort ändern"),
        ("es-MX", ("Elige una nueva contraseña", "¡Listo!", "Este enlace no es válido"), "Cambiar la contraseña"),
        ("fr-FR", ("Choisissez un nouveau mot de passe", "C'est fait !", "Ce lien n'est pas valable"), "Changer le mot de passe"),
    ],
)
def test_a_password_is_chosen_on_a_phone(
    server: TestServer, office: Post, browser: Browser, tmp_path: Path, locale: str, headings: tuple[str, ...], button: str, scripts: bool
) -> None:
    """One that will not do is told why, and the form is still there."""
    name = f"person{len(office.mails)}"
    sign_up(server, office, name)
    before = len(office.mails)
    server.call("POST", "/parse/requestPasswordReset", {"email": f"{name}@example.org"}, KEYS)
    link = office.link(before + 1)
    context = browser.new_context(viewport=PHONE, locale=locale, java_script_enabled=scripts, color_scheme="dark" if scripts else "light")
    with context.new_page() as opened:
        reader = Reader(opened)
        opened.goto(link)
        expect(opened.locator("h1")).to_have_text(headings[0])
        for first, second in (("one", "other"), (f"my {name}", f"my {name}")):
            opened.fill("[name=new_password]", first)
            opened.fill("[name=confirm_new_password]", second)
            opened.get_by_role("button", name=button).click()
            expect(opened.get_by_role("alert")).to_be_visible()
        opened.fill("[name=new_password]", "brand new")
        opened.fill("[name=confirm_new_password]", "brand new")
        opened.screenshot(path=tmp_path / "form.png")
        opened.get_by_role("button", name=button).click()
        expect(opened.locator("h1")).to_have_text(headings[1])
        assert server.call("POST", "/parse/login", {"username": name, "password": "brand new"}, KEYS)[0] == 200
        opened.goto(link)
        expect(opened.locator("h1")).to_have_text(headings[2])
        assert reader.complaints == []
    context.close()


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_an_address_is_proved_and_a_link_sent_again(
    server: TestServer, office: Post, browser: Browser, tmp_path: Path, size: ViewportSize
) -> None:
    link = sign_up(server, office, f"reader{len(office.mails)}")
    before = len(office.mails)
    context = browser.new_context(viewport=size, locale="en-US")
    with context.new_page() as opened:
        reader = Reader(opened)
        opened.goto(f"{link}0")
        reader.sees("Invalid verification link!", tmp_path / "invalid.png")
        opened.get_by_role("button", name="Resend Link").click()
        reader.sees("Link sent!", tmp_path / "sent.png")
        opened.goto(link)
        reader.sees("Email verified!", tmp_path / "verified.png")
        opened.goto(f"{link}&locale=fr")
        reader.sees("Ce lien n'est pas valable", tmp_path / "french.png")
        assert opened.evaluate("document.documentElement.lang") == "fr"
        assert reader.complaints == []
    assert len(office.mails) == before, "a wrong token has a mail sent"
    context.close()
