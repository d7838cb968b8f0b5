"""What is printed of other people's files moves no cursor and turns no text around."""

from __future__ import annotations

import json

import pytest

from manager.util import console

HOSTILE = "a\x1b[2J\x9b\x7f\u202eb\U000e0041\u3164\u2800\ud800名"


def test_messages_have_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    console.error(f"x: {HOSTILE[:-2]}名\nsecond line")
    output = capsys.readouterr().err
    assert output == "error: x: a [2J   b   名\nsecond line\n"


def test_json_has_the_same_value_without_them(capsys: pytest.CaptureFixture[str]) -> None:
    console.say_json({HOSTILE: [HOSTILE, "two\nlines"]})
    output = capsys.readouterr().out
    assert all(line.isprintable() for line in output.splitlines())
    assert not {"\u3164", "\u2800"} & set(output)
    assert json.loads(output) == {HOSTILE: [HOSTILE, "two\nlines"]}
