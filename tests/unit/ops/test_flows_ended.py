"""What has ended by itself trades again only if a person names it: it may have hit its stop loss."""

from __future__ import annotations

import pytest

from tests.fakes.sandbox import SOL, Sandbox

LEFT = "bp_sol_01: left alone: {end}; "


@pytest.mark.parametrize(
    ("state", "end"), [("completed", "completed (unknown: exit code 0)"), ("failed", "failed (exit code 1)")]
)
@pytest.mark.parametrize("command", ["start", "restart", "up", "up --recreate", "upgrade"])
@pytest.mark.parametrize("before", ["nothing", "docker stop", "manager stop", "another config"])
def test_no_command_for_the_whole_fleet_starts_it(
    sandbox: Sandbox, state: str, end: str, command: str, before: str
) -> None:
    sandbox.bots.set_behaviour("bp_sol_01", state=state)
    sandbox.transcript("up")
    sandbox.bots.set_behaviour("bp_sol_01")
    if before == "another config":
        sandbox.config("bp_sol_01", 5002, strategy_config={"grid_num": 9})
    if before in {"docker stop", "another config"}:
        sandbox.engine.stop(SOL, 10)
    if before == "manager stop":
        sandbox.transcript("stop")
    sandbox.new_image()
    output = sandbox.transcript(command, "ps")
    row = next(line for line in output.splitlines() if line.startswith("bp_sol_01 ") and "paper" in line)
    assert " running " not in row, output
    if command in {"start", "restart"} and not (command == "restart" and before == "manager stop"):
        assert LEFT.format(end=end) in output


@pytest.mark.parametrize("command", ["start bp_sol_01", "restart bp_sol_01", "up bp_sol_01"])
@pytest.mark.parametrize("is_down", [False, True])
def test_who_is_named_starts(sandbox: Sandbox, command: str, is_down: bool) -> None:
    sandbox.bots.set_behaviour("bp_sol_01", state="completed")
    sandbox.transcript("up")
    sandbox.bots.set_behaviour("bp_sol_01")
    if is_down:
        sandbox.transcript("stop")
    sandbox.transcript(command)
    assert sandbox.transcript("ps").count(" running ") == (1 if is_down else 2)


@pytest.mark.parametrize("state", ["completed", "failed"])
def test_nobody_is_told_that_it_was_started_where_only_its_container_is(sandbox: Sandbox, state: str) -> None:
    sandbox.bots.set_behaviour("bp_sol_01", state=state)
    sandbox.transcript("up", "halt")
    sandbox.bots.set_behaviour("bp_sol_01")
    dry = sandbox.transcript("resume --dry-run")
    output = sandbox.transcript("resume --wait", "ps")
    for lines in (dry, output):
        assert f"bp_sol_01: left alone: {state} (" in lines, lines
        assert "`manager start bp_sol_01` starts it" in lines
    assert "bp_sol_01: started" not in output
    assert f" {state} " in next(line for line in output.splitlines() if line.startswith("bp_sol_01  paper"))
