"""Export `logs/instances.json` and the pid files for programs of the old system. Never read as a source."""

import contextlib
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.fleet import display, host
from manager.fleet.instance import Instance
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text
from manager.typed import Any, NamedTuple
from manager.util import atomic_file, formatting, ownership, strict_json
from manager.util.kept_content import KeptContent
from manager.util.trusted_folder import trusted, unlink_in_trusted

Record = dict[str, Any]
OLD_PLACE = Path("logs", "instances.json")
"""The old system's path, below its folder."""

MAX_BYTES = 16_000_000

WRITTEN_AT = ("started_at", "registered_at", "last_updated")
OWN_KEYS = frozenset({"config_file", "pid", "bot_pid", "log_dir", "web_port", "status", *WRITTEN_AT})
"""Keys that we write; other keys of a record belong to other programs and are kept."""

CLOCK_SLACK_S = 60
"""Tolerance between a process's start and the time of the record that names it."""

WRITER_NEEDS_S = 0.5
"""Programs of the old system truncate the file before they fill it."""


_exports = KeptContent(lambda path: strict_json.read(Path(path), MAX_BYTES))
"""What the export contains, for whoever looks whether it is outdated; nothing of it is ever changed."""


class ExportError(ManagerError):
    """Signal that the export cannot be written."""


class Pids(NamedTuple):
    """Hold pids on the host, by instance, of processes that exist and are visible to us.

    `anchors`: processes that live through all restarts of their bots (docker/README.md), and end when these
    are given up.
    """

    bots: Mapping[str, int]
    anchors: Mapping[str, int] = MappingProxyType({})

    def lasting(self, instance: str) -> int:
        """Return the pid that lives longest while the instance is kept running: its anchor's, its bot's, or
        0.
        """
        return self.anchors.get(instance) or self.bots.get(instance, 0)


def find_pids(snapshot: FleetSnapshot) -> Pids:
    """Return the pids of all instances' bots and anchors, in one pass over the host's processes."""
    bots, anchors = {}, {}
    for instance, view in snapshot.views.items():
        container, supervisor = view.container, view.supervisor
        if (
            container is None
            or supervisor is None
            or not container.is_up
            or supervisor.container != container.id
        ):
            continue
        if supervisor.bot_pid:
            bots[instance] = container.id, supervisor.bot_pid
        if supervisor.anchor_pid:
            anchors[instance] = container.id, supervisor.anchor_pid
    pids = host.host_pids(
        [*bots.values(), *anchors.values()], _exported_pids(snapshot.project.fleet.export_file)
    )
    return Pids(
        {instance: pids[key] for instance, key in bots.items() if key in pids},
        {instance: pids[key] for instance, key in anchors.items() if key in pids},
    )


def _exported_pids(path: Path) -> Iterator[int]:
    """Yield the pids in the present export, most of which are still valid; read only if one is needed."""
    try:
        before = strict_json.read(path, MAX_BYTES)
    except strict_json.JsonFault:
        return
    records = before.values() if isinstance(before, dict) else ()
    pids = [record.get(key) for record in records if isinstance(record, dict) for key in ("bot_pid", "pid")]
    yield from (pid for pid in pids if type(pid) is int and pid > 0)


def write(
    snapshot: FleetSnapshot,
    pids: Pids,
    unsettled: Collection[str] = (),
    written: Mapping[str, int] = MappingProxyType({}),
) -> Text | None:
    """Write the export if it is outdated. Returns a note for the user: a file moved aside, or blocked pid
    files.

    Records of others are kept, and those of `unsettled` instances, on which a command is at work. `written`:
    the bots whose pid files are known to be right. Raises ExportError; the old file is then unchanged.
    """
    fleet = snapshot.project.fleet
    try:
        before, remark = read_to_replace(fleet.export_file)
        after = records(snapshot, pids, before, unsettled)
        if before != after or remark or not fleet.export_file.exists():
            ownership.make_folder(fleet.export_file.parent)
            atomic_file.write_atomically(fleet.export_file, after)
        right = {instance for instance, pid in written.items() if pids.bots.get(instance) == pid}
        return remark or _write_pid_files(snapshot, pids, {*unsettled, *right})
    except OSError as error:
        raise ExportError(
            "cannot write {path}: {why}", path=fleet.export_file, why=error.strerror or error
        ) from error


def write_ahead(snapshot: FleetSnapshot, unsettled: Collection[str]) -> Mapping[str, int]:
    """Write the pid files of all but the `unsettled` instances while these are worked on, and find the pids
    that the export will have. Returns the bots whose pid files are right now.
    """
    pids = find_pids(snapshot)
    try:
        fault = _write_pid_files(snapshot, pids, unsettled)
    except OSError:
        return {}
    return {} if fault else {one: pid for one, pid in pids.bots.items() if one not in unsettled}


