"""What the executor checks before a bot is stopped, and what it finishes although something has failed."""

from __future__ import annotations

import os

import pytest

from manager.errors import EngineError, ManagerError
from manager.fleet import env_file
from manager.fleet import project as projects
from manager.fleet.session import Session
from manager.i18n import Text
from manager.ops import apply
from manager.ops.actions.action import Action, Change
from manager.ops.actions.events import ActionDone, Event
from manager.ops.planning import changes
from tests.fakes.desk import ETH, REAL_SLEEP, SOL, Desk


def test_what_cannot_be_removed_for_its_port_is_not_touched_again(desk: Desk) -> None:
    desk.play("up")
    desk.config("bp_eth_02", 5002)
    desk.config("bp_sol_01", 5001)
    desk.engine.fails("remove", EngineError("device or resource busy"), of=ETH)
    desk.goes("""
        $ up
        bp_eth_02: failed (config changed, 0.0 s)
        bp_sol_01: recreated (config changed, 0.0 s)
        error: cannot remove bp_eth_02: device or resource busy
          engine: stop bp_eth_02
          engine: remove bp_eth_02
          engine: stop bp_sol_01
          engine: remove bp_sol_01
          engine: create bp_sol_01
          engine: start bp_sol_01
          exit code 1
        $ up
        bp_eth_02: recreated (config changed, 0.0 s)
          engine: remove bp_eth_02
          engine: create bp_eth_02
          engine: start bp_eth_02
    """)


def test_a_state_that_could_not_be_reset_is_known_before_the_bot_is_stopped(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.play("up")
    state_dir, access = projects.read(desk.folder).fleet.instance_state_dir("bp_sol_01"), os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != state_dir and access(path, mode))
    desk.goes("""
        $ restart bp_sol_01
        bp_sol_01: failed (requested, 0.0 s)
        error: cannot remove DIR/volumes/state/bp_sol_01/supervisor.json: Permission denied
          exit code 1
    """)
    assert desk.states()["bp_sol_01"] == "running"
    desk.config("bp_sol_01", 5002, daemon_config={"memory_limit_mb": 300})
    assert "bp_sol_01: failed (config changed" in desk.play("up bp_sol_01")
    assert desk.states()["bp_sol_01"] == "running"


@pytest.mark.parametrize("folder", ["state", "secrets"])
def test_a_rollback_that_could_not_write_leaves_the_bot_running(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    desk.play("up")
    desk.new_image()
    desk.play("upgrade")
    place, access = desk.folder / "volumes" / folder / "bp_sol_01", os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != place and access(path, mode))
    assert f"DIR/volumes/{folder}/bp_sol_01" in desk.play("rollback bp_sol_01")
    assert desk.exit_code == 1
    assert desk.states()["bp_sol_01"] == "running"


def test_a_rollback_without_the_old_image_leaves_the_bot_running(desk: Desk) -> None:
    desk.play("up")
    desk.new_image()
    desk.play("upgrade")
    for tag in desk.engine.tags("desk-bot:rollback-*"):
        desk.engine.untag(tag)
    text = desk.play("rollback bp_sol_01")
    assert "error: cannot roll bp_sol_01 back: its old image" in text
    assert "  engine: " not in text
    assert desk.exit_code == 1
    assert set(desk.states().values()) == {"running"}


def test_a_restart_is_finished_although_nothing_can_be_printed_any_more(desk: Desk) -> None:
    desk.play("up")

    def full(event: Event) -> None:
        if isinstance(event, ActionDone):
            raise ManagerError("cannot write to standard output: No space left on device")

    with desk.real_threads():
        desk.engine.before("start", lambda: REAL_SLEEP(0.5), of=SOL)
        with pytest.raises(ManagerError, match="standard output"):
            apply.apply(Session(desk.folder), changes.restart(), full)
        assert set(desk.states().values()) == {"running"}


def test_a_start_as_it_was_takes_no_environment_that_an_interrupted_command_has_left(desk: Desk) -> None:
    desk.play("up", "stop")
    folder = projects.read(desk.folder).fleet.secrets_dir("bp_eth_02")
    before = (folder / env_file.ENV_FILE).read_bytes()
    (folder / env_file.STAGED_FILE).write_text("{}\n")
    action = Action("start", "bp_eth_02", Text("not running"), as_it_was=True)
    apply.apply(
        Session(desk.folder), Change("watch", lambda _snapshot, _named: [action]), lambda _event: None
    )
    assert desk.states()["bp_eth_02"] == "running"
    assert (folder / env_file.ENV_FILE).read_bytes() == before
