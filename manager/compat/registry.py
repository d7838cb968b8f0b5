"""Implement the old system's InstanceRegistry and InstanceManager on the records of `logs/instances.json`.

Containers' records come from their labels and take precedence: they cannot be added, changed or removed here.
`register` adds foreign records, of processes that are not our containers; these are stored in the file.
Without an engine, the file's last content is returned.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from typing import Any, TypeVar

from manager import i18n
from manager.errors import ConfigError, EngineUnreachable, Problem
from manager.fleet import instances_json, lock, process_info, project_folder
from manager.fleet.instances_json import OLD_PLACE, OWN_KEYS, Record
from manager.fleet.observe import FleetSnapshot
from manager.fleet.old_daemon_guard import registries
from manager.fleet.session import Session
from manager.i18n import Text
from manager.util import atomic_file, formatting
from manager.util.real_path import real_path

LOCK_WAIT_S = 60.0
"""`manager stop` holds the fleet's lock for as long as its bots need to cancel their orders."""


logger = logging.getLogger(__name__)
Result = TypeVar("Result")
Records = dict[str, Record]
Ids = Set[str]


class InstanceRegistry:
    """Map instance id → record, for containers and for registered processes.

    Every method raises ManagerError if the fleet's settings cannot be read. The changing methods raise Locked
    if another manager holds the fleet's lock for longer than a minute.
    """

    def __init__(self, registry_file: str | os.PathLike[str] = OLD_PLACE) -> None:
        """Find the file's project in its parent folders. Outside a project it is a registry of its own.

        The default, if that file does not exist, stands for the fleet's own file, wherever its data folder
        is.
        """
        i18n.use_environment()
        given = Path(registry_file)
        self.registry_file = given.absolute()
        self.folder = Path.cwd()
        self._session: Session | None = None
        self._lock_file = self.registry_file.with_name(f".{self.registry_file.name}.lock")
        self._attach(is_default=given == OLD_PLACE)

    def _attach(self, *, is_default: bool) -> None:
        try:
            folder = project_folder.find(self.registry_file.parent)
        except ConfigError:
            return
        self.folder, session = folder, Session(folder)
        fleet = session.project().fleet
        if is_default and not self.registry_file.exists():
            self.registry_file = fleet.export_file
        if real_path(self.registry_file) in [real_path(file) for file in registries(fleet)]:
            self._session, self._lock_file = session, fleet.lock_file

    def close(self) -> None:
        """Close the connection to the engine. The registry remains usable."""
        if self._session is not None:
            self._session.close()
            self._session = Session(self._session.chosen_dir)

    # Reading

    def load(self) -> dict[str, Record]:
        """Return all records by id."""
        stored = instances_json.read(self.registry_file)
        if stored is None:
            logger.warning("%s", Text("cannot parse {path}", path=self.registry_file))
        return _merge_records(stored or {}, self._snapshot())

    def get(self, instance_id: str) -> Record | None:
        return self.load().get(instance_id)

    def exists(self, instance_id: str) -> bool:
        """Return whether there is a record, even if its process no longer runs."""
        return instance_id in self.load()

    def list_instances(self, include_dead: bool = False) -> list[Record]:
        """Return the records with `instance_id` and `is_alive`, sorted by id.

        Records of ended processes are excluded unless `include_dead` is set.
        """
        records = [
            _list_entry(instance_id, record)
            for instance_id, record in sorted(self.load().items())
            if isinstance(record, dict)
        ]
        return [record for record in records if include_dead or record["is_alive"]]

    def get_running_instances(self) -> list[Record]:
        """Return the records of running processes."""
        return self.list_instances()

    def count_instances(self, alive_only: bool = True) -> int:
        return len(self.list_instances(include_dead=not alive_only))

    def get_instance_by_port(self, port: int) -> Record | None:
        """Return the record with this web port; a running one if there are several."""
        matching = [
            record for record in self.list_instances(include_dead=True) if record.get("web_port") == port
        ]
        return min(matching, key=lambda record: not record["is_alive"], default=None)

    # Changing

    def register(self, instance_id: str, info: Mapping[str, Any]) -> None:
        """Add or replace a foreign record.

        A container's record can only be extended by keys that are not ours.
        """

        def edit(records: Records, ours: Ids) -> None:
            now = formatting.iso(time.time())
            records[instance_id] = {**info, "registered_at": now, "last_updated": now}
            _warn_if_container(instance_id, ours)

        self._change(edit)

    def update(self, instance_id: str, info: Mapping[str, Any]) -> bool:
        """Change keys of a record. Returns False if there is none. In a container's record, our keys stay."""

        def edit(records: Records, ours: Ids) -> bool:
            if instance_id not in records:
                return False
            records[instance_id] = {
                **records[instance_id],
                **info,
                "last_updated": formatting.iso(time.time()),
            }
            if OWN_KEYS & set(info):
                _warn_if_container(instance_id, ours)
            return True

        return self._change(edit)

    def unregister(self, instance_id: str) -> bool:
        """Remove a foreign record.

        Returns False if there is none. `manager down ID` removes a container's.
        """

        def edit(records: Records, ours: Ids) -> bool:
            if _warn_if_container(instance_id, ours):
                return False
            return records.pop(instance_id, None) is not None

        return self._change(edit)

    def cleanup_dead_instances(self) -> int:
        """Remove the foreign records of ended processes. Returns their number."""

        def edit(records: Records, ours: Ids) -> int:
            dead = [
                instance_id
                for instance_id, record in records.items()
                if instance_id not in ours and not _is_alive(record)
            ]
            for instance_id in dead:
                del records[instance_id]
            return len(dead)

        return self._change(edit)

    def save(self, registry: Mapping[str, Record]) -> None:
        """Replace all foreign records. Containers' records stay."""

        def edit(records: Records, _ours: Ids) -> None:
            records.clear()
            records.update(registry)

        self._change(edit)

    def _change(self, edit: Callable[[Records, Ids], Result]) -> Result:
        """Read, edit and write the file under the fleet's lock."""
        self.registry_file.parent.mkdir(parents=True, exist_ok=True)
        with lock.held(self._lock_file, "register", LOCK_WAIT_S):
            stored, remark = instances_json.read_to_replace(self.registry_file)
            if remark is not None:
                logger.warning("%s", remark)
            snapshot = self._snapshot()
            records = dict(_merge_records(stored, snapshot))
            result = edit(records, self._ours(snapshot))
            after = _merge_records(records, snapshot)
            if after != stored or remark is not None:
                atomic_file.write_atomically(self.registry_file, dict(sorted(after.items())))
        return result

    # The fleet

    def _snapshot(self) -> FleetSnapshot | None:
        """Return the fleet's snapshot; None for a registry without a fleet, or without an engine."""
        if self._session is None:
            return None
        try:
            return self._session.observe()
        except EngineUnreachable as error:
            logger.info("%s", error)
            self.close()
            return None

    def _ours(self, snapshot: FleetSnapshot | None) -> Ids:
        """Return the ids of the manager's own records: containers, or without an engine all it ever knew."""
        if snapshot is not None:
            return snapshot.plan_input.containers.keys()
        return set() if self._session is None else self._session.project().fleet_state.instances.keys()

    def problems_of(self, instance_id: str, record: Record) -> tuple[list[Problem], list[Problem]]:
        """Return (errors, warnings) of loading the config of a record."""
        if self._session is None:
            return [], []
        project = self._session.project()
        file = str(record.get("config_file", ""))
        files = {file, *(spec.config_file for spec in project.specs.values() if spec.id == instance_id)}
        return (
            [problem for problem in project.problems if problem.file in files],
            [warning for warning in project.warnings if warning.file in files],
        )


