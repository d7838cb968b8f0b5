"""Run a shell script on a node of the Swarm: here, or on another machine over ssh."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from manager.errors import EngineUnreachable
from manager.ops.hosts import ssh
from manager.ops.hosts.registry import Host
from manager.ops.hosts.ssh import CommandResult


def on(host: Host, script: str, words: Sequence[str], within_s: float) -> CommandResult:
    """Return what it did there. Raises ManagerError."""
    return ssh.ended(host, ssh.shell(host, ["sh", "-c", script, *words], is_read=True), within_s)


def here(script: str, words: Sequence[str], within_s: float) -> CommandResult:
    """Return what it did on this machine. Raises EngineUnreachable: one that hangs waits for its engine."""
    command = ["sh", "-c", script, *words]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=within_s, check=False, errors="replace"
        )
    except subprocess.TimeoutExpired as error:
        raise EngineUnreachable(
            "this machine's engine did not answer within {limit} s", limit=round(within_s)
        ) from error
    return CommandResult(done.returncode, done.stdout, done.stderr)
