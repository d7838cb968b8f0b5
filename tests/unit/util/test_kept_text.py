"""A message in a file is shown in each reader's language, and what is none of ours is not shown at all."""

from __future__ import annotations

import json

import pytest

from manager import i18n
from manager.errors import ConfigError, ManagerError, Problem
from manager.i18n import Text
from manager.util.kept_text import english, kept, unkept

NESTED = Text("{what}; {orders}", what=Text("exit code {code}", code=3), orders="3 < 4")


@pytest.mark.parametrize(
    "text",
    [
        NESTED,
        ManagerError("exit code {code}", code=3),
        "as it is",
        7,
        ConfigError([Problem("f", "k", NESTED)]),
    ],
)
def test_what_is_kept_in_one_language_is_read_in_another(text: object) -> None:
    with i18n.speaking("zh-TW"):
        line = json.dumps(kept(text))
    assert str(unkept(json.loads(line))) == english(text)


def test_a_reader_of_another_language_gets_it_in_his() -> None:
    text = unkept(json.loads(json.dumps(kept(NESTED))))
    with i18n.speaking("zh-TW"):
        assert "exit code" not in str(text)
    assert str(text) == "exit code 3; 3 < 4"


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        {},
        {"text": "{code}", "params": {}},
        {"text": "{code.__class__}", "params": {"code": 1}},
        {"text": "{code[0]}", "params": {"code": "x"}},
        {"text": "{code:999999999}", "params": {"code": 1}},
        {"text": "{code:{code}}", "params": {"code": 1}},
        {"text": "{0}", "params": {"0": 1}},
        {"text": "{", "params": {}},
        {"text": "x" * 2000, "params": {}},
        {"text": "{code}", "params": {"code": [1]}},
        {"text": "{code:f}", "params": {"code": "x"}},
        {"text": 3, "params": {}},
    ],
)
def test_what_no_version_writes_is_no_message(raw: object) -> None:
    assert unkept(raw) is None


def test_messages_within_messages_end() -> None:
    raw: object = "end"
    for _depth in range(10):
        raw = {"text": "{why}", "params": {"why": raw}}
    assert unkept(raw) is None
