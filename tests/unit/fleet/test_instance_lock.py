"""Whether a bot may run, by the locks of its instance: whatever its container or a left note says."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from manager.fleet import lock, supervisor_state
from tests.builders import a_supervisor_file


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file's or folder's lock, as a supervisor does."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@pytest.fixture(name="state_dir")
def _state_dir(tmp_path: Path) -> Path:
    state_dir = tmp_path / "state" / "bp_sol_01"
    state_dir.mkdir(parents=True)
    (state_dir / supervisor_state.LOCK_FILE).touch()
    return state_dir


@pytest.mark.parametrize(
    ("changes", "has_bot"),
    [({}, True), ({"state": "stopped", "bot_pid": None, "reason": {"code": "halted"}}, False)],
    ids=["it runs one", "it is idle by a halt"],
)
def test_a_supervisor_that_is_idle_runs_no_bot(
    state_dir: Path, changes: dict[str, object], *, has_bot: bool
) -> None:
    """Else what was halted could not be asked for its orders, or closed, while its container is up."""
    (state_dir / supervisor_state.STATE_FILE).write_text(json.dumps(a_supervisor_file() | changes))
    assert not supervisor_state.has_bot(state_dir), "nobody holds the lock"
    with locked(state_dir / supervisor_state.LOCK_FILE):
        assert supervisor_state.has_bot(state_dir) is has_bot


@pytest.mark.parametrize("is_removed", [False, True], ids=["the file was replaced", "the file was removed"])
def test_a_bot_that_has_replaced_the_lock_file_still_runs(state_dir: Path, *, is_removed: bool) -> None:
    """It cannot touch the folder of secrets, whose lock its supervisor holds too."""
    secrets = state_dir.parent.parent / "secrets" / state_dir.name
    secrets.mkdir(parents=True)
    if is_removed:
        (state_dir / supervisor_state.LOCK_FILE).unlink()
    assert not supervisor_state.is_locked(state_dir)
    with locked(secrets):
        assert supervisor_state.is_locked(state_dir)
        assert supervisor_state.has_bot(state_dir)


def test_the_note_of_a_killed_restore_makes_no_bot_of_the_same_pid_pass_for_it(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process may get the pid of the restore that was killed: its bot is one all the same."""
    monkeypatch.setattr(lock, "holders", lambda *_paths, **_options: [os.getpid()])
    fleet_lock = state_dir.with_name(lock.NAME)
    fleet_lock.write_text(json.dumps({"command": "restore", "pid": os.getpid(), "since": "then"}))
    with locked(state_dir / supervisor_state.LOCK_FILE):
        assert supervisor_state.has_bot(state_dir)
        with locked(fleet_lock):
            assert not supervisor_state.has_bot(state_dir), "a restore that goes on holds it"
