"""`mbaas init`: a project folder to start from. Nothing that exists is overwritten."""

from __future__ import annotations

from pathlib import Path

import typer

from mbaas.settings import SettingsError

_ENV = """# Copy to .env, which `mbaas` reads from the folder it is started in. `mbaas keys` prints new keys.
MBAAS_APP_ID=
MBAAS_MASTER_KEY=
MBAAS_DATA_DIR=data
# MBAAS_PUBLIC_URL=https://api.example.com
# MongoDB instead of the embedded store; it must be a replica set (one member is enough: mongod --replSet rs0).
# MBAAS_DATABASE_URL=mongodb://localhost:27017/app?replicaSet=rs0
"""

_README = """# {name}

    mbaas dev        serve for development: prints addresses, keys and snippets for each SDK
    mbaas doctor     name the first thing that is wrong
    mbaas serve      serve with the safe defaults of production (needs .env, see .env.example)

Cloud functions live in `functions/main.py`: `mbaas dev` runs them and reloads them when they are saved; `mbaas deploy` brings them to
a server that runs, and `MBAAS_FUNCTIONS=functions mbaas serve` to one that starts.
"""

_MAIN = '''"""Cloud functions: apps call `hello` by `Parse.Cloud.run("hello", {name: "you"})`."""

from mbaas_functions import cloud


@cloud.define("hello")
async def hello(request):
    return f"hello {request.params.get('name', 'world')}"
'''


def init(folder: Path) -> None:
    """Write the project's files."""
    files = {
        ".env.example": _ENV,
        ".gitignore": ".env\n.secrets.env\ndata/\n__pycache__/\n",
        "README.md": _README.format(name=folder.absolute().name),
        "functions/main.py": _MAIN,
    }
    if taken := [name for name in files if (folder / name).exists()]:
        raise SettingsError(f"{folder / taken[0]} is there already; nothing was written")
    for name, text in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise SettingsError(f"{path} cannot be written: {error.strerror}") from error
        typer.echo(f"wrote {path}")
    typer.echo(f"\nnext: cd {folder} && mbaas dev")
