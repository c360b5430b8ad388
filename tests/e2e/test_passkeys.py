"""Passkeys in a real browser, whose authenticator is Chromium's own: with the stock SDK, and with nothing but `fetch`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, CDPSession, Page

from mbaas.testing.process import APP_ID, TestServer, free_port

SDK = Path(__file__).parents[1] / "compat/node_modules/parse/dist/parse.min.js"
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
SDK_FLOW = """
async ({serverURL, appId}) => {
  Parse.initialize(appId);
  Parse.serverURL = serverURL;
  const challenge = async (wanted, sessionToken) => {
    const body = { challengeData: { webauthn: wanted } };
    const told = await Parse.CoreManager.getRESTController().request("POST", "challenge", body, { sessionToken });
    return told.challengeData.webauthn.publicKey;
  };
  const made = await Parse.User.signUp("ann", "correct horse");
  const creation = PublicKeyCredential.parseCreationOptionsFromJSON(await challenge({ register: true }, made.getSessionToken()));
  const created = (await navigator.credentials.create({ publicKey: creation })).toJSON();
  await made.linkWith("webauthn", { authData: created });
  const linked = made._isLinked("webauthn");
  await Parse.User.logOut();
  const request = PublicKeyCredential.parseRequestOptionsFromJSON(await challenge({}));
  const signed = (await navigator.credentials.get({ publicKey: request })).toJSON();
  const user = await Parse.User.logInWith("webauthn", { authData: signed });
  const here = Parse.User.current();
  const code = await Parse.User.logInWith("webauthn", { authData: signed }).then(() => null, (error) => error.code);
  return { same: user.id === made.id, token: user.getSessionToken(), here: here.id === made.id, linked, again: code };
}
"""
PLAIN_FLOW = """
async ({origin, appId}) => {
  const ask = async (method, path, body, token) => {
    const headers = { "X-Parse-Application-Id": appId, "Content-Type": "application/json" };
    if (token) headers["X-Parse-Session-Token"] = token;
    const answer = await fetch(origin + path, { method, headers, body: body && JSON.stringify(body) });
    return { status: answer.status, ...(await answer.json()) };
  };
  const at = "/api/v1/passkeys";
  const bea = await ask("POST", "/parse/users", { username: "bea", password: "correct horse" });
  const { publicKey } = await ask("POST", at + "/registration", {}, bea.sessionToken);
  const created = await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey) });
  const kept = await ask("POST", at, { credential: created.toJSON(), name: "Laptop" }, bea.sessionToken);
  const second = await ask("POST", at + "/registration", {}, bea.sessionToken);
  const twice = await navigator.credentials
    .create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(second.publicKey) })
    .then(() => "made", (error) => error.name);
  const get = async () => {
    const options = (await ask("POST", at + "/options", {})).publicKey;
    const allowCredentials = [{ type: "public-key", id: created.rawId }];
    const request = { ...PublicKeyCredential.parseRequestOptionsFromJSON(options), allowCredentials };
    return (await navigator.credentials.get({ publicKey: request })).toJSON();
  };
  const signed = await ask("POST", at + "/sign-in", { credential: await get() });
  const list = await ask("GET", at, undefined, signed.sessionToken);
  const removed = await ask("DELETE", at + "/" + kept.id, undefined, signed.sessionToken);
  const refused = await ask("POST", at + "/sign-in", { credential: await get() });
  return { bea: bea.objectId, kept, twice, signed, list, removed, refused };
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    port = free_port()
    auth = json.dumps({"webauthn": {"rpId": "localhost", "origins": [f"http://localhost:{port}"], "rpName": "Gardens"}})
    with TestServer(tmp_path_factory.mktemp("passkeys"), settings={"port": port, "auth": auth}) as running:
        yield running


@pytest.fixture
def opened(server: TestServer, page: Page) -> Iterator[Page]:
    """A page of the server's, in a browser that has an authenticator."""
    browser: Browser | None = page.context.browser
    assert browser is not None
    with browser.new_context(bypass_csp=True) as context:
        made = context.new_page()
        authenticator(context.new_cdp_session(made))
        made.goto(f"http://localhost:{server.port}/docs")
        yield made


def authenticator(line: CDPSession) -> str:
    line.send("WebAuthn.enable")
    added: dict[str, Any] = line.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    return str(added["authenticatorId"])


def test_the_stock_sdk_links_a_passkey_and_signs_in_with_it(server: TestServer, opened: Page) -> None:
    opened.add_script_tag(path=SDK)
    told = opened.evaluate(SDK_FLOW, {"serverURL": f"http://localhost:{server.port}/parse", "appId": APP_ID})
    assert told["token"].startswith("r:")
    assert (told["same"], told["here"], told["linked"], told["again"]) == (True, True, True, 101)


def test_a_passkey_is_added_used_listed_and_removed(server: TestServer, opened: Page) -> None:
    told = opened.evaluate(PLAIN_FLOW, {"origin": f"http://localhost:{server.port}", "appId": APP_ID})
    assert told["kept"]["status"] == 201, told["kept"]
    assert (told["kept"]["name"], told["kept"]["transports"]) == ("Laptop", ["internal"])
    assert len(told["kept"]["aaguid"]) == 36
    assert told["twice"] == "InvalidStateError", "the authenticator has one already"
    assert (told["signed"]["status"], told["signed"]["objectId"]) == (200, told["bea"])
    assert [each["name"] for each in told["list"]["results"]] == ["Laptop"]
    assert told["list"]["results"][0]["lastUsedAt"] is not None
    assert (told["removed"]["status"], told["refused"]["status"], told["refused"]["code"]) == (200, 404, 101)


def test_a_page_elsewhere_gets_no_answer_that_is_believed(server: TestServer, opened: Page) -> None:
    """127.0.0.1 is another domain to the browser than localhost: it asks for nothing there."""
    opened.goto(f"http://127.0.0.1:{server.port}/docs")
    options = server.call("POST", "/api/v1/passkeys/options", {}, {"X-Parse-Application-Id": APP_ID})[1]["publicKey"]
    told = opened.evaluate(
        """(options) => navigator.credentials.get({publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options)})
           .then(() => "signed", (error) => error.name)""",
        options,
    )
    assert told == "SecurityError"
