"""Run `manager serve`: open the socket, start both sides and the standby, and each again when it ends.

The keeper itself does nothing else. It keeps the listening socket, so that browsers wait, rather than fail,
while the web side comes back; and both sides end when it has ended.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from manager import i18n
from manager.errors import ManagerError, TimedOut, writing_to
from manager.i18n import Text
from manager.typed import NamedTuple
from manager.util import console, formatting, ownership
from manager.util.readable import wait_readable
from manager.util.trusted_folder import open_in_trusted, unlink_in_trusted
from manager.web import access, options, rights, running
from manager.web.access import Access
from manager.web.options import DEFAULT_HOST, DEFAULT_PORT, Options
from manager.web.places import Places

READY_WITHIN_S = 60.0
POLL_S = 0.2
AGAIN_S = (0.2, 1.0, 3.0, 10.0)
"""Pauses before a side that ends again and again is started once more."""
STEADY_S = 60.0
ENDS_WITHIN_S = 55.0
NEXT_PORTS = 20
PASSED = ("PATH", "LANG", "LC_ALL", "LC_MESSAGES", "LC_TIME", "TZ", "PYTHONPATH", "MANAGER_LANG")
"""What the web side gets of the environment: the rest may contain secrets."""


class Side:
    """Hold one of the processes. `start` returns it."""

    def __init__(self, name: Text, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self._name, self._start = name, start
        self._failures = 0
        self._start_at = 0.0
        self._started_at = time.monotonic()
        self.process: subprocess.Popen[bytes] = start()

    def look_after(self) -> None:
        """Start it again if it has ended, after a pause."""
        if self.process.poll() is None:
            if time.monotonic() - self._started_at > STEADY_S:
                self._failures = 0
            return
        if not self._start_at:
            pause = AGAIN_S[min(self._failures, len(AGAIN_S) - 1)]
            self._failures += 1
            self._start_at = time.monotonic() + pause
            console.warning(
                Text("{side} has ended ({code}) and is started again", side=self._name, code=self._code())
            )
        if time.monotonic() >= self._start_at:
            self._start_at, self._started_at = 0.0, time.monotonic()
            self.process = self._start()

    def start_again_now(self) -> None:
        """End it, so that it is started again at once."""
        self.process.terminate()
        self._failures = 0

    def _code(self) -> str:
        code = self.process.returncode
        return signal.Signals(-code).name if code < 0 else str(code)


class EndSignal(Exception):
    """Signal that the program is to end, by SIGTERM or Ctrl-C."""


class Setting(NamedTuple):
    """Hold what the sides are started with. `engine_side`, `standby`: the command lines of these two."""

    at: Places
    options: Options
    project_dir: Path | None
    engine_side: Sequence[str]
    standby: Sequence[str]
    is_detached: bool


class Keeper:
    """Keep both sides running. Opens the address. Raises ManagerError."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        with writing_to(setting.at.folder):
            ownership.make_folder(setting.at.folder)
        options.require_allowed(setting.options, access.load(setting.at.access))
        before = running.last(setting.at)
        self._listening = listening(setting.options, before.port if before else DEFAULT_PORT)
        self._uid = rights.uid_of_web_side()
        self._alive, self._held = os.pipe()
        self._is_ready, self._ready = os.pipe()

    @property
    def port(self) -> int:
        """Return the port."""
        return int(self._listening.getsockname()[1])

    @property
    def url(self) -> str:
        """Return the address for a browser."""
        return self._setting.options.url(self.port)

    def run(self, on_ready: Callable[[], object]) -> None:
        """Run until SIGTERM or Ctrl-C. Raises ManagerError: a side that does not start at all."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _tell)
        sides: list[Side] = []
        try:
            sides.append(Side(Text("the engine side"), self._engine_side))
            sides.append(Side(Text("the web side"), self._web_side))
            sides.append(Side(Text("the standby"), self._standby))
            self._wait_until_ready(sides)
            signal.signal(signal.SIGHUP, lambda *_: sides[1].start_again_now())
            on_ready()
            while True:
                time.sleep(POLL_S)
                for side in sides:
                    side.look_after()
        except EndSignal:
            pass
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            _end(sides)
            unlink_in_trusted(self._setting.at.socket)

    def _wait_until_ready(self, sides: Sequence[Side]) -> None:
        deadline, told = time.monotonic() + READY_WITHIN_S, set[bytes]()
        while len(told) < len(sides):
            if wait_readable(self._is_ready, POLL_S):
                told.add(os.read(self._is_ready, 1))
            elif any(side.process.poll() is not None for side in sides):
                raise ManagerError("`manager serve` cannot start: see the message above")
            elif time.monotonic() > deadline:
                raise TimedOut(
                    "`manager serve` did not start within {seconds} s", seconds=int(READY_WITHIN_S)
                )

    def _engine_side(self) -> subprocess.Popen[bytes]:
        setting = self._setting
        words = [
            str(setting.project_dir or ""),
            i18n.language(),
            str(self._uid),
            "" if setting.is_detached else self.url,
            str(self._alive),
            str(self._ready),
        ]
        return subprocess.Popen(
            [*setting.engine_side, *words],
            stdin=subprocess.DEVNULL,
            pass_fds=(self._alive, self._ready),
            start_new_session=True,
        )

    def _standby(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self._setting.standby, str(self._alive), str(self._ready)],
            stdin=subprocess.DEVNULL,
            pass_fds=(self._alive, self._ready),
            start_new_session=True,
        )

    def _web_side(self) -> subprocess.Popen[bytes]:
        """Start it with its settings on its input: what is secret in them is in no file that it can read."""
        at = self._setting.at
        descriptors = (self._listening.fileno(), _sessions(at.sessions), self._alive, self._ready)
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "manager.web.web_side.process", *map(str, descriptors)],
                stdin=subprocess.PIPE,
                pass_fds=descriptors,
                start_new_session=True,
                env={name: os.environ[name] for name in PASSED if name in os.environ},
            )
        finally:
            os.close(descriptors[1])
        assert process.stdin is not None
        with suppress(BrokenPipeError), process.stdin as stream:
            stream.write(json.dumps(self._settings(access.load(at.access))).encode())
        return process

    def _settings(self, known: Access) -> dict[str, Any]:
        chosen = self._setting.options
        return {
            "folder": str(self._setting.at.folder),
            "uid": self._uid,
            "language": i18n.language(),
            "cookie_name": f"botfleet-{self.port}",
            "scheme": chosen.scheme,
            "is_loopback": chosen.is_loopback,
            "names": [name.lower() for name in chosen.names],
            "bot_origin": chosen.origin_of_bots,
            "proxies": list(chosen.behind_proxy),
            "tls": chosen.tls,
            "access": known.as_object(),
        }


def listening(chosen: Options, usual_port: int = DEFAULT_PORT) -> socket.socket:
    """Return a socket that listens at the address; without one, at the usual port or the next free one.

    Raises ManagerError if the address is taken.
    """
    if chosen.listen is not None:
        return _listening(*chosen.listen)
    for port in dict.fromkeys((usual_port, *range(DEFAULT_PORT, DEFAULT_PORT + NEXT_PORTS))):
        with suppress(ManagerError):
            return _listening(DEFAULT_HOST, port)
    raise ManagerError(
        "the ports {first} to {last} of {host} are taken; choose another with --listen HOST:PORT",
        first=DEFAULT_PORT,
        last=DEFAULT_PORT + NEXT_PORTS - 1,
        host=DEFAULT_HOST,
    )


def _listening(host: str, port: int) -> socket.socket:
    opened = None
    try:
        opened = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
        opened.listen(128)
    except OSError as error:
        if opened is not None:
            opened.close()
        raise ManagerError(
            "cannot listen on {address}: {why}; choose another with --listen HOST:PORT",
            address=formatting.host_port(host, port),
            why=error.strerror or error,
        ) from error
    return opened


def _sessions(file: Path) -> int:
    with writing_to(file):
        return open_in_trusted(file, os.O_RDWR | os.O_CREAT)


def _tell(*_: object) -> None:
    raise EndSignal


def _end(sides: Sequence[Side]) -> None:
    """End both; one that does not is killed."""
    for side in sides:
        side.process.terminate()
    deadline = time.monotonic() + ENDS_WITHIN_S
    for side in sides:
        try:
            side.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            side.process.kill()
            side.process.wait()
