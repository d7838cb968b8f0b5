"""What a halt says and leaves behind: locks that are still held, marks that others lift, containers that vanish,
signals that end it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from manager.config.fleet import Fleet
from manager.errors import FAILED, ConfigError, ManagerError, UsageError
from manager.fleet import halt_mark, lock
from manager.fleet import project as projects
from manager.fleet.supervisor_state import LOCK_FILE
from manager.ops.backup import instance_locks
from manager.ops.halt import chosen
from manager.ops.halt import halt as halting
from manager.util import console, moment
from tests.fakes.sandbox import ETH, SOL, Sandbox, refuse_marks


def test_what_still_holds_its_lock_is_not_down(sandbox: Sandbox) -> None:
    """Its container has ended, and a supervisor of another engine runs its bot."""
    sandbox.transcript("up")
    lock = os.open(sandbox.folder / "volumes/state/bp_sol_01" / LOCK_FILE, os.O_RDWR | os.O_CREAT)
    sandbox.engine.after("stop", lambda: fcntl.flock(lock, fcntl.LOCK_EX), of=SOL)
    try:
        sandbox.transcript("halt bp_eth_02")
        assert sandbox.exit_code == 0
        sandbox.transcript("halt")
        assert sandbox.exit_code == FAILED
        sandbox.engine.discard(SOL)
        sandbox.transcript("halt")
        assert sandbox.exit_code == FAILED, "without a container, too"
        (sandbox.folder / "config/active/bp_sol_01.json").unlink()
        assert "bp_sol_01" in sandbox.transcript("halt")
        assert sandbox.exit_code == FAILED, "and without a config"
    finally:
        os.close(lock)


def test_a_live_container_that_vanishes_leaves_no_answer_of_the_exchange(sandbox: Sandbox) -> None:
    """Its bot's own report says that it left nothing, which only the exchange can say."""
    sandbox.config("bp_sol_01", 5002, mode="live")
    sandbox.transcript("up")
    sandbox.engine.after("stop", lambda: sandbox.engine.discard(SOL), of=SOL)
    output = sandbox.transcript("halt bp_sol_01")
    assert sandbox.exit_code == FAILED, output
    assert "its container is gone, so the exchange cannot be asked" in output


