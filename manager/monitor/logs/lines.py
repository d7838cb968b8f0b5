"""One line of a bot's output: made from what the engine sends, chosen by pattern, shown on a terminal. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from manager.engine.streams import Stream

LONGEST = 1 << 18
"""Bytes of one line that are held in memory. What is longer goes on as a line of its own."""

SUPERVISOR = b"[supervisor] "
"""Begins the supervisor's own lines in a container's stderr; they are in no bot_stderr.log."""

UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""What a terminal obeys, or what turns the order of signs around, instead of showing it."""

COLOUR = re.compile(r"\x1b\[[0-9;:]*m")


class Line(NamedTuple):
    """One line without its end. `stamp`: the engine's, RFC 3339 in UTC; empty for a line of a file.

    `file`: the dated file it is from, relative to the instance's log folder; empty for the engine's. `moment`: what a
    file's line is ordered by, in seconds since the epoch.
    """

    stream: Stream
    text: bytes
    stamp: str = ""
    file: str = ""
    moment: float = 0.0


def from_frames(frames: Iterable[tuple[Stream, bytes]]) -> Iterator[Line]:
    """The engine's frames as whole lines. It cuts a long line into frames, each with the stamp of the first."""
    open_lines: dict[Stream, tuple[str, bytes]] = {}
    for stream, frame in frames:
        stamp, _space, text = frame.partition(b" ")
        first, so_far = open_lines.pop(stream, (stamp.decode("ascii", "replace"), b""))
        whole = so_far + text
        if whole.endswith(b"\n"):
            yield Line(stream, whole[:-1], first)
        elif len(whole) > LONGEST:
            yield Line(stream, whole, first)
        else:
            open_lines[stream] = (first, whole)
    for stream, (first, whole) in open_lines.items():
        yield Line(stream, whole, first)


def for_terminal(text: bytes) -> str:
    """The line as a terminal may have it: colours left out, every other control sequence made visible."""
    shown = COLOUR.sub("", text.decode("utf-8", "replace").rstrip("\r"))
    return made_visible(shown)


def made_visible(text: str) -> str:
    """The text with everything a terminal would obey written out, in a way that leaves JSON JSON."""
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
