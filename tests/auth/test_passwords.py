"""Passwords: what is kept of them, and what verifies."""

from __future__ import annotations

import asyncio

import bcrypt
import pytest

from mbaas.kernel.errors import ParseError
from mbaas_auth.passwords import MAX_BYTES, Passwords

LONG = "a" * 72


async def test_a_password_is_kept_as_argon2id_and_verifies() -> None:
    """The parameters are OWASP's: 19 MiB, two passes, one lane."""
    passwords = Passwords()
    hashed = await passwords.hash("open sesame")
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.verify("open sesame", hashed) == (True, False)
    assert await passwords.verify("Open sesame", hashed) == (False, False)


async def test_two_hashes_of_one_password_differ() -> None:
    passwords = Passwords()
    assert await passwords.hash("same") != await passwords.hash("same")


@pytest.mark.parametrize("prefix", [b"$2a$", b"$2b$"])
async def test_a_hash_of_parse_server_verifies_and_asks_to_be_renewed(prefix: bytes) -> None:
    """Parse Server's bcrypt saw the first 72 bytes of a password only; a longer one still opens its account."""
    kept = bcrypt.hashpw(LONG.encode(), bcrypt.gensalt(4, prefix=prefix[1:3])).decode()
    assert await Passwords().verify(LONG + " and more than bcrypt looks at", kept) == (True, True)
    assert await Passwords().verify("b" * 72, kept) == (False, False)


@pytest.mark.parametrize("kept", ["", "plain text", "$unknown$1$x", "$2b$broken", "$argon2id$broken"])
async def test_what_is_no_hash_verifies_nothing(kept: str) -> None:
    """A row that somebody damaged locks its account and does not break the server."""
    assert await Passwords().verify("anything", kept) == (False, False)


async def test_an_account_that_is_not_there_verifies_nothing_either() -> None:
    assert await Passwords().verify("anything", None) == (False, False)


async def test_the_longest_password_is_1024_bytes() -> None:
    """Bytes, not characters: a longer one is refused before any work is done on it."""
    passwords = Passwords()
    assert await passwords.verify("ü" * (MAX_BYTES // 2), await passwords.hash("ü" * (MAX_BYTES // 2))) == (True, False)
    with pytest.raises(ParseError) as refused:
        await passwords.hash("ü" * (MAX_BYTES // 2 + 1))
    assert refused.value.code == 142
    assert await passwords.verify("ü" * MAX_BYTES, None) == (False, False)


async def test_a_flood_of_sign_ins_is_turned_away_and_the_loop_stays_free() -> None:
    """Only so many may wait for the hashing threads; the rest are told to come back, and are answered at once."""
    passwords = Passwords()
    kept = await passwords.hash("x")
    results = await asyncio.gather(*(passwords.verify("x", kept) for _ in range(80)), return_exceptions=True)
    refused = [r for r in results if isinstance(r, ParseError)]
    assert len(refused) == 16
    assert {(error.code, error.status) for error in refused} == {(155, 429)}
    assert [r for r in results if not isinstance(r, BaseException)] == [(True, False)] * 64
