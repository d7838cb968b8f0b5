"""Plan a restore and carry it out. Present files are moved aside, never overwritten."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

from manager.config import fleet_settings
from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.fleet import state_file, tombstone
from manager.fleet.project import Project
from manager.fleet.state_file import FleetState
from manager.fleet.tombstone import Generation
from manager.ops.actions.action import Outcome
from manager.ops.backup import archive, databases, scan, swap
from manager.ops.backup.manifest import HISTORY, Manifest
from manager.typed import NamedTuple
from manager.util import atomic_file, scratch, strict_json

SETTINGS, STATE = "config/fleet.toml", "state/fleet.json"
MAX_SMALL_BYTES = 16_000_000
READ_WRITE = 0o666
"""The mode bits that are restored: data files are never executable."""

Kind = Literal["new", "replace", "same", "aside"]


class RestoreAction(NamedTuple):
    """Hold one change of a restore. `aside`: the path that the present file or folder is moved to.

    The kind `aside` only moves it. `member`: the backup's member; for a database folder, `database/ID` with
    `files` files of `size` bytes.
    """

    kind: Kind
    target: Path
    aside: Path | None = None
    member: str = ""
    instance: str = ""
    files: int = 1
    size: int = 0

    @property
    def is_database(self) -> bool:
        """Return whether it restores a whole database folder."""
        return self.member == f"database/{self.instance}"


class OpenBackup(NamedTuple):
    """Hold a verified backup with its small files extracted: member → path."""

    path: Path
    manifest: Manifest
    small: dict[str, Path]


class Plan(NamedTuple):
    """Hold the plan of a restore.

    `fleet`: as it will be afterwards; `named`: only these instances, None for all.
    """

    backup: OpenBackup
    project: Project
    fleet: Fleet
    named: Collection[str] | None
    stamp: str

    def actions(self) -> list[RestoreAction]:
        """Return the actions in order, without changing anything.

        Raises ManagerError if the restore is impossible.

        An instance's database comes last: until then an interrupted restore's staging folder prevents its
        start, and afterwards its own config and its desired state are in place.
        """
        manifest, small = self.backup.manifest, self.backup.small
        planned = []
        if self.named is None and SETTINGS in small:
            planned.append(self._file_action(SETTINGS))
        if STATE in small and (after := self.state_after()):
            kind: Kind = "replace" if self.fleet.state_file.exists() else "new"
            planned.append(
                RestoreAction(kind, self.fleet.state_file, None, STATE, files=len(after.instances))
            )
        if self.named is None and HISTORY in small:
            planned.append(self._history_action())
        for instance in manifest.instances if self.named is None else self.named:
            if (member := manifest.instances[instance]["config_file"]) in small:
                planned += self._config_actions(instance, member)
            if members := manifest.database_members(instance):
                planned.append(self._database_action(instance, members))
        return planned

    def state_after(self) -> FleetState | None:
        """Return the fleet's state extended by the backup's, or None if that changes nothing."""
        present = state_file.load(self.fleet.state_file, self.fleet.name)
        for fault in present.faults:
            raise ManagerError("cannot restore the fleet's state: {fault}", fault=fault)
        after = self.with_saved(present)
        return None if after == present else after

    def with_saved(self, present: FleetState) -> FleetState:
        """Return this state extended by the backup's; where both have an entry, the present one wins.

        When it was last stopped stays behind: that was said to the machine that was backed up, and a command
        of this one would take it for an order that was given meanwhile. Raises ManagerError.
        """
        saved = state_file.load(self.backup.small[STATE], self.backup.manifest.fleet)
        for fault in saved.faults:
            raise ManagerError("cannot restore the fleet's state: {fault}", fault=fault)
        known = self.backup.manifest.instances if self.named is None else self.named
        restored = {
            instance: state._replace(called_off=None)
            for instance, state in saved.instances.items()
            if instance in known
        }
        files = {self.backup.manifest.instances[instance]["config_file"] for instance in known}
        ids = {file: instance for file, instance in saved.ids.items() if file in files}
        return present._replace(instances={**restored, **present.instances}, ids={**ids, **present.ids})

    def aside(self, target: Path) -> Path:
        """Return a free path beside the target, `NAME.before-restore-STAMP`, which is not a config's name."""
        return _free(target.with_name(f"{target.name}.before-restore-{self.stamp}"))

    def _history_action(self) -> RestoreAction:
        """Restore the fleet's history where there is none: a present one is kept, since `watch` writes it."""
        target = self.fleet.history_file
        kind: Kind = "same" if target.exists() else "new"
        size = self.backup.small[HISTORY].stat().st_size
        return RestoreAction(kind, target, self.aside(target), HISTORY, size=size)

    def _database_action(self, instance: str, members: list[str]) -> RestoreAction:
        target = self.fleet.database_dir(instance)
        size = sum(self.backup.manifest.files[member]["bytes"] for member in members)
        kind: Kind = "replace" if target.exists() else "new"
        return RestoreAction(
            kind, target, self.aside(target), f"database/{instance}", instance, len(members), size
        )

    def _config_actions(self, instance: str, member: str) -> Iterator[RestoreAction]:
        """Move a present config of the same id aside.

        Two of them would prevent the whole fleet from starting.
        """
        present = self.project.specs.get(instance)
        if present is not None and present.config_file != member:
            other = self.fleet.project_dir / present.config_file
            yield RestoreAction("aside", other, self.aside(other), instance=instance)
        yield self._file_action(member)._replace(instance=instance)

    def _file_action(self, member: str) -> RestoreAction:
        source, target = self.backup.small[member], self.fleet.project_dir / member
        action = RestoreAction("replace", target, self.aside(target), member, size=source.stat().st_size)
        try:
            is_same = strict_json.read_bytes(target, MAX_SMALL_BYTES) == source.read_bytes()
        except FileNotFoundError:
            return action._replace(kind="new")
        return action._replace(kind="same") if is_same else action


