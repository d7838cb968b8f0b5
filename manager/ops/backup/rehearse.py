"""Rehearse a restore: carry one out in a scratch folder, compare what comes out, and remove it.

Nothing of the project is read or written, so that it can be done anywhere and while the bots run.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from manager.config.fleet import Fleet
from manager.config.loaded import LoadedConfigs
from manager.fleet import state_file
from manager.fleet.project import Project
from manager.fleet.state_file import FleetState
from manager.i18n import Text
from manager.ops.backup import archive, databases, restore, verify
from manager.ops.backup.manifest import Manifest
from manager.typed import NamedTuple
from manager.util import formatting
from manager.util.formatting import file_size, size_beyond


class Rehearsal(NamedTuple):
    """Hold the result of a restore into the scratch folder: whether all is there and sound."""

    manifest: Manifest
    files: int
    databases: int
    rows: int
    seconds: float


def rehearse_restore(path: Path) -> Rehearsal:
    """Restore a backup into a scratch folder beside it and check every file. Raises ManagerError.

    Each database is opened, checked, and has as many rows in each table as when it was saved. Needs as much
    disk space as everything in the backup.
    """
    began = time.monotonic()
    with verify.workspace(path) as work:
        for name in ("small", "project", "empty"):
            (work / name).mkdir()
        manifest = archive.read(path)
        _require_space(path, manifest, work)
        fleet = _restored(path, manifest, work)
        checker = _Checker(path, fleet, work / "empty")
        members = list(_members(manifest))
        for member in members:
            checker.check(member, manifest)
        checker.check_state()
    return Rehearsal(manifest, len(members), checker.databases, checker.rows, time.monotonic() - began)


def _members(manifest: Manifest) -> Iterator[str]:
    """Yield what a whole restore restores: not the configs of instances that the backup does not have."""
    configs = {instance["config_file"] for instance in manifest.instances.values()}
    for member in manifest.files:
        if not member.startswith("config/") or member == restore.SETTINGS or member in configs:
            yield member


def _require_space(path: Path, manifest: Manifest, work: Path) -> None:
    needed = sum(facts["bytes"] for facts in manifest.files.values()) + databases.DISK_MARGIN
    free = shutil.disk_usage(work).free
    if needed > free:
        raise archive.ArchiveError(
            "{file}: the rehearsal needs {needed} of disk space in {folder}, only {free} are free",
            file=path,
            needed=size_beyond(needed, free),
            folder=work.parent,
            free=file_size(free),
        )


def _restored(path: Path, manifest: Manifest, work: Path) -> Fleet:
    """Carry out a whole restore into an empty project, whose data stay in it whatever the settings say."""
    folder = work / "project"
    empty = Fleet(manifest.fleet, folder, folder / "volumes")
    project = Project(empty, LoadedConfigs(), FleetState(manifest.fleet), {}, {}, (), ())
    backup = restore.open_backup(path, work / "small")
    planned = restore.plan_restore(backup, project, None, formatting.stamp(time.time()))
    plan = planned._replace(fleet=planned.fleet._replace(data_dir=empty.data_dir))
    restore.perform(plan, plan.actions(), (os.geteuid(), os.getegid()), lambda _outcome: None)
    return plan.fleet


class _Checker:
    """Compare restored files with the manifest."""

    def __init__(self, path: Path, fleet: Fleet, empty: Path) -> None:
        self._path, self._fleet, self._empty = path, fleet, empty
        self.databases = self.rows = 0

    def check(self, member: str, manifest: Manifest) -> None:
        """Check one member's file. Raises ArchiveError."""
        if member in {restore.STATE, "compose.yaml"}:  # merged, see `check_state`; rendered anew by `compose`
            return
        target = self._target(member)
        facts = manifest.files[member]
        try:
            with target.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise self._fault(member, Text("was not restored: {why}", why=error.strerror or error)) from error
        if digest != facts["sha256"]:
            raise self._fault(member, Text("was restored with another content"))
        if facts.get("kind") == "database" or databases.is_database(target):
            self._check_database(member, target, facts.get("rows"))

    def check_state(self) -> None:
        """Check the restored state. Raises ArchiveError."""
        for fault in state_file.load(self._fleet.state_file, self._fleet.name).faults:
            raise self._fault(restore.STATE, Text("{fault}", fault=fault))

    def _target(self, member: str) -> Path:
        top, _, rest = member.partition("/")
        folder = self._fleet.project_dir if top == "config" else self._fleet.data_dir / top
        return folder / member if top == "config" else folder / rest

    def _check_database(self, member: str, target: Path, expected: databases.Rows | None) -> None:
        rows = databases.count_rows(target, self._empty)
        if isinstance(rows, Text):
            raise self._fault(member, rows)
        for table in sorted({*rows, *expected} if expected is not None else ()):
            count, saved = rows.get(table), (expected or {}).get(table)
            if count != saved:
                why = Text(
                    "table {table} has {count} rows instead of {expected}",
                    table=table,
                    count=count or 0,
                    expected=saved or 0,
                )
                raise self._fault(member, why)
        self.databases += 1
        self.rows += sum(rows.values())

    def _fault(self, member: str, why: Text) -> archive.ArchiveError:
        return archive.ArchiveError("{file}: {member}: {why}", file=self._path, member=member, why=why)
