"""The way back from an upgrade: what it writes down first, what it brings back, and what it refuses."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from manager.errors import BAD_CONFIG, FAILED, USAGE, EngineError
from manager.fleet import state_file, upgrade_records
from manager.fleet.session import Session
from manager.fleet.state_file import FleetState
from tests.fakes.sandbox import BOTH, ETH, Sandbox


def fleet_state(sandbox: Sandbox) -> FleetState:
    fleet = Session(sandbox.folder).project().fleet
    return state_file.load(fleet.state_file, fleet.name)


def given(sandbox: Sandbox, instance: str) -> dict[str, Any]:
    """Return the variables that the instance's bot finds."""
    content = json.loads((sandbox.folder / "volumes/secrets" / instance / "env.json").read_text())
    assert isinstance(content, dict)
    return content


def upgraded(sandbox: Sandbox) -> None:
    """Have both upgraded to another image."""
    sandbox.run("up")
    sandbox.new_image()
    sandbox.run("upgrade")
    assert sandbox.exit_code == 0


def test_what_is_rejected_is_written_down_before_the_first_is_touched(sandbox: Sandbox) -> None:
    """A rollback that is killed would be undone by the next `up`."""
    upgraded(sandbox)
    rejected: list[list[str]] = []

    def look() -> None:
        state = fleet_state(sandbox)
        rejected.append([instance for instance in BOTH if state.of(instance).refused])

    sandbox.engine.before("stop", look, of=ETH)
    sandbox.run("rollback")
    assert rejected == [list(BOTH)]


def test_the_old_container_gets_the_credentials_that_it_had(sandbox: Sandbox) -> None:
    for number, instance in enumerate(BOTH, start=5001):
        sandbox.config(
            instance, number, mode="live", metadata={"symbol": f"{instance[3:6].upper()}_USDC_PERP"}
        )
    upgraded(sandbox)
    sandbox.new_image()
    (sandbox.folder / ".env").write_text("BACKPACK_KEY=another\nBACKPACK_SECRET=s\n")
    sandbox.run("upgrade")
    assert {given(sandbox, instance)["BACKPACK_KEY"] for instance in BOTH} == {"another"}
    sandbox.run("rollback bp_eth_02")
    assert given(sandbox, "bp_eth_02")["BACKPACK_KEY"] == "k"
    assert given(sandbox, "bp_sol_01")["BACKPACK_KEY"] == "another"
    sandbox.run("rollback")
    assert given(sandbox, "bp_sol_01")["BACKPACK_KEY"] == "k", "the first rollback has kept it"


def test_the_old_bot_is_started_whatever_the_new_one_has_ended_with(sandbox: Sandbox) -> None:
    """A supervisor starts no bot on a state that is final."""
    upgraded(sandbox)
    path = sandbox.folder / "volumes/state/bp_eth_02/supervisor.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "state": "failed", "why": "exit code 1"}))
    states: list[bool] = []
    sandbox.engine.before("start", lambda: states.append(path.exists()), of=ETH)
    sandbox.run("rollback bp_eth_02")
    assert states == [False]


@pytest.mark.parametrize("lack", ["image", "folder", "port"])
def test_what_cannot_be_brought_back_is_known_before_anything_is_stopped(sandbox: Sandbox, lack: str) -> None:
    sandbox.run("up")
    sandbox.new_image()
    sandbox.config("bp_eth_02", 5009, daemon_config={"log_dir": "logs/new"})
    sandbox.run("upgrade bp_eth_02")
    assert sandbox.exit_code == 0
    match lack:
        case "image":
            [name] = sandbox.engine.tags("*:rollback-*")
            sandbox.engine.untag(name)
        case "folder":
            shutil.rmtree(sandbox.folder / "volumes/logs/bp_eth_02")
        case "port":
            sandbox.ports_in_use.add(5001)
    told = sandbox.transcript("rollback bp_eth_02")
    assert "cannot roll bp_eth_02 back: its old" in told
    assert "engine: stop" not in told
    assert sandbox.states()["bp_eth_02"] == "running"


def test_one_that_could_not_be_brought_back_can_be_brought_back_later(sandbox: Sandbox) -> None:
    upgraded(sandbox)
    sandbox.engine.fails("stop", EngineError("the engine is busy"), of=ETH)
    sandbox.run("rollback")
    assert sandbox.exit_code == FAILED
    records = upgrade_records.load(Session(sandbox.folder).project().fleet)
    assert {instance: record.phase for instance, record in records.items()} == {
        "bp_eth_02": "done",
        "bp_sol_01": "back",
    }
    assert "bp_eth_02: rolled back" in sandbox.transcript("rollback")


def test_what_belongs_to_another_folder_is_not_rolled_back(sandbox: Sandbox) -> None:
    """A copy of the project folder knows the upgrade too, and the bots are the original's."""
    upgraded(sandbox)
    copy = sandbox.folder.with_name("copy")
    shutil.copytree(sandbox.folder, copy, symlinks=True)
    original, sandbox.folder = sandbox.folder, copy
    told = sandbox.transcript("rollback")
    assert f"belongs to {original}" in told.replace("DIR", str(copy))
    assert sandbox.exit_code == BAD_CONFIG
    assert "engine: stop" not in told


def test_what_belongs_to_another_machine_by_now_is_not_started_by_a_rollback(sandbox: Sandbox) -> None:
    upgraded(sandbox)
    pinned, other = BOTH
    path = sandbox.folder / "config" / "active" / f"{pinned}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "host": "tokyo"}))
    assert f"{pinned} belongs to host tokyo" in sandbox.transcript(f"rollback {pinned}")
    assert sandbox.exit_code == USAGE
    output = sandbox.transcript("rollback")
    assert f"{other}: rolled back" in output
    assert f"{pinned}: rolled back" not in output
