"""Measure what an idle instance costs beyond its bot: memory and CPU by part, with the engine's own health
check off and on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.engine import Api
from bench.measure import Skipped, Table
from bench.project import Project, Workshop

PROC = Path("/proc")
TICK = os.sysconf("SC_CLK_TCK")
PARTS = ("bot", "supervisor", "anchor", "docker-init", "containerd-shim", "docker-proxy")
DAEMONS = ("dockerd", "containerd")
AIM_OF_A_CORE = 0.05
"""Percent: what health checking may cost with the engine's own check off."""

AIM_OF_MEMORY_MB = 12
AIM_BESIDE_THE_BOT_MB = 8
"""PSS of everything that an instance has besides its bot."""


@dataclass
class Part:
    """Hold all processes of one kind. Sizes in KiB, CPU in seconds."""

    pids: set[int] = field(default_factory=set)
    rss: int = 0
    pss: int = 0
    cpu: float = 0.0


def tables(shop: Workshop, api: Api, size: int, window: float) -> list[Table]:
    """Return memory by part, then CPU by part over `window` seconds. Needs to see all processes."""
    if os.geteuid() != 0:
        raise Skipped("only root sees the memory of the engine's processes")
    others = _daemons(window)
    off = shop.project(size, container__engine_health_interval=0)
    memory, without = _measure(off, api, window)
    on = shop.project(size, container__engine_health_interval=60)
    _memory, with_check = _measure(on, api, window)
    for parts in (without, with_check):
        for name in DAEMONS:
            parts[name] = max(parts[name] - others[name], 0.0)
    return [_memory_table(memory, size), _cpu_table(without, with_check, size, window)]


def _daemons(window: float) -> dict[str, float]:
    """Return what the engine's daemons take without this fleet: there may be others on the machine."""
    before = _look((), range(0))
    time.sleep(window)
    after = _look((), range(0))
    return {name: after[name].cpu - before[name].cpu for name in DAEMONS}


def _measure(project: Project, api: Api, window: float) -> tuple[dict[str, Part], dict[str, float]]:
    project.manager("up")
    project.settle()
    time.sleep(min(window, 5))  # what the start set going has to end
    ids = [str(api.inspect(project.container(instance))["Id"]) for instance in project.ids]
    before = _look(ids, project.ports)
    cgroups_before = sum(_cgroup_cpu(pid) for pid in before["supervisor"].pids)
    time.sleep(window)
    after = _look(ids, project.ports)
    cgroups = sum(_cgroup_cpu(pid) for pid in after["supervisor"].pids) - cgroups_before
    project.manager("down")
    cpu = {name: after[name].cpu - before[name].cpu for name in (*PARTS, *DAEMONS)}
    inside = sum(cpu[name] for name in ("bot", "supervisor", "anchor", "docker-init"))
    cpu["health check in the container"] = max(cgroups - inside, 0.0)
    return after, cpu


def _look(ids: Iterable[str], ports: range) -> dict[str, Part]:
    """Return every process that belongs to these containers, by part."""
    wanted = [container_id.encode() for container_id in ids]
    published = {b"-host-port\0%d\0" % port for port in ports}
    parts = {name: Part() for name in (*PARTS, *DAEMONS)}
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            name = _part(entry, wanted, published)
            if name is not None:
                _add(parts[name], entry, with_children=name in ("containerd-shim", *DAEMONS))
    return parts


def _part(entry: Path, ids: list[bytes], published: set[bytes]) -> str | None:
    command = (entry / "cmdline").read_bytes()
    program = command.partition(b"\0")[0].rpartition(b"/")[2]
    if program in (b"dockerd", b"containerd"):
        return program.decode()
    if program.startswith(b"containerd-shim"):
        return "containerd-shim" if any(word in command for word in ids) else None
    if program == b"docker-proxy":
        return "docker-proxy" if any(word in command for word in published) else None
    cgroup = (entry / "cgroup").read_bytes()
    if not any(word in cgroup for word in ids):
        return None
    if program == b"docker-init":
        return "docker-init"
    if b"/opt/botfleet/supervisor" in command:
        return "supervisor"
    if program == b"cat":
        return "anchor"  # of the supervisor: a process that lives through the bot's restarts
    return "bot" if b"/app/run.py" in command else None


def _add(part: Part, entry: Path, *, with_children: bool) -> None:
    sizes = {
        line.split(b":")[0]: int(line.split()[1])
        for line in (entry / "smaps_rollup").read_bytes().splitlines()
        if line.startswith((b"Rss:", b"Pss:"))
    }
    part.pids.add(int(entry.name))
    part.rss += sizes[b"Rss"]
    part.pss += sizes[b"Pss"]
    part.cpu += _cpu_with_children(entry) if with_children else _cpu(entry)


