"""`python -m bench include`: a list of 100 objects, each with a pointer to another, without `include` and with it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import uvloop

from bench.growth import cost
from mbaas.app import open_app
from mbaas.data import find, objects
from mbaas.data.options import FindOptions
from mbaas.kernel.caller import Caller
from mbaas.kernel.options import AppOptions, ServerOptions
from mbaas.kernel.values import pointer
from mbaas.services import Services
from mbaas.storage.sqlite.statements import recorded

MANY = 100


async def measure(folder: Path) -> None:
    options = AppOptions(app_id="bench", master_key="master", preset="parse", new_class_permissions="public", data_dir=folder)
    with recorded() as statements:
        app = await open_app(options, Services(ServerOptions(), {}))
        master = Caller(master=True)
        for number in range(MANY):
            author = await objects.create(app, master, "Author", {"name": f"author {number}"})
            await objects.create(app, master, "Post", {"title": f"post {number}", "author": pointer("Author", author.answer["objectId"])})
        for name, arguments in (("plain", {"limit": MANY}), ("include", {"limit": MANY, "include": "author"})):
            wanted = FindOptions.parse(arguments)
            await find.find(app, Caller(), "Post", wanted)
            statements.clear()
            await find.find(app, Caller(), "Post", wanted)
            asked = len(statements)
            took = await cost(lambda _, wanted=wanted: find.find(app, Caller(), "Post", wanted), times=200)  # type: ignore[misc]
            print(f"{name:8s} of {MANY} objects   {asked} queries   {took:7.1f} us")
        await app.close()


def main() -> None:
    """Run in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(measure(Path(folder)))


if __name__ == "__main__":
    main()
