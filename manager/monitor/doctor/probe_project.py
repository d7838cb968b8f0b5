"""Probe the project's files and its fleet's containers.

Changes nothing and does not follow a bot's symlinks.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from itertools import chain
from pathlib import Path

from manager.config import bot_refusals
from manager.config.fleet import Fleet
from manager.config.variables import is_unlimited
from manager.engine import compose_name, container_config
from manager.engine.client import Engine
from manager.engine.container_config import binds
from manager.errors import NotFound
from manager.fleet import causes, definition_drift, display, doing, host, leftovers, lock, old_daemon_guard
from manager.fleet.definition_drift import Definition
from manager.fleet.env_file import ENV_FILE, STAGED_FILE
from manager.fleet.instance import Instance
from manager.fleet.observe import NO_IMAGE, FleetSnapshot
from manager.fleet.project import Project
from manager.fleet.status import PAUSED
from manager.fleet.supervisor_state import LOCK_FILE
from manager.i18n import _
from manager.monitor.doctor.facts import (
    EgressFacts,
    FleetFacts,
    InstanceFacts,
    OwnedPath,
    ProjectFacts,
    RequestLoad,
    RequestRefusal,
    StaleFile,
    Updated,
    WebPort,
)
from manager.monitor.doctor.probe_mends import Mends
from manager.monitor.stats import senders
from manager.monitor.stats.senders import Senders
from manager.ops.backup import databases
from manager.ops.execution import compose_yaml
from manager.ops.requests import request_plan
from manager.util import formatting
from manager.util.atomic_file import LEFTOVER_S

TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}\.tmp")
RESTORING = ".restoring-"
LARGE_LEFTOVER_S = 86400
"""A backup or its verification may take hours."""
NANO = 1_000_000_000
SENDING_S = 5.0
"""For so long it is looked at who sends; a bot's tick comes every few seconds."""
MAX_COUNTED_FILES = 10_000
"""Limit for adding up a stale folder's size; a bot may have created millions of files."""
PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"})


def probe_files(project: Project, snapshot: FleetSnapshot | None) -> ProjectFacts:
    """Return the facts about the project's files."""
    fleet, specs = project.fleet, project.specs.values()
    held_by, held_s = _lock_holder(fleet.lock_file)
    outdated = compose_yaml.outdated(snapshot.project) if snapshot else {}
    return ProjectFacts(
        fleet=fleet.name,
        configs=len(project.specs),
        problems=tuple(
            str(problem)
            for problem in chain(project.problems, project.refusals, *project.unusable_keys().values())
        ),
        refused_by_bot=tuple(map(str, bot_refusals.among(project.warnings))),
        memory_limits=sum(spec.memory for spec in specs),
        cpu_limits=sum(spec.nano_cpus for spec in specs) / NANO,
        ports=tuple(_ports(project, snapshot)),
        bind_address=fleet.bind_address,
        passes_proxy=any(project.variables.get(name) for name in fleet.variables if name.upper() in PROXIES),
        bind_fault=host.why_unusable(fleet.bind_address),
        data=_owned(project, fleet.data_dir),
        bot_uid=_bot_uid(fleet.data_dir),
        dotenv=_owned(project, fleet.dotenv_file),
        unlimited=tuple(_unlimited(fleet)),
        compose_name=compose_name.name_in(fleet.compose_file),
        compose_variable=compose_name.name_by_variable(fleet.compose_file, project.variables),
        compose_outdated=tuple(instance for instance, is_there in outdated.items() if is_there),
        compose_absent=tuple(instance for instance, is_there in outdated.items() if not is_there),
        secrets=tuple(_secrets(project)),
        databases=tuple(_owned_all(project, (fleet.database_dir(spec.id) for spec in specs))),
        stale=tuple(_stale(project, snapshot)),
        read_only=tuple(_read_only(fleet.project_dir, fleet.data_dir)),
        lock_held_by=held_by,
        lock_held_s=held_s,
        lock_pid=min(lock.holders(fleet.lock_file), default=0) if held_by else 0,
    )


def _unlimited(fleet: Fleet) -> Iterator[str]:
    lists = {"variables": fleet.variables, "config_variables": fleet.config_variables}
    return (key for key, patterns in lists.items() if any(is_unlimited(pattern) for pattern in patterns))


def probe_fleet(
    snapshot: FleetSnapshot, asked: FleetSnapshot, engine: Engine, unkept: Collection[str] = ()
) -> FleetFacts:
    """Return the facts about the fleet's containers, at one inspect call each.

    `asked`: what `up` would decide by. `unkept`: the limits that the engine cannot keep.
    """
    mends = Mends(asked.plan_input)
    return FleetFacts(
        image=snapshot.project.fleet.image_name,
        image_contract=None if snapshot.image == NO_IMAGE else snapshot.image.contract,
        instances=tuple(
            _instance(view, mends)
            for view in doing.with_reports(snapshot.project.fleet, snapshot.views.values())
            if view.container is not None or leftovers.is_down_unasked(view)
        ),
        updated=tuple(_updated(snapshot, engine, unkept, mends)),
        orphans=tuple(snapshot.plan_input.orphans),
        unexpected=tuple(container.name for container in snapshot.observed.strays),
        foreign=tuple(str(problem) for problem in snapshot.foreign()),
        old_daemon=tuple(
            str(problem)
            for problem in old_daemon_guard.still_running(snapshot, snapshot.project.specs).values()
        ),
        requests=tuple(
            RequestLoad(load.exchange, load.used, load.text()) for load in request_plan.loads_of_all(snapshot)
        ),
        refusals=tuple(_refusals(snapshot, engine)),
        egress=_egress(snapshot, engine),
    )


