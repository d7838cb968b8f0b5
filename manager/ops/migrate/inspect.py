"""A folder of the old system, and what of it is in the fleet already. Looks, and changes nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

from manager.config import fleet_settings, loader
from manager.config.flat_format import convert_legacy, is_legacy
from manager.config.loaded import LoadedFile
from manager.config.spec import InstanceSpec
from manager.config.variables import merge_environment, read_dotenv
from manager.errors import Problem, UsageError
from manager.fleet import import_records, old_daemon
from manager.fleet.import_records import Import, Stamp
from manager.fleet.old_daemon import OldSystem, Running
from manager.fleet.project import Project
from manager.fleet.state_file import FleetState
from manager.ops import instance_folders
from manager.ops.bot_user import GID_VARIABLE, UID_VARIABLE
from manager.util import strict_json
from manager.util.time_parse import is_day

FLAT_FILES = ("config/daemon_config.json", "daemon_config.json")
NOT_ITS_OWN = frozenset({UID_VARIABLE, GID_VARIABLE})
"""What botfleet writes into a `.env`, for the data folder beside it."""

Place = Literal["free", "same", "other"]


class Database(NamedTuple):
    """An old database: its real file, its size with what belongs to it, who has it open (0: nobody we can see)."""

    path: Path
    size: int
    open_by: int
    stamps: list[Stamp]
    fault: str = ""


class Found(NamedTuple):
    """One config of the old system. `file` and `target` as people write them, below either project folder.

    `place`: what lies at the target. `record`: what the old registry says. `days`: its dated log folders that are not in
    the fleet, as far back as the supervisor keeps them; `old_days`: how many are older.
    `is_placed`: a database that an interrupted import has put there lies in the fleet; `has_database`: another one does.
    """

    source: Path
    file: str
    target: str
    id: str
    content: bytes
    loaded: LoadedFile
    place: Place
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

    @property
    def is_imported(self) -> bool:
        """Whether an import of this very file came to its end."""
        note = self.imported
        return note is not None and note.placed is None and Path(note.folder, note.config_file) == self.source


class Variables(NamedTuple):
    """The old `.env`: name → value, never shown; the fleet's own beside it, and the lines that are none."""

    old: Mapping[str, str]
    own: Mapping[str, str]
    faults: tuple[tuple[int, str], ...]


class Facts(NamedTuple):
    """Everything that the plan goes by. `left`: paths in the old folder that no config names."""

    folder: Path
    found: tuple[Found, ...]
    variables: Variables
    memory: FleetState
    is_registry_readable: bool
    left: tuple[str, ...]
    has_bot: bool


def look(folder: Path, project: Project, *, with_values: bool) -> Facts:
    """Reads both sides. `with_values`: whether configs may count on the values of the old `.env`. Raises UsageError."""
    folder = folder.resolve()
    sources = list(_configs(folder))
    if not sources:
        raise UsageError(
            "{folder} holds nothing of the old system: no config/active/*.json, no config/daemon_config.json",
            folder=folder,
        )
    old = old_daemon.look(folder)
    variables = _variables(folder, project)
    known = import_records.read(project.fleet)
    given = {**(variables.old if with_values else {}), **variables.own}
    _fleet, defaults = fleet_settings.load(project.fleet.project_dir)
    found = [
        _found(source, old, project, merge_environment(given, os.environ), defaults, known)
        for source in sources
    ]
    claimed = {each.database.path for each in found if each.database}
    open_by = instance_folders.processes_with_open(claimed)
    claimed |= {
        (folder / "database" / f"{each.id}.db").resolve() for each in found
    }  # also if it does not load
    return Facts(
        folder,
        tuple(_with_conflicts([_with_user(each, open_by) for each in found], project)),
        variables,
        project.memory,
        old.records is not None,
        tuple(_left(folder, claimed)),
        (folder / old_daemon.BOT_SCRIPT).is_file(),
    )


