"""Inspect a folder of the old system, and what of it the fleet has already. Changes nothing."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from manager.config import dotenv, fleet_settings, loader
from manager.config.flat_format import convert_legacy, is_legacy
from manager.config.fleet import Fleet
from manager.config.loaded import LoadedFile, is_config
from manager.config.spec import InstanceSpec
from manager.config.variables import merge_environment
from manager.errors import Problem, UsageError
from manager.fleet import import_records, old_daemon
from manager.fleet.definition_drift import UID_VARIABLE
from manager.fleet.import_records import Import, Stamp
from manager.fleet.old_daemon import OldSystem, Running
from manager.fleet.project import Project
from manager.fleet.state_file import FleetState
from manager.i18n import Text
from manager.ops.folders import instance_folders
from manager.ops.folders.bot_user import GID_VARIABLE
from manager.ops.migrate import config_files
from manager.typed import NamedTuple
from manager.util import strict_json
from manager.util.real_path import real_path
from manager.util.time_parse import is_day

NOT_ACTIVE = ("archived", "templates")
MANAGER_VARIABLES = frozenset({UID_VARIABLE, GID_VARIABLE})
"""Variables that botfleet writes to `.env` for the data folder beside it."""

TargetState = Literal["free", "same", "other"]


class Database(NamedTuple):
    """Hold an old database.

    `path` is resolved; `size` includes the -wal; `open_by`: a pid that has it open, or 0.
    """

    path: Path
    size: int
    open_by: int
    stamps: list[Stamp]
    fault: str = ""


class OldConfig(NamedTuple):
    """Hold one config of the old system.

    `file` and `target` as users write them, relative to the old and the new project.

    `place`: what exists at the target. `record`: the old registry's entry. `days`: dated log folders that the
    fleet does not have, within the supervisor's retention; `old_days`: the number of older ones. `is_placed`:
    the fleet has a database that an interrupted import put there; `has_database`: it has another one.
    `was_stopped`: an interrupted import has stopped it.
    """

    source: Path
    file: str
    target: str
    id: str
    content: bytes
    loaded: LoadedFile
    place: TargetState
    record: Mapping[str, Any]
    running: Running
    names_id: bool = False
    database: Database | None = None
    days: tuple[str, ...] = ()
    old_days: int = 0
    has_database: bool = False
    is_placed: bool = False
    imported: Import | None = None
    conflicts: tuple[Problem, ...] = ()
    account_of: str = ""
    """The config with whose credentials it trades the same symbol; empty if there is none."""
    was_stopped: bool = False

    @property
    def ran(self) -> bool:
        """Return whether it runs in the old system, or did until an import stopped it."""
        return bool(self.running.pids) or self.was_stopped

    @property
    def is_unused_sample(self) -> bool:
        """Return whether it is the flat file that came with the old system, and nothing shows that it ran."""
        has_run = self.running.pids or self.record or self.database or self.days or self.old_days
        return self.file in config_files.FLAT_FILES and not has_run

    def is_wanted(self, ids: Collection[str]) -> bool:
        """Return whether an import of these instances (none: of all) is about it."""
        return self.id in ids if ids else not self.is_unused_sample

    @property
    def is_imported(self) -> bool:
        """Return whether an import of this very file was completed."""
        origin = self.imported
        return (
            origin is not None
            and origin.placed is None
            and Path(origin.folder, origin.config_file) == self.source
        )


class OldVariables(NamedTuple):
    """Hold the old `.env`: name → value, never shown; the fleet's own variables; and the invalid lines."""

    old: Mapping[str, str]
    own: Mapping[str, str]
    faults: tuple[tuple[int, Text], ...]


class ImportFacts(NamedTuple):
    """Hold everything that the plan is based on.

    `orphan_databases`: paths in the old folder that belong to no config.
    """

    folder: Path
    configs: tuple[OldConfig, ...]
    variables: OldVariables
    fleet_state: FleetState
    is_registry_readable: bool
    orphan_databases: tuple[str, ...]
    has_bot: bool
    not_active: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    """Folder of config/ that the old system does not run → the configs in it."""
    free: int | None = None
    """Bytes that are free where the fleet's databases will be; None if that is not known."""
    ignored: tuple[str, ...] = ()
    """Files in config/active that are no configs by their names, though a user may take them for some."""


