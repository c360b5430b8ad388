"""Providers of an app's own."""

from __future__ import annotations

from typing import Any

from mbaas_functions import cloud


@cloud.auth_provider("acme")
async def acme(auth_data: Any, options: Any, request: Any) -> None:
    assert request.provider == "acme"
    assert "module" not in options
    if auth_data.get("token") != f"{options['secret']}-{auth_data['id']}":
        raise cloud.Error("wrong token", code=4711)
    await cloud.Object("Asked", of=auth_data["id"], whom=request.object.id if request.object else None).save(use_master_key=True)


@cloud.auth_provider("off")
def off(auth_data: Any, options: Any, request: Any) -> None:
    raise AssertionError("this one is closed")


@cloud.auth_provider("broken")
def broken(auth_data: Any, options: Any, request: Any) -> None:
    raise ValueError("it broke")
