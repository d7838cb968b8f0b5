"""Run `manager stop ID` and similar commands for a view: the command that a user would type, and its
messages.

Its output goes to a file and it has its own session, so that it outlives the view: leaving `top`, or the end
of `serve`, does not interrupt it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from manager import i18n
from manager.util import console, drawn_table, scratch

LOCK_WAIT_S = 300
"""A user who stops three bots in a row means all three: the later ones wait for the first."""
WAIT_FOR_NOBODY = frozenset({"halt", "alert", "orders"})
"""Commands that need no lock: the kill switch, and those that change no instance."""
AGREED: Mapping[str, str] = {"close": "--yes"}
"""What tells a command that its question was answered in the view."""


def manager(project_dir: Path | None, *words: str) -> list[str]:
    """Return the command line of a manager for the same project, in the same language."""
    command = [sys.executable, "-P", "-m", "manager"]  # not from where we are: that may be a bot's folder
    if project_dir is not None:
        command += ["--project-dir", str(project_dir)]
    return [*command, "--lang", i18n.language(), *words]


class Running:
    """Run one command: its `words` are the command and its arguments. `title` is what a user would type.

    `tables`: the format of its tables, for a view that lays them out itself.
    """

    def __init__(self, project_dir: Path | None, *words: str, tables: str = drawn_table.PLAIN) -> None:
        self.title = " ".join(["manager", *words])
        command = words[0]
        more = [AGREED[command]] if command in AGREED else []
        if command not in WAIT_FOR_NOBODY:
            more += ["--lock-wait", str(LOCK_WAIT_S)]
        self._output: IO[bytes] = tempfile.TemporaryFile(  # noqa: SIM115 - it lives as long as the command does
            dir=scratch.folder()
        )
        self._read_to = 0
        self._process = subprocess.Popen(
            manager(project_dir, *words, *more),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, console.TABLE_FORMAT: tables},
        )

    @property
    def exit_code(self) -> int | None:
        """Return the exit code; None while it runs."""
        return self._process.poll()

    def wait(self) -> int:
        """Wait until it has ended."""
        return self._process.wait()

    def new_lines(self) -> Sequence[str]:
        """Return new output, in whole lines; all of it once the command has ended."""
        has_ended = self.exit_code is not None
        output = self._written()
        if not has_ended:
            output = output[: output.rfind(b"\n") + 1]
        self._read_to += len(output)
        return output.decode(errors="replace").splitlines()

    def _written(self) -> bytes:
        """Return what was written since the last time, without moving the place where the command writes: the
        file is open once, for both.
        """
        size = os.fstat(self._output.fileno()).st_size - self._read_to
        return os.pread(self._output.fileno(), size, self._read_to)
