"""A fleet in a folder of its own, on the fake engine: commands in, printed lines and an exit code out."""

from __future__ import annotations

import errno
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from threading import Event, Thread, main_thread
from typing import Any
from unittest import mock

import psutil
import pytest

from manager.cli.main import main
from manager.engine import client, compose_hash, labels
from manager.fleet import engine_files, halt_mark, host, lock, supervisor_state
from manager.monitor.doctor import probe_engine
from manager.ops.folders import mount_probe
from manager.util import atomic_file, threads
from tests.builders import FLEET_NAME, a_config, write_config
from tests.fakes.bots import Bots
from tests.fakes.clock import Clock
from tests.fakes.engine import FakeEngine

IMAGE = "desk-bot:local"
REAL_SLEEP = time.sleep
VARYING = (
    (r"config [0-9a-f]{8} with image [0-9a-f]{8}", "config HASH with image HASH"),
    (r"container [0-9a-f]{12}", "container ID"),
    (r"`docker stop [0-9a-f]{12}`", "`docker stop ID`"),
    (r"pid \d+", "pid PID"),
    (r"since [-0-9]+ [:0-9]+", "since THEN"),
)
"""What is another one each time, or with each change of the code."""
DOCKER_SAYS = {"compose": "2.26.1", "buildx": "github.com/docker/buildx 0.13.1 of-nobody"}
"""What its commands answer when they are asked for their versions."""
BOTH = ("bp_eth_02", "bp_sol_01")
ETH, SOL = (f"{FLEET_NAME}-{instance}" for instance in BOTH)


class Inline(Thread):
    """A thread whose work is done where it is started: what ends first is then no matter of chance."""

    def start(self) -> None:
        """Do it."""
        self.run()

    def join(self, timeout: float | None = None) -> None:
        """It is done."""


class CtrlC:
    """A person's Ctrl-C, pressed in the middle of a call, while another one waits in `wait` to go on after
    it.
    """

    def __init__(self) -> None:
        self._is_other_there, self._is_noted = Event(), Event()

    def __call__(self) -> None:
        """Press it when the other call is there and the command waits for both; go on when it is noted."""
        self._is_other_there.wait(10)
        REAL_SLEEP(0.3)
        signal.pthread_kill(main_thread().ident or 0, signal.SIGINT)
        REAL_SLEEP(0.3)
        self._is_noted.set()

    def wait(self) -> None:
        """Wait until it is pressed and noted."""
        self._is_other_there.set()
        self._is_noted.wait(20)


def refuse_marks(monkeypatch: pytest.MonkeyPatch, instance: str) -> None:
    """No mark can be made for this instance, as on a disk that is read-only."""
    really = halt_mark._make

    def refused(folder: Path, *rest: Any, **more: Any) -> None:
        if folder.name == instance:
            raise OSError(errno.EROFS, "Read-only file system")
        really(folder, *rest, **more)

    monkeypatch.setattr(halt_mark, "_make", refused)


