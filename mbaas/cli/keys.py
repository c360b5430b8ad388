"""Keys of an app: new ones, and those that a development server keeps in its data dir."""

from __future__ import annotations

import json
import os
from pathlib import Path

from mbaas.kernel.ids import Ids
from mbaas.settings import SettingsError

FILE = "keys.json"


def new_keys() -> dict[str, str]:
    """An application id and a master key that nobody else has."""
    ids = Ids()
    return {"app_id": ids.object_id(12), "master_key": ids.object_id(40)}


def kept_keys(data_dir: Path) -> dict[str, str]:
    """The keys in the data dir, made at the first call and readable by their owner only."""
    path = data_dir / FILE
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump(new_keys(), file, indent=2)
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SettingsError(f"the keys cannot be kept in {path}: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(value, str) and value for value in found.values()):
        raise SettingsError(f"{path} holds no keys; delete it to have new ones made")
    return found
