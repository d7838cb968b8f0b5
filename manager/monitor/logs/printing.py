"""Print log lines for a terminal, for a pipe, or as one JSON object each."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

from manager.monitor.logs.lines import LogLine, escape_controls, for_terminal
from manager.util import console

COLOURS = ("36", "33", "32", "35", "34", "96", "93", "92", "95", "94")


class Printer:
    """Print lines, prefixed with their instance if there are several."""

    def __init__(self, instances: Sequence[str], *, stamps: bool, as_json: bool) -> None:
        width = max(map(len, instances))
        self._prefixes = {
            instance: _prefix(instance, width, index) if len(instances) > 1 else ""
            for index, instance in enumerate(instances)
        }
        self._stamps = stamps
        self._as_json = as_json
        self._is_terminal = sys.stdout.isatty()
        self._encoding = sys.stdout.encoding or "utf-8"

    def show(self, instance: str, lines: Iterable[LogLine]) -> None:
        """Write the lines; a pipe gets their bytes unchanged. Raises ManagerError when the write fails."""
        with console.writing():
            sys.stdout.buffer.writelines(self._shown(instance, line) + b"\n" for line in lines)

    def flush(self) -> None:
        with console.writing():
            sys.stdout.buffer.flush()

    def _shown(self, instance: str, line: LogLine) -> bytes:
        if self._as_json:
            return self._encoded(self._object(instance, line))
        prefix = self._prefixes[instance] + (f"{self._stamp(line)} " if self._stamps else "")
        return self._encoded(prefix) + (self._encoded(_painted(line)) if self._is_terminal else line.text)

    def _encoded(self, text: str) -> bytes:
        return text.encode(self._encoding, "backslashreplace")

    def _stamp(self, line: LogLine) -> str:
        """Return the engine's timestamp; for a line of a file, which has none, its day."""
        return line.stamp or line.file.partition("/")[0]

    def _object(self, instance: str, line: LogLine) -> str:
        from manager.monitor.logs import meaning  # a pipe gets the lines as they are

        content = line.text.decode("utf-8", "replace")
        fill = meaning.fill(content)
        fields = {
            "id": instance,
            "time": line.stamp or None,
            "stream": line.stream,
            "line": content,
            "file": line.file or None,
            "level": meaning.level(content),
            "fill": fill and fill._asdict(),
        }
        text = json.dumps(fields, ensure_ascii=not self._encoding.lower().startswith("utf"))
        return escape_controls(text) if self._is_terminal else text


def _painted(line: LogLine) -> str:
    """Return the line for a terminal, in the colour of its level, or of the side of a fill."""
    text = for_terminal(line.text)
    if not console.has_colour():
        return text
    from manager.monitor.logs import meaning

    colour = meaning.colour(text)
    return f"\x1b[{colour}m{text}\x1b[0m" if colour else text


def _prefix(instance: str, width: int, index: int) -> str:
    text = f"{instance:<{width}} | "
    return f"\x1b[{COLOURS[index % len(COLOURS)]}m{text}\x1b[0m" if console.has_colour() else text
