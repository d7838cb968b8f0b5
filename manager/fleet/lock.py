"""Ensure that only one manager changes a fleet at a time. The lock is released when its holder dies."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from manager.errors import EngineUnreachable, Locked, ManagerError
from manager.fleet import start_lock
from manager.i18n import Text
from manager.typed import Any
from manager.util import formatting, ownership
from manager.util.lock_file import open_lock

Note = dict[str, Any]

MAX_NOTE_BYTES = 4096
POLL_S = 0.05
SETTLE_S = 1.5
"""On a busy machine, a stop reaches the supervisor, and a creation the engine's list, within a second."""
READER_S = 1.0
"""Always waited for: a reader that refreshes the export holds the lock for milliseconds."""
UNSIGNED_S = 1.0
"""Extra wait for a lock without a note: its holder has just got it, or is about to release it."""
NAME = "fleet.lock"
REPLACING = ("restore", "move")
"""Commands that replace the databases of instances, and keep them from starting meanwhile."""
LOCKS = Path("/proc/locks")
PROC = Path("/proc")
MANAGERS = ("manager", "daemon_manager.py", "manager.daemon_manager")
"""Words of a manager's command line: `manager`, `python -m manager`, and the old system's program."""


class HeldLock:
    """Represent the lock for its holder."""

    def __init__(
        self, descriptor: int | None = None, *, follows_a_kill: bool = False, has_passed: bool = False
    ) -> None:
        self._descriptor = descriptor
        self.has_passed = has_passed
        """Whether another manager holds the lock, so that its starts must be detected."""
        self.follows_a_kill = follows_a_kill
        """Whether the last holder was killed, or gave a silent engine up: it may still do what was asked."""
        self.leaves_requests = False

    def note_errors(self, errors: Iterable[Exception | None]) -> None:
        """Note what actions failed by: a silent engine may have taken requests, and execute them later."""
        if any(isinstance(error, EngineUnreachable) for error in errors):
            self.leaves_requests = True

    def wait_for_engine(self) -> None:
        """Give the engine time to finish the requests of a holder that did not wait for them.

        Otherwise a container that is about to stop, go or come is observed in its old state.
        """
        if self.follows_a_kill:
            time.sleep(SETTLE_S)

    def was_overridden(self) -> bool:
        """Return whether the fleet was stopped by force meanwhile, so that nothing more must be started."""
        return self._descriptor is not None and "passed_by" in _note(self._descriptor)


@contextmanager
def held(
    path: Path,
    command: str,
    wait: float = 0.0,
    *,
    force: bool = False,
    by: str | None = None,
    on_wait: Callable[[Text], object] = lambda _text: None,
) -> Iterator[HeldLock]:
    """Hold the fleet's lock. Raises Locked after `wait` seconds, naming the holder; with `force`, continues
    then.

    `by`: which command does it, where that is another one. `on_wait`: told once whom it waits for. Without
    the lock, a note is left for its holder: a forced stop must not be undone. It also continues if no lock
    file can be created. A reader that holds the lock briefly is waited for, because it starts nothing.
    Whoever holds it goes on when the terminal is closed.
    """
    # signals and threads: `ps` needs none of it
    from manager.util.interrupts import Interruption, outliving_terminal

    descriptor = _open_if_possible(path) if force else _open(path)
    if descriptor is None:
        yield HeldLock(has_passed=True)
        return
    starts = start_lock.open_file(path)
    try:
        holder = _locked_out_by(descriptor, max(wait, READER_S), on_wait, passes=force and not wait)
        if holder is None:
            follows_a_kill = bool(_note(descriptor))
            _sign(descriptor, _signature(command, by))
            lock = HeldLock(descriptor, follows_a_kill=follows_a_kill)
            try:
                with outliving_terminal():  # a bot that was stopped for its restart would stay down
                    yield lock
            except EngineUnreachable as error:
                lock.note_errors([error])
                raise
            except Interruption as interruption:
                lock.leaves_requests = lock.leaves_requests or bool(interruption.left)
                raise
            finally:
                if not lock.leaves_requests:  # else the note stays, as a killed holder's does
                    _unsign(descriptor)
        elif force:
            _sign(descriptor, {**_note(descriptor), "passed_by": _signature(command, by)})
            yield HeldLock(has_passed=True)
        else:
            raise Locked(
                "the fleet is locked by {holder}; wait for it, or use --lock-wait SECONDS",
                holder=_named(descriptor, holder),
            )
    finally:
        if starts is not None:
            os.close(starts)
        os.close(descriptor)


