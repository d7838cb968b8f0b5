"""Whoever is locked out reads who holds the lock: also while it changes hands, and when its holder left no
note.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from manager.errors import EngineUnreachable, Locked
from manager.fleet import lock
from manager.util.interrupts import Interruption

HOLDER = """
import fcntl, sys, time
file = open(sys.argv[1], "a+")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(float(sys.argv[2]))
if sys.argv[3:]:
    from manager.fleet import lock
    lock._sign(file.fileno(), lock._signature(sys.argv[3]))
    time.sleep(60)
"""
"""Holds the lock without a note for some seconds, then signs as a manager does, or gives it back."""


@contextmanager
def a_holder(path: Path, seconds: float, *command: str) -> Iterator[int]:
    line = [sys.executable, "-c", HOLDER, str(path), str(seconds), *command]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder.pid
        holder.kill()


@pytest.fixture(name="path")
def _path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(lock, "READER_S", 0.1)
    return tmp_path / "fleet.lock"


def test_a_holder_that_has_not_signed_yet_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "UNSIGNED_S", 20.0)
    with (
        a_holder(path, 0.3, "up") as pid,
        pytest.raises(Locked, match=rf"by `manager up` \(pid {pid}, user "),
        lock.held(path, "down"),
    ):
        pass


def test_a_holder_that_has_signed_off_already_is_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "UNSIGNED_S", 20.0)
    with a_holder(path, 0.3), lock.held(path, "down") as held:
        assert not held.follows_a_kill


def test_a_program_that_never_signs_is_named_by_the_kernel(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "UNSIGNED_S", 0.1)
    with (
        a_holder(path, 60) as pid,
        pytest.raises(Locked, match=rf"locked by python[0-9.]* \(pid {pid}\); wait"),
        lock.held(path, "down"),
    ):
        pass


def test_a_lock_that_a_child_has_inherited_is_named_by_the_child(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel's table has the process that locked it, which is gone."""
    monkeypatch.setattr(lock, "UNSIGNED_S", 0.1)
    path.parent.mkdir(parents=True, exist_ok=True)
    code = (
        "import fcntl, os, subprocess, sys\n"
        "fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)\n"
        "fcntl.flock(fd, fcntl.LOCK_EX)\n"
        "print(subprocess.Popen(['sleep', '60'], pass_fds=[fd], stdout=subprocess.DEVNULL).pid)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True, check=True, timeout=30
    )
    child = int(done.stdout)
    try:
        with pytest.raises(Locked, match=rf"locked by sleep \(pid {child}\); wait"), lock.held(path, "down"):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_killed_managers_note_does_not_name_another_holder(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "UNSIGNED_S", 0.1)
    with a_holder(path, 0, "upgrade") as killed:
        while not path.read_text():
            pass
    with a_holder(path, 60) as pid, pytest.raises(Locked) as caught, lock.held(path, "down"):
        pass
    assert f"(pid {pid})" in str(caught.value)
    assert str(killed) not in str(caught.value)


def test_where_the_kernel_tells_nothing_the_note_or_the_open_file_counts(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "UNSIGNED_S", 0.1)
    monkeypatch.setattr(lock, "LOCKS", tmp_path / "none")
    with a_holder(path, 60) as pid:
        with pytest.raises(Locked, match=rf"by python[0-9.]* \(pid {pid}\);"), lock.held(path, "down"):
            pass
        monkeypatch.setattr(lock, "_opened_by", lambda _process: set())
        with (
            pytest.raises(Locked, match="by a process of another user or container"),
            lock.held(path, "down"),
        ):
            pass
    with a_holder(path, 0, "up"):
        while not path.read_text():
            pass
        with pytest.raises(Locked, match="by `manager up` "), lock.held(path, "down"):
            pass


def test_only_its_owner_can_open_the_lock(path: Path) -> None:
    path.touch()
    path.chmod(0o644)
    with lock.held(path, "up"):
        assert path.stat().st_mode & 0o777 == 0o600
    path.unlink()
    with lock.held(path, "up"):
        assert path.stat().st_mode & 0o777 == 0o600


ON_A_TERMINAL = """
import os, signal, sys
from pathlib import Path
from manager.fleet import lock
with lock.held(Path(sys.argv[1]), "restart"):
    os.kill(os.getpid(), signal.SIGHUP)
    print("went on", flush=True)
os.kill(os.getpid(), signal.SIGHUP)
print("outlived", flush=True)
"""


def test_the_end_of_its_terminal_ends_no_holder(path: Path) -> None:
    """A bot that was stopped for its restart would stay down, and nobody would be told."""
    done = subprocess.run(
        [sys.executable, "-c", ON_A_TERMINAL, str(path)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("went on\n", -signal.SIGHUP)


def test_a_reader_that_holds_it_for_a_moment_is_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each `manager ps` that refreshes the export would make the `up` beside it fail."""
    monkeypatch.setattr(lock, "READER_S", 60.0)
    monkeypatch.setattr(lock, "UNSIGNED_S", 0.0)
    with a_holder(path, 0.3), lock.held(path, "up") as held:
        assert not held.has_passed


def test_a_forced_stop_does_not_wait_for_a_manager_that_has_signed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_seconds: float) -> None:
        raise AssertionError("it waits")

    with lock.held(path, "up") as up:
        monkeypatch.setattr(time, "sleep", refuse)
        with lock.held(path, "stop", force=True) as stop:
            assert stop.has_passed
        assert up.was_overridden()


def test_who_is_interrupted_after_the_engine_fell_silent_leaves_its_note(path: Path) -> None:
    """The engine may still create what it was asked for: the next command has to wait for it."""

    def interrupted(errors: Sequence[Exception]) -> None:
        with lock.held(path, "up") as held:
            held.note_errors(errors)
            raise Interruption

    for errors in ([], [EngineUnreachable("the engine does not answer")]):
        with pytest.raises(Interruption):
            interrupted(errors)
        with lock.held(path, "down") as held:
            assert held.follows_a_kill is bool(errors)


def test_a_manager_is_not_unaware_of_itself(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else `stop` would wait for its own end."""
    monkeypatch.setattr(lock, "_is_manager", lambda process: process.name == str(os.getpid()))
    with path.open("w"):
        assert lock.unaware_of_marks(path) == []
