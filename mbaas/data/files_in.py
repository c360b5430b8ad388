"""Files inside objects: a stored file is a name; its address is filled in when it is read."""

from __future__ import annotations

import re
from urllib.parse import quote

from mbaas.data.address import public_url
from mbaas.data.app import App
from mbaas.kernel.values import Object

_UUID_FIRST = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}-")
_UNQUOTED = "!'()*"
"""What JavaScript's encodeURIComponent leaves alone and `quote` does not."""


def file_url(app: App, name: str) -> str:
    """The address at which a file can be fetched."""
    return f"{public_url(app)}/files/{app.options.app_id}/{quote(name, safe='/')}"


def _legacy_url(app: App, name: str) -> str | None:
    """The address of a file that was stored by parse.com and never moved."""
    if app.options.file_key is None:
        return None
    host = "files.parsetfss.com" if name.startswith("tfss-") else "files.parse.com" if _UUID_FIRST.match(name) else None
    return f"http://{host}/{app.options.file_key}/{quote(name, safe=_UNQUOTED)}" if host else None


def with_urls(app: App, body: Object) -> Object:
    """The object with the address of each file that is one of its columns; changed in place."""
    for key, value in body.items():
        if type(value) is dict and value.get("__type") == "File" and isinstance(value.get("name"), str):
            body[key] = {**value, "url": _legacy_url(app, value["name"]) or file_url(app, value["name"])}
    return body
