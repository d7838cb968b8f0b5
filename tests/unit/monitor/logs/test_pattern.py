"""Find out quickly that a line does not match, without ever being wrong."""

from __future__ import annotations

import re
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manager.monitor.logs.pattern import Pattern, required_texts


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        ("filled", ("filled",)),
        ("filled|cancel", ("filled", "cancel")),
        ("(?i)filled|cancel", ("filled", "cancel")),
        ("placed [0-9]+ at", ("placed ",)),
        (r"price \d+\.5 of", ("price ",)),
        (r"a\.b", ("a.b",)),
        ("colou?r", ("colo",)),
        ("ab*cd", ("cd",)),
        ("ab{2,3}c{", ("c{",)),
        ("x+y", ("x",)),
        ("(one|two) three", (" three",)),
        ("[]|(]four[^]]", ("four",)),
        ("(a(b)[)])c", ("c",)),
        ("^ERROR$", ("ERROR",)),
        ("(?i)größer", ()),
        ("größer", ("größer",)),
        ("a|", ()),
        ("a|.*", ()),
        ("[abc]", ()),
        ("(abc)?", ()),
        (r"\x41bc", ()),
        (r"(a)\1b", ()),
        ("(?!a)bc", ()),
        ("(?x)a b", ()),
        ("\ufffd", ()),
    ],
)
def test_what_each_match_contains(pattern: str, texts: tuple[str, ...]) -> None:
    assert required_texts(re.compile(pattern)) == texts


PARTS = st.sampled_from(
    [
        *("a", "b", "k", "s", "i", "ab", " ", "é", "{", "}", "1", ",", "-"),
        *(".", "*", "+", "?", "|", "^", "$", "(", ")", "[", "]", "[^", "{2}", "{,1}", "{0,}", "*?", "++"),
        *("\\d", "\\w", "\\b", "\\.", "\\|", "\\[", "\\\\", "(?:", "(?=", "(?!", "(?i:", "\\1"),
    ]
)


@given(
    flags=st.sampled_from(["", "(?i)", "(?m)", "(?is)"]),
    parts=st.lists(PARTS, min_size=1, max_size=8),
    line=st.text(st.sampled_from("abkskiABKSI é{}1,-.|[\\\u212a\u017f\u0130\u0131\ufffd"), max_size=12),
)
def test_a_line_that_matches_always_may(flags: str, parts: list[str], line: str) -> None:
    try:
        with warnings.catch_warnings(action="ignore"):  # "possible nested set"
            pattern = Pattern(re.compile(flags + "".join(parts)))
    except re.error:
        return
    may_match = pattern.may_match
    for text in (line.encode(), line.encode() + b"\xff", b"\xe2" + line.encode()):
        if may_match is not None and pattern.matches(text):
            assert may_match(text)
