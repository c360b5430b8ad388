"""The published contract is the route table, no more and no less."""

from __future__ import annotations

from pathlib import Path

import httpx
import orjson
import pytest
from starlette.applications import Starlette

from mbaas.data.options import _FIND
from mbaas.wire.docs import routes as pages
from mbaas.wire.openapi import document, files, routes

FOLDER = Path(__file__).parents[2] / "sdk-schema"


@pytest.mark.parametrize("name", sorted(files()))
def test_the_published_files_are_current(name: str) -> None:
    """If this fails: `python -m mbaas.wire.openapi sdk-schema`."""
    assert (FOLDER / name).read_text(encoding="utf-8") == files()[name]


def test_every_route_is_in_the_document_once() -> None:
    found = [(method, path) for path, operations in document()["paths"].items() for method in operations]
    assert len(found) == len(set(found)) == len(routes())
    ids = [operation["operationId"] for operations in document()["paths"].values() for operation in operations.values()]
    assert len(ids) == len(set(ids))


def test_what_a_search_takes_is_in_the_document() -> None:
    """Every option that the server does not refuse, but for those that choose among MongoDB's servers."""
    taken = {name for name in _FIND if not name.endswith("eadPreference")}
    assert {given["name"] for given in document()["paths"]["/classes/{className}"]["get"]["parameters"]} == {*taken, "className"}


def test_answers_that_are_not_like_the_others_are_in_the_document() -> None:
    paths = document()["paths"]
    assert {path for path, ops in paths.items() for op in ops.values() if "500" in op["responses"]} == {
        "/requestPasswordReset",
        "/verificationEmailRequest",
    }
    assert "text/plain" in paths["/files/{appId}/{path}"]["get"]["responses"]["404"]["content"]
    assert "403" in paths["/classes/{className}"]["get"]["responses"]


def test_every_write_is_closed_to_the_read_only_key() -> None:
    """A route that changes something says what the read-only master key may not do, or refuses it itself."""
    themselves = {"/files", "/files/:name", "/files/*", "/batch", "/loginAs"}
    harmless = {
        "/login",
        "/logout",
        "/verifyPassword",
        "/challenge",
        "/upgradeToRevocableSession",
        "/functions/:functionName",
        "/http/:appId/*",
        "/validate_purchase",
    }
    harmless |= {"/events/:eventName", "/requestPasswordReset", "/verificationEmailRequest"}
    harmless |= {"/codes", "/sign-in", "/passkeys/options", "/passkeys/sign-in", "/passkeys/registration"}
    harmless |= {"/campaigns/audience/preview", "/campaigns/:campaignId/dry-run", "/plays/:playId/dry-run"}
    harmless |= {"/partner/replay", "/partner/subjects", "/partner/subjects/:externalId", "/partner/moments/:key/fire"}
    harmless |= {"/apps/:appId/resend_verification_email", "/apps/:appId/request_password_reset"}
    for route in routes():
        assert route.method == "GET" or route.read_only or route.pattern in themselves | harmless, route.pattern


async def test_the_docs_page_needs_nothing_from_elsewhere() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(Starlette(routes=pages("/parse"))), base_url="http://x") as client:
        page = await client.get("/docs")
        assert "http://" not in page.text.replace("http://x", "")
        assert "https://" not in page.text
        contract = (await client.get("/openapi.json")).content
    assert orjson.loads(contract)["openapi"].startswith("3.1")
