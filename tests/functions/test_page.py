"""Of one call, either the worker goes on or the server takes it back, whichever comes first."""

from __future__ import annotations

from mmap import mmap

from mbaas_functions.page import PAGE_BYTES, PLACES, Page


def test_what_is_begun_cannot_be_had_back() -> None:
    page = Page(mmap(-1, PAGE_BYTES))
    assert not page.begun(3, 7)
    assert page.begin(3, 7)
    assert page.begun(3, 7)
    assert not page.take_back(3, 7)


def test_what_was_taken_back_is_not_begun() -> None:
    page = Page(mmap(-1, PAGE_BYTES))
    assert page.take_back(PLACES - 1, 7)
    assert not page.begin(PLACES - 1, 7)


def test_a_place_forgets_the_call_that_was_there_before() -> None:
    page = Page(mmap(-1, PAGE_BYTES))
    assert page.begin(0, 1)
    assert not page.begun(0, 2)
    assert page.take_back(0, 2)
    assert page.begin(0, 3)


def test_a_call_that_was_taken_back_stays_so_when_another_one_had_its_place() -> None:
    page = Page(mmap(-1, PAGE_BYTES))
    assert page.take_back(5, 7)
    assert page.take_back(5, 9)
    assert not page.begin(5, 7)
    assert not page.begun(5, 7)
    assert page.begin(5, 10)
