"""Whose turn it is, from a file that may hold anything."""

import json
from pathlib import Path

import pytest

from supervisor.turn import GIVEN_FOR_S, MOST_S, wait_s

NOW = 1_764_500_000.0


def waits(path: Path, content: object, now: float = NOW) -> float:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return wait_s(str(path), now)


def test_a_turn_counts_for_as_long_as_a_start_takes(tmp_path: Path) -> None:
    content = {"phase": 30, "turn_given": NOW, "turn": NOW + 10}
    file = tmp_path / "requests.json"
    assert waits(file, content) == 10
    assert waits(file, content, NOW + 11) == 0
    assert waits(file, content, NOW + GIVEN_FOR_S + 1) == 30
    assert waits(file, content, NOW - 1) == 30, "a clock that was set back: it may be anything"


def test_a_turn_counts_once_an_engine_that_comes_back_soon_after_starts_all_at_one_moment(
    tmp_path: Path,
) -> None:
    file = tmp_path / "requests.json"
    file.write_text(json.dumps({"phase": 30, "turn_given": NOW, "turn": NOW + 10}))
    assert wait_s(str(file), NOW + 60, NOW + 10.2) == 30
    assert wait_s(str(file), NOW + 4, NOW - 500) == 6, "a start of before the turn was given"
    assert wait_s(str(file), NOW + 4, NOW) == 30, "a start of that very moment has used it"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 100_000,
        " " * 5000,
        {},
        {"phase": "30"},
        {"phase": True},
        {"phase": -5},
        {"phase": MOST_S + 1},
        '{"phase": NaN}',
        '{"phase": Infinity}',
        '{"phase": 1e999}',
        '{"phase": 1' + "0" * 400 + "}",
        {"turn_given": NOW, "turn": NOW + 1e9, "phase": 30},
        {"turn_given": NOW, "turn": NOW - 5, "phase": 30},
    ],
)
def test_no_content_keeps_a_bot_from_starting(tmp_path: Path, content: object) -> None:
    assert waits(tmp_path / "requests.json", content) == 0


def test_nor_what_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "requests.json"
    assert wait_s(str(path), NOW) == 0
    path.mkdir()
    assert wait_s(str(path), NOW) == 0
    path.rmdir()
    (tmp_path / "other").write_text('{"phase": 30}')
    path.symlink_to(tmp_path / "other")
    assert wait_s(str(path), NOW) == 0
