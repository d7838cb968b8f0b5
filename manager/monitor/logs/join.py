"""Find where an instance's dated file and the engine's log of the same stream meet.

The supervisor writes the same bytes to both, to the file first. The engine's log starts later: with the
container, or where it was rotated. Its start is searched for in the file; what precedes it there is what the
engine no longer has.
"""

from collections.abc import Callable, Iterable

from manager.monitor.logs import bots_zone
from manager.monitor.logs.files import DatedFiles
from manager.monitor.logs.lines import SUPERVISOR_PREFIX, LogLine
from manager.typed import NamedTuple
from manager.util.time_parse import parse_engine_time

START_BYTES = 4096
"""Length of the start that is searched for: dozens of lines, most with a timestamp."""

SEARCHED = 128 << 20
"""How much of the files is searched in any case: some tenths of a second."""

TIME_ZONE_MARGIN_S = 86400
"""The files' days are in the bot's time zone, which may differ from the manager's."""


class LogStart(NamedTuple):
    """Hold the start of the engine's log of a stream: its first timestamp and its first lines' bytes."""

    stamp: str
    text: bytes


class Seam(NamedTuple):
    """Hold the file's offset at which the engine's log starts. `is_exact`: found there, not estimated by
    size.
    """

    offset: int
    is_exact: bool


def read_start(lines: Iterable[LogLine]) -> LogStart | None:
    """Return the start of one stream's lines; None if the bot has printed nothing there."""
    stamp, text = "", b""
    for line in lines:
        if line.text.startswith(SUPERVISOR_PREFIX):
            if text:
                break
            continue
        stamp, text = stamp or line.stamp, text + line.text + b"\n"
        if len(text) >= START_BYTES:
            break
    if not stamp:
        return None
    return LogStart(stamp, text.removesuffix(b"\n") or text)  # the last line's end may not be in the file yet


def find_seam(files: DatedFiles, log_start: LogStart | None, written: Callable[[], int]) -> Seam:
    """Return where in the file the engine's log starts.

    `written` is called for the number of bytes that the engine has of this stream, if the start is ambiguous.
    """
    if log_start is None:
        return Seam(files.size, True)
    started = parse_engine_time(log_start.stamp)
    if files.size and bots_zone.day_of(started + TIME_ZONE_MARGIN_S) < files.parts[0].day:
        return Seam(0, True)  # the supervisor has removed the days on which it started
    text, oldest = log_start.text, max(0, files.size - SEARCHED)
    offset = files.rfind(text, files.size, oldest)
    if offset >= 0 and files.rfind(text, offset + len(text) - 1, oldest) < 0:
        return Seam(offset, True)
    if offset < 0 and files.ends_at_limit():
        return Seam(files.size, True)  # the day's limit was reached before the first line that the engine has
    size = written()
    if offset < 0:  # the engine has the end of the same text: its start is no further away than it is long
        offset = files.rfind(text, oldest + len(text), max(0, files.size - 2 * size))
    estimate = max(files.size - size, files.day_start(bots_zone.day_of(started)))
    if offset >= 0:  # the bot repeats itself: take the occurrence that fits the size, or the one before it
        nearest = files.rfind(text, min(estimate + len(text), files.size), max(0, estimate - SEARCHED))
        return Seam(nearest if nearest >= 0 else offset, True)
    is_whole = estimate == 0 and not files.has_day(bots_zone.day_of(started))
    return Seam(files.line_start(estimate), is_whole or files.size == estimate)


def is_older(line: LogLine, log_start: LogStart | None) -> bool:
    """Return whether a line was already shown from the file, because the engine has just dropped it."""
    return (
        log_start is not None and line.stamp < log_start.stamp and not line.text.startswith(SUPERVISOR_PREFIX)
    )


def file_size(lines: Iterable[LogLine]) -> int:
    """Return the number of bytes of these lines in the file."""
    return sum(len(line.text) + 1 for line in lines if not line.text.startswith(SUPERVISOR_PREFIX))