def _configs(folder: Path) -> Iterator[Path]:
    yield from sorted((folder / "config" / "active").glob("*.json"))
    yield from (folder / name for name in FLAT_FILES if (folder / name).is_file())


def _variables(folder: Path, project: Project) -> Variables:
    old, faults = read_dotenv(folder / ".env")
    own, _faults = read_dotenv(project.fleet.dotenv_file)
    return Variables(
        {name: value for name, value in old.items() if name not in NOT_ITS_OWN}, own, tuple(faults)
    )


# One config


def _found(
    source: Path,
    old: OldSystem,
    project: Project,
    variables: Mapping[str, str],
    defaults: Mapping[str, Any],
    known: Mapping[str, Import],
) -> Found:
    fleet = project.fleet
    file = str(source.relative_to(old.folder))
    content, raw, fault = _read(source, old.folder)
    registered = _registered_id(old, source, raw)
    target = fleet.relative(fleet.config_dir / _target_name(file, source.stem, raw, registered))
    if fault is None:
        ids = {target: registered} if registered else {}
        loaded = loader.load_value(raw, target, fleet, defaults, variables, ids)
    else:
        loaded = LoadedFile(target, problems=(fault,))
    loaded = loaded._replace(problems=tuple(each._replace(file=str(source)) for each in loaded.problems))
    spec = loaded.spec
    instance = spec.id if spec else registered or source.stem
    found = Found(
        source, file, target, instance, content, loaded,
        place=_place(fleet.project_dir / target, content),
        record=old.record(instance),
        running=old.running(instance, source, spec.log_dir if spec else f"logs/{instance}", spec.market if spec else ()),
        names_id=registered is not None,
        imported=known.get(instance),
    )  # fmt: skip
    if spec is None:
        return found
    link, real = fleet.data_dir / spec.db_path, fleet.database_dir(spec.id) / spec.db_name
    placed = found.imported.placed if found.imported else None
    is_placed = placed is not None and import_records.stamp(link) == placed
    days = _days(old.folder / spec.log_dir)
    kept = [day for day in days if day >= _first_kept(spec)]
    return found._replace(
        database=_database(old.folder, spec),
        days=tuple(day for day in kept if not os.path.lexists(fleet.data_dir / spec.log_dir / day)),
        old_days=len(days) - len(kept),
        has_database=not is_placed and (os.path.lexists(link) or os.path.lexists(real)),
        is_placed=is_placed,
    )


def _read(source: Path, folder: Path) -> tuple[bytes, object, Problem | None]:
    """(bytes, JSON value, why not) of a config; a link out of the old folder is not followed."""
    if not source.resolve().is_relative_to(folder):
        return b"", None, Problem.at(str(source), "", "links to {path}, outside of that folder", path=source.resolve())  # fmt: skip
    try:
        content = strict_json.read_bytes(source, strict_json.MAX_BYTES)
        return content, strict_json.parse_bytes(content), None
    except OSError as error:
        return b"", None, Problem.at(str(source), "", "cannot be read: {why}", why=error.strerror or error)
    except strict_json.JsonFault as fault:
        return b"", None, Problem(str(source), fault.path, fault.text)


def _registered_id(old: OldSystem, source: Path, raw: object) -> str | None:
    """The id that the registry knows this config under, if the file itself says another or none (`--instance-id`)."""
    ids = sorted(
        each
        for each, record in (old.records or {}).items()
        if isinstance(record, dict)
        and isinstance(written := record.get("config_file"), str)
        and "\0" not in written
        and Path(written).name == source.name
        and (old.folder / written).resolve() == source.resolve()
    )
    own = _metadata(raw).get("instance_id") or source.stem
    return None if own in ids or len(ids) != 1 else ids[0]


