"""`logs`: what the bots print, one or many, as it comes."""

from __future__ import annotations

import queue
import resource
import threading
import time
from argparse import Namespace
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from manager.engine.streams import STREAMS
from manager.errors import OK, EngineUnreachable, ManagerError, UsageError, worst_exit_code
from manager.fleet.selection import Selection, require_known
from manager.fleet.session import Session
from manager.i18n import Text
from manager.monitor.logs.lines import LogLine
from manager.monitor.logs.pattern import Pattern
from manager.monitor.logs.printing import Printer
from manager.monitor.logs.source import LogQuery, Source
from manager.util import console

if TYPE_CHECKING:
    from manager.config.fleet import Fleet
    from manager.engine.client import Engine
    from manager.fleet.instance import Instance
    from manager.fleet.observe import FleetSnapshot

SILENCE_S = 5.0
"""After so long without a line the engine is asked whether it is still there: a frozen one ends no stream."""

ENGINE_AWAY_S = 60.0
"""An engine that is restarted is back within seconds; one that stops many containers first needs longer."""

BATCH = 64
"""Lines that go from a reader to the printing at once; one by one, threads would mostly wait for each other."""
MOST_WAITING = 8
"""Batches that readers are ahead. The longest line has a quarter of a megabyte."""


def logs(session: Session, args: Namespace) -> int:
    """Prints what the bots printed; with -f for ever, through restarts and recreations."""
    snapshot = session.observe()
    if args.follow and args.until is not None:
        raise UsageError("--until cannot be used with --follow")
    if args.since is not None and args.until is not None and args.since > args.until:
        raise UsageError("--since is later than --until")
    pattern = Pattern(args.grep) if args.grep else None
    wanted = LogQuery(
        args.follow,
        not args.follow or args.tail is not None or args.since is not None,
        None if pattern else args.tail,  # the last N that match: chosen from all of them
        args.since,
        args.until,
        STREAMS[1:] if args.errors else STREAMS,
    )
    fleet = snapshot.project.fleet
    _raise_file_limit()
    engine = session.engine(fleet.parallelism)
    views = _selected(Selection(args.ids, args.config), snapshot, wanted)
    _say_where_from(views, fleet, wanted)
    sources = {
        view.id: Source(engine, fleet.name, view.id, fleet.data_dir / view.log_dir, wanted, console.warning)
        for view in views
    }
    printer = Printer(list(sources), stamps=args.timestamps, as_json=args.json)
    return _Multiplexer(engine, sources, follow=args.follow).run(
        printer, pattern, args.tail if pattern else None
    )


def _raise_file_limit() -> None:
    """A connection and some files for each instance: two hundred of them are beyond the usual 1024."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # macOS has a lower one than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _selected(selection: Selection, snapshot: FleetSnapshot, wanted: LogQuery) -> list[Instance]:
    """The named instances; without any, all that have printed something."""
    fleet = snapshot.project.fleet
    named = selection.named(snapshot.project)
    if named is None:
        views = [view for view in snapshot.views.values() if _has_lines(view, fleet, wanted)]
        if not views:
            raise UsageError("there are no instances")
        return views
    for each in named:
        require_known(each, snapshot)
        view = snapshot.views[each]
        if not (wanted.follow or _has_lines(view, fleet, wanted)):
            folder = fleet.relative(fleet.data_dir / view.log_dir)
            raise ManagerError("{id} has no container, and no dated logs in {folder}", id=each, folder=folder)
    return [snapshot.views[each] for each in named]


def _has_lines(view: Instance, fleet: Fleet, wanted: LogQuery) -> bool:
    return view.container is not None or (wanted.past and (fleet.data_dir / view.log_dir).is_dir())


def _say_where_from(views: Iterable[Instance], fleet: Fleet, wanted: LogQuery) -> None:
    """Says it where the lines are not from a container, as everybody expects."""
    ids = ", ".join(view.id for view in views if view.container is None)
    if ids and wanted.past:
        folder = fleet.relative(fleet.export_file.parent)
        console.warning(
            Text("no container: {ids}; the lines are from the files in {folder}", ids=ids, folder=folder)
        )
    elif ids:
        console.warning(Text("no container: {ids}; waiting for one", ids=ids))


class _Past(NamedTuple):
    """From an instance's reader: what was printed until now is through, or everything is."""

    is_all: bool


class _Multiplexer:
    """Reads several instances at once, a thread each, and prints whole lines."""

    def __init__(self, engine: Engine, sources: Mapping[str, Source], *, follow: bool) -> None:
        self._engine = engine
        self._sources = sources
        self._follow = follow
        self._items: queue.Queue[tuple[str, Sequence[LogLine] | _Past | Exception]] = queue.Queue(
            MOST_WAITING
        )
        self._away_since: float | None = None

    def run(self, printer: Printer, pattern: Pattern | None, tail: int | None) -> int:
        """Prints until all have ended. `tail`: how many of an instance's matching lines, of those before now.

        Returns the exit code: an instance that cannot be read keeps no other from being shown.
        """
        code = OK
        for each in self._sources:
            threading.Thread(target=self._read, args=(each,), daemon=True).start()
        kept: dict[str, deque[LogLine]] = (
            {} if tail is None else {each: deque(maxlen=tail) for each in self._sources}
        )
        left = len(self._sources)
        while left:
            try:
                instance, item = self._items.get(timeout=SILENCE_S)
            except queue.Empty:
                self._require_engine()
                continue
            if isinstance(item, Exception):
                if isinstance(item, EngineUnreachable) or not isinstance(item, ManagerError):
                    raise item
                console.error(f"{instance}: {item}")
                code, left = worst_exit_code([code, item.exit_code]), left - 1
                continue
            if isinstance(item, _Past):
                left -= item.is_all
                lines: Iterable[LogLine] = kept.pop(instance, ())
            else:
                lines = [line for line in item if pattern is None or pattern.matches(line.text)]
            if instance in kept:
                kept[instance].extend(lines)
            else:
                printer.show(instance, lines)
            if self._items.empty():
                printer.flush()
        printer.flush()
        return code

    def _read(self, instance: str) -> None:
        source = self._sources[instance]
        try:
            if source.query.past:
                past = source.past()
                while batch := list(islice(past, BATCH)):
                    self._items.put((instance, batch))
            self._items.put((instance, _Past(is_all=not self._follow)))
            if self._follow:
                for line in source.live():
                    self._items.put((instance, [line]))
        except Exception as error:  # noqa: BLE001 - the main thread raises it; without a word it would wait for ever
            self._items.put((instance, error))

    def _require_engine(self) -> None:
        """Silence: quiet bots, or an engine that is away. Raises EngineUnreachable when it does not come back."""
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
