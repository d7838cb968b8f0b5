"""Print what a command on another machine prints, and run it once more if its kept connection was lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO

from manager.ops.hosts.ssh import SSH_FAILED, afresh
from manager.util import console

CHUNK = 1 << 16


def run(ssh_command: Sequence[str]) -> int:
    """Run an ssh command that only reads, and print what it prints as it comes; return its exit code.

    It is run once more if its kept connection was lost before anything was printed.
    """
    code, has_printed = _shown(ssh_command)
    if code == SSH_FAILED and not has_printed:
        code, _has_printed = _shown(afresh(ssh_command))
    return code


def _shown(ssh_command: Sequence[str]) -> tuple[int, bool]:
    with (
        subprocess.Popen(ssh_command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
        ThreadPoolExecutor(2) as pool,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        streams = (process.stdout, process.stderr), (sys.stdout, sys.stderr)
        try:
            has_printed = [*pool.map(_passed_on, *streams)]
            return process.wait(), any(has_printed)
        finally:
            process.kill()


def _passed_on(source: IO[bytes], target: IO[str]) -> bool:
    """Write what comes to one of our own streams; return whether anything came. Raises ManagerError."""
    has_come = False
    with (
        source,
        open(target.fileno(), "wb", buffering=0, closefd=False) as stream,
        console.writing(),
    ):
        while chunk := os.read(source.fileno(), CHUNK):
            has_come = True
            while chunk:
                chunk = chunk[stream.write(chunk) :]
    return has_come
