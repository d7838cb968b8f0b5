"""Managers that need no Python of their own to start."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests import forks


def can_run(environ: Mapping[str, str]) -> bool:
    """Return whether a fork would be as a new process: such variables are as when the tests began."""
    return forks.of_the_start(environ) == forks.of_the_start(forks.AT_FIRST)


def run(
    args: tuple[str, ...], cwd: Path, environ: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run `manager ARGS` as subprocess.run would. Raises subprocess.TimeoutExpired, and kills it."""
    return forks.run(forks.MANAGER, ["manager", *args], cwd, environ, timeout)