def inspect_folder(folder: Path, project: Project, *, with_values: bool) -> ImportFacts:
    """Read both sides. Raises UsageError if the folder contains no config.

    `with_values`: whether configs may use the values of the old `.env`.
    """
    folder = real_path(folder)
    old = old_daemon.look(folder)
    sources = config_files.find(folder, old.records)
    if not sources:
        raise UsageError(
            "{folder} contains no configs of the old system (config/active/*.json or "
            "config/daemon_config.json)",
            folder=folder,
        )
    variables = _variables(folder, project)
    known = import_records.read(project.fleet)
    stopped = import_records.stopped(project.fleet, folder)
    given = {**(variables.old if with_values else {}), **variables.own}
    _fleet, defaults = fleet_settings.load(project.fleet.project_dir)
    configs = [
        _read_config(source, old, project, merge_environment(given, os.environ), defaults, known)
        for source in sources
    ]
    claimed = {config.database.path for config in configs if config.database}
    open_by = instance_folders.processes_with_open(claimed)
    claimed |= {
        real_path(folder / "database" / f"{config.id}.db") for config in configs
    }  # also of configs that do not load
    return ImportFacts(
        folder,
        tuple(_with_user(config, open_by)._replace(was_stopped=config.id in stopped) for config in configs),
        variables,
        project.fleet_state,
        old.records is not None,
        tuple(_orphan_databases(folder, claimed)),
        (folder / old_daemon.BOT_SCRIPT).is_file(),
        {name: files for name in NOT_ACTIVE if (files := _names_of(folder / "config" / name))},
        _free(project.fleet.data_dir),
        config_files.ignored(folder, sources),
    )


def _free(folder: Path) -> int | None:
    """Return the bytes that are free where this folder is, or will be."""
    for place in (folder, *folder.parents):
        with suppress(OSError):
            return shutil.disk_usage(place).free
    return None


def _names_of(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in folder.glob("*.json") if is_config(path.name)))


def _variables(folder: Path, project: Project) -> OldVariables:
    old = dotenv.read(folder / ".env")
    return OldVariables(
        {name: value for name, value in old.variables.items() if name not in MANAGER_VARIABLES},
        dotenv.read(project.fleet.dotenv_file).variables,
        old.faults,
    )


# One config


def _read_config(
    source: Path,
    old: OldSystem,
    project: Project,
    variables: Mapping[str, str],
    defaults: Mapping[str, Any],
    known: Mapping[str, Import],
) -> OldConfig:
    fleet = project.fleet
    file = str(source.relative_to(old.folder))
    content, raw, fault = _read_file(source, old.folder)
    registered = _registered_id(old, source, raw)
    target = fleet.relative(fleet.config_dir / _target_name(file, source.stem, raw, registered))
    if fault is None:
        ids = {target: registered} if registered else {}
        loaded = loader.load_value(raw, target, fleet, defaults, variables, ids)
    else:
        loaded = LoadedFile(target, problems=(fault,))
    loaded = loaded._replace(
        problems=tuple(problem._replace(file=str(source)) for problem in loaded.problems),
        refusals=tuple(problem._replace(file=str(source)) for problem in loaded.refusals),
    )
    spec = loaded.spec
    instance = spec.id if spec else registered or source.stem
    config = OldConfig(
        source,
        file,
        target,
        instance,
        content,
        loaded,
        place=_target_state(fleet.project_dir / target, content),
        record=old.record(instance),
        running=old.running(
            instance, source, spec.log_dir if spec else f"logs/{instance}", spec.market if spec else ()
        ),
        names_id=registered is not None,
        imported=known.get(instance),
    )
    return config if spec is None else _with_files(config, spec, old, fleet)


def _with_files(config: OldConfig, spec: InstanceSpec, old: OldSystem, fleet: Fleet) -> OldConfig:
    """Return the config with what lies beside it: its database and its days of logs, there and here."""
    link, real = fleet.data_dir / spec.db_path, fleet.database_dir(spec.id) / spec.db_name
    placed = config.imported.placed if config.imported else None
    is_placed = placed is not None and import_records.stamp(link) == placed
    days = _days(old.folder / spec.log_dir)
    retained_days = [day for day in days if day >= _first_kept(spec)]
    return config._replace(
        database=_database(old.folder, spec),
        days=tuple(day for day in retained_days if not os.path.lexists(fleet.data_dir / spec.log_dir / day)),
        old_days=len(days) - len(retained_days),
        has_database=not is_placed and (os.path.lexists(link) or os.path.lexists(real)),
        is_placed=is_placed,
    )


