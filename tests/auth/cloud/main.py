"""Who may not ask for a new password, and a provider of the app's own."""

from __future__ import annotations

from typing import Any

from mbaas_functions import cloud


@cloud.before_password_reset_request()
async def check(request: Any) -> None:
    if request.object.get("username", "").startswith("closed"):
        raise cloud.Error("ask the office", code=4711)


@cloud.auth_provider("own")
def own(auth_data: Any, options: Any, request: Any) -> None:
    if auth_data.get("token") != "right":
        raise cloud.Error("wrong token")