def _refusals(snapshot: FleetSnapshot, engine: Engine) -> Iterator[RequestRefusal]:
    """Yield the bots that are refused for the number of requests, and look for some seconds who sends."""
    if not (refused := senders.refused(snapshot.views)):
        return
    looks, containers = Senders(engine.statistics, time.monotonic), snapshot.observed.containers.values()
    looks.look(containers)
    time.sleep(SENDING_S)
    looks.look(containers)
    groups: dict[tuple[str, str], list[str]] = {}
    for instance in refused:
        groups.setdefault(senders.place_of(instance, snapshot), []).append(instance)
    for (exchange, _address), instances in groups.items():
        group = looks.group_of(instances[0], snapshot)
        yield RequestRefusal(
            exchange,
            tuple(instances),
            group and group.text(),
            group.lines() if group else (),
        )


def _instance(view: Instance, mends: Mends) -> InstanceFacts:
    """Return the facts about an instance that has a container, or should have one."""
    container, supervisor = view.container, view.supervisor
    facts = InstanceFacts(
        view.id,
        view.status.state,
        causes.note(view) or _("no container") if container is None else str(view.status.why or ""),
        view.drift,
        leftovers.is_down_unasked(view),
    )
    if container is None:
        return facts
    is_its_own = supervisor is not None and supervisor.container == container.id
    return facts._replace(
        mode=container.mode,
        supervisor_lacks=supervisor.lacks if supervisor is not None and is_its_own else frozenset(),
        mend=mends.of(view.id),
        image_mend=mends.of_image(view.id),
        suspended=container.name if view.status.detail == PAUSED else "",
    )


def _egress(snapshot: FleetSnapshot, engine: Engine) -> EgressFacts | None:
    fleet = snapshot.project.fleet
    if fleet.egress is False:
        return None
    from manager.ops.egress import egress

    state = egress.look(engine, snapshot.project)
    why = state.why or egress.uncovered(fleet, snapshot.observed.containers.values())
    return EgressFacts(why is None, str(why or ""))


def _updated(
    snapshot: FleetSnapshot, engine: Engine, unkept: Collection[str], mends: Mends
) -> Iterator[Updated]:
    """Yield the instances whose limits, restart policy or settings are not those of their configs."""
    for instance, view in snapshot.views.items():
        if view.spec is None or view.container is None or "config" in view.drift:
            continue
        with suppress(NotFound):
            inspected = engine.inspect(view.container.id)
            host, config = inspected.get("HostConfig") or {}, inspected.get("Config") or {}
            names = container_config.were_updated(host, view.spec, snapshot.project.fleet, unkept)
            added = container_config.were_added(host)
            if names or added:
                mend = mends.of_update(instance, can_be_taken_back=not added)
                yield Updated(instance, (*names, *added), mend)
            definition = Definition(host, config, snapshot.image.config_of(view.container))
            redefined = definition_drift.redefined(
                definition, view.container, view.spec, snapshot.project.fleet
            )
            if redefined:
                mend = mends.of_update(instance, can_be_taken_back=False)
                yield Updated(instance, redefined, mend, is_redefined=True)


def database_folders(project: Project) -> set[Path]:
    """Return one database folder for each file system that databases are on."""
    candidates = [
        project.fleet.data_dir,
        *(project.fleet.database_dir(instance) for instance in project.specs),
    ]
    folders: dict[int, Path] = {}
    for path in candidates:
        with suppress(OSError):
            folders.setdefault(path.stat().st_dev, path)
    return set(folders.values()) or {project.fleet.data_dir}


def _ports(project: Project, snapshot: FleetSnapshot | None) -> Iterator[WebPort]:
    for instance, spec in project.specs.items():
        if spec.web_port is None or instance in project.moved:
            continue
        container = snapshot.observed.containers.get(instance) if snapshot else None
        is_ours = container is not None and container.is_up and container.web_port == spec.web_port
        is_free = is_ours or host.is_port_free(project.fleet.bind_address, spec.web_port)
        if snapshot is not None or is_free:  # without an engine its user is unknown
            yield WebPort(instance, spec.web_port, is_free and not is_ours, is_ours)


def _read_only(*folders: Path) -> Iterator[str]:
    """Yield the folders on a file system that is mounted read-only, as it is after errors of its disk."""
    for folder in folders:
        with suppress(OSError):
            if os.statvfs(folder).f_flag & os.ST_RDONLY:
                yield str(folder)


