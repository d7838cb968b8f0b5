"""The old system's Python API: `InstanceRegistry` and `InstanceManager`, over the same records as `logs/instances.json`.

Instances that are containers come from the containers' labels and win: nothing here can add, change or remove one. What
`register` adds are foreign records, of processes that are no containers of ours; they live in the file. Where no engine
answers, the file is all there is to say, and it says what was so when it was last written.
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
from manager.fleet import instances_json, lock
from manager.fleet import project as projects
from manager.fleet.instances_json import OLD_PLACE, OWN_KEYS, Record, local_iso
from manager.fleet.observe import FleetSnapshot
from manager.fleet.old_daemon_guard import registries
from manager.fleet.session import Session
from manager.fleet.status_json import process_info
from manager.i18n import Text
from manager.util import atomic_file

LOCK_WAIT_S = 60.0
"""A `manager stop` holds the fleet's lock for as long as its bots need to cancel their orders."""

MIB = 1 << 20

logger = logging.getLogger(__name__)
Result = TypeVar("Result")
Records = dict[str, Record]
Ids = Set[str]


class InstanceRegistry:
    """Instance id → record, of containers and of what was registered by hand.

    Every method raises ManagerError where the fleet's settings cannot be read; the changing ones raise it (Locked) where
    another manager holds the fleet's lock for longer than a minute.
    """

    def __init__(self, registry_file: str | os.PathLike[str] = OLD_PLACE) -> None:
        """Finds the project upwards of the file; a file that belongs to no project's fleet is a registry of its own.

        The default, where there is no such file here, stands for the fleet's own file, wherever its data folder is.
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
            folder = projects.find(self.registry_file.parent)
        except ConfigError:
            return
        self.folder, session = folder, Session(folder)
        fleet = session.project().fleet
        if is_default and not self.registry_file.exists():
            self.registry_file = fleet.export_file
        if self.registry_file.resolve() in [file.resolve() for file in registries(fleet)]:
            self._session, self._lock_file = session, fleet.lock_file

    def close(self) -> None:
        """Gives the engine's connection back; the registry stays usable."""
        if self._session is not None:
            self._session.close()
            self._session = Session(self._session.chosen_dir)

    # Reading

    def load(self) -> dict[str, Record]:
        """All records, by id."""
        stored = instances_json.read(self.registry_file)
        if stored is None:
            logger.warning("%s", Text("{path} cannot be parsed", path=self.registry_file))
        return _merged(stored or {}, self._snapshot())

    def get(self, instance_id: str) -> Record | None:
        """One record."""
        return self.load().get(instance_id)

    def exists(self, instance_id: str) -> bool:
        """Whether there is a record, of a living process or not."""
        return instance_id in self.load()

    def list_instances(self, include_dead: bool = False) -> list[Record]:
        """The records with `instance_id` and `is_alive`, sorted by id; without `include_dead` only the living."""
        found = [
            _listed(each, record) for each, record in sorted(self.load().items()) if isinstance(record, dict)
        ]
        return [each for each in found if include_dead or each["is_alive"]]

    def get_running_instances(self) -> list[Record]:
        """The living."""
        return self.list_instances()

    def count_instances(self, alive_only: bool = True) -> int:
        """How many there are."""
        return len(self.list_instances(include_dead=not alive_only))

    def get_instance_by_port(self, port: int) -> Record | None:
        """The record with this web port; a living one where several have it."""
        found = [each for each in self.list_instances(include_dead=True) if each.get("web_port") == port]
        return min(found, key=lambda each: not each["is_alive"], default=None)

    # Changing

    def register(self, instance_id: str, info: Mapping[str, Any]) -> None:
        """Adds or replaces a foreign record. Of a container's record it can only add keys that are none of ours."""

        def edit(records: Records, ours: Ids) -> None:
            now = local_iso(time.time())
            records[instance_id] = {**info, "registered_at": now, "last_updated": now}
            _say_if_ours(instance_id, ours)

        self._change(edit)

    def update(self, instance_id: str, info: Mapping[str, Any]) -> bool:
        """Changes keys of a record; False when there is none. Of a container's record only keys that are none of ours."""

        def edit(records: Records, ours: Ids) -> bool:
            if instance_id not in records:
                return False
            records[instance_id] = {**records[instance_id], **info, "last_updated": local_iso(time.time())}
            if OWN_KEYS & set(info):
                _say_if_ours(instance_id, ours)
            return True

        return self._change(edit)

    def unregister(self, instance_id: str) -> bool:
        """Removes a foreign record; False when there is none. A container's goes with the container: `manager down ID`."""

        def edit(records: Records, ours: Ids) -> bool:
            if _say_if_ours(instance_id, ours):
                return False
            return records.pop(instance_id, None) is not None

        return self._change(edit)

    def cleanup_dead_instances(self) -> int:
        """Removes the foreign records of dead processes. Returns how many."""

        def edit(records: Records, ours: Ids) -> int:
            dead = [each for each, record in records.items() if each not in ours and not _is_alive(record)]
            for each in dead:
                del records[each]
            return len(dead)

        return self._change(edit)

    def save(self, registry: Mapping[str, Record]) -> None:
        """Replaces all foreign records by those given. Containers stay as they are."""

        def edit(records: Records, _ours: Ids) -> None:
            records.clear()
            records.update(registry)

        self._change(edit)

    def _change(self, edit: Callable[[Records, Ids], Result]) -> Result:
        """Reads, edits and writes the file under the fleet's lock."""
        self.registry_file.parent.mkdir(parents=True, exist_ok=True)
        with lock.held(self._lock_file, "register", LOCK_WAIT_S):
            stored, remark = instances_json.read_to_replace(self.registry_file)
            if remark is not None:
                logger.warning("%s", remark)
            snapshot = self._snapshot()
            records = dict(_merged(stored, snapshot))
            result = edit(records, self._ours(snapshot))
            after = _merged(records, snapshot)
            if after != stored or remark is not None:
                atomic_file.write_atomically(self.registry_file, dict(sorted(after.items())))
        return result

    # The fleet

    def _snapshot(self) -> FleetSnapshot | None:
        """The fleet as it is; None for a registry without one, and where no engine answers."""
        if self._session is None:
            return None
        try:
            return self._session.observe()
        except EngineUnreachable as error:
            logger.info("%s", error)
            self.close()
            return None

    def _ours(self, snapshot: FleetSnapshot | None) -> Ids:
        """The ids whose records are the manager's business: containers, and without an engine all it ever started."""
        if snapshot is not None:
            return snapshot.plan_input.containers.keys()
        return set() if self._session is None else self._session.project().memory.instances.keys()

    def problems_of(self, instance_id: str, record: Record) -> tuple[list[Problem], list[Problem]]:
        """(errors, warnings) that loading the config of a record gives."""
        if self._session is None:
            return [], []
        project = self._session.project()
        file = str(record.get("config_file", ""))
        files = {file, *(spec.config_file for each, spec in project.specs.items() if each == instance_id)}
        return (
            [problem for problem in project.problems if problem.file in files],
            [warning for warning in project.warnings if warning.file in files],
        )


