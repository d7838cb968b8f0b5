"""One instance's lines: the engine's log, and before it what only the dated files still hold.

The engine's log begins with the container, or later where it was rotated. Where its first lines stand in the dated files,
those end and it begins (join.py); so no line is shown twice, and none between them is left out.
"""

from __future__ import annotations

import heapq
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from manager.engine import containers, labels
from manager.engine.streams import STREAMS, Stream
from manager.errors import EngineError, ManagerError, NotFound
from manager.i18n import Text
from manager.monitor.logs import join
from manager.monitor.logs.files import DatedFiles
from manager.monitor.logs.lines import Line, from_frames
from manager.util import formatting
from manager.util.time_parse import engine_moment, own_moment, start_of_day

if TYPE_CHECKING:
    from manager.engine.client import Engine

RECONNECT_S, SELDOM_S = 0.5, 5.0
"""Before the engine is asked again: at first, and for an instance of which nothing comes. A fleet of stopped ones would
be hundreds of calls a second.
"""
OVERLAP_S = 5
"""What is asked for again after a reconnection: the streams are stamped apart, and come slightly out of order."""


class Wanted(NamedTuple):
    """Which lines. `since` and `until` in seconds since the epoch; `tail`: how many at most, of those before now.

    `past`: also what the engine has no more. Following alone begins with the container's own log.
    """

    follow: bool = False
    past: bool = True
    tail: int | None = None
    since: float | None = None
    until: float | None = None
    streams: tuple[Stream, ...] = STREAMS


