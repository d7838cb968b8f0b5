"""Usual command lines are read without argparse, to the same values, and every other one by it."""

from __future__ import annotations

import argparse
import contextlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manager.cli import parsers, plain_line
from manager.cli.command_table import COMMANDS
from tests.cases import cases

USUAL = (
    "ps",
    "ps --json",
    "ps bp_sol_01 --state failed,unhealthy",
    "ps --exchange backpack --exchange aster --symbol SOL*",
    "ps --sort worst",
    "list",
    "list --json bp_sol_01",
    "status bp_sol_01",
    "status -c config/active/bp_sol_01.json",
    "status --instance-id bp_sol_01",
    "up",
    "up --wait --wait-timeout 20 bp_sol_01 bp_sol_02",
    "restart bp_sol_01 -y",
    "logs --tail 100 bp_sol_01",
    "logs bp_sol_01 -n 5 --grep fill",
    "down --remove-orphans",
    "halt",
)
OF_ARGPARSE = (
    "",
    "--version",
    "--lang en ps",
    "ps --lang en",
    "ps --host tokyo",
    "ps --jso",
    "ps --json=yes",
    "ps -w",
    "ps --watch 5",
    "ps a --json b",
    "ps -- a",
    "ps --sort best",
    "ps --state asleep",
    "logs -fn 5",
    "logs --tail",
    "logs --tail -5",
    "logs --tail many",
    "status --help",
    "exec bp_sol_01 ls -la",
    "close bp_sol_01",
    "config schema",
    "stpo",
)
WORDS = st.sampled_from(
    sorted(
        {flag for command in COMMANDS.values() for option in command.options for flag in option.flags}
        | {*COMMANDS, "5", "0.5", "-5", "-", "", "--", "--js", "-fn", "bp_sol_01", "failed", "--tail=5"}
    )
)


def by_argparse(line: list[str]) -> dict[str, object] | None:
    """Return the values that argparse finds; None where it refuses the line, or shows help."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        try:
            return vars(parsers.parsed(line))
        except SystemExit:
            return None


@pytest.mark.parametrize("line", USUAL)
def test_a_usual_line_means_the_same(line: str) -> None:
    read = plain_line.read(line.split())
    assert read is not None
    assert vars(read) == by_argparse(line.split())


@pytest.mark.parametrize("line", OF_ARGPARSE)
def test_every_other_line_is_left_to_argparse(line: str) -> None:
    assert plain_line.read(line.split()) is None


@given(st.sampled_from(sorted(COMMANDS)), st.lists(WORDS, max_size=4))
@cases(200, 20_000)
def test_no_line_means_something_else(command: str, rest: list[str]) -> None:
    line = [command, *rest]
    read = plain_line.read(line)
    assert read is None or vars(read) == by_argparse(line)


@pytest.mark.parametrize(
    ("line", "only"),
    [
        ("--project-dir DIR ps", "ps"),
        ("--project-dir=DIR --swarm halt bp_sol_01", "halt"),
        ("--lang en --host tokyo status bp_sol_01", "status"),
        ("--project-dir ps up --wait", "up"),
        ("--host up backup list", "backup list"),
        ("--project-dir --swarm ps", None),
        ("--project DIR ps", None),
        ("--version ps", None),
        ("stpo", None),
        ("--host", None),
    ],
)
def test_the_parser_of_one_command_finds_what_that_of_all_does(
    monkeypatch: pytest.MonkeyPatch, line: str, only: str | None
) -> None:
    """To make them all takes as long as most commands."""
    made = parsers.parser
    names: list[str | None] = []

    def noted(name: str | None = None) -> argparse.ArgumentParser:
        names.append(name)
        return made(name)

    monkeypatch.setattr(parsers, "parser", noted)
    one = by_argparse(line.split())
    assert names == [only]
    monkeypatch.setattr(parsers, "parser", lambda _name=None: made())
    assert by_argparse(line.split()) == one
    assert (one is None) is (only is None and not line.startswith("--project "))