@contextmanager
def held_if_free(path: Path) -> Iterator[bool]:
    """Hold the lock if it is free, and yield whether it is held. For readers, which never wait."""
    descriptor = _open_if_possible(path)
    try:
        yield descriptor is not None and _try(descriptor)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def held_by(path: Path) -> Note | None:
    """Return the note of the present holder, {} if it left none, None if the lock is free. Never waits."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _note(descriptor)
    finally:
        os.close(descriptor)
    return None


def unaware_of_marks(path: Path) -> list[int]:
    """Return the processes that use the lock but not the halt marks: managers of an earlier version.

    Without root, only processes of this user are visible.
    """
    try:
        lock, starts = path.stat(), path.with_name(start_lock.NAME)
        aware = starts.stat() if starts.exists() else None
    except OSError:
        return []
    pids = []
    for process in PROC.glob("[0-9]*"):
        if not _is_manager(process):
            continue
        opened = _opened_by(process)
        if (lock.st_dev, lock.st_ino) in opened and not (aware and (aware.st_dev, aware.st_ino) in opened):
            pids.append(int(process.name))
    return [pid for pid in pids if pid != os.getpid()]


def holders(path: Path, *, and_mine: bool = False) -> list[int]:
    """Return the other visible processes that lock this file, if it can be read. `and_mine`: this one too."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            return [pid for pid in _holding_pids(descriptor) if and_mine or pid != os.getpid()]
        finally:
            os.close(descriptor)
    return []


def is_held_by_manager(path: Path, other: Path) -> bool:
    """Return whether the manager that holds the fleet's lock at `path` holds the lock `other`, too.

    A restore holds the locks of instances in the place of their supervisors.
    """
    note = _note_at(path)  # it alone may be left by a manager that was killed
    if note.get("command") not in REPLACING or note.get("pid") not in holders(other, and_mine=True):
        return False
    return held_by(path) is not None


def _is_manager(process: Path) -> bool:
    """Return whether the process is a manager, which could start bots."""
    try:
        words = os.fsdecode((process / "cmdline").read_bytes()).split("\0")
    except OSError:
        return False
    return any(word.rstrip("/").rpartition("/")[2] in MANAGERS for word in words)


def _opened_by(process: Path) -> set[tuple[int, int]]:
    files = set()
    try:
        for descriptor in os.scandir(process / "fd"):
            with suppress(OSError):
                file = os.stat(descriptor.path)  # noqa: PTH116 - an entry is not a Path
                files.add((file.st_dev, file.st_ino))
    except OSError:  # gone, or another user's
        pass
    return files


def _open(path: Path) -> int:
    """Return a descriptor to lock.

    A read-only one suffices, so that a fleet on a read-only disk can be stopped.
    """
    try:
        ownership.make_folder(path.parent)
        return open_lock(path)
    except OSError as error:
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            raise ManagerError("cannot open the lock {path}: {why}", path=path, why=error.strerror) from error


def _open_if_possible(path: Path) -> int | None:
    try:
        return _open(path)
    except ManagerError:
        return None


