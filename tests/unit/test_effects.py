"""Effects on the local disk: folders, the database link, the lock, host pids. Real files, real processes."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from manager.config.fleet import Fleet
from manager.errors import EngineError, EngineSlow, EngineUnreachable, Locked, ManagerError
from manager.fleet import env_file, host, lock
from manager.i18n import Text
from manager.ops.actions.action import Action, Outcome
from manager.ops.execution import execute
from manager.ops.execution.context import ExecutionContext
from manager.ops.folders import instance_folders
from manager.ops.folders.instance_folders import FolderError
from manager.util import atomic_file
from tests.builders import a_spec

ME = (os.getuid(), os.getgid())


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet("desk", tmp_path, tmp_path / "volumes")


def test_folders_are_made_once_and_secrets_are_private(fleet: Fleet) -> None:
    spec = a_spec(fleet=fleet)
    for _time in range(2):
        instance_folders.prepare(spec, fleet, ME)
    link = fleet.data_dir / "database" / "bp_sol_01.db"
    assert str(link.readlink()) == "bp_sol_01/bp_sol_01.db"
    assert fleet.secrets_dir("bp_sol_01").stat().st_mode & 0o777 == 0o700
    instance_folders.write_env(spec, fleet, ME, {"A": "1"})
    env = fleet.secrets_dir("bp_sol_01") / "env.json"
    assert env.stat().st_mode & 0o777 == 0o400
    assert not env_file.env_differs(spec, fleet, {"A": "1"})
    assert env_file.env_differs(spec, fleet, {"A": "2"})
    file = fleet.secrets_dir(spec.id) / env_file.ENV_FILE
    for other in (b'{"A": "1"}', b'{"A": "1", "B": "2"}', b"[]", b"no JSON", b""):
        file.write_bytes(other)  # another's bytes, also where they mean the same
        assert env_file.env_differs(spec, fleet, {"A": "1"}), other
    file.unlink()
    assert env_file.env_differs(spec, fleet, {"A": "1"})


def test_an_env_file_that_holds_the_values_is_not_written_again(fleet: Fleet) -> None:
    spec = a_spec(fleet=fleet)
    instance_folders.prepare(spec, fleet, ME)
    instance_folders.write_env(spec, fleet, ME, {"A": "1"})
    env = fleet.secrets_dir("bp_sol_01") / "env.json"
    first = env.stat()
    instance_folders.stage_env(spec, fleet, ME, {"A": "0"})  # and then its manager was killed
    instance_folders.write_env(spec, fleet, ME, {"A": "1"})
    assert (env.stat().st_ino, env.read_text()) == (first.st_ino, '{\n  "A": "1"\n}\n')
    assert {path.name for path in env.parent.iterdir()} == {"env.json", ".halt-ready"}
    env.chmod(0o644)
    instance_folders.write_env(spec, fleet, ME, {"A": "1"})
    assert env.stat().st_mode & 0o777 == 0o400


def test_a_database_that_lies_there_is_moved_in_with_its_wal(fleet: Fleet) -> None:
    old = fleet.data_dir / "database" / "bp_sol_01.db"
    old.parent.mkdir(parents=True)
    script = (
        "import os, sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('pragma journal_mode=wal');"
        "db.execute('create table t (x)'); db.execute('insert into t values (1)'); db.commit(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, str(old)], check=True)
    assert old.with_name("bp_sol_01.db-wal").exists()
    instance_folders.prepare(a_spec(fleet=fleet), fleet, ME)
    assert old.is_symlink()
    assert not old.with_name("bp_sol_01.db-wal").is_file()
    assert sqlite3.connect(old).execute("select x from t").fetchall() == [(1,)]


def test_a_database_somebody_has_open_is_not_moved(fleet: Fleet) -> None:
    old = fleet.data_dir / "database" / "bp_sol_01.db"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"")
    lower = os.open("/dev/null", os.O_RDONLY)
    with old.open():
        os.close(lower)  # the listing of /proc/self/fd itself gets this number, and closes it
        with pytest.raises(FolderError, match=f"process {os.getpid()} still has .* open; stop it first"):
            instance_folders.prepare(a_spec(fleet=fleet), fleet, ME)
    assert old.is_file()
    assert not old.is_symlink()


@pytest.mark.parametrize(
    "where", ["logs", "logs/bp_sol_01", "state/bp_sol_01", "secrets", "database/bp_sol_01"]
)
def test_a_symlink_below_the_data_folder_is_refused(fleet: Fleet, tmp_path: Path, where: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = fleet.data_dir / where
    path.parent.mkdir(parents=True)
    path.symlink_to(elsewhere)
    with pytest.raises(FolderError, match="is a symbolic link"):
        instance_folders.prepare(a_spec(fleet=fleet), fleet, ME)
    assert list(elsewhere.iterdir()) == []


def test_a_file_in_the_way_is_named(fleet: Fleet) -> None:
    fleet.data_dir.mkdir()
    (fleet.data_dir / "logs").write_text("")
    with pytest.raises(FolderError, match="exists and is not a folder"):
        instance_folders.prepare(a_spec(fleet=fleet), fleet, ME)


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    atomic_file.write_atomically(path, {"old": 1})

    def die(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        atomic_file.replace(path, die, 0o644)
    assert json.loads(path.read_text()) == {"old": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["x.json"]


def test_what_killed_writers_left_is_removed_in_time(tmp_path: Path) -> None:
    path, old, new, other = (
        tmp_path / name
        for name in ("env.json", ".env.json.0011.tmp", ".env.json.2233.tmp", ".fleet.json.0011.tmp")
    )
    for left in (old, new, other):
        left.write_text("{")
    for left in (old, other):
        os.utime(left, (0, 0))
    atomic_file.write_atomically(path, {})
    assert {file.name for file in tmp_path.iterdir()} == {path.name, new.name, other.name}


HOLDER = """
import sys, time
from pathlib import Path
from typing import Any
from manager.fleet import lock
with lock.held(Path(sys.argv[1]), "up"):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def a_holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder
        holder.kill()


