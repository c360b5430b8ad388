"""What a worker runs: a folder with a `main.py`, the packages that it needs, and the secrets that it may read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_MASK = "***"
_SHORT = 6
"""A secret of fewer characters is a word like others, and is not looked for."""


@dataclass(frozen=True, eq=False, slots=True)
class Code:
    """Code with all that it needs. `number` is its deployment's; None for the folder that the server was started with."""

    folder: Path
    packages: Path | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of its workers."""
    number: int | None = None
    strict: bool = False
    """True if it is to run nowhere where a layer of isolation is missing."""

    @property
    def main(self) -> str:
        """What errors call its `main.py`."""
        return str(self.folder / "main.py") if self.number is None else "main.py"

    def told(self, text: str) -> str:
        """What goes wrong with it, without secrets, and without the places of a deployment on this machine."""
        if self.number is not None:
            text = text.replace(f"{self.folder}/", "").replace(f"{self.packages}/", "")
        return self.masked(text)

    def masked(self, text: str) -> str:
        """A text without its secrets."""
        for value in self.secrets.values():
            if len(value) >= _SHORT and value in text:
                text = text.replace(value, _MASK)
        return text
