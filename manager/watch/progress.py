"""What bots say of their own trading, and whether they still log. Bots are not trusted: short waits, small answers, checked types.

The bundled bot's `/api/status` is the form (docker/bot/README.md); a bot of another kind that has such a page is read too, and one
that has none is not asked again while its container lives.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from manager import labels
from manager.fleet import Fleet
from manager.survey import InstanceView
from manager.watch.faults import Progress

ASK_EVERY_S = 60.0
"""One answer costs a bot some milliseconds."""
ASK_TIMEOUT_S = 2.0
MOST_BYTES = 1 << 18
AT_ONCE = 4
"""Requests: nobody waits for the answers, and they must not make the bots compete."""


class _Trades(NamedTuple):
    number: int
    since: float


class Asker:
    """Remembers which bots say nothing, and when each one's trade count last changed."""

    def __init__(self) -> None:
        self.is_over = False
        self._mute: set[str] = set()
        self._trades: dict[str, _Trades] = {}

    def ask(self, views: Iterable[InstanceView], fleet: Fleet, *, logs: bool) -> dict[str, Progress]:
        """Asks all bots that run. At most some seconds for all of them, however many hang."""
        running = [
            view for view in views if view.verdict.is_running and view.container and view.web_port is not None
        ]
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            said = list(pool.map(lambda view: self._ask(view, fleet), running))
        now = time.time()
        return {
            view.id: _progress(status, self._trade_age(view.id, status, now), _log_age(view, fleet, now) if logs else None)
            for view, status in zip(running, said, strict=True)
        }  # fmt: skip

    def _ask(self, view: InstanceView, fleet: Fleet) -> dict[str, Any]:
        assert view.container is not None
        assert view.web_port is not None
        key = view.container.id
        if self.is_over or key in self._mute:
            return {}
        try:
            status, raw = _get(fleet.web_address(view.web_port))
        except (OSError, ValueError, IndexError):
            return {}
        try:
            found = json.loads(raw) if status == 200 else None
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            self._mute.add(key)
            return {}
        return found

    def _trade_age(self, instance: str, status: dict[str, Any], now: float) -> float | None:
        count = status.get("trades")
        if not isinstance(count, int):
            self._trades.pop(instance, None)
            return None
        before = self._trades.get(instance)
        if before is None or before.number != count:
            before = self._trades[instance] = _Trades(count, now)
        return now - before.since


def _get(address: str) -> tuple[int, bytes]:
    """HTTP/1.0 by hand: the whole exchange has one deadline, which a bot that sends a byte a second cannot stretch."""
    parts, deadline = urlsplit(address), time.monotonic() + ASK_TIMEOUT_S
    answer = b""
    with socket.create_connection((parts.hostname, parts.port), ASK_TIMEOUT_S) as connection:
        connection.sendall(f"GET /api/status HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode())
        while piece := connection.recv(1 << 16):
            answer += piece
            if len(answer) > MOST_BYTES:
                raise ValueError("too long")
            connection.settimeout(max(0.001, deadline - time.monotonic()))
    head, _blank, body = answer.partition(b"\r\n\r\n")
    return int(head.split(maxsplit=2)[1]), body


def _progress(status: dict[str, Any], trade_age: float | None, log_age: float | None) -> Progress:
    return Progress(
        tick_age=_number(status.get("last_tick_age")),
        trade_age=trade_age,
        log_age=log_age,
        is_paused=status.get("paused") is True,
        pnl=_text(status.get("pnl")),
        quote=_text(status.get("quote")) or "",
    )


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < 1e11 else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.isprintable() and len(value) <= 40 else None


def _log_age(view: InstanceView, fleet: Fleet, now: float) -> float | None:
    """Seconds since the bot last wrote a line: the youngest dated file of today or yesterday. None where it cannot be seen."""
    assert view.container is not None
    folder = fleet.data_dir / view.container.labels.get(labels.LOG_DIR, f"logs/{view.id}")
    youngest = None
    for day in (now, now - 86400):
        for name in ("bot_stdout.log", "bot_stderr.log"):
            path = Path(folder, time.strftime("%Y-%m-%d", time.localtime(day)), name)
            try:
                found = os.lstat(path)
            except OSError:
                continue
            if stat.S_ISREG(found.st_mode) and (youngest is None or found.st_mtime > youngest):
                youngest = found.st_mtime
    return None if youngest is None else now - youngest


class Questions:
    """Asks in the background, every minute; `answers` are the latest."""

    def __init__(self) -> None:
        self.answers: Mapping[str, Progress] = {}
        self.have_answers = False
        self._asker = Asker()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="questions")
        self._asked: Future[dict[str, Progress]] | None = None
        self._next = 0.0

    def ask_if_due(self, views: Mapping[str, InstanceView], fleet: Fleet) -> None:
        """Takes up what has been answered, and asks again when it is time. Never waits."""
        if self._asked is not None and self._asked.done():
            self.answers, self._asked, self.have_answers = self._asked.result(), None, True
        if self._asked is None and time.monotonic() >= self._next:
            self._next = time.monotonic() + ASK_EVERY_S
            logs = bool(fleet.alerts.no_log_after)
            self._asked = self._pool.submit(self._asker.ask, list(views.values()), fleet, logs=logs)

    def close(self) -> None:
        """Asks no more."""
        self._asker.is_over = True
        self._pool.shutdown(wait=False, cancel_futures=True)
