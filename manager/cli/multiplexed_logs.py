"""Read several instances' output at once, or one's as it arrives, and print it in the order of time."""

from __future__ import annotations

import heapq
import queue
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby

from manager.errors import OK, EngineUnreachable, ManagerError, worst_exit_code
from manager.i18n import Text, labelled
from manager.monitor.logs import time_order
from manager.monitor.logs.lines import LogLine
from manager.monitor.logs.pattern import Pattern
from manager.monitor.logs.printing import Printer
from manager.monitor.logs.source import Source
from manager.typed import TYPE_CHECKING, NamedTuple, TypeVar
from manager.util import console

if TYPE_CHECKING:
    from manager.engine.client import Engine

SILENCE_S = 5.0
"""After this time without a line, the engine is pinged: a frozen engine ends no stream."""

ENGINE_AWAY_S = 60.0
"""An engine that is restarted is back within seconds; one that stops many containers first needs longer."""

BATCH = 64
"""Lines that a reader passes on at once; with single lines, threads would mostly wait for each other."""
MOST_WAITING = 8
"""Batches that readers may be ahead. The longest line has a quarter of a megabyte."""


FLUSH_S = 0.2
"""Shown after so long at the latest, while older lines are still being read."""

Anything = TypeVar("Anything")


class _End(NamedTuple):
    """Signal that an instance has no more lines: of the past, or at all."""


Item = Sequence[LogLine] | _End | Exception


def _batches(lines: Iterable[LogLine]) -> Iterator[list[LogLine]]:
    """Yield the lines in batches, after a while also short ones; those before an error come before it."""
    batch: list[LogLine] = []
    began = time.monotonic()
    try:
        for line in lines:
            batch.append(line)
            if len(batch) == BATCH or time.monotonic() - began > FLUSH_S:
                full, batch = batch, []
                yield full
                began = time.monotonic()
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


class Multiplexer:
    """Read several instances at once, one thread each, and print whole lines in the order of time.

    Past lines are merged: each instance has a queue of its own, and the earliest line goes first. Lines that
    arrive later are ordered among those that are waiting.
    """

    def __init__(self, engine: Engine, sources: Mapping[str, Source], *, follow: bool) -> None:
        self._engine = engine
        self._sources = sources
        self._follow = follow
        self._past: Mapping[str, queue.Queue[Item]] = {name: queue.Queue(MOST_WAITING) for name in sources}
        self._live: queue.Queue[tuple[str, Item]] = queue.Queue(MOST_WAITING * BATCH)
        self._failed: set[str] = set()
        self._code = OK
        self._away_since: float | None = None
        self._flushed_at = 0.0

    def run(self, printer: Printer, pattern: Pattern | None, tail: int | None) -> int:
        """Print until all have ended. `tail`: how many matching past lines of each instance.

        Returns the exit code: an instance that cannot be read does not prevent others from being shown.
        """
        for name in self._sources:
            threading.Thread(target=self._read, args=(name,), daemon=True).start()
        past = [
            time_order.keyed(name, self._past_lines(name, printer, pattern, tail)) for name in self._sources
        ]
        merged = past[0] if len(past) == 1 else heapq.merge(*past)
        for instance, lines in groupby(merged, key=lambda line: line.instance):
            printer.show(instance, (line.line for line in lines if not line.line.is_progress))
        printer.flush()
        if self._follow:
            self._show_live(printer, pattern)
        return self._code

    def _past_lines(
        self, instance: str, printer: Printer, pattern: Pattern | None, tail: int | None
    ) -> Iterator[LogLine]:
        """Yield the past lines of one instance that match: all, or the last `tail` of them.

        Where none of a batch does, its last one is yielded as a sign of progress, so that other instances'
        earlier lines need not wait.
        """
        last: deque[LogLine] = deque(maxlen=tail)
        for batch in self._past_batches(instance, printer):
            lines = batch if pattern is None else [line for line in batch if pattern.matches(line.text)]
            if tail is not None:
                last.extend(lines)
            else:
                yield from lines or [batch[-1]._replace(is_progress=True)]
        yield from last

    def _past_batches(self, instance: str, printer: Printer) -> Iterator[Sequence[LogLine]]:
        waiting = self._past[instance]
        while True:
            if time.monotonic() - self._flushed_at > FLUSH_S:  # what matches may be rare, and the queue full
                printer.flush()
                self._flushed_at = time.monotonic()
            try:
                item = waiting.get_nowait()
            except queue.Empty:
                printer.flush()
                item = self._wait(waiting)
            if isinstance(item, Exception):
                self._note(instance, item)
                return
            if isinstance(item, _End):
                return
            yield item

    def _show_live(self, printer: Printer, pattern: Pattern | None) -> None:
        """Print the lines as they come, until no instance can be read any more."""
        while len(self._failed) < len(self._sources):
            items = [self._wait(self._live)]
            with suppress(queue.Empty):
                while len(items) < BATCH:
                    items.append(self._live.get_nowait())
            arrived = []
            for instance, item in items:
                if isinstance(item, Exception):
                    self._note(instance, item)
                elif isinstance(item, _End):
                    self._failed.add(instance)
                else:
                    arrived += [(instance, line) for line in item]
            for instance, line in time_order.ordered(arrived):
                if pattern is None or pattern.matches(line.text):
                    printer.show(instance, [line])
            if self._live.empty():
                printer.flush()

    def _note(self, instance: str, error: Exception) -> None:
        """Print why an instance cannot be read. Raises what concerns all of them."""
        if isinstance(error, EngineUnreachable) or not isinstance(error, ManagerError):
            raise error
        console.error(labelled(instance, error))
        self._code = worst_exit_code([self._code, error.exit_code])
        self._failed.add(instance)

    def _wait(self, waiting: queue.Queue[Anything]) -> Anything:
        """Return the next item. Raises EngineUnreachable if the engine does not come back meanwhile."""
        while True:
            try:
                return waiting.get(timeout=SILENCE_S)
            except queue.Empty:
                self._require_engine()

    def _read(self, instance: str) -> None:
        source, past = self._sources[instance], self._past[instance]
        try:
            if source.query.past:
                for batch in _batches(source.past()):
                    past.put(batch)
        except Exception as error:  # noqa: BLE001 - the main thread raises it; otherwise it would wait forever
            past.put(error)
            return
        past.put(_End())
        if not self._follow:
            return
        try:
            for line in source.live():
                self._live.put((instance, [line]))
            self._live.put((instance, _End()))
        except Exception as error:  # noqa: BLE001 - the same
            self._live.put((instance, error))

    def _require_engine(self) -> None:
        """Check the engine after silence. Raises EngineUnreachable if it does not come back."""
        try:
            self._engine.version()
        except EngineUnreachable:
            now = time.monotonic()
            if self._away_since is None:
                self._away_since = now
                console.warning(
                    Text("the engine does not answer; waiting {limit} s for it", limit=round(ENGINE_AWAY_S))
                )
            if not self._follow or now - self._away_since > ENGINE_AWAY_S:
                raise
        else:
            self._away_since = None
