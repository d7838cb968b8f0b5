"""The supervisor's JSON is that of `json`, in what it reads, writes and raises."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor import json_text
from tests.cases import cases

ROOT = Path(__file__).parents[3]
TEXTS = st.text(st.characters(exclude_categories=()), max_size=8)  # halves of surrogate pairs too
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def outcome(read: Callable[[], object]) -> str:
    try:
        return repr(read())
    except (ValueError, RecursionError) as error:
        return repr(error)


@cases(short=300, long=20_000)
@given(VALUES, st.floats(0, 1), st.sampled_from(["", "x", "}", '"', " "]))
def test_it_writes_and_reads_what_json_does(content: object, kept: float, end: str) -> None:
    text, indented = json.dumps(content), json.dumps(content, indent=1, ensure_ascii=False)
    assert json_text.dumps(content) == text
    assert json_text.dumps(content, indented=True) == indented
    for source in (text, indented, text[: int(kept * len(text))], text + end):
        assert outcome(partial(json_text.loads, source)) == outcome(partial(json.loads, source))


ALONE = """
import sys
sys.path.insert(0, sys.argv[1])
from supervisor import json_text
assert "json" not in sys.modules
try:
    json_text.loads(sys.argv[2])
except ValueError as error:
    print(error)
"""
"""As in the container: nothing has imported `json`, whose errors the scanner raises only then."""


@pytest.mark.parametrize("content", ["{broken", '"abc', '["a\nb"]', '{"a" 1}', '"\\u12"', "[1,]", ""])
def test_what_is_no_json_is_refused_where_json_was_never_imported(content: str) -> None:
    command = [sys.executable, "-I", "-S", "-c", ALONE, str(ROOT / "docker"), content]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    with pytest.raises(json.JSONDecodeError) as refused:
        json.loads(content)
    assert (done.stdout.strip(), done.stderr) == (str(refused.value), "")


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b"\xff",
        b"",
        b" \n",
        b" [1] ",
        b"[" * 100_000,
        b"NaN",
        "\ufeff{}",
    ],
)
def test_odd_content_is_read_or_refused_as_by_json(content: bytes | str) -> None:
    assert outcome(lambda: json_text.loads(content)) == outcome(lambda: json.loads(content))


def test_what_is_no_json_may_be_refused() -> None:
    def refuse(name: str) -> object:
        raise ValueError(f"{name} is not JSON")

    assert json_text.loads(b"[1e999]", refuse) == [float("inf")]
    with pytest.raises(ValueError, match="Infinity is not JSON"):
        json_text.loads(b"[Infinity]", refuse)
