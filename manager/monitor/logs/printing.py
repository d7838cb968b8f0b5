"""Lines on standard output: for a terminal, for a pipe, or one JSON object each."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

from manager.monitor.logs.lines import Line, for_terminal, made_visible
from manager.util import console

COLOURS = ("36", "33", "32", "35", "34", "96", "93", "92", "95", "94")


class Printer:
    """Prints lines, with their instance in front where there are several."""

    def __init__(self, instances: Sequence[str], *, stamps: bool, as_json: bool) -> None:
        width = max(map(len, instances))
        self._prefixes = {
            each: _prefix(each, width, index) if len(instances) > 1 else ""
            for index, each in enumerate(instances)
        }
        self._stamps = stamps
        self._as_json = as_json
        self._is_terminal = sys.stdout.isatty()
        self._encoding = sys.stdout.encoding or "utf-8"

    def show(self, instance: str, lines: Iterable[Line]) -> None:
        """A pipe gets the lines' bytes as they are. Raises ManagerError when they cannot be written."""
        with console.writing():
            sys.stdout.buffer.writelines(self._shown(instance, line) + b"\n" for line in lines)

    def flush(self) -> None:
        """Whatever was shown is read now."""
        with console.writing():
            sys.stdout.buffer.flush()

    def _shown(self, instance: str, line: Line) -> bytes:
        if self._as_json:
            return self._encoded(self._object(instance, line))
        front = self._prefixes[instance] + (f"{self._stamp(line)} " if self._stamps else "")
        return self._encoded(front) + (
            self._encoded(for_terminal(line.text)) if self._is_terminal else line.text
        )

    def _encoded(self, text: str) -> bytes:
        return text.encode(self._encoding, "backslashreplace")

    def _stamp(self, line: Line) -> str:
        """The engine's, else the day: a line of a file has no other."""
        return line.stamp or line.file.partition("/")[0]

    def _object(self, instance: str, line: Line) -> str:
        found = {
            "id": instance,
            "time": line.stamp or None,
            "stream": line.stream,
            "line": line.text.decode("utf-8", "replace"),
            "file": line.file or None,
        }
        text = json.dumps(found, ensure_ascii=not self._encoding.lower().startswith("utf"))
        return made_visible(text) if self._is_terminal else text


def _prefix(instance: str, width: int, index: int) -> str:
    text = f"{instance:<{width}} | "
    return f"\x1b[{COLOURS[index % len(COLOURS)]}m{text}\x1b[0m" if console.has_colour() else text
