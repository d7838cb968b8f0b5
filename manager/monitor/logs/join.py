"""Where an instance's dated file and the engine's log of the same stream meet. Pure but for reading.

The supervisor writes the same bytes to both, to the file first. The engine's log begins later: with the container, or where it
was rotated. So its beginning is looked for in the file, and what stands before it there is what the engine has no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from manager.monitor.logs.files import DatedFiles
from manager.monitor.logs.lines import LONGEST, SUPERVISOR, Line
from manager.util import formatting
from manager.util.time_parse import engine_moment

ENOUGH = 4096
"""Bytes of the engine's beginning that are looked for: dozens of lines, most with a time in them."""

ANY_ZONE_S = 86400
"""The days of the files are the bot's: it may have another time zone than this manager."""


class Start(NamedTuple):
    """How the engine's log of a stream begins: the first stamp, and the bytes of its first lines."""

    stamp: str
    text: bytes


class Seam(NamedTuple):
    """The offset in the file at which the engine's log begins; whether it was found there or only reckoned."""

    offset: int
    is_exact: bool


def start(lines: Iterable[Line]) -> Start | None:
    """The beginning of one stream's lines; None where the bot has printed nothing there."""
    stamp, text = "", b""
    for line in lines:
        if line.text.startswith(SUPERVISOR):
            if text:
                break
            continue
        stamp, text = stamp or line.stamp, text + line.text + b"\n"
        if len(text) >= ENOUGH:
            break
    if not stamp:
        return None
    return Start(stamp, text.removesuffix(b"\n") or text)  # the last line may have no end in the file


def find(files: DatedFiles, begun: Start | None, written: Callable[[], int]) -> Seam:
    """Where in the file the engine's log begins. `written`: how many bytes of this stream the engine has."""
    if begun is None:
        return Seam(files.size, True)
    began = engine_moment(begun.stamp)
    if files.size and formatting.day(began + ANY_ZONE_S) < files.parts[0].day:
        return Seam(0, True)  # the supervisor has removed the days on which it began
    found = files.rfind(begun.text, files.size)
    if found >= 0 and files.rfind(begun.text, found + len(begun.text) - 1) < 0:
        return Seam(found, True)
    reckoned = max(files.size - written(), files.day_start(formatting.day(began)))
    if found >= 0:  # a bot that repeats itself: the place that is right by size, or the next one before it
        near = files.rfind(begun.text, min(reckoned + len(begun.text), files.size))
        return Seam(near if near >= 0 else found, True)
    is_whole = reckoned == 0 and not files.has_day(formatting.day(began))
    return Seam(_line_start(files, reckoned), is_whole or files.size == reckoned)


def _line_start(files: DatedFiles, offset: int) -> int:
    """The next beginning of a line."""
    at = files.read(offset - 1, LONGEST).find(b"\n") if offset > 0 else -1
    return offset + at if at >= 0 else offset


def is_older(line: Line, begun: Start | None) -> bool:
    """Whether an engine's line was shown from the file already: the engine dropped it while its beginning was read."""
    return begun is not None and line.stamp < begun.stamp and not line.text.startswith(SUPERVISOR)


def size(lines: Iterable[Line]) -> int:
    """The bytes that these lines take in the file."""
    return sum(len(line.text) + 1 for line in lines if not line.text.startswith(SUPERVISOR))
