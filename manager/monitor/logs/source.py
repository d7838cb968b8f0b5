"""Read one instance's lines: the engine's log, and before it what only the dated files still contain.

The engine's log starts with the container, or later if it was rotated. join.py finds its first lines in the
dated files, so that no line is shown twice and none is left out.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from manager.engine import containers, labels
from manager.engine.streams import STREAMS, Stream
from manager.errors import EngineError, ManagerError, NotFound
from manager.i18n import Text
from manager.monitor.logs import all_there
from manager.monitor.logs.lines import LogLine, join_frames
from manager.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from manager.engine.client import Engine
    from manager.monitor.logs.files import DatedFiles
    from manager.monitor.logs.join import LogStart

RECONNECT_S, MAX_RECONNECT_S = 0.5, 5.0
"""Pause before reconnecting to the engine: at first, and for an instance without new lines. A fleet of
stopped instances would otherwise cause hundreds of calls a second."""
AHEAD_S = 60.0
"""A line that begins with a time this much later than its file was last written does not tell when it was."""
OVERLAP_S = 5
"""Requested again after a reconnection, because lines of the two streams may arrive slightly out of order."""


class LogQuery(NamedTuple):
    """Hold the lines to show.

    `since` and `until` are Unix times; `tail` is the maximum number of lines before now.

    `past`: include lines that the engine no longer has. Following alone starts with the container's own log.
    `may_match`: tells quickly that a line of the files is not asked for; it need not be shown.
    """

    follow: bool = False
    past: bool = True
    tail: int | None = None
    since: float | None = None
    until: float | None = None
    streams: tuple[Stream, ...] = STREAMS
    may_match: Callable[[bytes], bool] | None = None


class Source:
    """Read the past and future output of one instance."""

    def __init__(
        self,
        engine: "Engine",
        fleet: str,
        instance: str,
        folder: Path,
        query: LogQuery,
        warn: Callable[[Text], None],
        present: str | None = None,
    ) -> None:
        """Read from `folder`, the instance's log folder.

        `warn` is called for each stream of which lines may be missing or doubled. `present`: the container
        that was seen just now, which spares `past` a call.
        """
        self._engine = engine
        self._fleet = fleet
        self._instance = instance
        self._folder = folder
        self.query = query
        self._warn = warn
        self._present = present
        self._first = ""
        self._newest: dict[Stream, str] = {}

    def past(self) -> Iterator[LogLine]:
        """Yield the lines up to now, oldest first.

        Raises EngineUnreachable, and ManagerError for an unreadable folder.
        """
        container = self._present or self._container_id()
        try:
            for line in (
                self._file_lines(None, {}, self.query.tail)
                if container is None
                else self._past_lines(container)
            ):
                yield line
                self._note(line)
        except NotFound:
            return  # the container was removed meanwhile, by a recreation or `down`

    def live(self) -> Iterator[LogLine]:
        """Yield the lines after `past`, endlessly, across recreated containers and restarts of the engine."""
        pause = RECONNECT_S
        while True:
            before, first = dict(self._newest), self._first
            try:
                container = self._container_id()
                if container is not None:
                    for line in self._engine_lines(container, follow=True, since=self._since()):
                        if line.stamp > before.get(line.stream, first):
                            pause = RECONNECT_S
                            yield line
                            self._note(line)
            except EngineError:
                pass  # the engine is unreachable, or the container is being removed
            time.sleep(pause)
            pause = min(2 * pause, MAX_RECONNECT_S)

    def _since(self) -> float | None:
        """Return the time to request lines from.

        Lines that were already shown are dropped by their timestamp.
        """
        from manager.util.time_parse import parse_engine_time

        newest = max(self._newest.values(), default="")
        return parse_engine_time(newest) - OVERLAP_S if newest else self.query.since

    def _note(self, line: LogLine) -> None:
        """Record the progress of each stream. Called after the line was consumed, so that none is skipped."""
        if line.stamp:
            self._first = min(self._first or line.stamp, line.stamp)
            self._newest[line.stream] = max(self._newest.get(line.stream, ""), line.stamp)

    def _past_lines(self, container: str) -> Iterator[LogLine]:
        query = self.query
        if query.tail == 0:
            for line in self._engine_lines(container, streams=STREAMS, tail=1):
                self._note(line)  # following continues after it
            return
        if query.since is not None and self._oldest(container) <= query.since:
            lines = self._engine_lines(container, since=query.since, until=query.until)
            yield from lines if query.tail is None else deque(lines, query.tail)
            return
        present, missing = self._engine_part(container)
        starts: dict[Stream, LogStart | None] = {}
        if missing != 0:
            from manager.monitor.logs import join

            starts = {
                stream: join.read_start(self._engine_lines(container, streams=(stream,)))
                for stream in query.streams
            }
            yield from self._file_lines(container, starts, missing)
            present = (line for line in present if not join.is_older(line, starts.get(line.stream)))
        yield from present

    def _engine_part(self, container: str) -> tuple[Iterable[LogLine], int | None]:
        """Return the lines that the engine has, and how many older ones are needed (None: all)."""
        query = self.query
        if query.tail is None:
            lines = self._engine_lines(container, until=query.until)
            from itertools import chain

            first = next(lines, None)  # from now on the engine keeps its files open, even if it rotates them
            return chain([] if first is None else [first], lines), None
        if query.streams == STREAMS and query.until is None:
            frames = _Counted(self._engine.logs(container, streams=STREAMS, tail=query.tail))
            last = deque(join_frames(frames), query.tail)
            is_all = frames.count < query.tail  # of what the engine has
            if len(last) == query.tail or (is_all and all_there.are_all(self._folder, last)):
                return last, 0
        last = deque(self._engine_lines(container, until=query.until), query.tail)
        return last, query.tail - len(last)

    def _oldest(self, container: str) -> float:
        """Return the Unix time of the first line in the engine's log."""
        from manager.util.time_parse import parse_engine_time

        first = next(self._engine_lines(container, streams=STREAMS), None)
        return parse_engine_time(first.stamp) if first else math.inf

    def _engine_lines(
        self,
        container: str,
        *,
        streams: tuple[Stream, ...] | None = None,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> Iterator[LogLine]:
        frames = self._engine.logs(
            container,
            streams=streams or self.query.streams,
            follow=follow,
            tail=tail,
            since=since,
            until=until,
        )
        return join_frames(frames)

    def _file_lines(
        self, container: str | None, starts: "Mapping[Stream, LogStart | None]", count: int | None
    ) -> Iterator[LogLine]:
        """Yield the last `count` lines of the dated files from before the engine's log.

        Without a container, the files are read to their end.
        """
        import heapq
        from contextlib import ExitStack, closing

        from manager.monitor.logs.files import DatedFiles

        with ExitStack() as opened:
            texts, all_files = [], dict[Stream, DatedFiles]()
            for stream in self.query.streams:
                try:
                    files = opened.enter_context(closing(DatedFiles(self._folder, stream)))
                except OSError as error:
                    why = error.strerror or error
                    if container is None:
                        raise ManagerError("cannot read {path}: {why}", path=self._folder, why=why) from error
                    self._warn(Text("cannot read {path}: {why}", path=self._folder, why=why))
                    return
                all_files[stream] = files
                end = (
                    files.size
                    if container is None
                    else self._file_end(files, container, stream, starts[stream])
                )
                texts.append(select_lines(files, stream, end, count, self.query))
            lines = heapq.merge(*texts, key=lambda line: line.moment)
            yield from lines if count is None else deque(lines, count)
            for stream, files in all_files.items():
                self._say_left_out(stream, files)

    def _say_left_out(self, stream: Stream, files: "DatedFiles") -> None:
        """Say which files were not read, and how to get at their lines."""
        if files.left_out:
            from manager.util import formatting

            days = sorted(part.day for part in files.left_out)
            self._warn(
                Text(
                    "{id}: {count} files of bot_{stream}.log from {first} to {last} were left out, wholly or"
                    " in part: compressed or with holes, they expand to too much at once ({size}). Narrow the"
                    " time with --since and --until",
                    id=self._instance,
                    count=len(files.left_out),
                    stream=stream,
                    first=days[0],
                    last=days[-1],
                    size=formatting.file_size(sum(part.size for part in files.left_out)),
                )
            )

    def _file_end(
        self, files: "DatedFiles", container: str, stream: Stream, log_start: "LogStart | None"
    ) -> int:
        from manager.monitor.logs import join

        seam = join.find_seam(
            files, log_start, lambda: join.file_size(self._engine_lines(container, streams=(stream,)))
        )
        if not seam.is_exact:
            self._warn(
                Text(
                    "{id}: cannot find the start of the engine's log in bot_{stream}.log: lines may be "
                    "missing or duplicated at that point",
                    id=self._instance,
                    stream=stream,
                )
            )
        return seam.offset

    def _container_id(self) -> str | None:
        rows = self._engine.containers(
            [*labels.fleet_filter(self._fleet), f"{labels.INSTANCE}={self._instance}"]
        )
        container = containers.observe(rows, self._fleet).containers.get(self._instance)
        return container.id if container else None


class _Counted:
    """Pass frames on, and count them: the engine's `tail` counts each part of a long line."""

    def __init__(self, frames: Iterable[tuple[Stream, bytes]]) -> None:
        self._frames = frames
        self.count = 0

    def __iter__(self) -> Iterator[tuple[Stream, bytes]]:
        for frame in self._frames:
            self.count += 1
            yield frame


def select_lines(
    files: "DatedFiles", stream: Stream, end: int, count: int | None, query: LogQuery
) -> Iterator[LogLine]:
    """Yield the files' lines before `end` that may match the query.

    A line's time is its own timestamp if it starts with one, else that of the line before; before the first
    timestamp only the day is known. A line that cannot be excluded is shown. A timestamp later than the file
    is none: it is of something else, or of a wrong clock, and what follows would wait for it.
    """
    from manager.monitor.logs import bots_zone
    from manager.monitor.logs.files import first_time

    since, until = query.since or -math.inf, query.until or math.inf
    begin = 0 if query.since is None else files.day_start(bots_zone.day_of(query.since))
    if query.until is not None:
        end = files.seek_end(query.until, begin, end)
    if count is not None and query.until is None:
        begin = max(begin, files.tail_start(count, end))
    day, known, moment = "", False, 0.0
    if query.since is not None and (late := files.seek(query.since, begin, end)) > begin:
        begin, day, known, moment = late, files.day_at(late), True, -math.inf
    for part, lines in files.blocks(begin, end):
        if part.day != day:
            day, known, moment = part.day, False, bots_zone.start_of_day(part.day)
        passed, latest = 0, part.written + AHEAD_S
        for number in _chosen(lines, query.may_match):
            own = bots_zone.line_time(lines[number])
            if (own is None or own > latest) and number > passed:
                own = first_time(lines[number - 1 : passed - 1 if passed else None : -1], latest)
            passed = number + 1
            if own is not None and own <= latest:
                known, moment = True, own
            if moment <= until and (not known or moment >= since):
                yield LogLine(stream, lines[number], file=part.name, moment=moment)


def _chosen(lines: list[bytes], may_match: Callable[[bytes], bool] | None) -> Iterable[int]:
    """Return which lines may match, and the last one, whose time tells how far the search has come."""
    last = len(lines) - 1
    if may_match is None:
        return range(len(lines))
    return (number for number, line in enumerate(lines) if number == last or may_match(line))
