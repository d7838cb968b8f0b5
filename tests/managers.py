"""Managers that need no Python of their own to start."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests import forks


def can_run(environ: Mapping[str, str]) -> bool:
    """Return whether a fork would be as a new process: such variables are as when the tests began."""
    return forks.of_the_start(environ) == forks.of_the_start(forks.AT_FIRST)


def start(
    args: Sequence[str], command: Sequence[str], cwd: Path, environ: Mapping[str, str], output: int
) -> subprocess.Popen[bytes] | forks.Fork:
    """Start `manager ARGS`, whose output goes to this open file: as `command` where a fork would be another
    thing.
    """
    if can_run(environ):
        return forks.start(forks.MANAGER, ["manager", *args], cwd, environ, output, output)
    return subprocess.Popen(
        command, cwd=cwd, env=dict(environ), stdin=subprocess.DEVNULL, stdout=output, stderr=output
    )


def run(
    args: tuple[str, ...], cwd: Path, environ: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run `manager ARGS` as subprocess.run would. Raises subprocess.TimeoutExpired, and kills it."""
    return forks.run(forks.MANAGER, ["manager", *args], cwd, environ, timeout)
