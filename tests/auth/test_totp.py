"""Codes by the time: the vectors of RFC 6238, appendix B."""

from __future__ import annotations

import pytest

from mbaas.kernel.options import Algorithm
from mbaas_auth.totp import Totp, secret_of

_SEED = b"1234567890" * 7
SECRETS: dict[Algorithm, bytes] = {"SHA1": _SEED[:20], "SHA256": _SEED[:32], "SHA512": _SEED[:64]}


@pytest.mark.parametrize(
    ("seconds", "sha1", "sha256", "sha512"),
    [
        (59, "94287082", "46119246", "90693936"),
        (1111111109, "07081804", "68084774", "25091201"),
        (1111111111, "14050471", "67062674", "99943326"),
        (1234567890, "89005924", "91819424", "93441116"),
        (2000000000, "69279037", "90698825", "38618901"),
        (20000000000, "65353130", "77737706", "47863826"),
    ],
)
def test_the_vectors_of_the_standard(seconds: int, sha1: str, sha256: str, sha512: str) -> None:
    expected: dict[Algorithm, str] = {"SHA1": sha1, "SHA256": sha256, "SHA512": sha512}
    for algorithm, code in expected.items():
        assert Totp(8, 30, algorithm).code(SECRETS[algorithm], seconds // 30) == code


def test_a_code_is_good_for_its_step_and_the_ones_beside_it() -> None:
    totp, secret, now = Totp(), SECRETS["SHA1"], 1_700_000_000_000
    step = now // 30_000
    offsets = [offset for offset in range(-5, 6) if totp.step(secret, totp.code(secret, step + offset), now) == step + offset]
    assert offsets == [-1, 0, 1]
    assert totp.step(secret, totp.code(secret, step), now, after=step) is None
    assert totp.step(secret, totp.code(secret, step + 1), now, after=step) == step + 1
    assert totp.step(secret, "", now) is None


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("JBSWY3DP", b"Hello"),
        ("jbsw y3dp", b"Hello"),
        ("JBSWY3DP====", b"Hello"),
        ("not base 32!", None),
        ("JBSWY3D", b"Hell"),
        ("é", None),
    ],
)
def test_secrets_are_base32(text: str, secret: bytes | None) -> None:
    assert secret_of(text) == secret
