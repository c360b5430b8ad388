"""A data folder belongs to one server at a time: another would not see what this one knows of its classes."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from mbaas.settings import SettingsError

FILE = "mbaas.lock"


def claim(folder: Path) -> int:
    """Take the folder, which is made if it is not there, until the process ends; the descriptor that holds it.

    SettingsError if another server has it, or it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = os.open(folder / FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        text = f"the data folder {folder} cannot be written to ({error.strerror}); choose another by MBAAS_DATA_DIR"
        raise SettingsError(text) from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.read(held, 20).decode(errors="replace").strip() or "unknown"
        os.close(held)
        text = f"the data folder {folder} is in use by another server (process id {owner}); stop it, or choose another by MBAAS_DATA_DIR"
        raise SettingsError(text) from None
    os.ftruncate(held, 0)
    os.write(held, f"{os.getpid()}\n".encode())
    return held
