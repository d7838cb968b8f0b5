"""Define a line of a bot's output: join it from the engine's frames, and make it safe for a terminal.

Pure.
"""

from collections.abc import Iterable, Iterator

from manager.engine.streams import Stream
from manager.typed import NamedTuple
from manager.util.late_pattern import late_pattern

MAX_LINE_BYTES = 1 << 18
"""A longer line is split into several, to bound the memory."""

SUPERVISOR_PREFIX = b"[supervisor] "
"""Starts the supervisor's own lines in a container's stderr; bot_stderr.log does not contain them."""

UNSAFE = late_pattern(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""Characters that control a terminal or reverse the direction of text."""

COLOUR = late_pattern(r"\x1b\[[0-9;:]*m")


class LogLine(NamedTuple):
    """Hold one line without its line end.

    `stamp`: the engine's timestamp, RFC 3339 in UTC; empty for a line of a file. `file`: the dated file,
    relative to the instance's log folder; empty for a line of the engine's log. `moment`: the Unix time by
    which lines of files are ordered. `is_progress`: it is not shown, and tells how far a search has come.
    """

    stream: Stream
    text: bytes
    stamp: str = ""
    file: str = ""
    moment: float = 0.0
    is_progress: bool = False


def join_frames(frames: Iterable[tuple[Stream, bytes]]) -> Iterator[LogLine]:
    """Join the engine's frames into lines. The engine splits a long line into frames with one timestamp."""
    open_lines: dict[Stream, tuple[str, bytes]] = {}
    for stream, frame in frames:
        stamp, _space, text = frame.partition(b" ")
        first, beginning = open_lines.pop(stream, (stamp.decode("ascii", "replace"), b""))
        line = beginning + text
        if line.endswith(b"\n"):
            yield LogLine(stream, line[:-1], first)
        elif len(line) > MAX_LINE_BYTES:
            yield LogLine(stream, line, first)
        else:
            open_lines[stream] = (first, line)
    for stream, (first, line) in open_lines.items():
        yield LogLine(stream, line, first)


def for_terminal(text: bytes) -> str:
    """Return the line for a terminal, without colours and with all other control sequences escaped."""
    shown = COLOUR.sub("", text.decode("utf-8", "replace").rstrip("\r"))
    return escape_controls(shown)


def escape_controls(text: str) -> str:
    """Return the text with control characters as Unicode escapes, which keeps JSON valid."""
    return UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