def _metadata(raw: object) -> dict[str, Any]:
    sections = convert_legacy(raw) if isinstance(raw, dict) and is_legacy(raw) else raw
    found = sections.get("metadata") if isinstance(sections, dict) else None
    return found if isinstance(found, dict) else {}


def _target_name(file: str, stem: str, raw: object, registered: str | None) -> str:
    """The old flat file gets the name of its instance; the others keep theirs."""
    if file not in FLAT_FILES:
        return f"{stem}.json"
    instance = registered or _metadata(raw).get("instance_id")
    is_id = isinstance(instance, str) and not any(loader.id_faults(file, instance))
    return f"{instance if is_id else stem}.json"


def _place(target: Path, content: bytes) -> Place:
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
    path = written.resolve()
    if not path.is_relative_to(folder):
        return Database(path, 0, 0, [], fault="outside")
    if not path.exists() or not stat.S_ISREG(path.stat().st_mode):
        return Database(path, 0, 0, [], fault="no file")
    parts = [path.with_name(path.name + suffix) for suffix in instance_folders.SQLITE_SUFFIXES]
    size = sum(part.stat().st_size for part in parts if part.is_file() and not part.name.endswith("-shm"))
    return Database(path, size, 0, stamps(path))


def _with_user(found: Found, open_by: Mapping[Path, int]) -> Found:
    if found.database is None:
        return found
    return found._replace(database=found.database._replace(open_by=open_by.get(found.database.path, 0)))


def _days(folder: Path) -> list[str]:
    """The dated folders, `YYYY-MM-DD`, oldest first; links are none."""
    try:
        with os.scandir(folder) as entries:
            names = [each.name for each in entries if each.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return sorted(name for name in names if is_day(name))


def _first_kept(spec: InstanceSpec) -> str:
    """The supervisor removes what is older."""
    return (date.today() - timedelta(int(spec.settings["BOTFLEET_LOG_RETENTION_DAYS"]))).isoformat()


def stamps(database: Path) -> list[Stamp]:
    """Of the database, its -wal and its -journal: what changes whenever somebody writes to it."""
    parts = (database.with_name(database.name + suffix) for suffix in ("", "-wal", "-journal"))
    return [found for part in parts if (found := import_records.stamp(part)) is not None]


# All of them


def _with_conflicts(found: list[Found], project: Project) -> Iterator[Found]:
    """With what a config that is not there yet would share with the fleet's, or with those beside it."""
    remembered = project.memory
    present = [
        spec if spec.web_port is not None or (port := remembered.of(spec.id).web_port) is None else spec.with_port(port)
        for spec in project.loaded.specs
    ]  # fmt: skip
    new = {each.target: each for each in found if each.place == "free" and each.loaded.spec}
    specs = [*present, *(each.loaded.spec for each in new.values() if each.loaded.spec)]
    faults: dict[str, list[Problem]] = {target: [] for target in new}
    for problem in loader.conflicts(specs):
        if problem.file in new:
            faults[problem.file].append(problem._replace(file=str(new[problem.file].source)))
        elif problem.also in new:
            faults[problem.also].append(problem)
    for each in found:
        own = faults.get(each.target, [])
        same_id = [problem for problem in own if problem.path == "metadata.instance_id"]
        yield each._replace(conflicts=tuple(same_id or own))  # one id brings the same folders and port


def _left(folder: Path, claimed: set[Path]) -> Iterator[str]:
    for path in sorted((folder / "database").glob("*.db")):
        if path.resolve() not in claimed:
            yield str(path.relative_to(folder))


def registered_at(record: Mapping[str, Any]) -> str | None:
    """When the old system first registered the instance, if it says a time."""
    written = record.get("registered_at")
    try:
        return datetime.fromisoformat(str(written)).isoformat(timespec="seconds")
    except ValueError:
        return None


def web_port(record: Mapping[str, Any]) -> int | None:
    """The port that the old system gave the instance."""
    port = record.get("web_port")
    return port if type(port) is int and 0 < port <= 65535 else None
