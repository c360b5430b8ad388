"""`make bench`: the project's own figures. Each benchmark is a module of this folder with a `main`; their names are arguments."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

HERE = Path(__file__).parent
NOT_OURS = {"__main__", "__init__", "peers", "peer_servers"}


def main(wanted: list[str]) -> None:
    """Run the named benchmarks, or all."""
    for name in sorted(path.stem for path in HERE.glob("*.py") if path.stem not in NOT_OURS):
        if not wanted or name in wanted:
            print(f"== {name}", flush=True)
            importlib.import_module(f"bench.{name}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