def _cpu(entry: Path) -> float:
    """Return the seconds on a CPU of all its threads, to the nanosecond."""
    return sum(int(task.read_bytes().split()[0]) for task in entry.glob("task/*/schedstat")) / 1e9


def _cpu_with_children(entry: Path) -> float:
    """Return the seconds of the process and of the children it has waited for, such as runc."""
    fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()
    return sum(int(field) for field in fields[11:15]) / TICK


def _cgroup_cpu(pid: int) -> float:
    """Return the CPU seconds of all that ever ran in the container of this process; cgroup v1 or v2."""
    with suppress(OSError, StopIteration):
        lines = [line.split(":", 2) for line in (PROC / str(pid) / "cgroup").read_text().splitlines()]
        v1 = next((path for _number, kinds, path in lines if "cpuacct" in kinds.split(",")), None)
        if v1 is not None:
            return _first_existing(
                [f"/sys/fs/cgroup/{kind}{v1}/cpuacct.usage" for kind in ("cpuacct", "cpu,cpuacct")],
                lambda text: int(text) / 1e9,
            )
        v2 = next(path for _number, kinds, path in lines if not kinds)
        return _first_existing([f"/sys/fs/cgroup{v2}/cpu.stat"], lambda text: int(text.split()[1]) / 1e6)
    return 0.0


def _first_existing(paths: list[str], read: Callable[[str], float]) -> float:
    return next((read(Path(path).read_text()) for path in paths if Path(path).exists()), 0.0)


def _memory_table(parts: dict[str, Part], size: int) -> Table:
    rows = []
    for name in PARTS:
        part = parts[name]
        count = max(len(part.pids), 1)
        rows.append(
            [
                name,
                f"{len(part.pids) / size:g}",
                *(f"{kib / count / 1024:.1f} MB" for kib in (part.rss, part.pss)),
            ]
        )
    beyond = [parts[name] for name in PARTS if name != "bot"]
    rss, pss = (sum(kib) / size / 1024 for kib in _sums(beyond))
    rows.append(["all but the bot", "", f"{rss:.1f} MB", f"{pss:.1f} MB"])
    rows += [
        [f"{name} (one for all)", "", f"{parts[name].rss / 1024:.0f} MB", f"{parts[name].pss / 1024:.0f} MB"]
        for name in DAEMONS
    ]
    own = parts["supervisor"].rss / max(len(parts["supervisor"].pids), 1) / 1024
    verdict = "met" if own <= AIM_OF_MEMORY_MB else "missed"
    words = (
        "RSS counts what processes share in each of them, PSS divides it among them. Aim: a supervisor of"
        " at most"
        f" {AIM_OF_MEMORY_MB} MB beyond the bot; it has {own:.1f} MB: {verdict}."
        f" All but the bot: at most {AIM_BESIDE_THE_BOT_MB} MB PSS; it is {pss:.1f} MB:"
        f" {'met' if pss <= AIM_BESIDE_THE_BOT_MB else 'missed'}."
    )
    return Table(f"Memory of an idle instance, {size} up", ["part", "processes", "RSS", "PSS"], rows, words)


def _sums(parts: list[Part]) -> tuple[list[int], list[int]]:
    return [part.rss for part in parts], [part.pss for part in parts]


def _cpu_table(without: dict[str, float], with_check: dict[str, float], size: int, window: float) -> Table:
    def percent(cpu: dict[str, float], names: Iterable[str]) -> str:
        return f"{100 * sum(cpu[name] for name in names) / size / window:.4f} %"

    names = (*PARTS, "health check in the container", *DAEMONS)
    rows = [[name, percent(without, [name]), percent(with_check, [name])] for name in names]
    beyond = [name for name in names if name != "bot"]
    rows.append(["all but the bot", percent(without, beyond), percent(with_check, beyond)])
    spent = 100 * (without["supervisor"] + without["docker-init"]) / size / window
    verdict = "met" if spent <= AIM_OF_A_CORE else "missed"
    words = (
        f"Percent of a core an instance, over {window:.0f} s. The supervisor probes every 30 s; the "
        f"engine's own check is off,"
        f" or runs every 60 s. dockerd and containerd: what they take more than without this fleet, "
        f"divided by {size}. Aim: health checking with the"
        f" engine's check off at most {AIM_OF_A_CORE} % of a core; the supervisor takes {spent:.4f} %: "
        f"{verdict}."
    )
    heads = ["part", "engine's check off", "engine's check on"]
    return Table(f"CPU of an idle instance, {size} up", heads, rows, words)
