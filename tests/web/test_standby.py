"""The standby of `manager serve` as a process: what it refuses, and what ends with whom."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

import manager
from manager.cli import standby as asking
from manager.cli import standby_side
from tests.standby import BY_ITSELF, BY_STANDBY, EITHER_WAY, Standby
from tests.web.served import a_project
from tests.web.test_process import eventually

WITHIN_S = 30.0
NO_ENGINE = 5


PATIENT = f"from manager.cli import standby; standby.ANSWERS_WITHIN_S = 30; {EITHER_WAY}"
"""On a machine that is busy with tests."""
LIMITED = "resource.setrlimit(resource.RLIMIT_NOFILE, (99, 100))"


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A short path: one of a socket has at most 107 bytes, which a worker's folder of a test nearly fills."""
    return str(tmp_path_factory.mktemp("c"))


@pytest.fixture
def standby(tmp_path: Path, cache: str) -> Iterator[Standby]:
    folder = tmp_path / "project"
    a_project(folder, "standing")
    with Standby(folder, {"XDG_CACHE_HOME": cache, "MANAGER_LANG": "en"}) as started:
        yield started


class Mute:
    """An engine that takes every call and answers none."""

    def __init__(self, path: Path) -> None:
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(path))
        self.listening.listen(8)
        self.listening.settimeout(WITHIN_S)
        self.environ = {"DOCKER_HOST": f"unix://{path}"}
        self.calls: list[socket.socket] = []

    def wait_for_call(self) -> None:
        self.calls.append(self.listening.accept()[0])


@pytest.fixture
def mute(tmp_path: Path) -> Iterator[Mute]:
    engine = Mute(tmp_path / "mute.sock")
    yield engine
    for connection in (*engine.calls, engine.listening):
        connection.close()


def _end_before_it_begins(listening: socket.socket) -> None:
    """Be a standby that is told to end while a command asks it."""
    line = listening.accept()[0]
    with line:
        line.sendall(asking.HELLO)
        size = int.from_bytes(line.recv(asking.HEAD, socket.MSG_WAITALL), "big")
        line.recv(size, socket.MSG_WAITALL)
        line.sendall(asking.READY)
        assert line.recv(1) == asking.GO


def forks(standby: Standby) -> list[int]:
    pid = standby.process.pid
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def socket_of(standby: Standby) -> Path:
    [path] = Path(standby.environ["XDG_CACHE_HOME"], "botfleet").glob("*.standby")
    return path


def test_it_answers_from_any_folder_of_the_project(standby: Standby) -> None:
    below = standby.folder / "config" / "active"
    process = standby.start(BY_STANDBY, ["ps"], folder=below)
    assert b"no Docker Engine answers" in process.communicate(timeout=60)[1]
    assert process.returncode == NO_ENGINE
    assert socket_of(standby).stat().st_mode & 0o777 == 0o600
    assert socket_of(standby).parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "line",
    [
        *(
            "stop",
            "down",
            "halt",
            "resume",
            "upgrade",
            "up --host-is-dead x",
            "restart --host x",
            "up --help",
        ),
        *("ps --watch", "ps -w", "logs -f", "logs -fn 5", "ps --host x", "ps --help"),
    ],
)
def test_what_ends_trading_asks_or_goes_on_is_not_for_it(line: str) -> None:
    assert not asking.is_known(line.split())


def test_nobody_is_answered_by_the_code_of_another_version(standby: Standby, tmp_path: Path) -> None:
    assert standby.run(BY_STANDBY, ["ps"]).code == NO_ENGINE
    copy = tmp_path / "copy"
    there = {"PYTHONPATH": str(copy)}
    shutil.copytree(Path(asking.__file__).parents[1], copy / "manager")
    assert b"the standby has not run it" in standby.run(BY_STANDBY, ["ps"], there).err
    assert standby.run(EITHER_WAY, ["ps"], there) == standby.run(BY_ITSELF, ["ps"], there)


def test_it_refuses_once_a_file_of_the_manager_is_another_one(tmp_path: Path, cache: str) -> None:
    copy, folder = tmp_path / "copy", tmp_path / "project"
    shutil.copytree(Path(asking.__file__).parents[1], copy / "manager")
    a_project(folder, "standing")
    environ = {"XDG_CACHE_HOME": cache, "PYTHONPATH": str(copy)}
    with Standby(folder, environ) as standby:
        assert standby.run(BY_STANDBY, ["ps"]).code == NO_ENGINE
        os.utime(copy / "manager" / "fleet" / "doing.py")
        assert b"the standby has not run it" in standby.run(BY_STANDBY, ["ps"]).err
        assert standby.run(EITHER_WAY, ["ps"]).code == NO_ENGINE


