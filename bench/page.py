"""Measure what the fleet's page costs while it is read: CPU of a look, size of an update, memory of each
process; and how soon Chromium shows it.
"""

from __future__ import annotations

import json
import math
import shutil
import statistics
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.measure import Table
from bench.project import Project, Workshop
from manager.fleet import project as projects
from manager.web import places, running
from tests.bot.browser import chromium

SIDES = {
    "manager.cli.engine_side": "the side with the engine",
    "manager.web.web_side.process": "the web side",
    "manager.cli.standby_side": "the standby",
}
CPUCLOCK_SCHED = 2
"""linux/posix-timers.h: of a process's clocks, the one that counts nanoseconds."""
WITHIN_S = 60.0
REPORTING = 60
"""Bots of 200 that are asked before one look: each is every ten seconds."""
OPENINGS = 3
"""Openings that are measured at most, after one that signs in while Chromium is still starting."""
DRAWN = "performance.getEntriesByName('botfleet-drawn')"
PAINTED = "performance.getEntriesByName('first-contentful-paint')"


def table(shop: Workshop, size: int, up: int, looks: int) -> Table:
    """Return figures of a page of `size` instances, `up` of them running, read by one browser for so many
    looks.
    """
    project = shop.project(size)
    project.manager("up", *project.ids[:up])
    reporting = project.ids[up:] or project.ids
    token = project.manager("serve", "--add-token", "bench").out.split()[-1]
    try:
        with project.serving() as port:
            address = f"http://127.0.0.1:{port}"
            page = _whole(address, token, size)
            pids = _sides(project)
            with _get(f"{address}/api/v1/events", token) as stream:
                _next_look(stream)  # the first one may hold all that came before
                calm = _Reading.of(stream, pids, looks, lambda _number: None)
                _report(project, reporting, 0, len(reporting))
                # A bot's first report is news of all its figures: so many looks later all have come.
                first_looks = math.ceil(len(reporting) / REPORTING) + 1
                first = [_next_look(stream) for _look in range(first_looks)]
                busy = _Reading.of(
                    stream, pids, looks, lambda number: _report(project, reporting, number + 1)
                )
            memory = {side: _pss_mb(pid) for side, pid in pids.items()}
            shown = _shown(project, min(OPENINGS, looks))
    finally:
        project.remove_containers()
    rows = [
        ["all instances, at first", f"{page / 1000:.1f} kB"],
        *_rows("", calm, looks),
        ["an update, the first reports of all", f"at most {max(first) / 1000:.1f} kB"],
        *_rows(f", {min(REPORTING, len(reporting))} bots report anew", busy, looks),
        *([f"memory, {side}", f"{memory[side]:.0f} MB PSS"] for side in pids),
        *([f"on loopback, {what}", figure] for what, figure in shown.items()),
    ]
    words = f"{size} instances, {up} of them up, read by one browser for {looks} looks, one every 3 s."
    words += " At first nothing is reported, so that an update is the least there is; then bots report"
    words += " another price, P&L and position before each look. The largest update stands beside the median."
    return Table("The fleet's page", ["what", "figure"], rows, words)


class _Reading(NamedTuple):
    """Hold what some looks cost: the bytes of each update, seconds of CPU of each side."""

    updates: list[int]
    cpu: dict[str, float]

    @staticmethod
    def of(stream: Any, pids: dict[str, int], looks: int, change: Callable[[int], object]) -> _Reading:
        before, updates = {side: _cpu_s(pid) for side, pid in pids.items()}, []
        for number in range(looks):
            change(number)
            updates.append(_next_look(stream))
        return _Reading(updates, {side: _cpu_s(pid) - before[side] for side, pid in pids.items()})


