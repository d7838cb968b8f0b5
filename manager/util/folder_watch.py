"""Tell which of some folders have to be looked into again: those in which the kernel has seen a change.

It only saves looks. Where it cannot be relied on, a folder is always to be looked into: on a file system that
others write past this kernel, by way of a symlink, without inotify, or with no watch left to be had.
"""

from __future__ import annotations

import os
import struct
import sys
import time
import weakref
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

ALL_EVERY_S = 30.0
"""Interval of looking into all whatever was seen, and at whether each is still the one at its path."""
LOCAL = frozenset(
    {
        0xEF53,  # ext2, ext3, ext4
        0x58465342,  # XFS
        0x9123683E,  # btrfs
        0x01021994,  # tmpfs
        0x794C7630,  # overlayfs
        0xF2F52010,  # F2FS
        0x2FC12FC1,  # ZFS
        0xCA451A4E,  # bcachefs
    }
)
"""File systems on which all writing goes through this kernel, so that it sees it."""

IN_MODIFY, IN_ATTRIB, IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE = 0x2, 0x4, 0x40, 0x80, 0x100, 0x200
IN_DELETE_SELF, IN_MOVE_SELF, IN_UNMOUNT, IN_Q_OVERFLOW, IN_IGNORED = 0x400, 0x800, 0x2000, 0x4000, 0x8000
IN_ONLYDIR, IN_DONT_FOLLOW, IN_ISDIR = 0x1000000, 0x2000000, 0x40000000
OF_ITSELF = IN_DELETE_SELF | IN_MOVE_SELF
OF_PARENT = IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE | OF_ITSELF
OF_FOLDER = IN_MODIFY | OF_PARENT
GONE = OF_ITSELF | IN_UNMOUNT | IN_IGNORED
OF_MORE = GONE | IN_ISDIR
"""What has to be told even of a folder of which something was told just before."""
HEAD = struct.Struct("iIII")
READ_BYTES = 1 << 16
"""With more than these, all folders are looked into, which costs less than a thousand events."""
NONE, ROOM = "", "\0"
"""No keys of a folder."""


class FolderWatch:
    """Watch folders, for one thread. It is closed when it is forgotten.

    `sees_times`: whether a file of which only the times, the owner or the mode change counts as well.
    """

    def __init__(self, *, sees_times: bool = False) -> None:
        self._mask = OF_FOLDER | (IN_ATTRIB if sees_times else 0)
        self._folders: Mapping[str, str] = {}
        self._keys: Mapping[str, str] = {}
        """Path → key."""
        self._kernel: _Inotify | None = None
        self._of_watch: dict[int, str] = {}
        """The kernel's number of a watch → the key of its folder."""
        self._parents: dict[int, str] = {}
        """The same of the folders above, which tell that one of them has come, gone, or is another."""
        self._above: dict[str, tuple[int, int]] = {}
        """Which these are."""
        self._seen: dict[str, tuple[int, int] | None] = {}
        """Key → which folder is watched; None where its coming would be seen. Others cannot be watched."""
        self._all_at = 0.0

    def due(self, folders: Mapping[str, str]) -> Collection[str]:
        """Return the keys of those in which anything may have changed since the last call; at first all."""
        if folders != self._folders:
            self._begin(folders)
            return folders
        if self._kernel is None or time.monotonic() >= self._all_at:
            self._look_at_all()
            return folders
        events = self._kernel.events(self._parents)
        touched = {self._key_of(*event) for event in events or ()}
        if events is None or ROOM in touched:
            self._begin(folders)
            return folders
        touched.discard(NONE)
        return touched if len(self._seen) == len(folders) else touched | (folders.keys() - self._seen.keys())

    def _begin(self, folders: Mapping[str, str]) -> None:
        self._kernel = None
        self._folders, self._keys = dict(folders), {folder: key for key, folder in folders.items()}
        self._of_watch, self._parents, self._above, self._seen = {}, {}, {}, {}
        self._look_at_all()

    def _look_at_all(self) -> None:
        """Watch each folder that is not yet watched, or is another one by now."""
        self._all_at = time.monotonic() + ALL_EVERY_S
        if self._kernel is None:
            self._kernel = _Inotify.opened()
        if self._kernel is None:
            return
        if any(_identity(parent) != known for parent, known in self._above.items()):
            self._begin(self._folders)
            return
        above = {os.path.dirname(folder) for folder in self._folders.values()}  # noqa: PTH120
        for parent in above - self._above.keys():
            identity = _identity(parent)
            if identity is not None and (number := self._kernel.watch(parent, OF_PARENT)) is not None:
                self._parents[number], self._above[parent] = parent, identity
        for key, folder in self._folders.items():
            if key not in self._seen or self._seen[key] != _identity(folder):
                self._watch(key, folder)

    def _watch(self, key: str, folder: str) -> None:
        """Watch a folder, or note that it is not there, if that is told by the one above."""
        assert self._kernel is not None
        self._forget(key)
        if os.path.dirname(folder) not in self._above:  # noqa: PTH120 - a Path costs more
            return
        if (identity := _identity(folder)) is None:
            self._seen[key] = None
            return
        number = self._kernel.watch(folder, self._mask)
        if number is None or number in self._of_watch or number in self._parents:
            return
        self._of_watch[number] = key
        if _identity(folder) == identity:  # else the next look at all finds it
            self._seen[key] = identity

    def _forget(self, key: str) -> None:
        self._seen.pop(key, None)
        for number in [number for number, of in self._of_watch.items() if of == key]:
            del self._of_watch[number]
            if self._kernel is not None:
                self._kernel.unwatch(number)

    def _key_of(self, number: int, mask: int, name: str) -> str:
        """Return the key of the folder that an event is about; NONE for another's, ROOM if the folder above
        them is gone.
        """
        if (parent := self._parents.get(number)) is not None:
            if mask & GONE:
                return ROOM
            key = self._keys.get(f"{parent}/{name}", NONE)
            if key != NONE:
                self._watch(key, self._folders[key])
            return key
        key = self._of_watch.get(number, NONE)
        if key != NONE and mask & GONE:
            self._watch(key, self._folders[key])
        return key


