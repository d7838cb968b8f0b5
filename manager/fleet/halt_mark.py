"""Read and write halt marks: `secrets/ID/halted` prevents a bot's start, `secrets/.halted` that of new ones.

docker/README.md has the format. Only the manager can write there: in the container the folder is read-only. A
mark is made by renaming a prepared file, which needs neither a block nor an inode on a full disk. It is
removed only by a process that has read it, so that a newer mark is never removed by mistake.
"""

import json
import os
import stat
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from manager.config.fleet import Fleet
from manager.fleet import env_file, tombstone
from manager.fleet.state_file import FleetState, Halted
from manager.typed import Any, Literal, NamedTuple
from manager.util import atomic_file, moment, ownership
from manager.util.moment import Moment
from manager.util.trusted_folder import open_in_trusted, put_away, put_away_in_trusted, trusted

By = Literal["halt", "stop", "down", "moved"]
"""`moved` is no mark of its own: an instance with a tombstone counts as marked."""

MARK = "halted"
FLEET_MARK = ".halted"
"""In the folder of the instances' folders, one of which may be called `halted`."""
READY = ".halt-ready"
LIFTING = ".halt-lifting"
"""A mark while it is compared and removed. If a killed manager left it, it counts as a mark."""
LIFTED = ".halt-lifted"
"""The nonce of the fleet's mark that no longer applies to this instance."""

EXPENDABLE = (LIFTED, "requests.json", "others.json")
"""What may become a mark where nothing can be created: every start writes it again."""

OF_MOVE = "BOTFLEET_MOVE"
"""The variable with which a move has `manager halt` make the mark of this move: any other one is newer."""

SIZE = 160
"""Size of every mark, padded with spaces, so that it can be overwritten in its block."""
MODE = 0o600


class HaltMark(NamedTuple):
    """Hold one mark. `identity` differs for every mark made. `did_run`: whether its bot ran then, None if
    unknown.

    `of_all`: the identity of the fleet's mark, if that one applies to the instance too. `at`: when it was
    made.
    """

    identity: str
    by: By = "halt"
    did_run: bool | None = None
    of_all: str = ""
    at: Moment = Moment()


def find(fleet: Fleet, instance: str) -> HaltMark | None:
    """Return what prevents this instance's start: that it was moved away, its own mark, or the fleet's unless
    lifted for it.
    """
    return _mark(fleet, instance, of_fleet(fleet))


def _mark(fleet: Fleet, instance: str, of_all: HaltMark | None) -> HaltMark | None:
    if (stone := tombstone.find(fleet, instance)) is not None:
        return HaltMark(f"moved.{stone.move}", "moved", did_run=stone.did_run)
    own_mark = own(fleet, instance)
    if of_all is not None and _lifted(fleet.secrets_dir(instance)) == of_all.identity:
        of_all = None
    mark = own_mark or of_all
    return mark._replace(of_all=of_all.identity) if mark is not None and of_all is not None else mark


def own(fleet: Fleet, instance: str) -> HaltMark | None:
    """Return this instance's own mark, whether it has a tombstone or not."""
    folder = fleet.secrets_path(instance)  # of hundreds, several times a look
    return _read(f"{folder}/{MARK}") or _read(f"{folder}/{LIFTING}")


def of_fleet(fleet: Fleet) -> HaltMark | None:
    """Return the mark for future instances."""
    root = str(fleet.all_secrets_dir)
    return _read(f"{root}/{FLEET_MARK}") or _read(f"{root}/{LIFTING}")


def find_all(fleet: Fleet, instances: Iterable[str] = ()) -> dict[str, HaltMark]:
    """Return instance → mark, for these instances and all that have a folder."""
    everything = sorted({*instances, *folders(fleet)})
    of_all = of_fleet(fleet)
    marks = ((instance, _mark(fleet, instance, of_all)) for instance in everything)
    return {instance: mark for instance, mark in marks if mark is not None}


def folders(fleet: Fleet) -> list[str]:
    """Return the instances that have a folder for a mark."""
    try:
        with os.scandir(fleet.all_secrets_dir) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return sorted(name for name in names if not name.startswith("."))


def make(
    fleet: Fleet, instance: str, by: By, *, did_run: bool | None = None, identity: str | None = None
) -> None:
    """Mark an instance, even if it is marked already. Raises OSError if no file can be created at all.

    `identity`: the move that makes it.
    """
    _make(fleet.secrets_dir(instance), MARK, by, did_run, identity or os.environ.get(OF_MOVE))