def _rows(what: str, reading: _Reading, looks: int) -> list[list[str]]:
    median, most = statistics.median(reading.updates) / 1000, max(reading.updates) / 1000
    return [
        [f"an update{what}", f"{median:.1f} kB, at most {most:.1f} kB"],
        *(
            [f"a look, {side}{what}", f"{1000 * seconds / looks:.0f} ms of CPU"]
            for side, seconds in reading.cpu.items()
        ),
    ]


def _report(project: Project, instances: Sequence[str], number: int, count: int = REPORTING) -> None:
    """Have some instances report, each at its turn, by the files that their supervisors would write."""
    fleet, now = projects.read(project.folder).fleet, time.time()
    start = number * REPORTING % len(instances)
    for place in range(start, start + min(count, len(instances))):
        instance = instances[place % len(instances)]
        amount = f"{number}.{place:04}"
        report = {
            "contract": 2,
            "at": now,
            "mode": "paper",
            "market": "live",
            "quote": "USDC",
            "base": "BTC",
            "price": f"64{amount}",
            "pnl": amount,
            "realized": amount,
            "unrealized": f"-{amount}",
            "position": f"0.{place:06}",
            "open_orders": 13,
            "trades": number,
            "last_fill": now,
            "range": {"lower": "60000", "upper": "70000"},
            "condition": {"code": "trading", "params": {}, "since": now - 600},
            "run_began": now - 3600,
        }
        file = fleet.instance_state_dir(instance) / "report.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        content = {"report": report, "written_at": now, "read_at": now}
        file.with_suffix(".new").write_text(json.dumps(content))
        file.with_suffix(".new").replace(file)


def _shown(project: Project, openings: int) -> dict[str, str]:
    """Return when Chromium paints for the first time, and when it has drawn every bot: medians."""
    if not shutil.which("chromium"):
        return {"first paint": "not measured: no chromium here"}
    address = project.manager("serve", "link").out.split()[-1]
    milliseconds: dict[str, list[float]] = {"first paint": [], "every bot drawn": []}
    with chromium() as browser:
        for _opening in range(openings + 1):
            browser.open(address, 1280)
            browser.wait(lambda: browser.run(f"{DRAWN}.length"), WITHIN_S)
            milliseconds["first paint"].append(browser.run(f"{PAINTED}[0].startTime"))
            milliseconds["every bot drawn"].append(browser.run(f"{DRAWN}[0].startTime"))
            address = address.partition("#")[0]  # signed in now
    return {what: f"{statistics.median(times[1:]):.0f} ms" for what, times in milliseconds.items()}


def _get(url: str, token: str) -> Any:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    return urllib.request.urlopen(request, timeout=WITHIN_S)


def _whole(address: str, token: str, size: int) -> int:
    """Wait for the first look; return the bytes of all its instances."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        with _get(f"{address}/api/v1/instances", token) as answer:
            content = answer.read()
        if len(json.loads(content)["instances"]) == size:
            return len(content)
        time.sleep(0.2)
    raise TimeoutError(f"the page did not show {size} instances within {WITHIN_S:.0f} s")


def _next_look(stream: Any) -> int:
    """Return the bytes of the next event that is a look."""
    is_look, size = False, 0
    for line in stream:
        size += len(line)
        is_look = is_look or line.startswith(b"event: look")
        if not line.strip():
            if is_look:
                return size
            size = 0
    raise ConnectionError("the page's events have ended")


def _sides(project: Project) -> dict[str, int]:
    """Return the pids of both sides of this project's page."""
    keeper = running.find(places.of(projects.read(project.folder).fleet))
    if keeper is None:
        raise ProcessLookupError("the page does not run")
    sides: dict[str, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _parent(entry) == keeper.pid:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            sides |= {name: int(entry.name) for module, name in SIDES.items() if module in words}
    return sides


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _cpu_s(pid: int) -> float:
    """Return the processor time of a process with all its threads, to the nanosecond, where /proc/PID/stat
    counts in hundredths of a second.
    """
    clock = ~pid << 3 | CPUCLOCK_SCHED
    return time.clock_gettime(clock)


def _pss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
