"""A data folder belongs to one server at a time: another would not see what this one knows of its classes."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from mbaas.settings import SettingsError

FILE = "mbaas.lock"
_TRIES, _PAUSE_SECONDS = 50, 0.1


def claim(folder: Path) -> int:
    """Take the folder, which is made if it is not there, until the process ends; the descriptor that holds it.

    SettingsError if another server has it, or it cannot be written to.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = os.open(folder / FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        text = f"the data folder {folder} cannot be written to ({error.strerror}); choose another by MBAAS_DATA_DIR"
        raise SettingsError(text) from error
    if not _locked(held):
        owner = os.read(held, 20).decode(errors="replace").strip() or "unknown"
        os.close(held)
        text = f"the data folder {folder} is in use by another server (process id {owner}); stop it, or choose another by MBAAS_DATA_DIR"
        raise SettingsError(text)
    os.ftruncate(held, 0)
    os.write(held, f"{os.getpid()}\n".encode())
    return held


def _locked(held: int) -> bool:
    """Take the lock; wait a little for the processes of a server that was killed, which are about to end."""
    for _ in range(_TRIES):
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if _lives(os.pread(held, 20, 0)):
                return False
            time.sleep(_PAUSE_SECONDS)
        else:
            return True
    return False


def _lives(owner: bytes) -> bool:
    """True unless there is no process of that id."""
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return False
    except (ValueError, OSError):
        return True
    return True
