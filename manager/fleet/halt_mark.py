"""The halt marks: `secrets/ID/halted` keeps one bot from being started, `secrets/.halted` those of instances that come later.

docker/README.md has the format. Only the manager can write there: in the container the folder is read-only. A mark is made by
renaming a file that is kept ready, which needs neither a block nor an inode of a full disk. It is removed only by who has
read it: one that was made since is another one.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

from manager.config.fleet import Fleet
from manager.fleet import env_file
from manager.fleet.state_file import FleetState, Halted
from manager.util import atomic_file, ownership

By = Literal["halt", "stop", "down"]

MARK = "halted"
FLEET_MARK = ".halted"
"""Beside the instances' folders, one of which may be called `halted`."""
READY = ".halt-ready"
LIFTING = ".halt-lifting"
"""A mark while it is compared and removed. One that a killed manager has left counts as a mark."""
LIFTED = ".halt-lifted"
"""The nonce of the fleet's mark that does not concern this instance any more."""

SIZE = 160
"""Of every mark, padded with spaces: it is written again in place, on the block it has."""
MODE = 0o600


class HaltMark(NamedTuple):
    """One mark. `identity` tells it from one that is made later. `did_run`: whether its bot ran then, None where it does not say.

    `of_all`: the identity of the fleet's mark, where that one concerns the instance too.
    """

    identity: str
    by: By = "halt"
    did_run: bool | None = None
    of_all: str = ""


def find(fleet: Fleet, instance: str) -> HaltMark | None:
    """Return what keeps this instance from being started: its own mark, or the fleet's where it was not lifted for it."""
    folder = fleet.secrets_dir(instance)
    own, whole = _read(folder / MARK) or _read(folder / LIFTING), of_fleet(fleet)
    if whole is not None and _lifted(folder) == whole.identity:
        whole = None
    found = own or whole
    return found._replace(of_all=whole.identity) if found is not None and whole is not None else found


def of_fleet(fleet: Fleet) -> HaltMark | None:
    """Return the mark for instances that come later."""
    root = _root(fleet)
    return _read(root / FLEET_MARK) or _read(root / LIFTING)


def find_all(fleet: Fleet, instances: Iterable[str] = ()) -> dict[str, HaltMark]:
    """Return instance → mark, of these instances and of all that have a folder."""
    everything = sorted({*instances, *folders(fleet)})
    return {each: mark for each in everything if (mark := find(fleet, each)) is not None}


def folders(fleet: Fleet) -> list[str]:
    """Return the instances that have a folder for a mark."""
    try:
        with os.scandir(_root(fleet)) as entries:
            found = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return sorted(name for name in found if not name.startswith("."))


def make(fleet: Fleet, instance: str, by: By, *, did_run: bool | None = None) -> None:
    """Mark an instance. It gets a mark of its own where it is marked already. Raises OSError where nothing can be made at all."""
    _make(fleet.secrets_dir(instance), MARK, by, did_run)


def make_of_fleet(fleet: Fleet) -> None:
    """Mark the instances that come later. Raises OSError."""
    _make(_root(fleet), FLEET_MARK, "halt", did_run=False)


def lift(fleet: Fleet, instance: str, mark: HaltMark) -> bool:
    """Remove the mark that was read; return whether none is left. Raises OSError."""
    folder = fleet.secrets_dir(instance)
    _remove(folder, MARK, mark)
    if mark.of_all:
        ownership.make_folder(folder, 0o700)
        atomic_file.replace_bytes(folder / LIFTED, mark.of_all.encode(), MODE, durable=False)
    return find(fleet, instance) is None


def lift_of_fleet(fleet: Fleet, mark: HaltMark) -> None:
    """Remove the fleet's mark, if it is the one that was read. Raises OSError."""
    _remove(_root(fleet), FLEET_MARK, mark)


def keep_ready(folder: Path, owner: tuple[int, int] | None = None) -> None:
    """Have a file ready that a rename makes a mark. What keeps it from being written is for the day of the halt."""
    with suppress(OSError):
        if not _is_file(folder / READY):
            atomic_file.replace_bytes(folder / READY, _content("halt", None), MODE, owner, durable=False)


