"""Ask this machine or another one for a step of a move, in the same way."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from errno import ENOSPC
from pathlib import Path
from typing import IO, Any

from manager import i18n
from manager.errors import LOCKED, Locked, ManagerError, TimedOut
from manager.ops.hosts import ssh
from manager.ops.hosts.registry import HERE, Host
from manager.ops.move.steps import CHUNK, PROTOCOL
from manager.typed import NamedTuple
from manager.util import console, scratch
from manager.util.sanitize import replace_unprintable

STEP_S = 300.0
COPY_S = 3600.0
"""For what grows with the database: 10 GB at 3 MB/s."""
LONGEST_LINE = 1 << 20


class Side(NamedTuple):
    """Hold one of the two machines. `host`: None for this one, whose project folder is `folder`.

    `machine`: which one it has to be, as it told in its first answer; empty before. `own_name`: of this one,
    by which its config/fleet.toml has other machines call it.
    """

    folder: Path
    host: Host | None = None
    machine: str = ""
    own_name: str = ""

    @property
    def name(self) -> str:
        """Return what this machine calls it."""
        return HERE if self.host is None else self.host.name

    @property
    def label(self) -> str:
        """Return what is written into the other side's tombstone, which looks the machine up by it."""
        if self.host is not None:
            return self.host.name
        return self.own_name or self.earlier_label

    @property
    def earlier_label(self) -> str:
        """Return what earlier versions have written into the tombstones of moves that may not have ended."""
        return platform.node() or HERE if self.host is None else self.host.name

    def step(
        self,
        name: str,
        request: dict[str, Any],
        *,
        payload: IO[bytes] | None = None,
        target: IO[bytes] | None = None,
        limit: float = STEP_S,
    ) -> dict[str, Any]:
        """Return the answer to one step. Raises ManagerError.

        `payload` follows the request; what follows the answer goes to `target`. A machine that was too busy
        to begin is asked again.
        """

        def once(left: float) -> dict[str, Any]:
            if payload is not None:
                payload.seek(0)
            return self._step(name, request, payload, target, left)

        return ssh.while_busy(limit, once)

    def _step(
        self,
        name: str,
        request: dict[str, Any],
        payload: IO[bytes] | None,
        target: IO[bytes] | None,
        limit: float,
    ) -> dict[str, Any]:
        command = self._command(["--lang", _language(), "move", "--side", name])
        with (
            tempfile.TemporaryFile(dir=self._scratch()) as out,
            tempfile.TemporaryFile(dir=scratch.folder()) as err,
        ):
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=out, stderr=err, start_new_session=True
            )
            timer = threading.Timer(limit, process.kill)
            timer.start()
            try:
                assert process.stdin is not None
                with suppress(BrokenPipeError):  # it says why on its standard error
                    asked = {"protocol": PROTOCOL, "machine": self.machine, **request}
                    process.stdin.write(json.dumps(asked).encode() + b"\n")
                    if payload is not None:
                        shutil.copyfileobj(payload, process.stdin, CHUNK)
                with suppress(BrokenPipeError):
                    process.stdin.close()
                process.wait()
                is_late = not timer.is_alive()
            finally:
                timer.cancel()
                if process.poll() is None:
                    process.kill()
                    process.wait()
            for stream in (out, err):
                stream.seek(0)
            if process.returncode != 0:
                raise self._error(
                    process.returncode, err.read().decode(errors="replace"), limit if is_late else None
                )
            answer = self._answer(self._first_line(out), os.fstatvfs(out.fileno()).f_bavail)
            if target is not None:
                shutil.copyfileobj(out, target, CHUNK)
        return answer

    def _scratch(self) -> Path:
        """Return a folder for what is sent: on the project's disk, which has room for a database."""
        return scratch.folder(self.folder / "volumes" / "state")

    def _command(self, words: Sequence[str]) -> list[str]:
        if self.host is not None:
            return ssh.command(self.host, words, is_read=True)
        return [sys.executable, "-m", "manager", "--project-dir", str(self.folder), *words]

    def _first_line(self, out: IO[bytes]) -> bytes:
        """Return its first line, behind those that a login shell has printed."""
        if self.host is not None:
            while (line := out.readline(LONGEST_LINE)) and line.rstrip() != ssh.BEGINS:
                pass
        return out.readline(LONGEST_LINE)

    def _answer(self, line: bytes, free: int) -> dict[str, Any]:
        """Return the answer that was read. `free`: the blocks that are left of the disk it was written to."""
        with suppress(ValueError):
            answer = json.loads(line)
            if isinstance(answer, dict):
                return answer
        if free == 0:
            raise ManagerError("cannot write {path}: {why}", path=self._scratch(), why=os.strerror(ENOSPC))
        raise ManagerError("{host} gave no answer to a step of the move; run it again", host=self.name)

    def _error(self, code: int, err: str, limit: float | None) -> ManagerError:
        if limit is not None:
            return self._too_late(limit)
        if self.host is not None and code == ssh.SSH_FAILED:
            return ssh.unreachable(self.host, err)
        lines = [line.strip() for line in err.splitlines() if line.strip()]
        why = replace_unprintable(console.without_label(lines[-1])) if lines else f"exit code {code}"
        if self.host is not None and code in ssh.NOT_RUN:
            return ssh.no_manager(self.host, why)
        kind = Locked if code == LOCKED else ManagerError
        return kind("{host}: {why}", host=self.name, why=why)

    def _too_late(self, limit: float) -> TimedOut:
        return TimedOut("{host} did not answer within {limit} s", host=self.name, limit=round(limit))


def _language() -> str:
    return i18n.language().replace("_", "-")
