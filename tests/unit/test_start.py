"""What short commands load: most of their time is the start of the program."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "ast",
    "dataclasses",
    "datetime",
    "difflib",
    "docker",
    "http.client",
    "inspect",
    "pydantic",
    "requests",
}
"""A millisecond to a fifth of a second each."""
LOAD = """
import sys, typing

class ForwardRef(typing.ForwardRef, _root=True):
    def __init__(self, *args, **keywords):
        sys.exit(f"a class has the annotation {args[0]!r}")

typing.ForwardRef = ForwardRef
import manager.cli.main, manager.engine.client, manager.fleet.session, manager.cli.commands.COMMAND
print(*sys.modules)
"""


@pytest.mark.parametrize("command", ["ps", "list", "status", "up"])
def test_a_short_command_loads_only_what_it_needs(command: str) -> None:
    """Nor is an annotation compiled: Python's compiler alone takes 2 ms to get ready, so the modules of these
    commands have no annotations in quotes in a NamedTuple, and no `from __future__ import annotations`.
    """
    done = subprocess.run(
        [sys.executable, "-c", LOAD.replace("COMMAND", command)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert HEAVY.isdisjoint(done.stdout.split())
