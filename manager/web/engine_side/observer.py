"""Observe the fleet in a thread, as long as the page is read."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from manager.config.fleet import Fleet
from manager.errors import ManagerError, Problem
from manager.fleet import lock, snoozes
from manager.fleet.selection import EVERYTHING
from manager.fleet.session import Session
from manager.i18n import Text
from manager.monitor.stats.instance_stats import InstanceStats
from manager.monitor.stats.usage import Usage
from manager.monitor.top.source import Source
from manager.monitor.watch import snoozing, store
from manager.monitor.watch.shared_look import SharedLook
from manager.monitor.watch.snoozing import OpenAlert
from manager.monitor.watch.store import Saved
from manager.typed import NamedTuple
from manager.util.kept_content import KeptContent

LOOK_S = 3.0
USAGE_EVERY_S = 15.0
"""The page does not show what containers use, and reading it would be half of a look's cost."""
READ_WITHIN_S = 60.0
"""How long the fleet is still observed after the last request."""


class WatchState(NamedTuple):
    """Hold whether `manager watch` runs, how many of its messages could not be delivered so far, and when the
    last one was.
    """

    is_alive: bool
    undelivered: int | None
    delivered_at: float | None = None


class Alerts(NamedTuple):
    """Hold what `watch` knows to be wrong with an instance, and until when a person has left it as it is."""

    open: Sequence[OpenAlert] = ()
    left_until: float | None = None


NO_ALERTS = Alerts()


class PageSnapshot(NamedTuple):
    """Hold the fleet as it was last seen, at that Unix time; None before the first time.

    `error`: why it cannot be seen now, since `error_at`; the rest is then of the last time.
    """

    fleet: Fleet
    rows: Sequence[InstanceStats] = ()
    problems: Sequence[Problem] = ()
    watching: WatchState = WatchState(is_alive=False, undelivered=None)
    at: float | None = None
    error: ManagerError | None = None
    error_at: float | None = None
    alerts: Mapping[str, Alerts] = MappingProxyType({})
    moves: Sequence[Text] = ()
    """What is said of moves between machines that were interrupted."""

    def alerts_of(self, instance: str) -> Alerts:
        """Return what is known to be wrong with an instance."""
        return self.alerts.get(instance, NO_ALERTS)


class Readers:
    """Remember when the page was last read."""

    def __init__(self) -> None:
        self._read_at = float("-inf")
        self._came = threading.Event()
        self.have_gone = False
        """Whether none will come any more: the threads that work for them end."""

    def note(self) -> None:
        """Note that the page is read now."""
        self._read_at = time.monotonic()
        self._came.set()

    @property
    def are_there(self) -> bool:
        """Return whether the page was read within the last minute."""
        return time.monotonic() - self._read_at < READ_WITHIN_S

    def end(self) -> None:
        """Let the threads that work for readers end."""
        self.have_gone = True
        self._came.set()

    def wait(self) -> None:
        """Wait until the page is read, or never will be again."""
        while not self.are_there and not self.have_gone:
            self._came.clear()
            if not self.have_gone:  # the end may have come just before it was cleared
                self._came.wait(READ_WITHIN_S)


class Repeated:
    """Act every `interval` seconds while the page is read, in a thread that ends with its readers. The work
    may set another interval.
    """

    def __init__(self, name: str, interval: float, readers: Readers, work: Callable[[], object]) -> None:
        self.interval, self._readers, self._work = interval, readers, work
        self._now = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def begin(self) -> None:
        """Start the thread."""
        self._thread.start()

    def at_once(self) -> None:
        """Do it again without waiting for its turn: something has changed."""
        self._now.set()

    def join(self, within: float) -> bool:
        """Wait until the thread has ended, after its readers have gone; return whether it has."""
        self._now.set()
        if self._thread.ident is not None:
            self._thread.join(within)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            self._readers.wait()
            if self._readers.have_gone:
                return
            self._now.clear()
            self._work()
            if not self._readers.have_gone:
                self._now.wait(self.interval)


