"""The parsers of what strangers send, fed by a fuzzer that sees which code each text reaches. What it begins with is the grammar's."""

from __future__ import annotations

import json
import os
import platform
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.grammar import GROUPS, OPERATORS, OPS, TYPES, Grammar

RUNS = int(os.environ.get("MBAAS_TEST_FUZZ_RUNS", "40000"))
SEED = int(os.environ.get("MBAAS_TEST_SEED", "20261122"))
TEXTS = 400
PUSH = {"where": {}, "data": {"alert": "a", "badge": "Increment"}, "push_time": "2026-12-01T09:00:00", "expiration_interval": 3600}
SAID = {"title": "{{user.name | you}}", "body": "b", "data": {"k": 1}, "locales": {"de": {"title": "t"}}}
ROOT = Path(__file__).parents[2]


def seeds(grammar: Grammar) -> list[bytes]:
    """Texts to begin with, each behind the letter of who reads it."""
    made = [f"w{json.dumps(grammar.where())}" for _ in range(2 * TEXTS)]
    made += [f"{reader}{json.dumps(grammar.body())}" for reader in "cj" for _ in range(TEXTS)]
    frames = [grammar.frame() for _ in range(TEXTS)]
    made += [f"l{frame if isinstance(frame, str) else frame.decode(errors='replace')}" for frame in frames]
    made += [
        f"p{json.dumps(PUSH)}",
        f"t{json.dumps(SAID)}",
        "rFREQ=WEEKLY;BYDAY=MO,FR;UNTIL=20270101",
        "r30 9 * * 1-5",
        "d2026-01-31T09:05:00.123Z",
    ]
    return [text.encode(errors="replace") for text in made]


@pytest.mark.skipif((sys.platform, platform.machine()) != ("linux", "x86_64"), reason="atheris has wheels for Linux on x86-64 alone")
def test_no_text_breaks_whoever_reads_it(tmp_path: Path) -> None:
    texts, words, found = tmp_path / "texts", tmp_path / "words", tmp_path / "found"
    texts.mkdir()
    found.mkdir()
    for number, text in enumerate(seeds(Grammar(random.Random(SEED)))):
        (texts / str(number)).write_bytes(text)
    known = [word for word in (*GROUPS, *OPERATORS, *OPS, *TYPES, "__op", "__type", "__proto__", "iso") if isinstance(word, str) and word]
    words.write_text("".join(f'"\\"{word}\\""\n' for word in known))
    options = [f"-runs={RUNS}", f"-seed={SEED}", f"-dict={words}", f"-artifact_prefix={found}/"]
    options += ["-timeout=10", "-rss_limit_mb=2048", "-max_len=4000"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.parsers", *options, str(texts)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    broke = {path.name: path.read_bytes() for path in found.iterdir()}
    assert (done.returncode, broke) == (0, {}), done.stderr[-4000:]
    assert f"Done {RUNS} runs" in done.stderr