class Sandbox:
    """A fleet of two, and the machine around it. `run` is a person at the command line."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        self.clock = Clock()
        self.bots = Bots(self.clock)
        self.engine = FakeEngine(self.bots, self.clock.time)
        self.exit_code = 0
        self.is_engine_new = False
        """Whether no container of it was ever seen to write to the folders."""
        self.ports_in_use: set[int] = set()
        """Ports of the host, as a probe before the deed finds them."""
        (folder / "config").mkdir()
        (folder / "config" / "fleet.toml").write_text(f'name = "{FLEET_NAME}"\nimage = "{IMAGE}"\n')
        (folder / ".env").write_text("BACKPACK_KEY=k\nBACKPACK_SECRET=s\n")
        for number, instance in enumerate(BOTH, start=5001):
            self.config(instance, number)
        self.new_image()

    def config(self, instance: str, port: int | None, **sections: Any) -> None:
        """Write an instance's config."""
        write_config(self.folder, a_config(instance, port, **sections), instance)

    def new_image(self, *, is_askable: bool = False) -> str:
        """Build the image anew; return its id. `is_askable`: it has a program that asks for open orders."""
        program = {labels.OPEN_ORDERS: "/ask"} if is_askable else {}
        return self.engine.add_image(IMAGE, {labels.SUPERVISOR: str(labels.NEWEST_CONTRACT), **program})

    def run(self, command: str) -> list[str]:
        """Run `manager COMMAND` to its end; return what it printed, and keep its exit code."""
        self.exit_code = main(["--project-dir", str(self.folder), *command.split()])
        printed = self._capsys.readouterr()
        text = (printed.out + printed.err).replace(str(self.folder), "DIR")
        for pattern, word in VARYING:
            text = re.sub(pattern, word, text)
        return [line.rstrip() for line in text.splitlines()]

    def transcript(self, *commands: str) -> str:
        """Run commands; return their transcript: what each printed, asked of the engine, and ended with if
        that is not 0.
        """
        lines = []
        for command in commands:
            self.calls()
            lines.append(f"$ {command}")
            lines += self.run(command)
            lines += [f"  engine: {call}" for call in self._named(self.engine.calls)]
            lines += [f"  exit code {self.exit_code}"] if self.exit_code else []
        return "\n".join(lines)

    def assert_transcript(self, transcript: str) -> None:
        """Run the commands of a transcript, and assert that everything is as it says."""
        wanted = dedent(transcript).strip("\n").rstrip()
        assert self.transcript(*re.findall(r"^\$ (.*)", wanted, re.MULTILINE)) == wanted

    def assert_left_alone(self, instance: str, left: str) -> None:
        """Assert that nothing but a restart by name changes its container, and that plan and up say so."""
        for command in ("plan", "up", f"up {instance}"):
            assert left in (printed := self.transcript(command))
            assert "engine:" not in printed
        for command in (f"start {instance}", "upgrade", f"resume {instance}"):
            assert "engine:" not in self.transcript(command)

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Have no file written."""

        def refuse(_descriptor: int, _data: bytes) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with mock.patch.object(atomic_file, "write_all", refuse):
            yield

    @contextmanager
    def real_threads(self) -> Iterator[CtrlC]:
        """Have actions done at the same time, and a keyboard."""
        with mock.patch.object(threads, "Thread", Thread):
            yield CtrlC()

    def meanwhile(self, command: str) -> Callable[[], None]:
        """Return what another person does at this moment, for a hook of the engine's.

        What it prints is not looked at.
        """

        def do() -> None:
            code = self.exit_code
            before = self._capsys.readouterr()
            self.run(command)
            print(before.out, end="")
            self.exit_code = code

        return do

    def states(self) -> dict[str, str]:
        """Return instance → the engine's state of its container."""
        return {name.removeprefix(f"{FLEET_NAME}-"): state for name, state in self.engine.states().items()}

    def calls(self) -> list[str]:
        """Return the changing calls since the last time, without the fleet's name.

        After a transcript these are the calls of its last command: without it a test of them would see none.
        """
        calls, self.engine.calls = self.engine.calls, []
        return self._named(calls)

    @staticmethod
    def _named(calls: list[str]) -> list[str]:
        return [call.replace(f"{FLEET_NAME}-bp", "bp") for call in calls]


def own(ours: Callable[..., Any], real: Callable[..., Any], others: Collection[Thread]) -> Callable[..., Any]:
    """Return what tells the sandbox's time, but to threads that other tests have left: whoever sleeps there
    would move the clock in the middle of a look.
    """
    return lambda *args: (real if threading.current_thread() in others else ours)(*args)


@contextmanager
def a_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Sandbox]:
    """A fleet on a fake engine, in a world where nobody waits and everything is done in turn."""
    folder = tmp_path / "desk"
    folder.mkdir()
    sandbox = Sandbox(folder, capsys)
    monkeypatch.setattr(client, "Engine", lambda *_parallelism: sandbox.engine)
    monkeypatch.setattr(engine_files, "host_config", sandbox.engine.host_config)
    monkeypatch.setattr(engine_files, "config", sandbox.engine.config)
    monkeypatch.setattr(compose_hash, "PLUGIN_DIRS", ())
    monkeypatch.setattr(probe_engine, "_start", lambda _docker, name, *_words: name)
    monkeypatch.setattr(probe_engine, "_output", DOCKER_SAYS.get)
    monkeypatch.setattr(probe_engine, "missing_packages", lambda: ())
    known_mounts = mount_probe.known_mounts
    monkeypatch.setattr(
        mount_probe,
        "known_mounts",
        lambda *facts: known_mounts(*facts) if sandbox.is_engine_new else frozenset(facts[-1]),
    )
    monkeypatch.setattr(host, "is_port_free", lambda _address, port: port not in sandbox.ports_in_use)
    monkeypatch.setattr(psutil, "process_iter", lambda _facts: iter(()))  # who has a port
    monkeypatch.setattr(psutil, "net_connections", lambda _kind: [])
    monkeypatch.setattr(host, "host_pids", lambda *_arguments, **_options: {})
    monkeypatch.setattr(supervisor_state, "uptime", sandbox.clock.uptime)
    monkeypatch.setattr(threads, "Thread", Inline)
    others = {*threading.enumerate()} - {threading.current_thread()}
    for name in ("time", "monotonic", "sleep"):
        monkeypatch.setattr(time, name, own(getattr(sandbox.clock, name), getattr(time, name), others))
    monkeypatch.setattr(lock, "READER_S", 0.0)
    monkeypatch.setattr(lock, "UNSIGNED_S", 0.0)
    try:
        yield sandbox
    finally:
        sandbox.bots.close()
        monkeypatch.undo()
