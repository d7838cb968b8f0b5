"""Halt what has lost too much: once a day for each limit, by the same function as `manager halt`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from manager.errors import OK, ManagerError
from manager.fleet.selection import EVERYTHING, Selection
from manager.fleet.session import Session
from manager.i18n import Text
from manager.monitor.watch.alert_state import Alert
from manager.monitor.watch.loss_limits import Breach
from manager.ops import halt as halting

AGAIN_S = 30.0
"""After a halt that failed."""


class LossHalts:
    """Remembers for which limit it has halted today: whoever resumes afterwards is not halted again."""

    def __init__(self, project_dir: Path | None, was_told: Callable[[str, str], bool]) -> None:
        """Begin without a halt. `was_told`: whether an earlier `watch` has reported a limit, and halted."""
        self._project_dir = project_dir
        self._was_told = was_told
        self._done: set[tuple[str, str, str]] = set()
        self._retry_at: dict[tuple[str, str, str], float] = {}
        self._is_first = True

    def carry_out(self, breaches: Iterable[Breach], *, is_asked: bool) -> list[Alert]:
        """Halt for new breaches, if that is asked for. Returns what came of it."""
        alerts = []
        for breach in breaches:
            subject, kind, _day = key = breach.key
            if key in self._done or time.monotonic() < self._retry_at.get(key, 0.0):
                continue
            if not is_asked or (self._is_first and self._was_told(subject, kind)):
                self._done.add(key)
                continue
            is_done, text = self._halt(breach)
            if is_done:
                self._done.add(key)
            else:
                self._retry_at[key] = time.monotonic() + AGAIN_S
            alerts.append(Alert(subject, breach.condition.kind, "news" if is_done else "bad", text))
        self._is_first = False
        return alerts

    def _halt(self, breach: Breach) -> tuple[bool, Text]:
        selection = EVERYTHING if breach.instances is None else Selection(list(breach.instances))
        session = Session(self._project_dir)
        try:
            result = halting.halt(session, lambda _event: None, selection)
        except ManagerError as error:
            return False, Text("the halt for the loss limit failed: {why}", why=error)
        finally:
            session.close()
        left = [
            outcome.instance
            for outcome in result.outcomes
            if not outcome.is_down or (outcome.mode == "live" and outcome.left != 0)
        ]
        names = ", ".join(outcome.instance for outcome in result.outcomes)
        if result.exit_code == OK and not left:
            return True, Text("halted for the loss limit, no order is left: {ids}", ids=names)
        is_down = all(outcome.is_down for outcome in result.outcomes)
        return is_down, Text(
            "halted for the loss limit: {ids}; look at the exchange, or run `manager halt` again: {left}",
            ids=names,
            left=", ".join(left) or "?",
        )
