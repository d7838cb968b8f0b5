"""Watches what the tests of this process ask of the machine."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

REAL_HOME = Path.home()
PRIVATE = tuple(str(REAL_HOME / name) + os.sep for name in (".docker", ".config", ".cache", ".ssh"))
"""What programs keep in a home. Not all of it: the project itself may lie there."""
LOOPBACK = ("127.", "::1", "localhost")
NOBODYS = {1, 9}
"""tcpmux and discard: where tests say that nothing answers."""
LOWEST_GIVEN = 10_000
"""A port that the kernel or tests/ports.py gave is above; one that somebody wrote down, and that a fleet
has, is below.
"""

_touched: list[str] | None = None


class ReadsTheMachine(AssertionError):
    """A test asks the machine for what may be different on the next one."""


@contextmanager
def guarded() -> Iterator[list[str]]:
    """Refuse what is the machine's own, and tell what was refused: code under test may swallow the error."""
    global _touched
    _touched = []
    try:
        yield _touched
    finally:
        _touched = None


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if _touched is None:
        return
    if event in {"socket.bind", "socket.connect", "socket.sendto"}:
        reason = _of_socket(event.removeprefix("socket."), *args)
    elif event == "open" and isinstance(args[0], str) and args[0].startswith(PRIVATE):
        reason = f"opens {args[0]}"
    else:
        return
    if reason:
        _touched.append(reason)
        raise ReadsTheMachine(reason)


def _of_socket(verb: str, used: socket.socket, address: Any) -> str:
    """Return what is wrong with it; empty for nothing."""
    if used.family == socket.AF_UNIX:
        path = os.fsdecode(address)
        return (
            ""
            if path.startswith("\0") or os.path.realpath(path).startswith(_own_folders())
            else f"{verb}s {path}"
        )
    if used.family not in {socket.AF_INET, socket.AF_INET6}:
        return ""
    name, port = address[:2]
    if verb == "bind":
        return f"binds port {port}" if 0 < port < LOWEST_GIVEN else ""
    if not str(name).startswith(LOOPBACK):
        return f"{verb}s to {name}:{port}"
    return f"{verb}s to port {port}" if port < LOWEST_GIVEN and port not in NOBODYS else ""


@cache
def _own_folders() -> tuple[str, ...]:
    """Return the beginnings of the paths that are the tests' own. They are chosen after this is loaded."""
    temporary = os.path.realpath(tempfile.gettempdir())
    in_memory = os.environ.get("PYTEST_DEBUG_TEMPROOT") or temporary
    return (temporary + os.sep, os.path.realpath(in_memory) + "/pytest-of-")


sys.addaudithook(_watch)