@pytest.mark.parametrize("change", ["written", "copied", "touched", "renamed", "new", "removed", "room"])
def test_code_that_is_no_longer_there_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    room = tmp_path / "manager" / "fleet"
    room.mkdir(parents=True)
    file = room / "doing.py"
    for source in (room.parent / "__init__.py", file):
        source.write_text("here")
    monkeypatch.setattr(manager, "__file__", str(room.parent / "__init__.py"))
    code = standby_side.Code()
    assert code.is_present()
    (room / "__pycache__").mkdir()
    (room / "notes.txt").write_text("")
    assert code.is_present(), "modules are compiled while it runs"
    match change:
        case "written":
            file.write_text("another one")
        case "copied":  # one of the same size, with its time, as from an archive
            times = file.stat()
            file.write_text("next")
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        case "touched":
            os.utime(file)
        case "renamed":
            file.rename(room / "done.py")
        case "new":
            (room / "done.py").write_text("")
        case "removed":
            file.unlink()
        case "room":
            shutil.rmtree(room)
    assert not code.is_present()


def test_one_that_hangs_delays_a_command_by_a_moment(standby: Standby) -> None:
    standby.process.send_signal(signal.SIGSTOP)
    try:
        assert standby.run(EITHER_WAY, ["ps"]) == standby.run(BY_ITSELF, ["ps"])
    finally:
        standby.process.send_signal(signal.SIGCONT)
    assert standby.run(BY_STANDBY, ["ps"]).code == NO_ENGINE, "and runs nothing that was given up"
    eventually(lambda: forks(standby) == [])


def test_closed_streams_are_none_of_its_business(standby: Standby) -> None:
    command = 'exec "$0" -c "$1" ps >&-'
    for code in (EITHER_WAY, BY_ITSELF):
        done = subprocess.run(
            ["sh", "-c", command, sys.executable, code],
            cwd=standby.folder,
            env=standby.environ,
            capture_output=True,
            check=False,
        )
        assert done.returncode == NO_ENGINE
        assert b"no Docker Engine answers" in done.stderr


def test_a_standby_that_ends_before_it_begins_leaves_the_command_to_its_program(
    tmp_path: Path, cache: str
) -> None:
    folder = tmp_path / "project"
    a_project(folder, "standing")
    environ = {**os.environ, "XDG_CACHE_HOME": cache}
    path = Path(cache, "botfleet", Path(asking.socket_path(str(folder))).name)
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(1)
        listening.settimeout(WITHIN_S)
        threading.Thread(target=_end_before_it_begins, args=[listening], daemon=True).start()
        by_itself, asked = (
            subprocess.run(
                [sys.executable, "-c", code, "ps"], cwd=folder, env=environ, capture_output=True, check=False
            )
            for code in (BY_ITSELF, PATIENT)
        )
    assert (asked.returncode, asked.stdout, asked.stderr) == (NO_ENGINE, b"", by_itself.stderr)


def test_it_refuses_who_has_other_capabilities(standby: Standby) -> None:
    """Root without them may not read what another user's bot writes."""
    assert re.fullmatch(rb"CapEff:\t[0-9a-f]+\n", asking._capabilities())
    without = f"from manager.cli import standby; standby._capabilities = lambda: b'none'\n{BY_STANDBY}"
    assert b"the standby has not run it" in standby.run(without, ["ps"]).err


@pytest.mark.parametrize("environ", [{"PYTHONWARNINGS": "error"}, {"PYTHONDEVMODE": "1"}])
def test_what_it_refuses_prints_no_warning(standby: Standby, environ: dict[str, str]) -> None:
    assert standby.run(EITHER_WAY, ["ps"], environ) == standby.run(BY_ITSELF, ["ps"], environ)


def test_a_command_has_the_limits_of_its_program(standby: Standby, mute: Mute) -> None:
    process = standby.start(f"import resource\n{LIMITED}\n{BY_STANDBY}", ["ps"], mute.environ)
    mute.wait_for_call()
    [fork] = forks(standby)
    assert [resource.prlimit(fork, limit) for limit in standby_side.LIMITS] == [
        resource.prlimit(process.pid, limit) for limit in standby_side.LIMITS
    ]
    assert resource.prlimit(fork, resource.RLIMIT_NOFILE) == (99, 100)
    process.send_signal(signal.SIGINT)
    assert process.wait(WITHIN_S) == 130


def test_ctrl_c_reaches_the_command(standby: Standby, mute: Mute) -> None:
    process = standby.start(BY_STANDBY, ["ps"], mute.environ)
    mute.wait_for_call()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == (b"", b"interrupted\n")
    assert process.returncode == 130