def _owned(project: Project, path: Path) -> OwnedPath | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return OwnedPath(project.fleet.relative(path), status.st_uid, status.st_mode & 0o7777)


def _owned_all(project: Project, paths: Iterable[Path]) -> Iterator[OwnedPath]:
    return (owned for path in paths if (owned := _owned(project, path)))


def _bot_uid(data_dir: Path) -> int | None:
    try:
        return host.bot_owner(data_dir)[0]
    except OSError:
        return None


def _secrets(project: Project) -> Iterator[OwnedPath]:
    folders = [project.fleet.secrets_dir(instance) for instance in project.specs]
    yield from _owned_all(project, folders)
    yield from _owned_all(project, (folder / ENV_FILE for folder in folders))


def _lock_holder(path: Path) -> tuple[str, float]:
    """Return (holder, seconds held); empty if the lock is free."""
    note = lock.held_by(path)
    if note is None:
        return "", 0.0
    try:
        since = datetime.fromisoformat(str(note["since"])).timestamp()
        return f"`manager {note['command']}` ({note['pid']})", max(0.0, time.time() - since)
    except (KeyError, ValueError, OverflowError):
        return "?", 0.0


def _stale(project: Project, snapshot: FleetSnapshot | None) -> Iterator[StaleFile]:
    fleet = project.fleet
    known = {
        *project.specs,
        *project.loaded.elsewhere,
        *(snapshot.observed.containers if snapshot else ()),
    }
    used = {bind.source for spec in project.specs.values() for bind in binds(spec)}
    yield from _leftovers(project, known)
    if project.loaded.broken_files:  # a broken file's instance is unknown
        return
    for top, mark in (("database", None), ("state", LOCK_FILE), ("secrets", ENV_FILE)):
        for entry in _entries(fleet.data_dir / top):
            is_one = not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            if (
                not is_one
                or entry.name in known
                or f"{top}/{entry.name}" in used
                or databases.MOVED_ASIDE.fullmatch(entry.name)
            ):
                continue
            if mark is None or _owned(project, Path(entry.path, mark)):
                yield StaleFile("unconfigured", fleet.relative(Path(entry.path)), _size(Path(entry.path)))


def _leftovers(project: Project, known: Iterable[str]) -> Iterator[StaleFile]:
    fleet = project.fleet
    folders = [
        fleet.project_dir,
        fleet.config_dir,
        fleet.config_dir.parent,
        fleet.state_dir,
        fleet.export_file.parent,
    ]
    folders += [
        fleet.data_dir / "database",
        fleet.backup_dir,
        *(fleet.secrets_dir(instance) for instance in known),
    ]
    for folder in dict.fromkeys(folders):
        for entry in _entries(folder):
            if kind := leftover_kind(entry.name, _age(entry), fleet.name):
                yield StaleFile(kind, fleet.relative(Path(entry.path)), _size(Path(entry.path)))


def leftover_kind(name: str, age: float, fleet: str) -> str:
    """Return the kind of stale file for this name and age (seconds); empty if it is in use or not ours."""
    if databases.MOVED_ASIDE.fullmatch(name):
        return "before-restore"
    if name.startswith(RESTORING):
        return "interrupted"
    if name.startswith((".verify-", f".{fleet}.work.")):
        return "temporary" if age > LARGE_LEFTOVER_S else ""
    if name == STAGED_FILE:
        return "staged" if age > LEFTOVER_S else ""
    return "temporary" if age > LEFTOVER_S and TEMPORARY.fullmatch(name) else ""


def _age(entry: os.DirEntry[str]) -> float:
    """Return the seconds since the last change; 0 for an entry that is gone."""
    try:
        return time.time() - entry.stat(follow_symlinks=False).st_mtime
    except OSError:
        return 0.0


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return a folder's entries sorted by name; none where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _size(path: Path) -> int:
    """Return the bytes of a file, or of all files below a folder."""
    total, remaining = 0, MAX_COUNTED_FILES
    with suppress(OSError):
        total = path.lstat().st_size
    for root, _folders, names in os.walk(path):
        for name in names[:remaining]:
            with suppress(OSError):
                total += Path(root, name).lstat().st_size
        remaining -= len(names)
        if remaining <= 0:
            break
    return total


def describe_instances(snapshot: FleetSnapshot) -> list[str]:
    """Return one line per instance for a report, without any output of a bot."""
    lines = []
    for instance, view in snapshot.views.items():
        last = view.supervisor.last_exit.why if view.supervisor and view.supervisor.last_exit else ""
        facts = (
            view.status.state,
            view.status.detail,
            str(view.status.why or ""),
            last and f"last exit: {last}",
        )
        drift = f"drifted: {', '.join(view.drift)}" if view.drift else ""
        restarts = f"restarts: {view.supervisor.restarts_total}" if view.supervisor else ""
        since = display.since(view)
        age = f"since {formatting.age(time.time() - since)}" if since else ""
        lines.append(f"{instance}: " + "; ".join(fact for fact in (*facts, drift, restarts, age) if fact))
    return lines
