"""What a bot's help says of its options."""

from __future__ import annotations

import argparse

import pytest

from manager.config.bot_argv import other_arguments
from manager.config.bot_options import BotOptions, missing_from, options_in, unknown_to, used_in


def help_of(*required: str, optional: tuple[str, ...] = (), one_of: tuple[str, ...] = ()) -> str:
    parser = argparse.ArgumentParser(prog="run.py", add_help=True)
    for name in required:
        parser.add_argument(name, required=True)
    for name in optional:
        parser.add_argument(name, choices=["a", "b"], help="see --not-an-option-of-mine-but-named")
    if one_of:
        group = parser.add_mutually_exclusive_group(required=True)
        for name in one_of:
            group.add_argument(name)
    return parser.format_help()


def test_argparse_brackets_what_may_be_left_out() -> None:
    options = options_in(
        help_of("--symbol", "--leverage", optional=("--grid-num",), one_of=("--a-b", "--c-d"))
    )
    assert options.required == {"--symbol", "--leverage"}
    assert {"--grid-num", "--a-b", "--c-d", "--help"} <= options.known


@pytest.mark.parametrize("text", ["", "trading starts\n", "usage: run.py [options]\n"])
def test_a_text_without_options_says_nothing(text: str) -> None:
    assert options_in(text) == BotOptions()
    assert unknown_to(options_in(text), ["--symbol", "x"]) == []


def test_clicks_help_names_options_and_requires_none() -> None:
    options = options_in("Usage: run.py [OPTIONS]\n\nOptions:\n  --symbol TEXT  [required]\n  --help\n")
    assert options == BotOptions(frozenset({"--symbol", "--help"}), frozenset())


def test_values_are_no_options_and_beginnings_are_accepted() -> None:
    command = ["--symbol", "SOL", "--grid-num=5", "--price", "-1", "--symbol", "x"]
    assert used_in(command) == ["--symbol", "--grid-num", "--price"]
    options = BotOptions(frozenset({"--symbols", "--grid-num"}), frozenset({"--symbols", "--account"}))
    assert unknown_to(options, command) == ["--price"]
    assert missing_from(options, command) == ["--account"]


def test_an_option_that_begins_like_another_is_not_that_one() -> None:
    options = BotOptions(frozenset({"--strategy", "--strategy-file"}), frozenset({"--strategy-file"}))
    assert missing_from(options, ["--strategy", "grid"]) == ["--strategy-file"]
    assert missing_from(options, ["--strategy-f", "x"]) == []


def test_an_option_of_a_config_is_no_argument_of_its_own_however_it_is_written() -> None:
    """`manager plan --json` would say that a person has added what the config's keys became."""
    command = ["--symbol=SOL", "--grid-num", "5", "--stop-loss=3", "--exclusive-account", "--own=1", "word"]
    assert other_arguments(command) == ["--own=1", "word"]
