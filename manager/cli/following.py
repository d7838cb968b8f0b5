"""Follow the logs of this machine and of all others at once (`logs -f --hosts`), also through an outage."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from argparse import Namespace
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from manager.errors import NO_ENGINE, worst_exit_code
from manager.i18n import Text, listed
from manager.ops.hosts import registry, ssh
from manager.ops.hosts.registry import Host
from manager.util import console
from manager.util.sanitize import replace_unprintable

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
OVERLAP_S = 5.0
"""Lines of several bots come almost in order; what was shown already is not shown again."""
KEPT_LINES = 5000
SIGNALLED = 128
"""From here on a shell tells of signals: a machine that is shut down ends its commands by one."""
STAMPED = re.compile(r"((?:\S+ +\| )?)(\d{4}-\d\d-\d\d(?:T[0-9:.]+Z)?) (.*)", re.DOTALL)
"""A line of `logs --timestamps`: its instance if there are several, its time, its text."""


def follow(folder: Path, hosts: Sequence[Host], words: Sequence[str], args: Namespace) -> int:
    """Follow all machines' logs, each line behind its machine's name, until Ctrl-C.

    A machine whose connection is lost is named at once, and connected to again.
    """
    followers = [_Follower(registry.HERE, lambda _since: _here(folder, words), args)]
    followers += [_Follower(host.name, _command(host, words, args), args, host) for host in hosts]
    width = 0 if args.json else max(len(follower.name) for follower in followers)
    readers = [threading.Thread(target=follower.run, args=(width,), daemon=True) for follower in followers]
    for reader in readers:
        reader.start()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # none may stay, here or there
    try:
        for reader in readers:
            reader.join()
    finally:
        for follower in followers:
            follower.end()
    return worst_exit_code([follower.code for follower in followers])


def _here(folder: Path, words: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "manager", "--project-dir", str(folder), *words]


def _command(host: Host, words: Sequence[str], args: Namespace) -> Callable[[str], list[str]]:
    """Return what makes the command for a host: as it was typed, or since a time."""
    with_stamps = ["--json"] if args.json else ["--timestamps"]

    def command(since: str) -> list[str]:
        if not since:
            place = words.index("logs") + 1
            return ssh.follow(host, [*words[:place], *with_stamps, *words[place:]])
        again = ["logs", "--follow", f"--since={since}", *with_stamps]
        again += [f"--config={file}" for file in args.config]
        again += [f"--grep={args.grep.pattern}"] if args.grep else []
        again += ["--errors"] if args.errors else []
        before = list(words[: words.index("logs")])
        return ssh.follow(host, [*before, *again, *(["--", *args.ids] if args.ids else [])])

    return command


class _Follower:
    """Print one machine's lines. `host`: None for this machine, whose command waits for its engine itself."""

    def __init__(
        self, name: str, command: Callable[[str], list[str]], args: Namespace, host: Host | None = None
    ) -> None:
        self.name, self.code = name, 0
        self._command, self._host = command, host
        self._strips = host is not None and not args.timestamps
        self._seen: deque[str] = deque(maxlen=KEPT_LINES)
        self._known: frozenset[str] = frozenset()
        self._newest, self._lost_at, self._has_come = "", 0.0, False
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ending = threading.Event()
        self._lock = threading.Lock()

    def run(self, width: int) -> None:
        """Print the lines until they end for good, and say so."""
        pause, was_connected = FIRST_PAUSE_S, False
        while not self._is_ending.is_set():
            began, why = time.monotonic(), self._read(width, is_again=was_connected)
            if self._is_ending.is_set():
                return
            # longer than a login may take: it was connected, and there was nothing to tell
            has_lasted = self._host is not None and time.monotonic() - began > self._host.answer_within
            if self._has_come or has_lasted:
                was_connected, pause, self._lost_at = True, FIRST_PAUSE_S, 0.0
            if not (was_connected and self._may_come_back()):
                self._say_ended(why)
                return
            if not self._lost_at:
                self._lost_at = time.monotonic()
                console.error(
                    Text("{host}: the connection is lost ({why}); trying again", host=self.name, why=why)
                )
            self._is_ending.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def end(self) -> None:
        """End the command, and wait for it."""
        self._is_ending.set()
        with self._lock:
            process = self._process
        if process is not None:
            process.terminate()
            self.code = process.wait()

    def _may_come_back(self) -> bool:
        return self._host is not None and (self.code == NO_ENGINE or self.code >= SIGNALLED or self.code < 0)

    def _read(self, width: int, *, is_again: bool) -> str:
        """Print the lines of one connection; return what ssh said at its end."""
        self._has_come, self._known = False, frozenset(self._seen)
        command = self._command(self._since() if is_again else "")
        with self._lock:
            if self._is_ending.is_set():
                return ""
            # ssh's own words apart: the other manager's come through its terminal
            err = subprocess.STDOUT if self._host is None else subprocess.PIPE
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err
            )
        process = self._process
        assert process.stdout is not None
        for line in process.stdout:
            self._show(width, replace_unprintable(line.decode(errors="replace").rstrip("\r\n")))
        error = process.stderr.read().decode(errors="replace") if process.stderr is not None else ""
        self.code = process.wait()
        lines = [line.strip() for line in error.splitlines() if line.strip()]
        code = Text("exit code {code}", code=self.code)
        return str(listed([replace_unprintable(lines[-1]), code]) if lines else code)

    def _since(self) -> str:
        """Return from when on lines are asked for again: before the last one's time, else since it was lost.

        That is a duration, because the clocks of two machines differ.
        """
        if self._newest:
            last = datetime.fromisoformat(self._newest)
            return (last - timedelta(seconds=OVERLAP_S)).isoformat()
        return f"{time.monotonic() - self._lost_at + OVERLAP_S:.0f}s"

    def _show(self, width: int, text: str) -> None:
        stamp, shown = self._read_stamp(text)
        if self._lost_at and (stamp or self._has_come):
            self._lost_at = 0.0
            console.warn(Text("{host}: connected again", host=self.name))
        if stamp:
            self._has_come = True
            if text in self._known:
                return
            self._seen.append(text)
            self._newest = max(self._newest, stamp)
        console.say(f"{self.name:<{width}} {shown}" if width else _with_host(self.name, text))

    def _read_stamp(self, text: str) -> tuple[str, str]:
        """Return a line's time, empty without one, and the line as it is shown."""
        if self._host is None:
            return "", text
        if match := STAMPED.fullmatch(text):
            stamp = match[2] if "T" in match[2] else ""
            return stamp, match[1] + match[3] if self._strips else text
        with suppress(ValueError, RecursionError):
            content = json.loads(text) if text.startswith("{") else None
            if isinstance(content, dict) and isinstance(content.get("time"), str):
                return content["time"], text
        return "", text

    def _say_ended(self, why: str) -> None:
        if self._host is not None and self.code in ssh.NOT_RUN:
            console.error(ssh.no_manager(self._host))
        elif self.code:
            ended = Text(
                "{host}: its lines have ended ({why}); run the command again",
                host=self.name,
                why=why,
            )
            console.error(ended)


def _with_host(name: str, text: str) -> str:
    """Return a line of JSON with its machine's name; a line that is none as one."""
    with suppress(ValueError, RecursionError):
        if isinstance(content := json.loads(text), dict):
            return json.dumps({"host": name, **content})
    return json.dumps({"host": name, "line": text})
