"""`logs/instances.json` and the pid files: what the readers of the old system look at. An export, never a source."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.fleet import host
from manager.fleet.instance import Instance
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text
from manager.util import atomic_file, formatting, ownership, strict_json

Record = dict[str, Any]
OLD_PLACE = Path("logs", "instances.json")
"""Where the old system has it, below its folder."""

MAX_BYTES = 16_000_000

WRITTEN_AT = ("started_at", "registered_at", "last_updated")
OWN_KEYS = frozenset({"config_file", "pid", "bot_pid", "log_dir", "web_port", "status", *WRITTEN_AT})
"""What a record says; other keys in it are other people's and stay."""

CLOCK_SLACK_S = 60
"""Between a process's start and the clock of the record that names it."""

WRITER_NEEDS_S = 0.5
"""Writers of the old system truncate the file and then fill it."""


class ExportError(ManagerError):
    """The export cannot be written."""


class Pids(NamedTuple):
    """Pids on the host, by instance; those that have no such process, or whose pids are out of our sight, are not in it.

    `anchors`: of processes that live through all restarts of their bots (docker/README.md), and end when these are given up.
    """

    bots: Mapping[str, int]
    anchors: Mapping[str, int] = MappingProxyType({})

    def lasting(self, instance: str) -> int:
        """The pid that says for the longest whether the instance is kept running: its anchor's, else its bot's, else 0."""
        return self.anchors.get(instance) or self.bots.get(instance, 0)


def find_pids(snapshot: FleetSnapshot) -> Pids:
    """The pids of all instances' bots and anchors, in one look at the host's processes."""
    bots, anchors = {}, {}
    for each, view in snapshot.views.items():
        container, said = view.container, view.supervision
        if container is None or said is None or not container.is_up or said.container != container.id:
            continue
        if said.bot_pid:
            bots[each] = container.id, said.bot_pid
        if said.anchor_pid:
            anchors[each] = container.id, said.anchor_pid
    found = host.host_pids(
        [*bots.values(), *anchors.values()], _exported_pids(snapshot.project.fleet.export_file)
    )
    return Pids(
        {each: found[key] for each, key in bots.items() if key in found},
        {each: found[key] for each, key in anchors.items() if key in found},
    )


def _exported_pids(path: Path) -> list[int]:
    """Where bots and anchors were the last time: most of them still are."""
    try:
        before = strict_json.read(path, MAX_BYTES)
    except strict_json.JsonFault:
        return []
    records = before.values() if isinstance(before, dict) else ()
    pids = [each.get(key) for each in records if isinstance(each, dict) for key in ("bot_pid", "pid")]
    return [pid for pid in pids if type(pid) is int and pid > 0]


def write(snapshot: FleetSnapshot, pids: Pids) -> Text | None:
    """Writes the export if it is out of date. Returns a remark for the user: a foreign file put aside, pid files in the way.

    Records that are not ours are kept as they are. Raises ExportError; the old file is then untouched.
    """
    fleet = snapshot.project.fleet
    try:
        before, remark = read_to_replace(fleet.export_file)
        after = records(snapshot, pids, before)
        if before != after or remark or not fleet.export_file.exists():
            ownership.make_folder(fleet.export_file.parent)
            atomic_file.write_atomically(fleet.export_file, after)
        return remark or _write_pid_files(snapshot, pids)
    except OSError as error:
        raise ExportError(
            "cannot write {path}: {why}", path=fleet.export_file, why=error.strerror or error
        ) from error


def is_stale(snapshot: FleetSnapshot, pids: Pids) -> bool:
    """Whether a reader of the file would be misled."""
    try:
        before = strict_json.read(snapshot.project.fleet.export_file, MAX_BYTES)
    except strict_json.JsonFault:
        return True
    return not isinstance(before, dict) or before != records(snapshot, pids, before)


def records(snapshot: FleetSnapshot, pids: Pids, before: Mapping[str, Any]) -> dict[str, Record]:
    """The whole content: our instances that have a container, and the records that are not ours.

    A record of an id whose container is not up is somebody else's if its process lives (an old daemon that still runs, or
    runs again), or if the id was never ours.
    """
    plan_input, remembered = snapshot.plan_input, snapshot.project.memory.instances
    result = {
        each: record
        for each, record in before.items()
        if not plan_input.is_up(each)
        and (living_pid(record) or (each not in plan_input.containers and each not in remembered))
    }
    for each, view in snapshot.views.items():
        if view.container is not None and each not in result:
            result[each] = _record(view, snapshot.project.fleet, pids, before.get(each))
    return dict(sorted(result.items()))


