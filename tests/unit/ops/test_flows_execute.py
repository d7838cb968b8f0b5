"""What the executor checks before a bot is stopped, and what it finishes although something has failed."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from manager.errors import EngineError, ManagerError
from manager.fleet import env_file, host
from manager.fleet import project as projects
from manager.fleet.session import Session
from manager.i18n import Text
from manager.ops import apply
from manager.ops.actions.action import Action, Change, Outcome
from manager.ops.actions.events import ActionDone, Event
from manager.ops.checks import old_daemon_check
from manager.ops.execution import execute
from manager.ops.planning import changes
from tests.fakes.sandbox import ETH, SOL, Sandbox


def test_what_cannot_be_removed_for_its_port_is_not_touched_again(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.config("bp_eth_02", 5002)
    sandbox.config("bp_sol_01", 5001)
    sandbox.engine.fails("remove", EngineError("device or resource busy"), of=ETH)
    sandbox.assert_transcript("""
        $ up
        bp_eth_02: failed (config changed, 0.0 s)
        bp_sol_01: recreated (config changed, 0.0 s)
        error: cannot remove bp_eth_02: device or resource busy
          engine: stop bp_eth_02
          engine: stop bp_sol_01
          engine: remove bp_eth_02
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


def refuse_reset(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody write to the state folder of bp_sol_01."""
    state_dir, access = projects.read(sandbox.folder).fleet.instance_state_dir("bp_sol_01"), os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != state_dir and access(path, mode))


def test_a_state_that_could_not_be_reset_is_known_before_the_bot_is_stopped(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.transcript("up")
    refuse_reset(sandbox, monkeypatch)
    sandbox.assert_transcript("""
        $ restart bp_sol_01
        bp_sol_01: failed (requested, 0.0 s)
        error: cannot remove DIR/volumes/state/bp_sol_01/supervisor.json: Permission denied
          exit code 1
    """)
    assert sandbox.states()["bp_sol_01"] == "running"
    sandbox.config("bp_sol_01", 5002, daemon_config={"memory_limit_mb": 300})
    assert "bp_sol_01: failed (config changed" in sandbox.transcript("up bp_sol_01")
    assert sandbox.states()["bp_sol_01"] == "running"


def test_nor_is_one_stopped_whose_port_only_such_a_bot_would_need(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.transcript("up")
    refuse_reset(sandbox, monkeypatch)
    monkeypatch.setattr(host, "is_port_free", lambda _address, port: port not in {5001, 5002})
    sandbox.config("bp_eth_02", 5002)
    sandbox.config("bp_sol_01", 5001)
    output = sandbox.transcript("up")
    assert "supervisor.json: Permission denied" in output
    assert sandbox.calls() == [], output
    assert sandbox.states() == {"bp_eth_02": "running", "bp_sol_01": "running"}


@pytest.mark.parametrize("folder", ["state", "secrets"])
def test_a_rollback_that_could_not_write_leaves_the_bot_running(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    sandbox.transcript("up")
    sandbox.new_image()
    sandbox.transcript("upgrade")
    place, access = sandbox.folder / "volumes" / folder / "bp_sol_01", os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != place and access(path, mode))
    assert f"DIR/volumes/{folder}/bp_sol_01" in sandbox.transcript("rollback bp_sol_01")
    assert sandbox.exit_code == 1
    assert sandbox.states()["bp_sol_01"] == "running"


def test_a_rollback_without_the_old_image_leaves_the_bot_running(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.new_image()
    sandbox.transcript("upgrade")
    for tag in sandbox.engine.tags("desk-bot:rollback-*"):
        sandbox.engine.untag(tag)
    text = sandbox.transcript("rollback bp_sol_01")
    assert "error: cannot roll bp_sol_01 back: its old image" in text
    assert "  engine: " not in text
    assert sandbox.exit_code == 1
    assert set(sandbox.states().values()) == {"running"}


def test_a_restart_is_finished_although_nothing_can_be_printed_any_more(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.transcript("up")
    goes_on, real_all = threading.Event(), execute._all

    def watched(*arguments: Any) -> Iterator[Outcome[Action]]:
        """The outcomes; the second instance is started only when the first one's has been dealt with."""
        for outcome in real_all(*arguments):
            yield outcome
            goes_on.set()

    def full(event: Event) -> None:
        if isinstance(event, ActionDone):
            raise ManagerError("cannot write to standard output: No space left on device")

    monkeypatch.setattr(execute, "_all", watched)
    with sandbox.real_threads():
        sandbox.engine.before("start", lambda: goes_on.wait(60), of=SOL)
        with pytest.raises(ManagerError, match="standard output"):
            apply.apply(Session(sandbox.folder), changes.restart(), full)
        states = sandbox.states()
        goes_on.set()
    assert set(states.values()) == {"running"}


def test_a_start_as_it_was_takes_no_environment_that_an_interrupted_command_has_left(
    sandbox: Sandbox,
) -> None:
    sandbox.transcript("up", "stop")
    folder = projects.read(sandbox.folder).fleet.secrets_dir("bp_eth_02")
    before = (folder / env_file.ENV_FILE).read_bytes()
    (folder / env_file.STAGED_FILE).write_text("{}\n")
    action = Action("start", "bp_eth_02", Text("not running"), as_it_was=True)
    apply.apply(
        Session(sandbox.folder), Change("watch", lambda _snapshot, _named: [action]), lambda _event: None
    )
    assert sandbox.states()["bp_eth_02"] == "running"
    assert (folder / env_file.ENV_FILE).read_bytes() == before


def test_what_was_stopped_is_exported_as_stopped_although_the_engine_still_lists_it_as_running(
    sandbox: Sandbox,
) -> None:
    """Its list lags behind a stop; programs of the old system may read the export for hours."""
    sandbox.transcript("up")
    sandbox.engine.lists_behind = {SOL: 3}
    sandbox.engine.after("stop", lambda: sandbox.clock.sleep(0.3), of=SOL)
    sandbox.transcript("stop bp_sol_01")
    export = json.loads((sandbox.folder / "volumes" / "logs" / "instances.json").read_text())
    assert (export["bp_sol_01"]["status"], export["bp_sol_01"]["pid"]) == ("stopped", 0)
    assert sandbox.engine.lists_behind == {SOL: 0}, "it was listed as running"


def test_what_an_old_daemon_still_runs_is_not_started_a_second_time(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_snapshot: object, actions: list[Action], _on_event: object) -> list[Outcome[Action]]:
        in_use = [action for action in actions if action.instance == "bp_sol_01"]
        return [Outcome(action, error=ManagerError("the old daemon runs it")) for action in in_use]

    monkeypatch.setattr(old_daemon_check, "refused", refused)
    output = sandbox.transcript("up")
    assert "the old daemon runs it" in output
    assert sandbox.states() == {"bp_eth_02": "running"}
