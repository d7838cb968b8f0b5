"""A word that was mistyped, or typed as it is shown: what was meant is suggested, or understood."""

from __future__ import annotations

import argparse

import pytest

from manager import i18n
from manager.cli import argument_types
from manager.cli.command_table import COMMANDS
from manager.cli.main import main
from manager.fleet.selection import no_instance

IDS = ["bp_eth_01", "bp_eth_02", "bp_eth_03", "bp_sol_01", "bp_sol_03"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("stpo", "stop"), ("strat", "start"), ("restrat", "restart"), ("dwon", "down"), ("plann", "plan")],
)
def test_the_command_that_was_meant_is_suggested(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--lang", "en", typed])
    assert ended.value.code == 2
    assert f"there is no {typed}; did you mean {meant}?" in capsys.readouterr().err


def test_a_command_that_resembles_none_is_named_without_all_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["--lang", "en", "qqqq"])
    assert "there is no command qqqq; see `manager --help`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "suggested"),
    [
        ("bp_eth_3", "bp_eth_03"),
        ("bp_sol_1", "bp_sol_01"),
        ("BP_ETH_2", "bp_eth_02"),
        ("bp_eth_003", "bp_eth_03"),
    ],
)
def test_an_id_without_its_zeros_suggests_that_one(typed: str, suggested: str) -> None:
    assert str(no_instance(typed, IDS)) == f"there is no instance {typed}; did you mean {suggested}?"


def test_an_id_that_is_no_other_suggests_the_nearest() -> None:
    assert "did you mean bp_eth_0" in str(no_instance("bp_eth_04", IDS))


@pytest.fixture
def _chinese() -> object:
    with i18n.speaking("zh-TW"):
        yield


@pytest.mark.usefixtures("_chinese")
def test_states_and_modes_are_understood_as_ps_prints_them() -> None:
    assert argument_types.states("執行中,failed") == ["running", "failed"]
    assert argument_types.modes("實盤") == ["live"]
    assert argument_types.modes("模擬盤,live") == ["paper", "live"]
    with pytest.raises(argparse.ArgumentTypeError, match="running（執行中），unhealthy（不健康）"):
        argument_types.states("執行")


def test_in_english_too() -> None:
    assert argument_types.modes("LIVE") == ["live"]
    with pytest.raises(argparse.ArgumentTypeError, match="must be one of paper, live, not"):
        argument_types.modes("real")


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "exec"])
def test_an_unknown_option_points_to_the_help_of_its_command(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not `exec`: what follows its id is another command's."""
    enough = {"backtest": ["a", "b"], "restore": ["f"], "close": ["a"]}
    with pytest.raises(SystemExit) as ended:
        main(["--lang", "en", *command.split(), *enough.get(command, []), "--frob"])
    assert ended.value.code == 2
    assert f"see `manager {command} --help`" in capsys.readouterr().err.lower()


@pytest.mark.parametrize(("command", "needed"), [("exec", "ID"), ("restore", "FILE")])
def test_only_what_must_be_given_is_said_to_be_required(
    command: str, needed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--lang", "en", command])
    assert f"the following arguments are required: {needed};" in capsys.readouterr().err


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_the_help_of_each_command_lists_its_exit_codes(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert "\nexit codes: " in capsys.readouterr().out