def _record(view: Instance, fleet: Fleet, pids: Pids, before: object) -> Record:
    assert view.container is not None
    said = view.supervision
    started = said.bot_started_at if said and said.bot_started_at else view.container.created
    record: Record = {
        "config_file": view.container.config_file,
        "pid": pids.lasting(view.id),
        "bot_pid": pids.bots.get(view.id, 0),
        "log_dir": fleet.relative(fleet.data_dir / view.log_dir),
        "web_port": view.container.web_port,
        "started_at": formatting.iso(started),
        "status": view.verdict.state,
        "registered_at": view.remembered.registered_at or formatting.iso(view.container.created),
    }
    if not isinstance(before, dict):
        before = {}
    record = {**record, **{key: value for key, value in before.items() if key not in OWN_KEYS}}
    if {**before, "last_updated": None} == {**record, "last_updated": None}:
        return dict(before)
    return {**record, "last_updated": formatting.iso(time.time())}


def living_pid(record: object) -> int:
    """The pid of the process that a record names, 0 when it is gone: one younger than the record only got its number."""
    if not isinstance(record, dict) or type(pid := record.get("pid")) is not int or pid <= 0:
        return 0
    import psutil  # 0.03 s, and seldom needed

    try:
        created = psutil.Process(pid).create_time()
    except (psutil.Error, OverflowError):
        return 0
    stamps = [record[key] for key in WRITTEN_AT if record.get(key)]
    return pid if created <= max(map(_epoch, stamps), default=created) + CLOCK_SLACK_S else 0


def _epoch(stamp: object) -> float:
    """Seconds since the epoch; a time that says nothing is taken for now."""
    try:
        return datetime.fromisoformat(str(stamp)).timestamp()
    except (ValueError, OverflowError, OSError):
        return time.time()


def read(path: Path) -> dict[str, Any] | None:
    """The file's records, without any for a file that is not there; None for one that cannot be parsed."""
    deadline = time.monotonic() + WRITER_NEEDS_S
    while path.exists():
        with contextlib.suppress(strict_json.JsonFault):
            found = strict_json.read(path, MAX_BYTES)
            return found if isinstance(found, dict) else None
        if time.monotonic() > deadline:
            return None
        time.sleep(WRITER_NEEDS_S / 10)
    return {}


def read_to_replace(path: Path) -> tuple[dict[str, Any], Text | None]:
    """The file's records. One that cannot be parsed is put aside, never silently replaced."""
    found = read(path)
    if found is not None:
        return found, None
    aside = path.with_name(f"{path.name}.unreadable-{formatting.stamp(time.time())}")
    path.rename(aside)
    return {}, Text("{path} could not be parsed and was put aside as {aside}", path=path, aside=aside.name)


def _write_pid_files(snapshot: FleetSnapshot, pids: Pids) -> Text | None:
    """`bot.pid` and `daemon.pid` of each instance; gone when there is no such process.

    The folders are the bots' own: what one of them has put in the way is said, and keeps no other's from being written.
    """
    fleet, faults = snapshot.project.fleet, {}
    for each, view in snapshot.views.items():
        if view.container is None:
            continue
        folder = fleet.data_dir / view.log_dir
        pid = pids.bots.get(each, 0)
        try:
            _pid_file(folder / "bot.pid", pid)
            _pid_file(folder / "daemon.pid", host.parent_pid(pid) if pid else 0)
        except OSError as error:
            faults[each] = error.strerror or str(error)
    if not faults:
        return None
    first = next(iter(faults))
    return Text("cannot write the pid files of {ids}: {why}", ids=", ".join(faults), why=faults[first])


def _pid_file(path: Path, pid: int) -> None:
    if not pid:
        path.unlink(missing_ok=True)
        return
    text = f"{pid}\n".encode()
    with contextlib.suppress(OSError):
        if strict_json.read_bytes(path, len(text), follow=False) == text:
            return
    if path.parent.is_dir():
        atomic_file.replace_bytes(path, text, 0o644, durable=False)
