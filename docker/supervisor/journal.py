"""Write the supervisor's own log."""

import time

from supervisor.dated import DatedFile
from supervisor.output import Output


class Journal:
    """Write each line to the container's stderr and, once this supervisor holds the lock, to daemon.log."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self.file: DatedFile | None = None

    def log(self, text: str) -> None:
        """Write each line of `text` with its time."""
        for line in text.splitlines():
            self._output.write_line(b"[supervisor] " + line.encode("utf-8", "replace") + b"\n")
            if self.file is not None:
                stamp = time.strftime("%Y-%m-%d %H:%M:%S ")
                self.file.write((stamp + line + "\n").encode("utf-8", "replace"))