def is_stale(snapshot: FleetSnapshot, pids: Pids) -> bool:
    """Return whether the file is outdated."""
    try:
        before = _exports.of(f"{snapshot.project.fleet.export_file}")
    except (strict_json.JsonFault, OSError):
        return True
    return not isinstance(before, dict) or before != records(snapshot, pids, before)


def records(
    snapshot: FleetSnapshot, pids: Pids, before: Mapping[str, Any], unsettled: Collection[str] = ()
) -> dict[str, Record]:
    """Return the whole content: our instances that have a container, and records of others.

    A record whose container is not up belongs to another program if its process lives (an old daemon that
    runs), or if the id was never ours.
    """
    plan_input, saved = snapshot.plan_input, snapshot.project.fleet_state.instances
    result = {
        instance: record
        for instance, record in before.items()
        if instance in unsettled
        or (
            not plan_input.is_up(instance)
            and (living_pid(record) or (instance not in plan_input.containers and instance not in saved))
        )
    }
    for instance, view in snapshot.views.items():
        if view.container is not None and instance not in result and instance not in unsettled:
            result[instance] = _record(view, snapshot.project.fleet, pids, before.get(instance))
    return dict(sorted(result.items()))


def _record(view: Instance, fleet: Fleet, pids: Pids, before: object) -> Record:
    assert view.container is not None
    record: Record = {
        "config_file": view.container.config_file,
        "pid": pids.lasting(view.id),
        "bot_pid": pids.bots.get(view.id, 0),
        "log_dir": fleet.relative(fleet.log_dir(view.log_dir)),
        "web_port": view.container.web_port,
        "started_at": formatting.iso(display.started_at(view)),
        "status": view.status.state,
        "registered_at": view.saved.registered_at or formatting.iso(view.container.created),
    }
    if not isinstance(before, dict):
        before = {}
    record = {**record, **{key: value for key, value in before.items() if key not in OWN_KEYS}}
    if {**before, "last_updated": None} == {**record, "last_updated": None}:
        return dict(before)
    return {**record, "last_updated": formatting.iso(time.time())}


def living_pid(record: object) -> int:
    """Return the pid of the process that a record names, or 0 if it is gone or its pid was reused."""
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
    """Return Unix time; an invalid time counts as now."""
    from _datetime import datetime  # type: ignore[import-not-found]  # as in formatting.py

    try:
        return float(datetime.fromisoformat(str(stamp)).timestamp())
    except (ValueError, OverflowError, OSError):
        return time.time()


def read(path: Path) -> dict[str, Any] | None:
    """Return the file's records, {} without a file, or None if it cannot be parsed."""
    deadline = time.monotonic() + WRITER_NEEDS_S
    while path.exists():
        with contextlib.suppress(strict_json.JsonFault):
            content = strict_json.read(path, MAX_BYTES)
            return content if isinstance(content, dict) else None
        if time.monotonic() > deadline:
            return None
        time.sleep(WRITER_NEEDS_S / 10)
    return {}


def read_to_replace(path: Path) -> tuple[dict[str, Any], Text | None]:
    """Return the file's records. A file that cannot be parsed is moved aside, never overwritten."""
    content = read(path)
    if content is not None:
        return content, None
    aside = path.with_name(f"{path.name}.unreadable-{formatting.stamp(time.time())}")
    with trusted(path.parent) as folder:
        (folder / path.name).rename(folder / aside.name)
    return {}, Text("{path} could not be parsed and was moved to {aside}", path=path, aside=aside.name)


def _write_pid_files(snapshot: FleetSnapshot, pids: Pids, unsettled: Collection[str]) -> Text | None:
    """Write `bot.pid` and `daemon.pid` of each instance, or remove them if there is no such process.

    The folders belong to the bots: an obstacle in one is reported, and does not affect the others.
    """
    fleet, faults = snapshot.project.fleet, {}
    for instance, view in snapshot.views.items():
        if view.container is None or instance in unsettled:
            continue
        folder = fleet.data_dir / view.log_dir
        pid = pids.bots.get(instance, 0)
        try:
            _pid_file(folder / "bot.pid", pid)
            _pid_file(folder / "daemon.pid", host.parent_pid(pid) if pid else 0)
        except OSError as error:
            faults[instance] = error.strerror or str(error)
    if not faults:
        return None
    first = next(iter(faults))
    return Text("cannot write the pid files of {ids}: {why}", ids=", ".join(faults), why=faults[first])


def _pid_file(path: Path, pid: int) -> None:
    if not pid:
        unlink_in_trusted(path)
        return
    text = f"{pid}\n".encode()
    with contextlib.suppress(OSError):
        if strict_json.read_bytes(path, len(text), follow=False) == text:
            return
    if path.parent.is_dir():
        atomic_file.replace_bytes(path, text, 0o644, durable=False)
