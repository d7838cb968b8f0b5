"""Patterns of settings match as those of `fnmatch` do."""

from __future__ import annotations

from fnmatch import fnmatchcase

from hypothesis import given
from hypothesis import strategies as st

from manager.util import wildcard

WORDS = st.text(alphabet="AB_*?[]!\n", max_size=6)


@given(name=WORDS, pattern=WORDS)
def test_it_is_what_fnmatch_says(name: str, pattern: str) -> None:
    assert wildcard.matches(name, pattern) is fnmatchcase(name, pattern)


def test_one_that_would_overlap_does_not_match() -> None:
    assert not wildcard.matches("AB", "AB*B")
    assert wildcard.matches("ABB", "AB*B")
    assert wildcard.matches("", "*")
