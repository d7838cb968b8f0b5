"""Looks at the project's files, and at what the engine has of its fleet. Changes nothing, follows no bot's links."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from manager.engine.container_config import binds
from manager.fleet import display, host, lock, old_daemon_guard
from manager.fleet.env_file import ENV_FILE, STAGED_FILE
from manager.fleet.observe import NO_IMAGE, FleetSnapshot
from manager.fleet.project import Project
from manager.fleet.supervisor_state import LOCK_FILE
from manager.monitor.doctor.facts import Files, Fleet, Instance, Owned, Port, Stale
from manager.util import formatting
from manager.util.atomic_file import LEFTOVER_S

TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}\.tmp")
ASIDE = re.compile(r".+\.before-restore-\d{8}-\d{6}(-\d+)?(-interrupted)?(-\d+)?")
RESTORING = ".restoring-"
LARGE_LEFTOVER_S = 86400
"""A backup and its proof may take hours."""
NANO = 1_000_000_000
MOST_COUNTED = 10_000
"""Files of a stale folder whose sizes are added up; a bot may have made millions."""


def files(project: Project, snapshot: FleetSnapshot | None) -> Files:
    """What is on the disk."""
    fleet, specs = project.fleet, project.specs.values()
    held_by, held_s = _lock_holder(fleet.lock_file)
    return Files(
        fleet=fleet.name,
        configs=len(project.specs),
        problems=tuple(str(each) for each in project.problems),
        memory_limits=sum(each.memory for each in specs),
        cpu_limits=sum(each.nano_cpus for each in specs) / NANO,
        ports=tuple(_ports(project, snapshot)),
        data=_owned(project, fleet.data_dir),
        bot_uid=_bot_uid(fleet.data_dir),
        dotenv=_owned(project, fleet.dotenv_file),
        secrets=tuple(_secrets(project)),
        databases=tuple(_owned_all(project, (fleet.database_dir(each.id) for each in specs))),
        stale=tuple(_stale(project, snapshot)),
        lock_held_by=held_by,
        lock_held_s=held_s,
    )


def fleet(snapshot: FleetSnapshot) -> Fleet:
    """What the engine has."""
    return Fleet(
        image=snapshot.project.fleet.image_name,
        image_contract=None if snapshot.image == NO_IMAGE else snapshot.image.contract,
        instances=tuple(
            Instance(each, view.verdict.state, str(view.verdict.why or ""), view.drift, view.has_fallen)
            for each, view in snapshot.views.items()
            if view.container is not None
        ),
        orphans=tuple(snapshot.plan_input.orphans),
        strays=tuple(each.name for each in snapshot.observed.strays),
        foreign=tuple(str(each) for each in snapshot.foreign()),
        old_daemon=tuple(
            str(each) for each in old_daemon_guard.still_running(snapshot, snapshot.project.specs).values()
        ),
    )


def database_folders(project: Project) -> set[Path]:
    """The folders that hold databases, one for each file system they can be on."""
    candidates = [project.fleet.data_dir, *(project.fleet.database_dir(each) for each in project.specs)]
    found: dict[int, Path] = {}
    for path in candidates:
        with suppress(OSError):
            found.setdefault(path.stat().st_dev, path)
    return set(found.values()) or {project.fleet.data_dir}


def _ports(project: Project, snapshot: FleetSnapshot | None) -> Iterator[Port]:
    for each, spec in project.specs.items():
        if spec.web_port is None:
            continue
        container = snapshot.observed.containers.get(each) if snapshot else None
        is_ours = container is not None and container.is_up and container.web_port == spec.web_port
        is_free = is_ours or host.is_port_free(project.fleet.bind_address, spec.web_port)
        if snapshot is not None or is_free:  # without an engine nobody can say whose it is
            yield Port(each, spec.web_port, is_free and not is_ours, is_ours)


def _owned(project: Project, path: Path) -> Owned | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return Owned(project.fleet.relative(path), status.st_uid, status.st_mode & 0o7777)


def _owned_all(project: Project, paths: Iterable[Path]) -> Iterator[Owned]:
    return (found for path in paths if (found := _owned(project, path)))


def _bot_uid(data_dir: Path) -> int | None:
    try:
        return host.bot_owner(data_dir)[0]
    except OSError:
        return None


def _secrets(project: Project) -> Iterator[Owned]:
    folders = [project.fleet.secrets_dir(each) for each in project.specs]
    yield from _owned_all(project, folders)
    yield from _owned_all(project, (folder / ENV_FILE for folder in folders))


def _lock_holder(path: Path) -> tuple[str, float]:
    """(who, for how many seconds); empty when nobody holds it."""
    note = lock.held_by(path)
    if note is None:
        return "", 0.0
    try:
        began = time.mktime(time.strptime(str(note["since"]), lock.SINCE))
        return f"`manager {note['command']}` ({note['pid']})", max(0.0, time.time() - began)
    except (KeyError, ValueError, OverflowError):
        return "?", 0.0


def _stale(project: Project, snapshot: FleetSnapshot | None) -> Iterator[Stale]:
    fleet = project.fleet
    known = {*project.specs, *(snapshot.observed.containers if snapshot else ())}
    used = {bind.source for spec in project.specs.values() for bind in binds(spec)}
    yield from _leftovers(project, known)
    if project.loaded.broken_files:  # whose folders these are nobody knows
        return
    for top, mark in (("database", None), ("state", LOCK_FILE), ("secrets", ENV_FILE)):
        for entry in _entries(fleet.data_dir / top):
            is_one = not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            if (
                not is_one
                or entry.name in known
                or f"{top}/{entry.name}" in used
                or ASIDE.fullmatch(entry.name)
            ):
                continue
            if mark is None or _owned(project, Path(entry.path, mark)):
                yield Stale("unconfigured", fleet.relative(Path(entry.path)), _size(Path(entry.path)))


def _leftovers(project: Project, known: Iterable[str]) -> Iterator[Stale]:
    fleet = project.fleet
    folders = [
        fleet.project_dir,
        fleet.config_dir,
        fleet.config_dir.parent,
        fleet.state_dir,
        fleet.export_file.parent,
    ]
    folders += [fleet.data_dir / "database", fleet.backup_dir, *(fleet.secrets_dir(each) for each in known)]
    for folder in dict.fromkeys(folders):
        for entry in _entries(folder):
            if what := leftover(entry.name, _age(entry), fleet.name):
                yield Stale(what, fleet.relative(Path(entry.path)), _size(Path(entry.path)))


def leftover(name: str, age: float, fleet: str) -> str:
    """What a file of this name and age (seconds) is left of; empty for one that is in use or not ours."""
    if ASIDE.fullmatch(name):
        return "before-restore"
    if name.startswith(RESTORING):
        return "interrupted"
    if name.startswith((".verify-", f".{fleet}.work.")):
        return "temporary" if age > LARGE_LEFTOVER_S else ""
    if name == STAGED_FILE:
        return "staged" if age > LEFTOVER_S else ""
    return "temporary" if age > LEFTOVER_S and TEMPORARY.fullmatch(name) else ""


def _age(entry: os.DirEntry[str]) -> float:
    """Seconds since the last change; none for one that is gone meanwhile."""
    try:
        return time.time() - entry.stat(follow_symlinks=False).st_mtime
    except OSError:
        return 0.0


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder, in the order of names; nothing where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda each: each.name)
    except OSError:
        return []


def _size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    total, left = 0, MOST_COUNTED
    with suppress(OSError):
        total = path.lstat().st_size
    for root, _folders, names in os.walk(path):
        for name in names[:left]:
            with suppress(OSError):
                total += Path(root, name).lstat().st_size
        left -= len(names)
        if left <= 0:
            break
    return total


def described(snapshot: FleetSnapshot) -> list[str]:
    """The instances' states in a line each, for a report; nothing that a bot has printed is in it."""
    lines = []
    for each, view in snapshot.views.items():
        last = view.supervision.last_exit.why if view.supervision and view.supervision.last_exit else ""
        facts = (
            view.verdict.state,
            view.verdict.word,
            str(view.verdict.why or ""),
            last and f"last exit: {last}",
        )
        drift = f"drifted: {', '.join(view.drift)}" if view.drift else ""
        restarts = f"restarts: {view.supervision.restarts_total}" if view.supervision else ""
        since = display.since(view)
        age = f"since {formatting.age(time.time() - since)}" if since else ""
        lines.append(f"{each}: " + "; ".join(fact for fact in (*facts, drift, restarts, age) if fact))
    return lines