def test_the_lock_names_its_holder_and_dies_with_it(tmp_path: Path) -> None:
    path = tmp_path / "state" / "fleet.lock"
    with a_holder(path) as holder:
        with lock.held_if_free(path) as is_ours:
            assert not is_ours
        with (
            pytest.raises(Locked, match=rf"`manager up` \(pid {holder.pid}, user .+, since ") as caught,
            lock.held(path, "down"),
        ):
            pass
        assert caught.value.exit_code == 7
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with lock.held(path, "down", wait=5), lock.held_if_free(path) as is_ours:
            assert not is_ours
    with lock.held_if_free(path) as is_ours:
        assert is_ours


def test_who_holds_the_lock_learns_that_it_was_passed(tmp_path: Path) -> None:
    path = tmp_path / "fleet.lock"
    with lock.held(path, "up") as holder:
        assert not holder.was_overridden()
        with lock.held(path, "stop", force=True) as forced:
            assert not forced.was_overridden()
        assert holder.was_overridden()
        with pytest.raises(Locked, match="`manager up` "), lock.held(path, "restart"):
            pass
    with lock.held(path, "up") as next_holder:
        assert not next_holder.was_overridden()


def test_a_reader_is_waited_for_and_not_passed(tmp_path: Path) -> None:
    path = tmp_path / "fleet.lock"
    path.touch()
    reader = os.open(path, os.O_RDONLY)
    fcntl.flock(reader, fcntl.LOCK_EX)
    threading.Timer(0.1, os.close, (reader,)).start()
    with (
        lock.held(path, "halt", force=True),
        pytest.raises(Locked, match="`manager halt` "),
        lock.held(path, "up"),
    ):
        pass


