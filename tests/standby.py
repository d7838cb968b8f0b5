"""The standby of `manager serve` by itself, and command lines that it runs, or that run without it."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
BY_ITSELF = "from manager.cli.main import entry_point; entry_point()"
BY_STANDBY = """
import sys
from manager.cli import standby
standby.ANSWERS_WITHIN_S = 30  # on a machine that is busy with tests
code = standby.run(sys.argv[1:])
assert code is not None, "the standby has not run it"
sys.exit(code)
"""
EITHER_WAY = "from manager.cli import entry_point; entry_point()"


class Output(NamedTuple):
    """What a command has printed, and its exit code."""

    out: bytes
    err: bytes
    code: int


class Standby:
    """A standby of a project folder."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self.environ = {**os.environ, "PYTHONPATH": str(ROOT), **environ}
        alive, self._held = os.pipe()
        told, ready = os.pipe()
        words = ("manager.cli.standby_side", "manager", str(folder), str(alive), str(ready))
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", *words],
            pass_fds=(alive, ready),
            env=self.environ,
            start_new_session=True,
        )
        os.close(alive)
        os.close(ready)
        assert os.read(told, 1) == b"s"
        os.close(told)

    def __enter__(self) -> Standby:
        return self

    def __exit__(self, *_: object) -> None:
        if self._held >= 0:
            self.leave()
        self.process.kill()
        self.process.wait()

    def leave(self) -> None:
        """Be a keeper that has ended."""
        os.close(self._held)
        self._held = -1

    def start(
        self,
        code: str,
        words: Sequence[str],
        environ: Mapping[str, str] | None = None,
        *,
        out: int | IO[bytes] = subprocess.PIPE,
        folder: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start the command as a program of its own, which asks the standby or does not."""
        return subprocess.Popen(
            [sys.executable, "-c", code, *words],
            cwd=folder or self.folder,
            env={**self.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
        )

    def run(self, code: str, words: Sequence[str], environ: Mapping[str, str] | None = None) -> Output:
        """Return what it prints into pipes."""
        process = self.start(code, words, environ)
        out, err = process.communicate(timeout=60)
        return Output(out, err, process.returncode)

    def run_on_terminal(
        self, code: str, words: Sequence[str], columns: int, environ: Mapping[str, str] | None = None
    ) -> Output:
        """Return what it prints on a terminal."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        process = self.start(code, words, environ, out=theirs)
        os.close(theirs)
        out = b""
        with suppress(OSError):  # a terminal whose last program has ended
            while piece := os.read(ours, 1 << 16):
                out += piece
        os.close(ours)
        return Output(out, process.communicate(timeout=60)[1], process.returncode)
