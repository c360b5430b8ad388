"""Files inside objects: a stored file is a name; its address is filled in when it is read."""

from __future__ import annotations

from urllib.parse import quote

from mbaas.data.address import public_url
from mbaas.data.app import App
from mbaas.kernel.values import Object


def file_url(app: App, name: str) -> str:
    """The address at which a file can be fetched."""
    return f"{public_url(app)}/files/{app.options.app_id}/{quote(name, safe='/')}"


def with_urls(app: App, body: Object) -> Object:
    """The object with the address of each file that is one of its columns; changed in place."""
    for key, value in body.items():
        if type(value) is dict and value.get("__type") == "File" and isinstance(value.get("name"), str):
            body[key] = {**value, "url": file_url(app, value["name"])}
    return body