class Observer:
    """Observe a fleet through the engine."""

    def __init__(
        self,
        session: Session,
        share: SharedLook | None = None,
        usage_of_watch: Callable[[], Mapping[str, Usage]] = dict,
    ) -> None:
        """Take `share`: what `watch` sees, where it runs in this process, and what it has measured."""
        self._session, self._share, self._usage_of_watch = session, share, usage_of_watch
        self._source: Source | None = None
        self._watch_files = KeptContent(lambda path: store.load(Path(path)))

    def look(self) -> PageSnapshot:
        """Return the fleet now. Raises ManagerError: no engine, a project that cannot be read."""
        if self._source is None:
            self._source = Source(
                self._session, EVERYTHING, LOOK_S, USAGE_EVERY_S, self._share, self._usage_of_watch
            )
        seen = self._source.look()
        saved, now = self._saved(seen.fleet), time.time()
        alerts = alerts_of(seen.fleet, seen.rows, saved, now)
        return PageSnapshot(
            seen.fleet,
            seen.rows,
            seen.problems,
            watching(seen.fleet, saved),
            now,
            alerts=alerts,
            moves=_interrupted(seen.fleet, seen.rows),
        )

    def _saved(self, fleet: Fleet) -> Saved | None:
        """Return what watch has saved: of a large fleet, reading it is a third of a look."""
        try:
            return self._watch_files.of(str(fleet.alert_state_file))
        except OSError:
            return None


class SnapshotHolder:
    """Hold the latest look. `on_look` is called after each, in the thread."""

    def __init__(
        self,
        first: PageSnapshot,
        look: Callable[[], PageSnapshot],
        readers: Readers,
        on_look: Callable[[PageSnapshot], object],
    ) -> None:
        self._latest, self._observe, self._on_look = first, look, on_look
        self.thread = Repeated("looks", LOOK_S, readers, self.look_again)

    @property
    def latest(self) -> PageSnapshot:
        """Return the last look."""
        return self._latest

    def look_again(self) -> None:
        """Observe the fleet now."""
        try:
            self._latest = self._observe()
        except Exception as problem:  # noqa: BLE001 - a bug must not end the looks, and is said on the page
            error = as_error(problem)
            since = self._latest.error_at if self._latest.error else None
            self._latest = self._latest._replace(error=error, error_at=since or time.time())
        self._on_look(self._latest)


def as_error(problem: Exception) -> ManagerError:
    """Return the error to show; of what should not happen, the traceback is printed for a bug report."""
    if isinstance(problem, ManagerError):
        return problem
    logging.getLogger("uvicorn.error").error("a bug in botfleet", exc_info=problem)
    return ManagerError("this is a bug in botfleet ({what})", what=f"{type(problem).__name__}: {problem}")


def alerts_of(
    fleet: Fleet, rows: Sequence[InstanceStats], saved: Saved | None, now: float
) -> Mapping[str, Alerts]:
    """Return what is wrong with each instance of which something is known, by watch's file and a person's."""
    all_snoozes, book = snoozes.load(fleet.snooze_file), saved.book if saved else {}
    if not all_snoozes and not book:
        return {}
    by_instance: dict[str, list[OpenAlert]] = defaultdict(list)
    for alert in snoozing.of_book(book, all_snoozes, now):
        by_instance[alert.instance].append(alert)
    concerned = (row for row in rows if row.id in by_instance or row.id in all_snoozes)
    return {
        row.id: Alerts(
            tuple(by_instance.get(row.id, ())),
            None if row.has_mode_mismatch else snoozing.left_until(all_snoozes, book, row.view, now),
        )
        for row in concerned
    }


def _interrupted(fleet: Fleet, rows: Sequence[InstanceStats]) -> list[Text]:
    """Return what is said of moves that were interrupted; nothing is loaded where nothing was ever moved."""
    if not fleet.moves_dir.is_dir():
        return []
    from manager.ops.move import interrupted

    return [move.text for move in interrupted.find(fleet, {row.id: row.view for row in rows})]


def watching(fleet: Fleet, saved: Saved | None) -> WatchState:
    """Return whether `manager watch` runs, by its lock, and what its file says of undelivered messages."""
    is_alive = lock.held_by(fleet.watch_lock_file) is not None
    if saved is None:
        return WatchState(is_alive, None)
    return WatchState(is_alive, sum(map(len, saved.waiting.values())), saved.delivered_at)
