"""Halt what has lost too much: once a day for each limit, by the same function as `manager halt`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from manager.errors import OK, ManagerError
from manager.fleet.selection import EVERYTHING, Selection
from manager.fleet.session import Session
from manager.i18n import Text
from manager.monitor.watch.alert_state import Alert
from manager.monitor.watch.loss_limits import Breach
from manager.ops.halt import halt as halting
from manager.ops.halt.halt_result import HaltOutcome, Result
from manager.typed import NamedTuple
from manager.util.threads import Deferred

AGAIN_S = 30.0
"""After a halt that failed."""


class _Ended(NamedTuple):
    """Hold what came of a halt. `down`: what it has brought down."""

    is_done: bool
    text: Text
    down: frozenset[str] = frozenset()


class LossHalts:
    """Halt in a thread of its own, one limit after another, while `watch` goes on.

    It remembers for which limit it has halted today: what a user resumes afterwards is not halted again. A
    limit of what is halted already is taken as carried out: after the fleet's halt its accounts need none.
    """

    def __init__(self, project_dir: Path | None, was_halted: Callable[[str, str], bool]) -> None:
        """Begin without a halt. `was_halted`: whether an earlier `watch` has halted for a limit today."""
        self._project_dir = project_dir
        self._was_halted = was_halted
        self.halted: set[tuple[str, str, str]] = set()
        """For which limits, and of which days, this `watch` has halted."""
        self._done: set[tuple[str, str, str]] = set()
        self._retry_at: dict[tuple[str, str, str], float] = {}
        self._running: tuple[Breach, Deferred[_Ended]] | None = None
        self._just_halted: frozenset[str] = frozenset()

    @property
    def is_halting(self) -> bool:
        """Return whether a halt is under way."""
        return self._running is not None

    def carry_out(
        self, breaches: Iterable[Breach], *, is_asked: bool, halted: Iterable[str] = ()
    ) -> list[Alert]:
        """Begin to halt for the next new breach, if that is asked for. Returns what came of the last one.

        `halted`: the instances that are halted and down already.
        """
        self._just_halted = frozenset()
        alerts = self._ended()
        down = self._just_halted.union(halted)
        for breach in breaches:
            subject, kind, _day = key = breach.key
            if key in self._done or time.monotonic() < self._retry_at.get(key, 0.0):
                continue
            if not is_asked or self._was_halted(subject, kind):
                self._done.add(key)
            elif breach.instances is not None and down.issuperset(breach.instances):
                self._done.add(key)
                self.halted.add(key)
            elif self._running is None:
                self._running = breach, Deferred(partial(self._halt, breach))
        return alerts

    def close(self) -> list[Alert]:
        """Wait for a halt that is under way. Returns what came of it."""
        return self._ended(wait=True)

    def _ended(self, *, wait: bool = False) -> list[Alert]:
        if self._running is None or not (wait or self._running[1].is_over):
            return []
        (breach, halt), self._running = self._running, None
        is_done, text, self._just_halted = halt.result()
        if is_done:
            self._done.add(breach.key)
            self.halted.add(breach.key)
        else:
            self._retry_at[breach.key] = time.monotonic() + AGAIN_S
        return [Alert(breach.key[0], breach.condition.kind, "news" if is_done else "bad", text)]

    def _halt(self, breach: Breach) -> _Ended:
        selection = EVERYTHING if breach.instances is None else Selection(list(breach.instances))
        session = Session(self._project_dir)
        try:
            why = Text("`manager watch`: {why}", why=breach.condition.text)
            result = halting.halt(session, lambda _event: None, selection, because=why)
        except ManagerError as error:
            return _Ended(False, Text("the halt for the loss limit failed: {why}", why=error))
        finally:
            session.close()
        left = [
            outcome.instance
            for outcome in result.outcomes
            if not outcome.is_down or (outcome.mode == "live" and outcome.left != 0)
        ]
        names = ", ".join(outcome.instance for outcome in result.outcomes)
        down = frozenset(outcome.instance for outcome in result.outcomes if outcome.is_down)
        if result.exit_code == OK and not left:
            text = Text("halted for the loss limit, no order is left: {ids}", ids=names)
            held = Text("{what}; {left}", what=text, left=_positions(result)) if _held(result) else text
            return _Ended(True, held, down)
        text = Text(
            "halted for the loss limit: {ids}; look at the exchange, or run `manager halt` again: {left}",
            ids=names,
            left=", ".join(left) or "?",
        )
        return _Ended(all(outcome.is_down for outcome in result.outcomes), text, down)


def _held(result: Result) -> list[HaltOutcome]:
    """Return what holds a position of real money: a halt cancels orders, and closes nothing."""
    return [
        outcome
        for outcome in result.outcomes
        if outcome.mode == "live"
        and outcome.position is not None
        and outcome.position.amount
        and not outcome.position.is_dust
    ]


def _positions(result: Result) -> Text:
    return Text(
        "positions left: {amounts}",
        amounts=", ".join(f"{outcome.instance} {outcome.position}" for outcome in _held(result)),
    )