def _locked_out_by(
    descriptor: int, wait: float, on_wait: Callable[[Text], object], *, passes: bool
) -> Note | None:
    """Take the lock and return None, or return the note of its holder after `wait` seconds.

    The note is read while the lock is held: a lock that changes hands has none for a moment, and is waited
    for a little longer. `passes`: do not wait for a manager that changes the fleet, which has signed; a
    reader never signs.
    """
    deadline = time.monotonic() + wait
    tell_at = deadline - wait + READER_S
    while not _try(descriptor):
        note, late_s = _note(descriptor), time.monotonic() - deadline
        if (passes and note) or late_s >= UNSIGNED_S or (late_s >= 0 and _is_by_holder(descriptor, note)):
            return note
        if late_s < 0 and time.monotonic() >= tell_at:
            tell_at = deadline
            on_wait(
                Text(
                    "waiting for {holder}, at most {time}",
                    holder=_named(descriptor, note),
                    time=formatting.age(wait),
                )
            )
        time.sleep(POLL_S)
    return None


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _signature(command: str, by: str | None = None) -> Note:
    user = os.environ.get("SUDO_USER") or os.environ.get("USER") or str(os.geteuid())
    return {
        "pid": os.getpid(),
        "command": command,
        **({} if by is None else {"by": by}),
        "user": user,
        "since": formatting.date_and_time(time.time()),
    }


def _sign(descriptor: int, note: Note) -> None:
    """Write a note for those who are locked out.

    Errors are ignored: a full disk must not prevent a stop, and /proc/locks names the holder too.
    """
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(note).encode(), 0)


def _unsign(descriptor: int) -> None:
    with suppress(OSError):
        os.ftruncate(descriptor, 0)


def _note_at(path: Path) -> Note:
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            return _note(descriptor)
        finally:
            os.close(descriptor)
    return {}


def _note(descriptor: int) -> Note:
    """Return its holder's note; empty if the lock was released, or the note cannot be read."""
    try:
        note = json.loads(os.pread(descriptor, MAX_NOTE_BYTES, 0))
    except (OSError, ValueError, RecursionError):
        return {}
    return note if isinstance(note, dict) else {}


def _named(descriptor: int, note: Note) -> Text | str:
    """Return the holder's description, from its note or from the kernel's table of locks."""
    if _is_by_holder(descriptor, note):
        by = note.get("by")
        return Text(
            "`manager {command}` (pid {pid}, user {user}, since {since})",
            command=f"{by}: {note['command']}" if by else note["command"],
            pid=note["pid"],
            user=note.get("user", "?"),
            since=note["since"],
        )
    pids = [pid for pid in _holding_pids(descriptor) if (PROC / str(pid)).exists()] or _inheritors(descriptor)
    if pids:
        return ", ".join(f"{_program(pid)} (pid {pid})" for pid in pids)
    return Text("a process of another user or container, which cannot be seen from here")


def _inheritors(descriptor: int) -> list[int]:
    """Return the visible programs other than managers that have the file open.

    The kernel names the process that locked it, which may have ended and left the lock to a child.
    """
    file = os.fstat(descriptor)
    return sorted(
        int(process.name)
        for process in PROC.glob("[0-9]*")
        if not _is_manager(process) and (file.st_dev, file.st_ino) in _opened_by(process)
        if int(process.name) != os.getpid()
    )


def _is_by_holder(descriptor: int, note: Note) -> bool:
    """Return whether the note is the present holder's, and not one that a killed manager left."""
    if not {"command", "pid", "since"} <= note.keys():
        return False
    pids = _holding_pids(descriptor)
    return not pids or note["pid"] in pids


def _holding_pids(descriptor: int) -> list[int]:
    """Return the visible processes that lock the file, from the kernel's table."""
    try:
        rows = [line.split() for line in LOCKS.read_text(encoding="ascii").splitlines()]
        file = os.fstat(descriptor)
    except (OSError, ValueError):
        return []
    device = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
    held = [row for row in rows if "->" not in row and row[1:2] == ["FLOCK"] and len(row) > 5]
    pids = [int(row[4]) for row in held if row[5] == device]
    return sorted({pid for pid in pids if pid > 0})


def _program(pid: int) -> str:
    try:
        return (PROC / str(pid) / "comm").read_text(errors="replace").strip()
    except OSError:
        return "?"