def note_ran(fleet: Fleet, instance: str) -> None:
    """Note in the mark of a halt that its bot was about to run again. Errors are ignored.

    It is read and written as one file: a mark that replaces it meanwhile is another one.
    """
    with suppress(OSError, ValueError, RecursionError):
        path = fleet.secrets_dir(instance) / MARK
        descriptor = open_in_trusted(path, os.O_RDWR | os.O_NONBLOCK)
        try:
            content = json.loads(os.pread(descriptor, 4096, 0))
            if isinstance(content, dict) and content.get("by") == "halt":
                os.pwrite(descriptor, _padded({**content, "ran": True}), 0)
        finally:
            os.close(descriptor)


def make_of_fleet(fleet: Fleet) -> None:
    """Mark future instances. Raises OSError."""
    _make(fleet.all_secrets_dir, FLEET_MARK, "halt", did_run=False)


def make_own_of_fleets(fleet: Fleet, instance: str) -> None:
    """Mark an instance that the fleet's mark halts: its supervisor sees only its own. Raises OSError."""
    if own(fleet, instance) is None and (mark := find(fleet, instance)) is not None and mark.by == "halt":
        make(fleet, instance, "halt", did_run=False)


def lift(fleet: Fleet, instance: str, mark: HaltMark) -> bool:
    """Remove the mark that was read; return whether none is left. Raises OSError.

    The mark of an instance that was moved away stays: supervisors of earlier versions know no tombstone.
    """
    if tombstone.find(fleet, instance) is not None:
        return False
    folder = fleet.secrets_dir(instance)
    _remove(folder, MARK, mark)
    if mark.of_all:
        ownership.make_folder(folder, 0o700)
        if (folder / LIFTED).is_dir():
            put_away_in_trusted(folder / LIFTED)
        atomic_file.replace_bytes(folder / LIFTED, mark.of_all.encode(), MODE, durable=False)
    return find(fleet, instance) is None


def lift_of_fleet(fleet: Fleet, mark: HaltMark) -> None:
    """Remove the fleet's mark, if it is the one that was read. Raises OSError."""
    _remove(fleet.all_secrets_dir, FLEET_MARK, mark)


def keep_ready(folder: Path, owner: tuple[int, int] | None = None) -> None:
    """Prepare a file that becomes a mark by a rename. Errors are ignored: a halt tries other ways too."""
    with suppress(OSError):
        if not _is_file(folder / READY):
            atomic_file.replace_bytes(folder / READY, _content("halt", None), MODE, owner, durable=False)


def keep_fleet_ready(fleet: Fleet) -> None:
    """Prepare files for the fleet's own mark, and for every instance that has a folder."""
    keep_ready(fleet.all_secrets_dir)
    for instance in folders(fleet):
        folder = fleet.secrets_dir(instance)
        with suppress(OSError):
            status = folder.stat()
            keep_ready(folder, (status.st_uid, status.st_gid) if os.geteuid() == 0 else None)


def sync(fleet: Fleet, instances: Iterable[str]) -> None:
    """Flush the marks to the disk, so that they survive a power failure."""
    for folder in (fleet.all_secrets_dir, *(fleet.secrets_dir(instance) for instance in instances)):
        for name in (MARK, FLEET_MARK):
            with suppress(OSError):
                atomic_file.sync_path(folder / name)
        atomic_file.sync_folder(folder)


def overlaid(state: FleetState, fleet: Fleet, instances: Iterable[str]) -> FleetState:
    """Return the state combined with the marks: an instance is halted if either says so.

    A mark of `down` only prevents starts that were in progress: the next `up` removes it.
    """
    marks = find_all(fleet, {*instances, *state.instances})
    changed = {}
    for instance, mark in marks.items():
        saved = state.of(instance)
        if mark.by in ("stop", "moved"):
            changed[instance] = saved._replace(wish="stopped")
        elif mark.by == "halt" and saved.halted is None and saved.wish == "run":
            did_run = mark.did_run is not False
            halted: Halted = "ran" if did_run else "down"
            changed[instance] = saved._replace(halted=halted)
    return state._replace(instances={**state.instances, **changed}) if changed else state


def _make(folder: Path, name: str, by: By, did_run: bool | None, identity: str | None = None) -> None:
    with trusted(folder) as real_folder:
        _make_in(real_folder, name, by, did_run, identity)


def _make_in(folder: Path, name: str, by: By, did_run: bool | None, identity: str | None) -> None:
    path = folder / name
    before = _read(path)
    if before is not None and before.did_run:  # halted twice: what ran before the first is resumed
        did_run = True
    nonce = identity or os.urandom(12).hex()
    content = _content(by, did_run, nonce)
    if _becomes_mark(folder, path, content):
        return
    with suppress(OSError):
        _create(path, content)
        return
    if _is_ours(path):  # without an inode for a new file: halted twice, it is another mark all the same
        with suppress(OSError):
            _write_in_place(path, content)
        if (made := _read(path)) is not None and made.identity == nonce:
            return
        if _becomes_mark(folder, path, content):  # who lifted the earlier one has just made it ready
            return
    with suppress(OSError):
        _create(path, b"")
        return
    try:
        _link_env(folder, path)
    except OSError:  # a tmpfs counts a second name as a file
        for expendable in EXPENDABLE:
            with suppress(OSError):
                (folder / expendable).rename(path)
                return
        raise


