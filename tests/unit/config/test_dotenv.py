"""`.env`: lines, faults by line, and how a value is written. What other programs read: tests/reports/."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.config import dotenv
from manager.config.dotenv import Dotenv


def test_lines_comments_and_multi_line_values() -> None:
    parsed = dotenv.parse(
        "A=1\n# it's no\n\nexport B = two words \nKEY='-----BEGIN\nab=\n-----END' # c\nE=\nF=\"x\""
    )
    assert parsed.faults == ()
    assert parsed.variables == {
        "A": "1",
        "B": "two words",
        "KEY": "-----BEGIN\nab=\n-----END",
        "E": "",
        "F": "x",
    }


def test_faults_are_named_by_line_and_the_lines_after_them_are_read(tmp_path: Path) -> None:
    parsed = dotenv.parse("A=1\nno equals\nB='1\n2'\nX/Y=2\nC='open\nD=1\n")
    assert [(number, str(why)) for number, why in parsed.faults] == [
        (2, "is not NAME=value"),
        (5, "is not NAME=value"),
        (6, "the quotes around the value of C are not closed"),
    ]
    assert parsed.variables == {"A": "1", "B": "1\n2", "D": "1"}


def test_a_file_that_cannot_be_read_is_one_fault(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    assert dotenv.read(path) == Dotenv()
    path.write_bytes("A=1".encode("utf-16"))
    assert [str(why) for _number, why in dotenv.read(path).faults] == ["is not UTF-8"]
    path.write_bytes(b"#" * (dotenv.MAX_BYTES + 1))
    assert [str(why) for _number, why in dotenv.read(path).faults] == ["is larger than 1000000 bytes"]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "abc",
        "a b",
        " a ",
        "a # b",
        "#a",
        "$a",
        "a$$b",
        "a'b",
        'it\'s $5 "x"',
        "a\\b",
        "a\\\\b",
        "a\nb",
        '"a"',
        "'",
    ],
)
def test_what_is_written_is_read_back(value: str) -> None:
    written = dotenv.quoted(value)
    assert written is not None
    assert dotenv.parse(f"X={written}\n").variables == {"X": value}


def test_a_value_that_no_form_expresses_for_every_program_is_not_written() -> None:
    assert dotenv.quoted("a\\\\$b") is None
    assert dotenv.quoted("a\0b") is None
    assert dotenv.quoted(" it's\\") is None  # of which a quote in a later line makes another one


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('A="x\\\\"\nB="c"', "programs differ on a backslash in these quotes"),
        ("A='x\\\\'", "programs differ on a backslash in these quotes"),
        ("A=x\t# c", "programs differ on whether “#” begins a comment here"),
        ("A= # c", "programs differ on whether “#” begins a comment here"),
        ("A='${B:-c}'", "which some programs replace in any quotes"),
        ("# c\rB=1", "there is a carriage return in the middle of this line"),
    ],
)
def test_what_programs_read_differently_is_a_fault(line: str, why: str) -> None:
    """A credential that only one of them reads so would be another key for the other one's bots."""
    [(number, fault)] = dotenv.parse(f"X=1\n{line}\n").faults
    assert number == 2
    assert why in str(fault)


def test_a_byte_order_mark_belongs_to_no_name(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes("A=1\n".encode("utf-8-sig"))
    assert dotenv.read(path) == Dotenv({"A": "1"})
