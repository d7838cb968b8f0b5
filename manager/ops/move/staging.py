"""Keep what a move brings and remembers on one machine, in state/moves/."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from manager.config.fleet import Fleet
from manager.errors import Locked, writing_to
from manager.util import atomic_file, ownership
from manager.util.lock_file import open_lock
from manager.util.polling import wait_until
from manager.util.trusted_folder import trusted, unlink_in_trusted

FOLDER_MODE = 0o700
"""Trades and positions are confidential."""
BACKUP = "backup.tar.gz"
MACHINE = ".machine"
LOCKS = ("caller", "side")
"""The command that moves an instance, and one step of it on this machine."""
RESTORED = "restored"
"""Has the move whose data are in place."""
LEFT = "left"
"""Tells whether nobody knows what the instance has left at its exchange, as the source has said."""


def folder(fleet: Fleet, instance: str) -> Path:
    """Return the folder of one instance's move on this machine."""
    return fleet.moves_dir / instance


def machine(fleet: Fleet) -> str:
    """Return what tells this project folder from any other one; made once. Raises ManagerError."""
    path = fleet.moves_dir / MACHINE
    with writing_to(path):
        ownership.make_folder(path.parent, FOLDER_MODE)
        if not path.exists():
            atomic_file.replace_bytes(path, os.urandom(12).hex().encode("ascii"), 0o600)
        return path.read_text(encoding="ascii", errors="replace")


def make(fleet: Fleet, instance: str) -> Path:
    """Return the folder, made if it is missing. Raises ManagerError."""
    path = folder(fleet, instance)
    with writing_to(path):
        ownership.make_folder(path.parent, FOLDER_MODE)
        ownership.make_folder(path, FOLDER_MODE)
    return path


def clean(fleet: Fleet, instance: str) -> None:
    """Remove it. Raises ManagerError."""
    path = folder(fleet, instance)
    with writing_to(path):
        if path.exists():
            with trusted(path.parent) as parent:
                shutil.rmtree(parent / path.name)


def is_restored(fleet: Fleet, instance: str, move: str) -> bool:
    """Return whether this move's data are in place."""
    try:
        return (folder(fleet, instance) / RESTORED).read_text(encoding="ascii") == move
    except (OSError, UnicodeDecodeError):
        return False


def note_restored(fleet: Fleet, instance: str, move: str) -> None:
    """Remember that this move's data are in place. Raises ManagerError."""
    path = make(fleet, instance) / RESTORED
    with writing_to(path):
        atomic_file.replace_bytes(path, move.encode("ascii"), 0o600)


def note_left(fleet: Fleet, instance: str, *, is_unknown: bool | None) -> None:
    """Remember what the source says of it until it has arrived; None from an earlier manager, which does not
    tell: what the source of an unfinished move has said holds no longer. Raises ManagerError.
    """
    path = make(fleet, instance) / LEFT
    with writing_to(path):
        if is_unknown is not None:
            atomic_file.replace_bytes(path, b"unknown" if is_unknown else b"known", 0o600)
        elif path.exists():
            unlink_in_trusted(path)


def is_left_unknown(fleet: Fleet, instance: str) -> bool | None:
    """Return what the source has said of it; None if it did not, as an earlier manager does not."""
    try:
        return (folder(fleet, instance) / LEFT).read_bytes() == b"unknown"
    except OSError:
        return None


def lock_file(fleet: Fleet, instance: str, name: str) -> Path:
    """Return one of the locks of an instance's moves."""
    return folder(fleet, instance).with_name(f".{instance}.{name}.lock")


@contextmanager
def locked(fleet: Fleet, instance: str, name: str, wait: float) -> Iterator[None]:
    """Hold one of the locks of an instance's moves. Raises Locked after `wait` seconds."""
    path = lock_file(fleet, instance, name)
    with writing_to(path):
        ownership.make_folder(path.parent, FOLDER_MODE)
        descriptor = open_lock(path)
    try:

        def is_ours() -> bool:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        if not wait_until(is_ours, time.monotonic() + wait):
            raise Locked("{id} is being moved by another command; wait until that has ended", id=instance)
        yield
    finally:
        os.close(descriptor)