def test_a_mark_that_is_lifted_during_a_halt_is_set_again_and_flushed(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.transcript("up")
    fleet = projects.read(sandbox.folder).fleet

    def lift() -> None:
        mark = halt_mark.find(fleet, "bp_sol_01")
        assert mark is not None
        (fleet.secrets_dir("bp_sol_01") / halt_mark.MARK).unlink()
        if (whole := halt_mark.of_fleet(fleet)) is not None:
            halt_mark.lift_of_fleet(fleet, whole)
        assert halt_mark.find(fleet, "bp_sol_01") is None

    flushed: list[list[str]] = []
    monkeypatch.setattr(halt_mark, "sync", lambda _fleet, instances: flushed.append(sorted(instances)))
    sandbox.engine.after("stop", lift, of=SOL)
    sandbox.transcript("halt")
    assert set(halt_mark.find_all(fleet)) == {"bp_eth_02", "bp_sol_01"}
    assert ["bp_eth_02", "bp_sol_01"] in flushed


def test_what_came_up_during_a_halt_is_what_the_next_resume_starts(sandbox: Sandbox) -> None:
    """A start that was under way when the halt looked at the fleet."""
    sandbox.transcript("up", "stop bp_sol_01")
    sandbox.engine.after("stop", lambda: sandbox.engine.start(SOL), of=ETH)
    sandbox.transcript("halt")
    assert "running" not in sandbox.states().values()
    assert "bp_sol_01: started" in sandbox.transcript("resume")
    assert set(sandbox.states().values()) == {"running"}


def test_a_resume_misses_only_what_ran(sandbox: Sandbox) -> None:
    """One that was taken down and whose config is gone did not run: there is nothing to tell."""
    sandbox.config("bp_btc_03", 5003)
    sandbox.transcript("up", "down bp_btc_03")
    for instance, is_missed in (("bp_btc_03", False), ("bp_sol_01", True)):
        (sandbox.folder / f"config/active/{instance}.json").unlink()
        sandbox.transcript("halt")
        output = sandbox.transcript("resume")
        assert (f"{instance} was halted, but no longer has a valid config" in output) is is_missed, output


def test_who_waits_does_not_start_what_was_halted_before_it_ever_ran(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no folder for a mark yet; `start ID` overrides a halt, but none that is newer."""
    fleet = projects.read(sandbox.folder).fleet
    really = lock.held

    def held_later(*args: Any, **keywords: Any) -> Any:
        monkeypatch.setattr(lock, "held", really)
        sandbox.meanwhile("halt bp_sol_01")()
        return really(*args, **keywords)

    monkeypatch.setattr(lock, "held", held_later)
    output = sandbox.transcript("start bp_sol_01 --lock-wait 60")
    assert "it is halted" in output
    assert "bp_sol_01" not in sandbox.states()
    assert halt_mark.own(fleet, "bp_sol_01") is not None
    sandbox.transcript("start bp_sol_01")
    assert sandbox.exit_code == 0


def test_a_resume_during_a_halt_says_who_halts_and_lifts_nothing(sandbox: Sandbox) -> None:
    """A halt sets its marks first, and notes what ran only when it has seen the fleet."""
    sandbox.transcript("up")
    fleet = projects.read(sandbox.folder).fleet
    with lock.held(fleet.lock_file, "halt", by="watch"):
        halt_mark.make_of_fleet(fleet)
        mark = halt_mark.of_fleet(fleet)
        refused = sandbox.run("resume")
        assert sandbox.exit_code == 7
        assert refused[0].startswith("error: the fleet is locked by `manager watch: halt` (pid ")
        assert refused[0].endswith("wait for it, or use --lock-wait SECONDS")
        waited = sandbox.run("resume --lock-wait 90")
        assert waited[0].startswith("warning: waiting for `manager watch: halt` (pid ")
        assert waited[0].endswith(", at most 1m")
        assert sandbox.exit_code == 7
        assert mark is not None
        assert halt_mark.of_fleet(fleet) == mark
    with lock.held(fleet.lock_file, "upgrade"):
        assert sandbox.run("up --lock-wait 90")[0].startswith("warning: waiting for `manager upgrade` (pid ")


def test_a_typing_error_makes_no_folder(sandbox: Sandbox) -> None:
    sandbox.transcript("halt bp_sol_10")
    assert not projects.read(sandbox.folder).fleet.secrets_dir("bp_sol_10").exists()


def test_a_halt_that_leaves_no_mark_of_its_own_says_so(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fleet's mark and fleet.json keep managers from starting it, and no supervisor."""
    sandbox.transcript("up")
    really = halt_mark._make
    refuse_marks(monkeypatch, "bp_sol_01")
    output = sandbox.transcript("halt")
    assert "cannot mark bp_sol_01 as halted: Read-only file system" in output
    assert sandbox.exit_code == FAILED
    monkeypatch.setattr(halt_mark, "_make", really)
    sandbox.transcript("halt")
    assert sandbox.exit_code == 0


def test_what_was_started_under_a_mark_without_content_is_restarted(sandbox: Sandbox) -> None:
    sandbox.transcript("up", "halt")
    (projects.read(sandbox.folder).fleet.secrets_dir("bp_sol_01") / halt_mark.MARK).write_text("")
    sandbox.engine.start(SOL)
    assert "bp_sol_01: restarted (its container is up without its bot" in sandbox.transcript("resume")


@pytest.mark.parametrize("command", ["resume", "start bp_sol_01", "up bp_sol_01"])
def test_what_was_started_under_a_mark_without_a_word_of_its_supervisor_is_restarted(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """On a full disk its supervisor cannot write that it idles: `docker start`, then `resume` left it idle."""
    sandbox.transcript("up", "halt")
    sandbox.engine.start(SOL)
    really = sandbox.engine.inspect

    def inspected(container: str) -> dict[str, Any]:
        facts = really(container)
        return {**facts, "State": {**facts["State"], "Pid": os.getpid()}}

    monkeypatch.setattr(sandbox.engine, "inspect", inspected)
    before, later = moment.Moment("b", 0.0), moment.Moment("b", 1e9)
    monkeypatch.setattr(moment, "of_process", lambda _pid: before)
    assert "restart" not in sandbox.transcript(f"{command} --dry-run")
    monkeypatch.setattr(
        moment,
        "of_process",
        lambda pid: later._replace(boot=moment.now().boot) if pid == os.getpid() else before,
    )
    output = sandbox.transcript(command)
    assert "bp_sol_01: restarted (its container is up without its bot" in output
    assert sandbox.states()["bp_sol_01"] == "running"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_halt_that_is_interrupted_before_its_first_mark_says_that_nothing_is_halted(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    sandbox.transcript("up")
    monkeypatch.setattr(projects, "folders_of", lambda _folder: os.kill(os.getpid(), number))
    output = sandbox.transcript("halt")
    assert "interrupted before anything was halted" in output
    assert sandbox.exit_code == 128 + number
    assert halt_mark.find_all(projects.read(sandbox.folder).fleet) == {}
    assert set(sandbox.states().values()) == {"running"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_halt_that_is_interrupted_while_it_marks_marks_all(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    sandbox.transcript("up")
    really = halt_mark.make_of_fleet

    def made(fleet: Any) -> None:
        os.kill(os.getpid(), number)
        really(fleet)

    monkeypatch.setattr(halt_mark, "make_of_fleet", made)
    output = sandbox.transcript("halt")
    assert "interrupted: 2 instances are marked as halted" in output
    assert "bp_sol_01: stopped" not in output
    assert sandbox.exit_code == 128 + number
    assert set(halt_mark.find_all(projects.read(sandbox.folder).fleet)) == {"bp_eth_02", "bp_sol_01"}


def test_a_halt_that_is_interrupted_while_it_stops_names_what_still_runs(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, before = threading.Event(), signal.getsignal(signal.SIGTERM)
    alive = chosen.alive

    def look(fleet: Fleet) -> list[str]:
        still_alive = alive(fleet)
        looked.set()
        return still_alive

    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        assert looked.wait(60)

    monkeypatch.setattr(halting, "alive", look)
    sandbox.transcript("up")
    sandbox.engine.before("stop", interrupt, of=SOL)
    output = sandbox.transcript("halt")
    assert "these bots still run and may trade: bp_sol_01" in output
    assert "interrupted: 2 instances are marked as halted" in output
    assert sandbox.exit_code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before, "as it was"


def test_an_interrupted_halt_of_a_config_file_names_what_it_has_marked(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the project tells which instance that is."""
    sandbox.transcript("up")
    really = halt_mark.make

    def made(*of: Any, **more: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return really(*of, **more)

    monkeypatch.setattr(halt_mark, "make", made)
    output = sandbox.transcript(f"halt --config {sandbox.folder}/config/active/bp_sol_01.json")
    assert "interrupted: 1 instance is marked as halted" in output
    assert "these bots still run and may trade" in output
    assert sandbox.exit_code == 128 + signal.SIGTERM
    assert set(halt_mark.find_all(projects.read(sandbox.folder).fleet)) == {"bp_sol_01"}


def test_the_marks_are_made_before_any_config_is_read(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A SIGKILL can only come before what is done first."""
    sandbox.transcript("up")
    fleet = projects.read(sandbox.folder).fleet

    def read(_folder: Path) -> None:
        raise ManagerError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(projects, "read", read)
        sandbox.transcript("halt")
    assert set(halt_mark.find_all(fleet)) == {"bp_eth_02", "bp_sol_01"}
    assert halt_mark.of_fleet(fleet) is not None


def test_the_fleets_mark_comes_first(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """It alone keeps every command from starting anything."""
    sandbox.transcript("up")

    def killed(*_of: Any, **_more: Any) -> None:
        raise ManagerError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(halt_mark, "make", killed)
        sandbox.transcript("halt")
    sandbox.engine.stop(SOL, 1)
    assert "bp_sol_01: left alone: halted" in sandbox.transcript("up")
    sandbox.transcript("halt", "resume")
    assert sandbox.states()["bp_eth_02"] == "running"


def test_a_halt_whose_lines_cannot_be_printed_is_carried_out(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.transcript("up")

    def full(_line: object = "", end: str = "") -> None:
        raise ManagerError("cannot write to standard output: {why}", why="No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(console, "say", full)
        output = sandbox.transcript("halt")
    assert output.count("engine: stop") == 2
    assert "cannot write to standard output" in output
    assert sandbox.exit_code == FAILED


@pytest.mark.skipif(os.geteuid() != 0, reason="links of another user can only be made by root")
@pytest.mark.parametrize("name", ["state", "secrets", "state/bp_sol_01", "secrets/bp_sol_01"])
def test_a_link_in_the_place_of_a_folder_is_named(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    sandbox.transcript("up")
    place, elsewhere = sandbox.folder / "volumes" / name, tmp_path / "elsewhere"
    place.rename(elsewhere)
    place.symlink_to(elsewhere)
    os.lchown(place, 12345, 12345)
    output = sandbox.transcript("halt")
    assert output.count("engine: stop") == 2
    assert "the symbolic link" in output
    assert f"DIR/volumes/{name}" in output
    assert sandbox.exit_code == FAILED


def test_a_restore_that_holds_an_instances_lock_is_no_bot(sandbox: Sandbox) -> None:
    """Its bot was down, so that `resume` leaves it down."""
    sandbox.transcript("up", "stop bp_sol_01")
    fleet = projects.read(sandbox.folder).fleet
    (fleet.instance_state_dir("bp_sol_01") / LOCK_FILE).touch()
    with (
        lock.held(fleet.lock_file, "restore"),
        instance_locks.hold_instance_locks(fleet, ["bp_sol_01"], []),
    ):
        output = sandbox.transcript("halt")
    assert "STILL RUNS" not in output
    assert sandbox.exit_code == 0
    assert (mark := halt_mark.own(fleet, "bp_sol_01")) is not None
    assert mark.did_run is False


def test_a_mark_that_cannot_be_lifted_keeps_nobody_else_halted(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.transcript("up", "halt")
    really = halt_mark._remove

    def refused(folder: Path, *rest: Any) -> None:
        if folder.name == "bp_sol_01":
            raise OSError(errno.EPERM, "Operation not permitted")
        really(folder, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(halt_mark, "_remove", refused)
        output = sandbox.transcript("resume")
        assert "bp_eth_02: started" in output
        assert (
            "error: bp_sol_01 stays halted: cannot lift the mark in DIR/volumes/secrets/bp_sol_01" in output
        )
        assert sandbox.exit_code == FAILED
        output = sandbox.transcript("start bp_eth_02 bp_sol_01")
        assert "error: bp_sol_01 stays halted" in output
        assert sandbox.exit_code == FAILED
    assert "bp_sol_01: started" in sandbox.transcript("resume")
    assert sandbox.exit_code == 0


def test_a_mark_that_cannot_be_lifted_does_not_keep_a_bot_from_being_stopped(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.transcript("up", "halt", "start bp_sol_01")
    sandbox.transcript("halt bp_sol_01")
    sandbox.engine.start(SOL)

    def refused(*_of: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(halt_mark, "_remove", refused)
    output = sandbox.transcript("stop bp_sol_01")
    assert "engine: stop bp_sol_01" in output
    assert "error: bp_sol_01 stays halted" in output
    assert sandbox.exit_code == FAILED


def test_without_an_inode_and_with_nothing_to_spare_the_export_becomes_the_fleets_mark(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No supervisor sees that mark: what `docker start` starts then runs, and it is said."""
    sandbox.transcript("up")
    fleet = projects.read(sandbox.folder).fleet

    def full(*_of: Any, **_more: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, sandbox.full_disk():
        patch.setattr(halt_mark, "_make", full)
        output = sandbox.transcript("halt")
    assert output.count("engine: stop") == 2
    assert "cannot mark bp_eth_02, bp_sol_01 as halted: No space left on device" in output
    assert sandbox.exit_code == FAILED
    assert halt_mark.of_fleet(fleet) is not None
    assert sandbox.transcript("up").count("halted; `manager resume` starts what ran") == 2
    sandbox.transcript("resume")
    assert set(sandbox.states().values()) == {"running"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("begins", [False, True])
def test_a_halt_that_ends_while_it_is_loaded_says_that_nothing_is_halted(
    number: signal.Signals, begins: bool
) -> None:
    """On a busy machine loading takes seconds."""
    program = (
        "import os, sys; from manager.cli import halt_signals as s; s.take();"
        f" {'s.note_begun();' if begins else ''} os.kill(os.getpid(), {number})"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 128 + number
    assert ("interrupted before anything was halted" in ended.stderr) is not begins


@pytest.mark.parametrize("is_released", [False, True])
def test_the_end_of_its_terminal_does_not_end_a_halt_that_is_loaded(is_released: bool) -> None:
    """A command that is no halt of this machine ends with its terminal, as ever."""
    program = (
        "import os; from manager.cli import halt_signals as s; s.take();"
        f" {'s.release();' if is_released else ''} os.kill(os.getpid(), {signal.SIGHUP.value})"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == (-signal.SIGHUP if is_released else 0)


def test_an_engine_that_is_away_hides_no_mark_that_is_missing(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is a mark, the supervisor stops the bot without the engine."""
    sandbox.transcript("up")

    def refused(*_of: Any, **_more: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(halt_mark, "_make", refused)
    sandbox.engine.die()
    output = sandbox.transcript("halt")
    assert "cannot mark bp_eth_02, bp_sol_01 as halted: Read-only file system" in output
    assert "these bots still run and may trade: bp_eth_02, bp_sol_01" in output


def test_without_an_engine_the_bots_that_their_supervisors_have_stopped_are_told_from_the_others(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.transcript("up")
    sandbox.engine.die()
    looks = iter([["bp_eth_02", "bp_sol_01"], ["bp_sol_01"]])
    monkeypatch.setattr(halting, "alive", lambda _fleet: next(looks))
    output = sandbox.transcript("halt")
    assert "without the engine, their supervisors have stopped these bots: bp_eth_02;" in output
    assert "these bots still run and may trade: bp_sol_01" in output


def test_a_halt_on_a_full_disk_is_whole_where_every_instance_has_its_mark(sandbox: Sandbox) -> None:
    """A mark outlives the list of `resume`, which cannot be written."""
    sandbox.transcript("up")
    with sandbox.full_disk():
        output = sandbox.transcript("halt")
    assert output.count("engine: stop") == 2
    assert "fleet.json" not in output
    assert sandbox.exit_code == 0


def test_a_halt_of_what_has_a_broken_config_and_no_container_names_the_file(sandbox: Sandbox) -> None:
    config = sandbox.folder / "config/active/bp_sol_01.json"
    config.write_text("{")
    output = sandbox.transcript("halt bp_sol_01")
    assert "config/active/bp_sol_01.json" in output
    assert "no instance" not in output
    assert sandbox.exit_code == ConfigError.exit_code
    assert "there is no instance bp_eth_2" in sandbox.transcript("halt bp_eth_2"), "a mistyped one"
    config.unlink()
    sandbox.config("bp_sol_01", 5002)
    sandbox.transcript("up")
    config.write_text("{")
    sandbox.transcript("halt bp_sol_01")
    assert sandbox.exit_code == 0, "what has a container is halted"
    assert sandbox.states()["bp_sol_01"] == "exited"


def test_what_is_known_is_halted_whatever_else_was_named(sandbox: Sandbox) -> None:
    """Who halts in fear mistypes."""
    sandbox.transcript("up")
    output = sandbox.transcript("halt bp_sol_01 bp_eth_2")
    assert "error: NOT HALTED: there is no instance bp_eth_2; did you mean bp_eth_02?" in output
    assert sandbox.exit_code == UsageError.exit_code
    assert sandbox.states() == {"bp_eth_02": "running", "bp_sol_01": "exited"}
    assert "left alone: halted" in sandbox.transcript("up bp_eth_02", "up")
    assert "NOT HALTED" not in sandbox.transcript("halt bp_eth_2"), "nothing was"
    for ids, known in (("bp_sol_01 bp_eth_2 no", ["bp_sol_01"]), ("bp_eth_2 no", [])):
        lines = sandbox.run(f"halt {ids} --json")
        rows = json.loads("\n".join(lines[: lines.index("]") + 1]))
        assert [row["id"] for row in rows] == [*known, "bp_eth_2", "no"]
        assert {tuple(row) for row in rows} == {tuple(rows[0])}, "the same keys"
        assert [(row["down"], row["how"]) for row in rows[-2:]] == [(False, "unknown")] * 2
        assert rows[-2]["error"] == "there is no instance bp_eth_2; did you mean bp_eth_02?"
        assert sandbox.exit_code == UsageError.exit_code
    assert sandbox.exit_code == UsageError.exit_code
    assert sandbox.states()["bp_eth_02"] == "running"


@pytest.mark.parametrize("content", ["{", None])
def test_a_file_that_cannot_be_loaded_keeps_no_bot_up(sandbox: Sandbox, content: str | None) -> None:
    """Its container tells whose it is; another file is no reason to leave a bot up either."""
    sandbox.transcript("up")
    config = sandbox.folder / "config/active/bp_sol_01.json"
    if content is None:
        config.unlink()
    else:
        config.write_text(content)
    other = sandbox.folder / "config/active/none.json"
    output = sandbox.transcript(f"halt --config {other} --config {config}")
    assert "bp_sol_01: stopped" in output
    assert "NOT HALTED: " in output
    assert "none.json: no such file" in output.partition("NOT HALTED")[2]
    assert sandbox.exit_code == ConfigError.exit_code
    assert sandbox.states() == {"bp_eth_02": "running", "bp_sol_01": "exited"}
    assert halt_mark.own(projects.read(sandbox.folder).fleet, "bp_sol_01") is not None


def test_a_mark_that_a_refused_halt_has_made_is_said(sandbox: Sandbox) -> None:
    sandbox.transcript("up", "down bp_sol_01")
    (sandbox.folder / "config/active/bp_sol_01.json").unlink()
    output = sandbox.transcript("halt bp_sol_01")
    assert "there is no instance bp_sol_01" in output
    assert "marked as halted all the same: bp_sol_01; what runs of them is stopped" in output
    assert halt_mark.own(projects.read(sandbox.folder).fleet, "bp_sol_01") is not None
    assert "marked" not in sandbox.transcript("halt bp_eth_2"), "that has no folder for a mark"