def test_a_command_ends_with_its_program(standby: Standby, mute: Mute) -> None:
    process = standby.start(BY_STANDBY, ["ps"], mute.environ)
    mute.wait_for_call()
    process.kill()
    process.wait()
    eventually(lambda: not forks(standby))


def test_a_command_that_is_killed_says_so(standby: Standby, mute: Mute) -> None:
    process = standby.start(BY_STANDBY, ["ps"], mute.environ)
    mute.wait_for_call()
    os.kill(forks(standby)[0], signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGKILL
    lost = standby.start(BY_STANDBY, ["ps"], mute.environ)
    mute.wait_for_call()
    [fork] = forks(standby)
    standby.process.kill()
    standby.process.wait()
    os.kill(fork, signal.SIGKILL)
    assert lost.wait(WITHIN_S) == 6
    assert b"killed in the middle" in lost.communicate(timeout=60)[1]


@pytest.mark.parametrize("line", ["ps", "up"])
def test_a_command_outlives_the_standby_and_hears_ctrl_c(standby: Standby, mute: Mute, line: str) -> None:
    process = standby.start(BY_STANDBY, [line], mute.environ)
    mute.wait_for_call()
    standby.process.kill()
    standby.process.wait()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    process.send_signal(signal.SIGINT)
    assert b"interrupted" in process.communicate(timeout=60)[1]
    assert process.returncode == 130


@pytest.mark.parametrize("code", [BY_STANDBY, BY_ITSELF])
@pytest.mark.parametrize("line", ["ps", "up"])
def test_sigterm_reaches_the_command(standby: Standby, mute: Mute, line: str, code: str) -> None:
    process = standby.start(code, [line], mute.environ)
    mute.wait_for_call()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode in {128 + signal.SIGTERM, -signal.SIGTERM}  # a shell reports the same
    eventually(lambda: forks(standby) == [])


@pytest.mark.parametrize("code", [BY_STANDBY, BY_ITSELF])
def test_what_only_shows_ends_with_its_terminal(standby: Standby, mute: Mute, code: str) -> None:
    process = standby.start(code, ["ps"], mute.environ)
    mute.wait_for_call()
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)
    assert process.returncode in {128 + signal.SIGHUP, -signal.SIGHUP}
    eventually(lambda: forks(standby) == [])


def assert_outlives_its_terminal(process: subprocess.Popen[bytes], mute: Mute) -> None:
    mute.wait_for_call()
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)


@pytest.mark.parametrize("code", [BY_STANDBY, BY_ITSELF])
def test_a_change_outlives_its_terminal(standby: Standby, mute: Mute, code: str) -> None:
    assert_outlives_its_terminal(standby.start(code, ["up"], mute.environ), mute)


def test_a_signal_that_is_ignored_is_not_passed_on(standby: Standby, mute: Mute) -> None:
    """As `nohup` starts it: what only shows would end otherwise."""
    code = f"import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN){BY_STANDBY}"
    assert_outlives_its_terminal(standby.start(code, ["ps"], mute.environ), mute)


def test_it_ends_with_its_keeper_after_what_it_runs(standby: Standby, mute: Mute) -> None:
    process = standby.start(BY_STANDBY, ["ps"], mute.environ)
    mute.wait_for_call()
    path = socket_of(standby)
    standby.leave()
    eventually(lambda: not path.exists())
    assert standby.process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert standby.process.wait(WITHIN_S) == 0


class _Line:
    """Answer like a standby whose command has begun, gets Ctrl-C, and ends with 7."""

    def __init__(self) -> None:
        self._pieces = [(1).to_bytes(asking.PID_BYTES, sys.byteorder), b"", bytes([7])]

    def settimeout(self, _seconds: float | None) -> None:
        pass

    def sendall(self, _word: bytes) -> None:
        pass

    def recv(self, _most: int) -> bytes:
        piece = self._pieces.pop(0)
        if not piece:
            os.kill(os.getpid(), signal.SIGINT)
            piece = self._pieces.pop(0)
        return piece


def test_ctrl_c_that_comes_again_while_it_is_passed_on_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As from `timeout -s INT`. The standby kills the command of a process that has ended."""
    passed: list[int] = []

    def kill(_pid: int, number: int) -> None:
        passed.append(number)
        if len(passed) == 1:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(asking, "_kill", kill)
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        code = asking._exit_code(cast("socket.socket", _Line()))
    except KeyboardInterrupt:
        pytest.fail("it ends, and with it the command")
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    assert (code, passed) == (7, [signal.SIGINT, signal.SIGINT])


def test_ctrl_c_before_it_begins_ends_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended(_Line):
        def recv(self, _most: int) -> bytes:
            os.kill(os.getpid(), signal.SIGINT)
            return b""

    with pytest.raises(KeyboardInterrupt):
        asking._exit_code(cast("socket.socket", Ended()))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