def keep_fleet_ready(fleet: Fleet) -> None:
    """The same for the fleet's own mark, and for every instance that has a folder."""
    keep_ready(_root(fleet))
    for instance in folders(fleet):
        folder = fleet.secrets_dir(instance)
        with suppress(OSError):
            found = folder.stat()
            keep_ready(folder, (found.st_uid, found.st_gid) if os.geteuid() == 0 else None)


def sync(fleet: Fleet, instances: Iterable[str]) -> None:
    """Wait until the marks outlive a power failure."""
    for folder in (_root(fleet), *(fleet.secrets_dir(each) for each in instances)):
        for name in (MARK, FLEET_MARK):
            with suppress(OSError):
                atomic_file.sync_path(folder / name)
        atomic_file.sync_folder(folder)


def overlaid(state: FleetState, fleet: Fleet, instances: Iterable[str]) -> FleetState:
    """Return what is remembered with what the marks say: an instance is halted if either says so.

    A mark of `down` stops only the starts that were under way then: the next `up` removes it.
    """
    marks = find_all(fleet, {*instances, *state.instances})
    changed = {}
    for each, mark in marks.items():
        known = state.of(each)
        if mark.by == "stop":
            changed[each] = known._replace(wish="stopped")
        elif mark.by == "halt" and known.halted is None and known.wish == "run":
            did_run = mark.did_run is not False
            halted: Halted = "ran" if did_run else "down"
            changed[each] = known._replace(halted=halted)
    return state._replace(instances={**state.instances, **changed}) if changed else state


def _root(fleet: Fleet) -> Path:
    return fleet.data_dir / "secrets"


def _make(folder: Path, name: str, by: By, did_run: bool | None) -> None:
    path = folder / name
    before = _read(path)
    if (
        before is not None and before.did_run
    ):  # halted twice: what ran before the first is what `resume` starts
        did_run = True
    content = _content(by, did_run)
    if _is_file(folder / READY):
        with suppress(OSError):
            _write_in_place(folder / READY, content)
        with suppress(OSError):
            (folder / READY).rename(path)
            return
    with suppress(OSError):
        _create(path, content)
        return
    with suppress(OSError):
        _create(path, b"")
        return
    _link_env(folder, path)


def _content(by: By, did_run: bool | None) -> bytes:
    mark = {"nonce": os.urandom(12).hex(), "at": round(time.time(), 3), "by": by}
    if did_run is not None:
        mark["ran"] = did_run
    return json.dumps(mark).encode().ljust(SIZE - 1) + b"\n"


def _write_in_place(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, content, 0)
    finally:
        os.close(descriptor)


def _create(path: Path, content: bytes) -> None:
    """A new file, renamed over what is there: whoever compares sees another mark."""
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
    """Needs neither a block nor an inode. What it says is no mark's content, which counts as a mark."""
    try:
        path.hardlink_to(folder / env_file.ENV_FILE)
    except FileExistsError:
        with suppress(OSError):
            os.utime(path, follow_symlinks=False)  # another mark from now on


def _remove(folder: Path, name: str, mark: HaltMark) -> None:
    lifting = folder / LIFTING
    with suppress(FileNotFoundError):
        (folder / name).rename(lifting)
    found = _read(lifting)
    if found is None:
        return
    if found.identity != mark.identity:
        with suppress(FileExistsError):
            (folder / name).hardlink_to(lifting)
    lifting.unlink(missing_ok=True)


def _lifted(folder: Path) -> str:
    try:
        return (folder / LIFTED).read_text(errors="replace")
    except OSError:
        return ""


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _read(path: Path) -> HaltMark | None:
    """Return the mark there. Whatever is there is one, also what cannot be read; only where nothing is there is none."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:  # the folder is out of our sight: so would be the mark, and the supervisor still sees it
        return None
    content = _json(path) if stat.S_ISREG(found.st_mode) else {}
    nonce, by, did_run = content.get("nonce"), content.get("by"), content.get("ran")
    return HaltMark(
        nonce if isinstance(nonce, str) and nonce else f"{found.st_ino}.{found.st_mtime_ns}",
        by if by in ("stop", "down") else "halt",
        did_run if isinstance(did_run, bool) else None,
    )


def _json(path: Path) -> Mapping[str, Any]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = json.loads(os.pread(descriptor, 4096, 0))
        finally:
            os.close(descriptor)
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