def test_a_lock_file_that_can_only_be_read_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "fleet.lock"
    path.touch()
    real_open = os.open

    def read_only(name: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & (os.O_RDWR | os.O_WRONLY):
            raise OSError(30, "Read-only file system")
        return real_open(name, flags, *rest, **more)

    monkeypatch.setattr(os, "open", read_only)
    with lock.held(path, "stop"), pytest.raises(Locked), lock.held(path, "up"):
        pass
    path.unlink()
    with pytest.raises(ManagerError, match="Read-only"), lock.held(path, "stop"):
        pass
    with lock.held(path, "stop", force=True) as forced:
        assert not forced.was_overridden()


def test_the_next_holder_learns_of_one_that_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "fleet.lock"
    with lock.held(path, "up") as first:
        assert not first.follows_a_kill
    with lock.held(path, "up") as after_a_clean_end:
        assert not after_a_clean_end.follows_a_kill
    with a_holder(path) as holder:
        holder.kill()
        holder.wait()
        with lock.held(path, "up", wait=5) as next_holder:
            assert next_holder.follows_a_kill
    with lock.held(path, "up") as later:
        assert not later.follows_a_kill


def test_the_next_holder_learns_of_one_that_gave_a_silent_engine_up(tmp_path: Path) -> None:
    """The engine executes later what it has taken: a stop that arrives after the next `up` has looked."""
    path = tmp_path / "fleet.lock"
    for error in (EngineUnreachable("it stands still"), EngineSlow("it is slow")):
        with suppress(EngineUnreachable), lock.held(path, "restart"):
            raise error
        with lock.held(path, "up") as after_an_error:
            assert after_an_error.follows_a_kill
        with lock.held(path, "restart") as holder:
            holder.note_errors([None, error])
        with lock.held(path, "up") as after_failed_actions:
            assert after_failed_actions.follows_a_kill
        with lock.held(path, "up") as later:
            assert not later.follows_a_kill
            later.note_errors([None, EngineError("no such image")])
        with lock.held(path, "up") as after_a_refusal:
            assert not after_a_refusal.follows_a_kill


def test_waiting_for_the_lock_is_bounded(tmp_path: Path) -> None:
    with a_holder(tmp_path / "lock"), pytest.raises(Locked), lock.held(tmp_path / "lock", "up", wait=0.2):
        pass


def test_host_pids_are_found_by_inner_pid_and_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c = (letter * 64 for letter in "abc")
    for pid, nspid, cgroup in (
        ("100", "100\t8", f"0::/system.slice/docker-{a}.scope\n"),
        ("101", "101\t8", f"8:pids:/docker/{b}\n0::/docker/{b}/of its own\n"),
        ("102", "102", f"8:pids:/docker/{a}\n"),
    ):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "status").write_text(f"Name:\tpython\nPPid:\t7\nNSpid:\t{nspid}\nThreads:\t1\n")
        (tmp_path / pid / "cgroup").write_text(cgroup)
    wanted = [(a, 8), (b, 8), (c, 8), (a, 102)]
    for likely in ([], [100, 101], [101, 100, 102, 5, 10**12]):
        assert host.host_pids(wanted, likely, tmp_path) == {(a, 8): 100, (b, 8): 101}
    host._known.clear()
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", None)  # not all processes are listed where those named are enough
        assert host.host_pids(wanted[:2], [101, 100], tmp_path) == {(a, 8): 100, (b, 8): 101}
    assert host.parent_pid(100, tmp_path) == 7
    assert host.parent_pid(999, tmp_path) == 0


def test_the_youngest_process_is_found_first_though_pids_go_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = "a" * 64
    for pid in (3, 5, 900):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "status").write_text(f"Name:\tpython\nNSpid:\t{pid}\t8\n")
        (tmp_path / str(pid) / "cgroup").write_text(f"0::/docker/{container}\n")
    for last, youngest in ((4, 3), (5, 5), (900, 900), (901, 900)):
        (tmp_path / "loadavg").write_text(f"0.10 0.20 0.30 2/300 {last}\n")
        monkeypatch.setattr(host, "_known", {})  # else it is the one that was found before
        assert host.host_pids([(container, 8)], proc=tmp_path) == {(container, 8): youngest}


def test_a_pid_that_was_found_is_another_process_once_its_folder_is_another(tmp_path: Path) -> None:
    container, other = "a" * 64, "b" * 64

    def appear(pid: int, in_container: str) -> None:
        (tmp_path / f"{pid}").mkdir()
        (tmp_path / f"{pid}" / "status").write_text(f"Name:\tpython\nNSpid:\t{pid}\t8\n")
        (tmp_path / f"{pid}" / "cgroup").write_text(f"0::/docker/{in_container}\n")

    appear(100, container)
    assert host.host_pids([(container, 8)], proc=tmp_path) == {(container, 8): 100}
    (tmp_path / "100" / "status").write_text("")  # which need not be read again
    assert host.host_pids([(container, 8)], proc=tmp_path) == {(container, 8): 100}
    (tmp_path / "100").rename(tmp_path / "ended")
    assert host.host_pids([(container, 8)], proc=tmp_path) == {}
    appear(100, other)
    appear(300, container)
    assert host.host_pids([(container, 8), (other, 8)], proc=tmp_path) == {
        (container, 8): 300,
        (other, 8): 100,
    }


def test_what_cannot_be_said_leaves_no_action_half_way(fleet: Fleet) -> None:
    pauses, ended = iter([0.0, 0.3]), []
    noted: list[Outcome[Action]] = []
    told: list[Outcome[Action]] = []

    def called_off() -> Text:
        time.sleep(next(pauses))
        ended.append(True)
        return Text("nothing may start")

    def on_done(outcome: Outcome[Action]) -> None:
        told.append(outcome)
        raise ManagerError("cannot write to standard output: {why}", why="No space left on device")

    nothing: Any = None
    context = ExecutionContext(nothing, fleet, {}, {}, {}, nothing, called_off)
    actions = [Action("start", name, Text("asked")) for name in ("a", "b")]
    with pytest.raises(ManagerError, match="No space left"):
        execute.run(actions, context, on_done, noted.extend)
    assert len(ended) == 2
    assert sorted(outcome.action.instance for outcome in noted) == ["a", "b"]
    assert len(told) == 1, "what cannot be written is not tried again"