class InstanceManager:
    """Provide statistics of instances, and validate them."""

    REQUIRED = ("config_file", "pid", "log_dir", "web_port")

    def __init__(self, registry_file: str | os.PathLike[str] = OLD_PLACE) -> None:
        self.registry = InstanceRegistry(registry_file)

    def get_instance_stats(self, instance_id: str) -> Record | None:
        """Return the record with `instance_id`, `is_alive` and, if it runs, `process_info`."""
        record = self.registry.get(instance_id)
        return None if record is None else _with_process(_list_entry(instance_id, record))

    def get_all_stats(self) -> list[Record]:
        """Return the same for all instances, sorted by id."""
        return [_with_process(record) for record in self.registry.list_instances(include_dead=True)]

    def validate_instance_config(self, instance_id: str) -> dict[str, Any]:
        """Return `valid`, `errors` and `warnings` of an instance's record and config."""
        record = self.registry.get(instance_id)
        if record is None:
            return _validation([Text("there is no instance {id}", id=instance_id)], [])
        errors: list[object] = [
            Text("the record has no key {key}", key=key) for key in self.REQUIRED if key not in record
        ]
        config_errors, config_warnings = self.registry.problems_of(instance_id, record)
        warnings: list[object] = [*config_warnings]
        for key in ("config_file", "log_dir"):
            if record.get(key) and not self._path(record[key]).exists():
                warnings.append(Text("{path} does not exist", path=record[key]))
        if not _is_alive(record):
            warnings.append(Text("{id} is not running", id=instance_id))
        return _validation([*errors, *config_errors], warnings)

    def _path(self, written: str) -> Path:
        """Resolve a record's path relative to the project folder, wherever the caller runs."""
        return self.registry.folder / written


def _merge_records(stored: Records, snapshot: FleetSnapshot | None) -> Records:
    """Return the file's records, with the containers' records replaced by current ones."""
    return (
        stored
        if snapshot is None
        else instances_json.records(snapshot, instances_json.find_pids(snapshot), stored)
    )


def _warn_if_container(instance_id: str, ours: Ids) -> bool:
    if instance_id not in ours:
        return False
    logger.warning(
        "%s",
        Text(
            "{id} is a container: its record is derived from its labels and cannot be changed", id=instance_id
        ),
    )
    return True


def _validation(errors: list[object], warnings: list[object]) -> dict[str, Any]:
    return {"valid": not errors, "errors": list(map(str, errors)), "warnings": list(map(str, warnings))}


def _list_entry(instance_id: str, record: Record) -> Record:
    return {"instance_id": instance_id, "is_alive": _is_alive(record), **record}


def _is_alive(record: object) -> bool:
    """Return whether the pid exists, as readers of the file decide it. A zombie has ended."""
    import psutil  # 0.03 s

    pid = record.get("pid") if isinstance(record, dict) else None
    if type(pid) is not int or pid <= 0 or not psutil.pid_exists(pid):
        return False
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _with_process(listed: Record) -> Record:
    pid = listed.get("bot_pid") or listed["pid"]
    details = process_info.of(pid) if listed["is_alive"] and type(pid) is int else None
    if details is None:
        return listed
    keys = ("name", "status", "cpu_percent", "num_threads", "create_time")
    memory_mb = details["memory_info"]["rss"] / formatting.MIB
    info = {**{key: details[key] for key in keys}, "memory_mb": memory_mb}
    return {**listed, "process_info": info}