def open_backup(path: Path, work: Path) -> OpenBackup:
    """Verify a backup and extract its settings, configs and state into `work`. Raises ArchiveError."""
    small: dict[str, Path] = {}

    def sink(member: str, _mode: int) -> Path | None:
        if member.startswith("database/"):
            return None
        small[member] = work / str(len(small))
        return small[member]

    return OpenBackup(path, archive.read(path, sink), small)


def plan_restore(backup: OpenBackup, project: Project, named: Collection[str] | None, stamp: str) -> Plan:
    """Return the plan. If the backup's settings are restored, it uses the folders that these name."""
    fleet = project.fleet
    if named is None and SETTINGS in backup.small:
        fleet, _defaults = fleet_settings.load(fleet.project_dir, backup.small[SETTINGS])
    return Plan(backup, project, fleet, named, stamp)


def require_not_older(plan: Plan) -> None:
    """Raise ManagerError if an instance would get an older generation than this machine has, or had."""
    manifest = plan.backup.manifest
    for instance in manifest.instances if plan.named is None else plan.named:
        here, saved = tombstone.oldest(plan.fleet, instance), manifest.generation(instance)
        if saved < here:
            raise ManagerError(
                "cannot restore {id}: {file} has generation {saved}, and this machine knows of generation"
                " {here}: the instance was moved since, and has traded elsewhere; restore a later backup",
                id=instance,
                file=plan.backup.path,
                saved=saved,
                here="?" if here == tombstone.UNKNOWN else here,
            )


def settle_generations(plan: Plan) -> None:
    """Write which generation is here now, where this machine has forgotten it, as on a new disk.

    Without it the newest that there is would count as an older copy for the machine that it was moved from.
    A tombstone stays: what went away is not brought back by a backup. Raises ManagerError.
    """
    manifest = plan.backup.manifest
    for instance in manifest.instances if plan.named is None else plan.named:
        saved = Generation(manifest.generation(instance), manifest.move(instance))
        is_newer = tombstone.newest(plan.fleet, instance) < saved.number < tombstone.UNKNOWN
        if saved.move and is_newer and tombstone.find(plan.fleet, instance) is None:
            tombstone.settle(plan.fleet, instance, saved)


