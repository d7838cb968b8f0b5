"""An engine whose process was stopped answers nothing, however long it is waited for."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from manager.engine import http_socket
from manager.engine.client import Engine
from manager.errors import EngineSlow, EngineUnreachable

LISTENER = """
import os, socket, subprocess, sys
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen()
children = [subprocess.Popen([program, "60"]) for program in sys.argv[2:]]
print(*[child.pid for child in children], flush=True)
sys.stdin.read()
for child in children:
    child.kill()
    child.wait()
"""
"""Takes connections and answers none, as a frozen engine does. Its children are as engines of systemd."""


@contextmanager
def listening(path: Path, *programs: Path) -> Iterator[tuple[int, list[int]]]:
    """Yield the listener's pid, and those of its children."""
    command = [sys.executable, "-c", LISTENER, str(path), *map(str, programs)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        children = [int(pid) for pid in process.stdout.readline().split()]
        try:
            yield process.pid, children
        finally:
            for pid in (process.pid, *children):
                os.kill(pid, signal.SIGCONT)
            assert process.stdin is not None
            process.stdin.close()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The socket of the engine that is named."""
    path = tmp_path / "engine.sock"
    monkeypatch.setattr(http_socket, "STANDS_STILL_S", 0.1)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    return path


@pytest.fixture
def dockerd(tmp_path: Path) -> Path:
    """A program of the engine's name, which only sleeps."""
    program = tmp_path / "dockerd"
    program.symlink_to(shutil.which("sleep") or "")
    return program


def test_an_engine_that_was_stopped_is_named_long_before_its_answer_is_due(path: Path) -> None:
    with listening(path) as (pid, _children):
        os.kill(pid, signal.SIGSTOP)
        for call in (Engine().info, lambda: Engine().stop("a", 45)):
            began = time.monotonic()
            with pytest.raises(
                EngineUnreachable, match=f"its process {pid} was stopped, as by SIGSTOP"
            ) as caught:
                call()
            assert not isinstance(caught.value, EngineSlow), "it is not asked again"
            assert f"`sudo kill -CONT {pid}` lets it go on" in str(caught.value)
            assert time.monotonic() - began < 5


def test_one_that_is_only_slow_is_waited_for(path: Path) -> None:
    with listening(path), pytest.raises(http_socket.TooSlow):
        http_socket.call(str(path), "GET", "/info", timeout=1)


def test_one_that_systemd_gave_its_socket_is_found(path: Path, dockerd: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.symlink_to(dockerd.readlink())
    with listening(path, dockerd, other) as (_pid, (engine, stranger)):
        os.kill(stranger, signal.SIGSTOP)
        with pytest.raises(http_socket.TooSlow):
            http_socket.call(str(path), "GET", "/info", timeout=1)
        os.kill(engine, signal.SIGSTOP)
        with pytest.raises(http_socket.StandsStill, match=f"process {engine} stands still"):
            http_socket.call(str(path), "GET", "/info", timeout=20)


def test_the_sdk_says_the_same_and_as_soon(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOTFLEET_ENGINE_CLIENT", "sdk")
    monkeypatch.setattr("manager.engine.docker_sdk.CALL_TIMEOUT_S", 3600)
    with listening(path) as (pid, _children):
        os.kill(pid, signal.SIGSTOP)
        for call in (Engine().info, lambda: Engine().stop("a", 45)):
            with pytest.raises(EngineUnreachable, match=f"its process {pid} was stopped") as caught:
                call()
            assert not isinstance(caught.value, EngineSlow), "it is not asked again"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "it closed the connection without an answer"),
        (b"HTTP/1.0 200 OK\r\nContent-Type", "it closed the connection in the middle of its answer"),
        (b'HTTP/1.0 200 OK\r\n\r\n[{"Id": "a', "it closed the connection in the middle of its answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "is not a Docker Engine"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "is not a Docker Engine"),
        (b"HTTP/1.0 404 Not Found\r\n\r\n<html>", "is not a Docker Engine (HTTP 404, without a message)"),
        (b"HTTP/1.0 403 Forbidden\r\n\r\n", "is not a Docker Engine (HTTP 403, without a message)"),
        (b"HTTP/1.0 502 Bad Gateway\r\n\r\n<html>", "HTTP 502, without a message"),
    ],
)
def test_what_a_killed_engine_and_another_program_say(path: Path, answer: bytes, message: str) -> None:
    command = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()\n"
        "print(flush=True); c, _ = s.accept(); c.recv(9999); c.sendall(sys.stdin.buffer.read()); c.close()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", command, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        process.stdin.write(answer)
        process.stdin.close()
        with pytest.raises(EngineUnreachable) as caught:
            Engine().info()
    assert message in str(caught.value)
    assert ("start that engine" in str(caught.value)) is ("Docker Engine answers" in str(caught.value))


def test_too_many_open_files_are_no_fault_of_the_engine(path: Path) -> None:
    import resource

    with listening(path):
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        engine = Engine()
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, before[1]))
        try:
            with pytest.raises(EngineUnreachable, match=r"which may be well: .*[Tt]oo many open files"):
                engine.info()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
