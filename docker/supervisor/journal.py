"""The supervisor's own lines."""

import time

from supervisor.dated import DatedFile
from supervisor.outlet import Outlet


class Journal:
    """Each line goes to the container's stderr and, once the instance's folders are ours, to daemon.log."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self.file: DatedFile | None = None

    def say(self, text: str) -> None:
        for line in text.splitlines():
            self._outlet.write_line(b"[supervisor] " + line.encode("utf-8", "replace") + b"\n")
            if self.file is not None:
                stamp = time.strftime("%Y-%m-%d %H:%M:%S ")
                self.file.write((stamp + line + "\n").encode("utf-8", "replace"))