class InstanceManager:
    """Statistics, and whether an instance is what it should be."""

    REQUIRED = ("config_file", "pid", "log_dir", "web_port")

    def __init__(self, registry_file: str | os.PathLike[str] = OLD_PLACE) -> None:
        self.registry = InstanceRegistry(registry_file)

    def get_instance_stats(self, instance_id: str) -> Record | None:
        """The record with `instance_id`, `is_alive` and, of a living process, `process_info`."""
        record = self.registry.get(instance_id)
        return None if record is None else _with_process(_listed(instance_id, record))

    def get_all_stats(self) -> list[Record]:
        """The same of all instances, sorted by id."""
        return [_with_process(each) for each in self.registry.list_instances(include_dead=True)]

    def validate_instance_config(self, instance_id: str) -> dict[str, Any]:
        """`valid`, `errors` and `warnings`: what is wrong with its record and its config, and what is merely odd."""
        record = self.registry.get(instance_id)
        if record is None:
            return _validation([Text("there is no instance {id}", id=instance_id)], [])
        errors: list[object] = [
            Text("the record has no {key}", key=key) for key in self.REQUIRED if key not in record
        ]
        faults, oddities = self.registry.problems_of(instance_id, record)
        warnings: list[object] = [*oddities]
        for key in ("config_file", "log_dir"):
            if record.get(key) and not self._path(record[key]).exists():
                warnings.append(Text("{path} does not exist", path=record[key]))
        if not _is_alive(record):
            warnings.append(Text("{id} does not run", id=instance_id))
        return _validation([*errors, *faults], warnings)

    def _path(self, written: str) -> Path:
        """A record's paths are relative to the project folder, wherever the caller is."""
        return self.registry.folder / written


def _merged(stored: Records, snapshot: FleetSnapshot | None) -> Records:
    """The file's records with the containers' in their places."""
    return (
        stored
        if snapshot is None
        else instances_json.records(snapshot, instances_json.find_pids(snapshot), stored)
    )


def _say_if_ours(instance_id: str, ours: Ids) -> bool:
    if instance_id not in ours:
        return False
    logger.warning(
        "%s", Text("{id} is a container: its record comes from its labels and stays", id=instance_id)
    )
    return True


def _validation(errors: list[object], warnings: list[object]) -> dict[str, Any]:
    return {"valid": not errors, "errors": list(map(str, errors)), "warnings": list(map(str, warnings))}


def _listed(instance_id: str, record: Record) -> Record:
    return {"instance_id": instance_id, "is_alive": _is_alive(record), **record}


def _is_alive(record: object) -> bool:
    """As readers of the file decide it: the pid exists. A zombie has ended and only waits to be counted."""
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
    found = process_info(pid) if listed["is_alive"] and type(pid) is int else None
    if found is None:
        return listed
    words = ("name", "status", "cpu_percent", "num_threads", "create_time")
    info = {**{key: found[key] for key in words}, "memory_mb": found["memory_info"]["rss"] / MIB}
    return {**listed, "process_info": info}
