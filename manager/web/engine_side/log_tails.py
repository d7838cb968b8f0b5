"""Follow the bots' logs for the page: `manager logs --follow --json` in a child process, which merges them.

The lines are numbered and the last ones kept, so that a browser that was away gets what it missed. A child
ends when its lines have not been read for a while.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from manager.errors import Locked
from manager.monitor.logs.lines import for_terminal
from manager.monitor.top.commands import manager
from manager.typed import NamedTuple

KEPT = 2000
"""Lines, of all the instances of one reader together."""
PAST_LINES = 1000
"""Asked for, of all the instances together."""
LEAST_PAST = 5
MOST_CHARACTERS = 4000
"""Of a line: the whole is in the file."""
MOST_TAILS = 6
READ_WITHIN_S = 30.0
END_WITHIN_S = 5.0
AGAIN_S = 5.0
"""How long after its start a child that has ended is started again: the engine may be back."""

Wanted = tuple[str, ...]
Start = Callable[[Wanted], "subprocess.Popen[bytes]"]


class Lines(NamedTuple):
    """Hold lines behind another id. `name`: lines, or reset where it is unknown what a reader has missed, so
    that it begins anew with these. `is_live`: whether more can follow.
    """

    id: str
    name: str
    lines: list[dict[str, Any]]
    is_live: bool


class Tail:
    """Hold the lines of some instances, from their last ones on."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout is not None
        self._child = child
        self._boot = secrets.token_hex(4)
        self._count = 0
        self._lines: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._lock = threading.Lock()
        self.began_at = self.read_at = time.monotonic()
        threading.Thread(target=self._collect, args=(child.stdout,), name="log lines", daemon=True).start()

    @property
    def has_ended(self) -> bool:
        """Return whether no line will follow: the engine is away, or there is nothing to follow."""
        return self._child.poll() is not None

    def after(self, last_id: str) -> Lines:
        """Return what a reader has not got yet."""
        self.read_at = time.monotonic()
        boot, _dash, number = last_id.partition("-")
        with self._lock:
            now = f"{self._boot}-{self._count}"
            missed = self._count - int(number[:15]) if number.isdecimal() and number.isascii() else -1
            if boot != self._boot or not 0 <= missed <= len(self._lines):
                return Lines(now, "reset", list(self._lines), not self.has_ended)
            missing = list(self._lines)[len(self._lines) - missed :]
            return Lines(now, "lines", missing, not self.has_ended)

    def end(self) -> None:
        """End the child."""
        self._child.terminate()
        try:
            self._child.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def _collect(self, output: IO[bytes]) -> None:
        with output:
            for raw in output:
                with suppress(ValueError, KeyError, TypeError):  # what is no line is a message to a terminal
                    line = shown(json.loads(raw))
                    with self._lock:
                        self._count += 1
                        self._lines.append(line)
        self._child.wait()


class Tails:
    """Hold one tail for each set of instances that is read."""

    def __init__(self, project_dir: Path | None, start: Start | None = None) -> None:
        self._project_dir = project_dir
        self._start = start or self._begin
        self._tails: dict[Wanted, Tail] = {}
        self._lock = threading.Lock()

    def after(self, instances: Iterable[str], of_fleet: int, last_id: str) -> Lines:
        """Return what a reader of these instances has not got yet; of no instances: of all `of_fleet`.

        Raises Locked if too many others read other instances, OSError if a command cannot be started.
        """
        wanted = tuple(sorted(set(instances)))
        with self._lock:
            self._drop_unread()
            tail = self._tails.get(wanted)
            is_over = tail is not None and tail.has_ended and time.monotonic() - tail.began_at > AGAIN_S
            if tail is None or is_over:
                if tail is None and len(self._tails) >= MOST_TAILS:
                    raise Locked("{count} logs are read at once: close another one", count=MOST_TAILS)
                past = past_of(len(wanted) or of_fleet)
                tail = self._tails[wanted] = Tail(self._start((str(past), *wanted)))
        return tail.after(last_id)

    def close(self) -> None:
        """End all children."""
        with self._lock:
            tails, self._tails = list(self._tails.values()), {}
        for tail in tails:
            tail.end()

    def _drop_unread(self) -> None:
        now = time.monotonic()
        for wanted, tail in list(self._tails.items()):
            if now - tail.read_at > READ_WITHIN_S:
                del self._tails[wanted]
                threading.Thread(target=tail.end, daemon=True).start()

    def _begin(self, words: Wanted) -> subprocess.Popen[bytes]:
        past, *instances = words
        command = manager(self._project_dir, "logs", "--follow", "--json", "--tail", past, "--", *instances)
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )


def past_of(count: int) -> int:
    """Return how many past lines of each instance are asked for."""
    return max(LEAST_PAST, PAST_LINES // max(1, count))


def shown(line: dict[str, Any]) -> dict[str, Any]:
    """Return a line of `manager logs --json` as the page gets it: safe to show, and not too long."""
    return {**line, "line": for_terminal(str(line["line"]).encode(errors="replace"))[:MOST_CHARACTERS]}