def perform(
    plan: Plan,
    actions: list[RestoreAction],
    owner: tuple[int, int],
    on_done: Callable[[Outcome[RestoreAction]], object],
) -> None:
    """Carry out the plan. Raises ManagerError.

    All databases are written to disk and verified before anything else changes. `on_done` receives each
    outcome.
    """
    folders = {action.instance: action for action in actions if action.is_database}
    staging = {instance: plan.fleet.restoring_dir(instance) for instance in folders}
    try:
        staged = {}
        for instance, action in folders.items():
            aside = _free(action.target.with_name(f"{plan.aside(action.target).name}-interrupted"))
            staged[instance], had_old = swap.begin(staging[instance], aside)
            if had_old:
                on_done(Outcome(RestoreAction("aside", action.target, aside, instance=instance)))
        _fill(plan.backup, staged)
        for action in actions:
            began = time.monotonic()
            _carry_out(plan, action, owner)
            on_done(Outcome(action, time.monotonic() - began))
    except OSError as error:
        raise ManagerError(
            "cannot restore {path}: {why}", path=error.filename or "?", why=error.strerror or error
        ) from error
    finally:
        for path in staging.values():
            swap.abandon(path)


def _free(path: Path) -> Path:
    """Return the path, with a number if it exists: two restores may happen within one second."""
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate


def _fill(backup: OpenBackup, staged: dict[str, Path]) -> None:
    """Write the databases into their staging folders, and check each. Raises ArchiveError."""
    modes: dict[Path, int] = {}

    def sink(member: str, mode: int) -> Path | None:
        if not member.startswith("database/"):
            return None
        _top, instance, name = member.split("/", 2)
        if instance not in staged:
            return None
        target = staged[instance] / name
        target.parent.mkdir(parents=True, exist_ok=True)
        modes[target] = mode & READ_WRITE
        return target

    archive.read(backup.path, sink)
    for path, mode in modes.items():
        path.chmod(mode)
    with tempfile.TemporaryDirectory(dir=scratch.folder()) as empty:
        for folder in staged.values():
            for path in filter(Path.is_file, folder.rglob("*")):
                if databases.is_database(path) and (fault := databases.check_database(path, Path(empty))):
                    name = path.relative_to(folder)
                    raise archive.ArchiveError(
                        "{file}: {member}: {why}", file=backup.path, member=name, why=fault
                    )


def _carry_out(plan: Plan, action: RestoreAction, owner: tuple[int, int]) -> None:
    if action.kind == "same":
        return
    if action.kind == "aside":
        assert action.aside is not None
        action.target.rename(action.aside)
    elif action.is_database:
        assert action.aside is not None
        swap.commit(plan.fleet.restoring_dir(action.instance), action.target, action.aside, owner)
    elif action.member == STATE:
        state_file.update(plan.fleet, plan.with_saved)
    elif action.member == HISTORY:
        _put_history(action, plan.backup.small[HISTORY])
    else:
        _replace_file(action, plan.backup.small[action.member].read_bytes())


def _put_history(action: RestoreAction, source: Path) -> None:
    """Write the fleet's history. Files that belong to one that is gone are moved aside: SQLite would apply
    them.
    """
    action.target.parent.mkdir(parents=True, exist_ok=True)
    for suffix in scan.SIDE_FILE_SUFFIXES:
        with suppress(FileNotFoundError):
            Path(f"{action.target}{suffix}").rename(f"{action.aside}{suffix}")

    def fill(descriptor: int) -> None:
        with source.open("rb") as stream:
            while chunk := stream.read(archive.CHUNK):
                atomic_file.write_all(descriptor, chunk)

    atomic_file.replace(action.target, fill, 0o644)


def _replace_file(action: RestoreAction, content: bytes) -> None:
    """Replace a file after copying the present one aside, so that it never disappears."""
    action.target.parent.mkdir(parents=True, exist_ok=True)
    if action.kind == "replace" and action.aside is not None:
        shutil.copy2(action.target, action.aside)
    folder = action.target.parent.stat()
    owner = (folder.st_uid, folder.st_gid) if os.geteuid() == 0 else None  # keep a user's project the user's
    atomic_file.replace_bytes(action.target, content, 0o644, owner)