def _read_file(source: Path, folder: Path) -> tuple[bytes, object, Problem | None]:
    """Return (bytes, JSON value, fault) of a config. A symlink out of the old folder is not followed."""
    if not real_path(source).is_relative_to(folder):
        return (
            b"",
            None,
            Problem.at(str(source), "", "is a symlink to {path}, outside the folder", path=real_path(source)),
        )
    try:
        content = strict_json.read_bytes(source, strict_json.MAX_BYTES)
        return content, strict_json.parse_bytes(content), None
    except OSError as error:
        return b"", None, Problem.at(str(source), "", "cannot be read: {why}", why=error.strerror or error)
    except strict_json.JsonFault as fault:
        return b"", None, Problem(str(source), fault.path, fault.text)


def _registered_id(old: OldSystem, source: Path, raw: object) -> str | None:
    """Return the registry's id for this config, if it differs from the file's own (`--instance-id`)."""
    ids = sorted(
        instance
        for instance, record in (old.records or {}).items()
        if isinstance(record, dict)
        and isinstance(written := record.get("config_file"), str)
        and "\0" not in written
        and Path(written).name == source.name
        and real_path(old.folder / written) == real_path(source)
    )
    own = _metadata(raw).get("instance_id") or source.stem
    return None if own in ids or len(ids) != 1 else ids[0]


def _metadata(raw: object) -> dict[str, Any]:
    sections = convert_legacy(raw) if isinstance(raw, dict) and is_legacy(raw) else raw
    metadata = sections.get("metadata") if isinstance(sections, dict) else None
    return metadata if isinstance(metadata, dict) else {}


def _target_name(file: str, stem: str, raw: object, registered: str | None) -> str:
    """Return the new file's name. One from elsewhere than config/active is named after its instance."""
    if Path(file).parent == config_files.ACTIVE:
        return f"{stem}.json"
    instance = registered or _metadata(raw).get("instance_id")
    is_id = isinstance(instance, str) and not any(loader.id_faults(file, instance))
    return f"{instance if is_id else stem}.json"


def _target_state(target: Path, content: bytes) -> TargetState:
    if not os.path.lexists(target):
        return "free"
    try:
        return "same" if strict_json.read_bytes(target, len(content)) == content else "other"
    except OSError:
        return "other"


def _database(folder: Path, spec: InstanceSpec) -> Database | None:
    written = folder / spec.db_path
    if not os.path.lexists(written):
        return None
    path = real_path(written)
    if not path.is_relative_to(folder):
        return Database(path, 0, 0, [], fault="outside")
    beside = [path.with_name(path.name + suffix) for suffix in ("-wal", "-journal")]
    if not path.is_file() or any(os.path.lexists(part) and not _is_regular(part) for part in beside):
        return Database(path, 0, 0, [], fault="no file")
    parts = [path.with_name(path.name + suffix) for suffix in instance_folders.SQLITE_SUFFIXES]
    size = sum(part.stat().st_size for part in parts if part.is_file() and not part.name.endswith("-shm"))
    return Database(path, size, 0, database_stamps(path))


def _is_regular(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)


def _with_user(config: OldConfig, open_by: Mapping[Path, int]) -> OldConfig:
    if config.database is None:
        return config
    return config._replace(database=config.database._replace(open_by=open_by.get(config.database.path, 0)))


def _days(folder: Path) -> list[str]:
    """Return the dated folders, `YYYY-MM-DD`, oldest first. Symlinks do not count."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return sorted(name for name in names if is_day(name))


def _first_kept(spec: InstanceSpec) -> str:
    """Return the oldest day that the supervisor's retention keeps."""
    return (date.today() - timedelta(int(spec.settings["BOTFLEET_LOG_RETENTION_DAYS"]))).isoformat()


def database_stamps(database: Path) -> list[Stamp]:
    """Return the stamps of the database, its -wal and its -journal, which change with every write."""
    parts = (database.with_name(database.name + suffix) for suffix in ("", "-wal", "-journal"))
    return [stamp for part in parts if (stamp := import_records.stamp(part)) is not None]


# All of them


def _orphan_databases(folder: Path, claimed: set[Path]) -> Iterator[str]:
    for path in sorted((folder / "database").glob("*.db")):
        if real_path(path) not in claimed:
            yield str(path.relative_to(folder))


def registered_at(record: Mapping[str, Any]) -> str | None:
    """Return when the old system first registered the instance; None if it does not say."""
    written = record.get("registered_at")
    try:
        return datetime.fromisoformat(str(written)).isoformat(timespec="seconds")
    except ValueError:
        return None


def web_port(record: Mapping[str, Any]) -> int | None:
    """Return the port that the old system assigned to the instance."""
    port = record.get("web_port")
    return port if type(port) is int and 0 < port <= 65535 else None