class _Inotify:
    """Call the kernel, by the C library: Python has no way of its own."""

    def __init__(self, library: Any, descriptor: int) -> None:
        self._library, self._descriptor = library, descriptor
        weakref.finalize(self, os.close, descriptor)

    @classmethod
    def opened(cls) -> _Inotify | None:
        """Return a new queue of events; None where there are none to be had."""
        with suppress(ImportError, AttributeError, OSError):  # not Linux; too many in use
            import ctypes  # which a short command does without

            library = ctypes.CDLL(None, use_errno=True)
            descriptor = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
            return None if descriptor < 0 else cls(library, descriptor)
        return None

    def watch(self, folder: str, mask: int) -> int | None:
        """Return the number of a watch on a folder; None if it cannot be relied on, or had."""
        path = os.fsencode(folder)
        if os.path.realpath(folder) != folder or not self._is_local(path):
            return None
        mask |= IN_ONLYDIR | IN_DONT_FOLLOW
        number = int(self._library.inotify_add_watch(self._descriptor, path, mask))
        return None if number < 0 else number

    def unwatch(self, number: int) -> None:
        """End a watch; that it has ended by itself is no fault."""
        self._library.inotify_rm_watch(self._descriptor, number)

    def events(self, parents: Collection[int]) -> list[tuple[int, int, str]] | None:
        """Return what has come as (watch, what, name); None where some is missing, or it is too much.

        `parents`: the watches of which all is to be told, because names count: one may be a symlink's.
        """
        events: list[tuple[int, int, str]] = []
        content, place, last = self._read(), 0, 0
        while place < len(content):
            number, mask, _cookie, length = HEAD.unpack_from(content, place)
            place += HEAD.size + length
            if mask & IN_Q_OVERFLOW:
                break
            # a file that is replaced makes five of the same folder
            if number == last and not mask & OF_MORE and number not in parents:
                continue
            last = number
            name = content[place - length : place].rstrip(b"\0")
            events.append((number, mask, os.fsdecode(name)))
        else:
            if not (content and self._read()):
                return events
        while self._read():
            pass
        return None

    def _read(self) -> bytes:
        try:
            return os.read(self._descriptor, READ_BYTES)
        except BlockingIOError:
            return b""

    def _is_local(self, path: bytes) -> bool:
        import ctypes

        answer = ctypes.create_string_buffer(256)  # more than any machine's struct statfs, which begins with:
        if self._library.statfs(path, answer):
            return False
        kind = int.from_bytes(answer.raw[: ctypes.sizeof(ctypes.c_long)], sys.byteorder)
        return kind in LOCAL


def _identity(folder: str) -> tuple[int, int] | None:
    try:
        status = os.stat(folder, follow_symlinks=False)  # noqa: PTH116 - once for each of hundreds
    except OSError:
        return None
    return status.st_dev, status.st_ino