def _becomes_mark(folder: Path, path: Path, content: bytes) -> bool:
    """Rename the file that is kept ready; whether that is done."""
    if _is_file(folder / READY):
        with suppress(OSError):
            _write_in_place(folder / READY, content)
        with suppress(OSError):
            (folder / READY).rename(path)
            return True
    return False


def _content(by: By, did_run: bool | None, identity: str | None = None) -> bytes:
    nonce = identity or os.urandom(12).hex()
    mark = {"nonce": nonce, "at": round(time.time(), 3), "by": by, **moment.now()._asdict()}
    if did_run is not None:
        mark["ran"] = did_run
    return _padded(mark)


def _padded(mark: Mapping[str, Any]) -> bytes:
    return json.dumps(mark).encode().ljust(SIZE - 1) + b"\n"


def _write_in_place(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, content, 0)
    finally:
        os.close(descriptor)


def _create(path: Path, content: bytes) -> None:
    """Create a file and rename it over the present one, so that its identity changes."""
    temporary = path.with_name(f".{path.name.lstrip('.')}.{os.urandom(6).hex()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
    try:
        try:
            atomic_file.write_all(descriptor, content)
        finally:
            os.close(descriptor)
        with suppress(OSError):
            ownership.give_to_folder_owner(temporary)
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _link_env(folder: Path, path: Path) -> None:
    """Create a hard link, which needs neither a block nor an inode. Any content counts as a mark."""
    try:
        path.hardlink_to(folder / env_file.ENV_FILE)
    except FileExistsError:
        with suppress(OSError):
            os.utime(path, follow_symlinks=False)  # another mark from now on


def _remove(folder: Path, name: str, mark: HaltMark) -> None:
    with suppress(FileNotFoundError), trusted(folder) as real_folder:
        _remove_in(real_folder, name, mark)


def _remove_in(folder: Path, name: str, mark: HaltMark) -> None:
    lifting = folder / LIFTING
    if os.path.lexists(folder / name) and lifting.is_dir() and not lifting.is_symlink():
        put_away(lifting)
    with suppress(FileNotFoundError):
        (folder / name).rename(lifting)
    present = _read(lifting)
    if present is None:
        return
    if present.identity != mark.identity:
        try:
            (folder / name).hardlink_to(lifting)
        except FileExistsError:
            pass
        except OSError:  # no room for a second name: it is a mark, whatever has come there meanwhile
            lifting.rename(folder / name)
    elif _becomes_ready(folder, lifting):
        return
    put_away(lifting)


def _becomes_ready(folder: Path, lifting: Path) -> bool:
    """Make a lifted mark the file of the next one; whether that is done. On a full disk, none could be made.

    What is not of our making, such as a second name of the env file, must never be written over.
    """
    try:
        if not _is_ours(lifting) or _is_file(folder / READY):
            return False
        _write_in_place(lifting, _content("halt", None))  # it may be that of a `down`, which `up` lifts
        lifting.rename(folder / READY)
    except OSError:
        return False
    return True


def _lifted(folder: Path) -> str:
    with suppress(OSError):
        return _head(folder / LIFTED).decode(errors="replace")
    return ""


def _is_ours(path: Path) -> bool:
    """Return whether it is a file of our making, and no second name of another one."""
    with suppress(OSError):
        status = path.lstat()
        return stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_size == SIZE
    return False


def _is_file(path: Path) -> bool:
    with suppress(OSError):
        return stat.S_ISREG(path.lstat().st_mode)
    return False


def _read(path: Path | str) -> HaltMark | None:
    """Return the mark at this path. Anything there is a mark, even if it cannot be read."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:  # the folder is out of our sight: so would be the mark, and the supervisor still sees it
        return None
    content = _json(path) if stat.S_ISREG(status.st_mode) else {}
    nonce, by, did_run = (content.get(key) for key in ("nonce", "by", "ran"))
    return HaltMark(
        nonce if isinstance(nonce, str) and nonce else f"{status.st_ino}.{status.st_mtime_ns}",
        by if by in ("stop", "down") else "halt",
        did_run if isinstance(did_run, bool) else None,
        at=moment.decoded(content),
    )


def _json(path: Path | str) -> Mapping[str, Any]:
    try:
        content = json.loads(_head(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _head(path: Path | str) -> bytes:
    """Return the file's first bytes, without following a link or waiting for a FIFO. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, 4096, 0)
    finally:
        os.close(descriptor)