class Source:
    """What one instance has printed and will print."""

    def __init__(
        self,
        engine: Engine,
        fleet: str,
        instance: str,
        folder: Path,
        wanted: Wanted,
        warn: Callable[[Text], None],
    ) -> None:
        """`folder`: the instance's log folder. `warn` is told, once, where lines may be missing or double."""
        self._engine = engine
        self._fleet = fleet
        self._instance = instance
        self._folder = folder
        self.wanted = wanted
        self._warn = warn
        self._first = ""
        self._newest: dict[Stream, str] = {}

    def past(self) -> Iterator[Line]:
        """What was printed until now, oldest first. Raises EngineUnreachable, and ManagerError for an unreadable folder."""
        container = self._container_id()
        try:
            for line in (
                self._of_files(None, {}, self.wanted.tail) if container is None else self._past_of(container)
            ):
                yield line
                self._note(line)
        except NotFound:
            return  # removed while it was read: a recreation, or `down`

    def live(self) -> Iterator[Line]:
        """What comes after `past`, for ever: it outlives the container, and the engine, for as long as it is read."""
        pause = RECONNECT_S
        while True:
            before, first = dict(self._newest), self._first
            try:
                container = self._container_id()
                if container is not None:
                    for line in self._of_engine(container, follow=True, since=self._since()):
                        if line.stamp > before.get(line.stream, first):
                            pause = RECONNECT_S
                            yield line
                            self._note(line)
            except EngineError:
                pass  # the engine is away, or the container is being removed
            time.sleep(pause)
            pause = min(2 * pause, SELDOM_S)

    def _since(self) -> float | None:
        """From when on the engine is asked: what was shown already is dropped by stamp."""
        newest = max(self._newest.values(), default="")
        return engine_moment(newest) - OVERLAP_S if newest else self.wanted.since

    def _note(self, line: Line) -> None:
        """Remembers how far each stream has come; after a line was handed on, as one that was not must come again."""
        if line.stamp:
            self._first = min(self._first or line.stamp, line.stamp)
            self._newest[line.stream] = max(self._newest.get(line.stream, ""), line.stamp)

    def _past_of(self, container: str) -> Iterator[Line]:
        wanted = self.wanted
        if wanted.tail == 0:
            for line in self._of_engine(container, streams=STREAMS, tail=1):
                self._note(line)  # following goes on after it
            return
        if wanted.since is not None and self._oldest(container) <= wanted.since:
            lines = self._of_engine(container, since=wanted.since, until=wanted.until)
            yield from lines if wanted.tail is None else deque(lines, wanted.tail)
            return
        present, missing = self._present(container)
        starts: dict[Stream, join.Start | None] = {}
        if missing != 0:
            starts = {
                each: join.start(self._of_engine(container, streams=(each,))) for each in wanted.streams
            }
            yield from self._of_files(container, starts, missing)
        yield from (line for line in present if not join.is_older(line, starts.get(line.stream)))

    def _present(self, container: str) -> tuple[Iterable[Line], int | None]:
        """What the engine has of the wanted lines, and how many more are wanted from before (None: all)."""
        wanted = self.wanted
        if wanted.tail is None:
            lines = self._of_engine(container, until=wanted.until)
            first = next(lines, None)  # from now on the engine holds its files open, whatever it rotates
            return chain([] if first is None else [first], lines), None
        if wanted.streams == STREAMS and wanted.until is None:
            last = deque(self._of_engine(container, tail=wanted.tail), wanted.tail)
            if len(last) == wanted.tail:
                return last, 0
        last = deque(self._of_engine(container, until=wanted.until), wanted.tail)
        return last, wanted.tail - len(last)

    def _oldest(self, container: str) -> float:
        """When the engine's log begins."""
        first = next(self._of_engine(container, streams=STREAMS), None)
        return engine_moment(first.stamp) if first else math.inf

    def _of_engine(
        self,
        container: str,
        *,
        streams: tuple[Stream, ...] | None = None,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> Iterator[Line]:
        frames = self._engine.logs(
            container,
            streams=streams or self.wanted.streams,
            follow=follow,
            tail=tail,
            since=since,
            until=until,
        )
        return from_frames(frames)

    def _of_files(
        self, container: str | None, starts: Mapping[Stream, join.Start | None], count: int | None
    ) -> Iterator[Line]:
        """The dated files' lines from before the engine's log; the last `count` of them. Without a container, all."""
        with ExitStack() as opened:
            texts = []
            for stream in self.wanted.streams:
                try:
                    files = opened.enter_context(closing(DatedFiles(self._folder, stream)))
                except OSError as error:
                    why = error.strerror or error
                    if container is None:
                        raise ManagerError("cannot read {path}: {why}", path=self._folder, why=why) from error
                    self._warn(Text("cannot read {path}: {why}", path=self._folder, why=why))
                    return
                end = files.size if container is None else self._end(files, container, stream, starts[stream])
                texts.append(chosen(files, stream, end, count, self.wanted))
            lines = heapq.merge(*texts, key=lambda line: line.moment)
            yield from lines if count is None else deque(lines, count)

    def _end(self, files: DatedFiles, container: str, stream: Stream, begun: join.Start | None) -> int:
        found = join.find(files, begun, lambda: join.size(self._of_engine(container, streams=(stream,))))
        if not found.is_exact:
            self._warn(
                Text(
                    "{id}: the engine's log does not begin where bot_{stream}.log has the same lines:"
                    " some may be missing or doubled there",
                    id=self._instance, stream=stream,
                )
            )  # fmt: skip
        return found.offset

    def _container_id(self) -> str | None:
        """The instance's present container."""
        rows = self._engine.containers(
            [*labels.fleet_filter(self._fleet), f"{labels.INSTANCE}={self._instance}"]
        )
        found = containers.observe(rows, self._fleet).containers.get(self._instance)
        return found.id if found else None


def chosen(files: DatedFiles, stream: Stream, end: int, count: int | None, wanted: Wanted) -> Iterator[Line]:
    """The files' lines before `end` that may be wanted.

    A line of a file has no time but its own, if it begins with one, or that of the line before; until the first such line
    of a day only the day is known. What cannot be told from a wanted line is shown.
    """
    since, until = wanted.since or -math.inf, wanted.until or math.inf
    begin = 0 if wanted.since is None else files.day_start(formatting.day(wanted.since))
    if count is not None and wanted.until is None:
        begin = max(begin, files.tail_start(count, end))
    day, known, moment = "", False, 0.0
    for part, text in files.lines(begin, end):
        if part.day != day:
            day, known, moment = part.day, False, start_of_day(part.day)
        own = own_moment(text)
        if own is not None:
            known, moment = True, own
        if moment <= until and (not known or moment >= since):
            yield Line(stream, text, file=part.name, moment=moment)
