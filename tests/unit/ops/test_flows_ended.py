"""What has ended by itself trades again only if a person names it: it may have hit its stop loss."""

from __future__ import annotations

import pytest

from tests.fakes.desk import SOL, Desk

LEFT = "bp_sol_01: left alone: {state} (exit code {code}); "


@pytest.mark.parametrize(("state", "code"), [("completed", 0), ("failed", 1)])
@pytest.mark.parametrize("command", ["start", "restart", "up", "up --recreate", "upgrade"])
@pytest.mark.parametrize("before", ["nothing", "docker stop", "manager stop", "another config"])
def test_no_command_for_the_whole_fleet_starts_it(
    desk: Desk, state: str, code: int, command: str, before: str
) -> None:
    desk.bots.fate("bp_sol_01", state=state)
    desk.play("up")
    desk.bots.fate("bp_sol_01")
    if before == "another config":
        desk.config("bp_sol_01", 5002, strategy_config={"grid_num": 9})
    if before in {"docker stop", "another config"}:
        desk.engine.stop(SOL, 10)
    if before == "manager stop":
        desk.play("stop")
    desk.new_image()
    said = desk.play(command, "ps")
    row = next(line for line in said.splitlines() if line.startswith("bp_sol_01 ") and "paper" in line)
    assert " running " not in row, said
    if command in {"start", "restart"} and not (command == "restart" and before == "manager stop"):
        assert LEFT.format(state=state, code=code) in said


@pytest.mark.parametrize("command", ["start bp_sol_01", "restart bp_sol_01", "up bp_sol_01"])
@pytest.mark.parametrize("is_down", [False, True])
def test_who_is_named_starts(desk: Desk, command: str, is_down: bool) -> None:
    desk.bots.fate("bp_sol_01", state="completed")
    desk.play("up")
    desk.bots.fate("bp_sol_01")
    if is_down:
        desk.play("stop")
    desk.play(command)
    assert desk.play("ps").count(" running ") == (1 if is_down else 2)
