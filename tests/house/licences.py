"""Which licences the server would be shipped with: every runtime dependency's, from what is installed. `make check` runs it."""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

LOCK = Path(__file__).parents[2] / "requirements.lock"
ALLOWED = re.compile(r"\b(MIT|BSD|Apache|ISC|PSF|Python Software Foundation|Mozilla|MPL|any-OSI|0BSD|Unlicense|Zlib)\b", re.IGNORECASE)
REFUSED = re.compile(r"\b(A?GPL|GNU (Affero )?General|SSPL|BUSL|Proprietary)", re.IGNORECASE)


def locked() -> list[str]:
    """The names in the runtime lock file."""
    return re.findall(r"^([A-Za-z0-9._-]+)==", LOCK.read_text(), re.MULTILINE)


def licence(name: str) -> str:
    """What the package says of itself, in its metadata."""
    meta = distribution(name).metadata
    classifiers = [line.rpartition(" :: ")[2] for line in meta.get_all("Classifier") or [] if line.startswith("License ::")]
    stated = meta["License-Expression"] or ", ".join(classifiers) or (meta["License"] or "").strip().partition("\n")[0]
    return str(stated)


def refused() -> dict[str, str]:
    """The dependencies whose licence does not go with Apache-2.0, or cannot be told."""
    out: dict[str, str] = {}
    for name in locked():
        try:
            stated = licence(name)
        except PackageNotFoundError:
            continue  # for another platform
        if REFUSED.search(stated) or not ALLOWED.search(stated):
            out[name] = stated or "no licence stated"
    return out


if __name__ == "__main__":
    for package, stated in (wrong := refused()).items():
        print(f"licence of {package}: {stated}")
    print(f"licences: {len(locked())} dependencies, {len(wrong)} refused")
    sys.exit(bool(wrong))
