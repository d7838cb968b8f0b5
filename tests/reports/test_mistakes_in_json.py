"""A config that is not JSON comes with the mistake that was made, in the reader's language."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from manager import i18n
from manager.config import fleet_settings, loader
from manager.util import strict_json
from tests.builders import a_config, write_config

TEXT = json.dumps(a_config(), indent=1)
MISTAKES = [
    ("", "it is empty"),
    (" \n\n", "it is empty"),
    (TEXT.rpartition("}")[0], "it ends too early"),
    ("// my bot\n" + TEXT, "JSON has no comments"),
    ("# my bot\n" + TEXT, "JSON has no comments"),
    (TEXT.replace('"grid_num"', '/* levels */ "grid_num"'), "JSON has no comments"),
    (TEXT.replace('"grid_num": 20,', '"grid_num": 20, // levels'), "JSON has no comments"),
    (TEXT.replace('"max_position": 5', '"max_position": 5,'), "the last comma is one too many"),
    (TEXT.replace('"grid_num": 20', '"grid_num": [1, 2,]'), "the last comma is one too many"),
    (TEXT.replace('"grid_num": 20,', '"grid_num": 20'), "a comma is missing"),
    (TEXT.replace('"grid_num": 20', '"grid_num" 20'), "a colon is missing"),
    (TEXT.replace('"grid_num"', "grid_num"), "a name in double quotes is expected"),
    (TEXT.replace('"', "'"), "JSON has double quotes only"),
    (TEXT.replace('"grid_num"', "\N{LEFT DOUBLE QUOTATION MARK}grid_num"), "is no character of JSON"),
    (TEXT.replace('"grid_num":', '"grid_num"\N{FULLWIDTH COLON}'), "is no character of JSON"),
    (TEXT.replace('"grid_num": 20', '"grid_num": True'), "“True” is no word of JSON"),
    (TEXT.replace('"grid_num": 20', '"grid_num": None'), "“None” is no word of JSON"),
    (TEXT.replace('"grid_num": 20', '"grid_num": .5'), "a value is expected"),
    (TEXT + "}", "more follows after its end"),
    (TEXT + TEXT, "more follows after its end"),
    (TEXT.replace("a grid", "a\ngrid"), "a string contains a line break"),
    (TEXT.replace("a grid", "C:\\path"), "in a string a backslash is written as two"),
    (TEXT.replace("a grid", "C:\\users"), "in a string a backslash is written as two"),
    (TEXT.replace('"a grid",', '"a grid'), "a string contains a line break"),
    ('{"metadata": "x', "a string has no closing quote"),
]


@pytest.mark.parametrize(("text", "mistake"), MISTAKES)
def test_a_mistake_is_named_with_its_line(text: str, mistake: str) -> None:
    with pytest.raises(strict_json.JsonFault) as caught:
        strict_json.parse(text)
    message = str(caught.value.text)
    assert mistake in message
    assert "(line " in message
    with i18n.speaking("zh_TW"):
        assert (
            re.search("[a-z]{2,}", str(caught.value.text).replace("grid_num", "")) is None
            or "true" in message
        )


def test_values_of_json_are_shown_as_it_writes_them(tmp_path: Path) -> None:
    strategy = {"grid_num": True, "order_quantity": None, "max_position": float("inf")}
    text = json.dumps(a_config(strategy_config=strategy)).replace("Infinity", "1e999")
    write_config(tmp_path, text.encode())
    fleet, defaults = fleet_settings.load(tmp_path)
    messages = [str(problem) for problem in loader.load(fleet, defaults, {}, {}).problems]
    assert [line.partition(": ")[2] for line in messages] == [
        "strategy_config.grid_num: must be a whole number, not true",
        "strategy_config.max_position: must be a finite number, not inf",
    ]
