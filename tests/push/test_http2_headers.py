"""The mock reads and writes header blocks as the `hpack` package does."""

from __future__ import annotations

import pytest
from hpack import Decoder, Encoder
from hypothesis import given
from hypothesis import strategies as st

from mbaas_push.http2.headers import Reader, Unreadable, written

NAMES = st.sampled_from([":method", ":path", ":status", "authorization", "apns-topic", "content-type", "x" * 200])
TEXTS = st.text(st.characters(codec="utf-8"), max_size=60)
FIELDS = st.lists(st.tuples(NAMES, TEXTS, st.booleans()), max_size=4)
BLOCKS = st.lists(st.tuples(FIELDS, st.booleans(), st.sampled_from([None, 0, 300, 4096])), max_size=4)


@given(BLOCKS)
def test_what_the_package_writes_is_read(
    blocks: list[tuple[list[tuple[str, str, bool]], bool, int | None]],
) -> None:
    encoder, reader = Encoder(), Reader()
    for fields, huffman, size in blocks:
        if size is not None:
            encoder.header_table_size = size
        assert reader.read(encoder.encode(fields, huffman=huffman)) == {name: value for name, value, _ in fields}


@given(st.integers(100, 599), st.lists(st.tuples(NAMES.filter(lambda name: name[0] != ":"), TEXTS)))
def test_what_is_written_the_package_reads(status: int, fields: list[tuple[str, str]]) -> None:
    read = Decoder().decode(written(status, fields), raw=True)
    assert list(read) == [(name.encode(), value.encode()) for name, value in [(":status", str(status)), *fields]]


@given(st.binary(max_size=60))
def test_of_whatever_else_comes_it_says_that_it_cannot_be_read(block: bytes) -> None:
    try:
        read = Reader().read(block)
    except Unreadable:
        return
    assert all(isinstance(value, str) for value in read.values())


@pytest.mark.parametrize(
    "block", [b"\x80", b"\xff\xff\xff\xff\xff\xff\x01", b"\x3f\xe2\x1f", b"\xbe", b"\x40\x05ab", b"\x40\x81\xff\x00", b"\x40"]
)
def test_such_a_block_ends_the_connection(block: bytes) -> None:
    """Field 0, a number without end, a table too large, a field that is not there, and texts that are cut off or in no code."""
    with pytest.raises(Unreadable):
        Reader().read(block)
