"""What a command that was given earlier may still do after a stop, a removal or a halt that came later."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from manager.cli.main import main
from manager.errors import FAILED, EngineError, EngineUnreachable
from manager.fleet import halt_mark, lock
from manager.fleet import project as projects
from manager.fleet.selection import EVERYTHING, Selection
from manager.fleet.session import Session
from manager.fleet.state_file import FleetState
from manager.i18n import Text
from manager.ops import apply
from manager.ops.actions.action import Action, Change, Outcome
from manager.ops.execution import desired_state
from manager.ops.halt import halt as halting
from manager.ops.planning import changes
from manager.util import moment
from manager.util.moment import Moment
from tests.builders import FLEET_NAME
from tests.fakes.sandbox import ETH, REAL_SLEEP, SOL, Sandbox, refuse_marks

SOL_ONLY = Selection(["bp_sol_01"])
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="links of another user can only be made by root")


@pytest.fixture
def earlier() -> Moment:
    """Return the moment at which the command is given whose turn comes at the end of the test."""
    given_at = moment.now()
    REAL_SLEEP(0.05)  # moments are told apart by 1/100 s
    return given_at


def carried_out(sandbox: Sandbox, change: Change, given_at: Moment) -> list[str]:
    """Carry out the command now; return the failures of its actions."""
    sandbox.calls()
    result = apply.apply(Session(sandbox.folder), change, lambda _event: None, given_at=given_at)
    return [str(outcome.error) for outcome in result.outcomes if outcome.error is not None]


@pytest.mark.parametrize(
    ("change", "since", "why"),
    [
        (changes.start(SOL_ONLY), "stop bp_sol_01", "it was stopped meanwhile"),
        (changes.restart(SOL_ONLY), "stop bp_sol_01", "it was stopped meanwhile"),
        (changes.up(SOL_ONLY), "down bp_sol_01", "it was removed meanwhile"),
        (changes.start(SOL_ONLY), "halt", "it is halted; `manager resume` starts what ran"),
    ],
)
def test_the_later_command_holds(
    sandbox: Sandbox, earlier: Moment, change: Change, since: str, why: str
) -> None:
    sandbox.transcript("up", since)
    before, wish = sandbox.states(), projects.read(sandbox.folder).fleet_state.of("bp_sol_01").wish
    assert carried_out(sandbox, change, earlier) == [f"bp_sol_01 is not started: {why}"]
    assert sandbox.states() == before
    assert projects.read(sandbox.folder).fleet_state.of("bp_sol_01").wish == wish
    assert sandbox.calls() == []


def test_the_same_command_given_afterwards_starts_it(sandbox: Sandbox) -> None:
    sandbox.transcript("up", "stop bp_sol_01")
    REAL_SLEEP(0.05)
    assert carried_out(sandbox, changes.start(SOL_ONLY), moment.now()) == []
    assert sandbox.states()["bp_sol_01"] == "running"


def test_a_resume_lifts_no_halt_of_all_that_came_later(sandbox: Sandbox, earlier: Moment) -> None:
    """On a busy machine it reads the marks a second after it was given."""
    sandbox.transcript("up", "halt")
    fleet = projects.read(sandbox.folder).fleet
    change = changes.resume(projects.read(sandbox.folder), EVERYTHING, print)
    assert change is not None
    carried_out(sandbox, change, earlier)
    assert halt_mark.of_fleet(fleet) is not None
    assert "running" not in sandbox.states().values()
    REAL_SLEEP(0.05)
    carried_out(sandbox, change, moment.now())
    assert halt_mark.of_fleet(fleet) is None
    assert set(sandbox.states().values()) == {"running"}


def test_a_resume_of_nothing_lifts_no_halt_of_all_that_came_later(sandbox: Sandbox, earlier: Moment) -> None:
    for config in (sandbox.folder / "config/active").iterdir():
        config.unlink()
    fleet = projects.read(sandbox.folder).fleet
    fleet.all_secrets_dir.mkdir(parents=True, exist_ok=True)
    halt_mark.make_of_fleet(fleet)
    resume = ["--project-dir", str(sandbox.folder), "resume"]
    assert main(resume, earlier) == 0
    assert halt_mark.of_fleet(fleet) is not None
    REAL_SLEEP(0.05)
    assert main(resume) == 0
    assert halt_mark.of_fleet(fleet) is None


def test_a_stop_by_force_leaves_halted_what_is_halted(sandbox: Sandbox) -> None:
    sandbox.transcript("up", "halt")
    fleet = projects.read(sandbox.folder).fleet
    with lock.held(fleet.lock_file, "upgrade"):
        sandbox.run("stop --force")
    assert {mark.by for mark in halt_mark.find_all(fleet).values()} == {"halt"}
    sandbox.transcript("resume")
    assert set(sandbox.states().values()) == {"running"}


def test_a_stop_by_force_that_the_engine_refuses_is_tried_once_more(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    fleet = projects.read(sandbox.folder).fleet
    for number in range(1, 6):
        sandbox.engine.fails("stop", EngineError("it does not want to"), of=ETH, nth=number)
    with lock.held(fleet.lock_file, "upgrade"):
        sandbox.assert_transcript("""
        $ stop --force bp_eth_02
        bp_eth_02: failed (requested, 0.0 s)
        bp_eth_02: failed (requested, 0.0 s)
        error: cannot stop bp_eth_02: it does not want to
        error: cannot stop bp_eth_02: it does not want to
          engine: stop bp_eth_02
          engine: stop bp_eth_02
          exit code 1
        """)


def test_a_start_without_names_overrides_no_halt_that_only_its_mark_knows(sandbox: Sandbox) -> None:
    sandbox.transcript("up", "stop bp_sol_01")
    with sandbox.full_disk():
        sandbox.run("halt")
    sandbox.assert_transcript("""
        $ start
        bp_eth_02: left alone: halted; `manager resume` starts what ran
        bp_sol_01: failed (not running, 0.0 s)
        error: bp_sol_01 is not started: it is halted; `manager resume` starts what ran
          exit code 1
    """)
    assert set(sandbox.states().values()) == {"exited"}


def test_who_halted_it_and_why_is_told_to_the_command_that_it_overtakes(
    sandbox: Sandbox, earlier: Moment
) -> None:
    sandbox.transcript("up")
    limit = Text("`manager watch`: {why}", why=Text("the loss of today is above the limit"))
    halting.halt(Session(sandbox.folder), lambda _event: None, because=limit)
    told = (
        "bp_sol_01 is not started: halted by `manager watch`: the loss of today is above the limit;"
        " `manager resume` starts what ran"
    )
    assert carried_out(sandbox, changes.start(SOL_ONLY), earlier) == [told]


@pytest.mark.parametrize("is_disk_full", [False, True])
@pytest.mark.parametrize("command", ["resume", "restart", "up --recreate bp_sol_01"])
def test_what_was_about_to_run_again_when_a_halt_came_is_what_the_next_resume_starts(
    sandbox: Sandbox, command: str, is_disk_full: bool
) -> None:
    """The halt finds it down, just before its container is started."""
    sandbox.transcript("up")
    if command == "resume":
        sandbox.transcript("halt")
    sandbox.new_image()

    def halt() -> None:
        with sandbox.full_disk() if is_disk_full else nullcontext():
            sandbox.meanwhile("halt")()

    sandbox.engine.before("start", halt, of=SOL)
    sandbox.transcript(command)
    assert sandbox.states()["bp_sol_01"] in {"created", "exited"}, "the halt holds"
    output = sandbox.transcript("resume")
    assert set(sandbox.states().values()) == {"running"}, output


class Killed(BaseException):
    """End a manager where it is."""


@pytest.mark.parametrize("is_disk_full", [False, True])
@pytest.mark.parametrize("killed_at", ["bp_eth_02", "bp_sol_01"])
def test_a_resume_that_is_killed_leaves_what_it_had_not_started_on_the_list(
    sandbox: Sandbox, killed_at: str, is_disk_full: bool
) -> None:
    """The marks are lifted by then."""
    sandbox.transcript("up")
    with sandbox.full_disk() if is_disk_full else nullcontext():
        sandbox.transcript("halt")

    def die() -> None:
        raise Killed

    sandbox.engine.before("start", die, of=f"{FLEET_NAME}-{killed_at}")
    with pytest.raises(Killed):
        sandbox.transcript("resume")
    assert sandbox.states()[killed_at] == "exited"
    assert f"{killed_at}: left alone: halted; `manager resume` starts what ran" in sandbox.transcript("up")
    sandbox.transcript("resume")
    assert set(sandbox.states().values()) == {"running"}
    assert "nothing is halted" in sandbox.transcript("resume")


def test_up_wants_nothing_of_what_was_marked_since_it_looked(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    snapshot = Session(sandbox.folder).observe()
    halt_mark.make(snapshot.project.fleet, "bp_sol_01", "stop")
    before = FleetState(FLEET_NAME).with_wish(["bp_eth_02", "bp_sol_01"], "stopped")
    after = desired_state.state_change(changes.up(), snapshot, [], None)(before)
    wishes = {instance: after.of(instance).wish for instance in ("bp_eth_02", "bp_sol_01")}
    assert wishes == {"bp_eth_02": "run", "bp_sol_01": "stopped"}


def test_what_a_person_stopped_in_the_middle_of_its_restart_is_not_what_resume_starts(
    sandbox: Sandbox,
) -> None:
    sandbox.transcript("up")
    snapshot = Session(sandbox.folder).observe()
    fleet = snapshot.project.fleet
    cut_short = [
        Outcome(Action("restart", instance, Text("requested")), error=EngineError("no"))
        for instance in ("bp_eth_02", "bp_sol_01")
    ]
    halt_mark.make(fleet, "bp_eth_02", "halt")
    halt_mark.make(fleet, "bp_sol_01", "stop")
    desired_state.keep_on_list(snapshot, cut_short)
    assert projects.read(sandbox.folder).fleet_state.halted == ["bp_eth_02"]


def test_what_resume_could_not_start_should_run_and_is_no_longer_halted(sandbox: Sandbox) -> None:
    """So that `watch` tells of it, and `up` starts it."""
    sandbox.transcript("up", "halt")
    sandbox.engine.fails("start", EngineError("no"), of=SOL)
    sandbox.transcript("resume")
    assert sandbox.states() == {"bp_eth_02": "running", "bp_sol_01": "exited"}
    assert "nothing is halted" in sandbox.transcript("resume")
    sandbox.transcript("up")
    assert set(sandbox.states().values()) == {"running"}


def test_a_resume_that_loses_its_engine_leaves_the_rest_on_the_list(sandbox: Sandbox) -> None:
    sandbox.transcript("up", "halt")
    sandbox.engine.fails("start", EngineUnreachable("gone"), of=SOL)
    sandbox.transcript("resume")
    assert "bp_sol_01: left alone: halted" in sandbox.transcript("up")
    sandbox.transcript("resume")
    assert set(sandbox.states().values()) == {"running"}


@pytest.mark.parametrize("command", ["stop", "down"])
def test_what_could_not_be_marked_while_the_lock_was_passed_is_named(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    sandbox.transcript("up")
    refuse_marks(monkeypatch, "bp_sol_01")
    with lock.held(sandbox.folder / "volumes/state/fleet.lock", "upgrade"):
        output = sandbox.transcript(command)
    assert sandbox.exit_code == FAILED
    assert "cannot mark bp_sol_01 as stopped: Read-only file system" in output
    assert "running" not in sandbox.states().values()


@needs_root
@pytest.mark.parametrize("command", ["stop", "down", "stop bp_sol_01", "down bp_sol_01"])
@pytest.mark.parametrize("name", ["state", "secrets", "state/bp_sol_01", "secrets/bp_sol_01"])
def test_a_folder_that_is_another_users_link_is_named(
    sandbox: Sandbox, tmp_path: Path, command: str, name: str
) -> None:
    """What is read there is no evidence that anything is down, and no mark can be made there."""
    sandbox.transcript("up")
    folder, elsewhere = sandbox.folder / "volumes" / name, tmp_path / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    os.lchown(folder, 65534, 65534)
    output = sandbox.transcript(command)
    assert sandbox.exit_code == FAILED
    assert output.count("cannot rely on") == 1
    assert f"/volumes/{name}: the symbolic link" in output
    assert sandbox.states().get("bp_sol_01") != "running"
