"""Decide what is wrong with the machine: its disk, its engine, its config files. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from manager.config.fleet import Alerts
from manager.errors import Problem
from manager.fleet.instance import Instance
from manager.i18n import Text
from manager.monitor.watch import alert_cases
from manager.monitor.watch.alert_rules import MACHINE, Condition
from manager.typed import NamedTuple
from manager.util.formatting import MB, file_size, share

FULL = 16 * MB
"""With less, what bots write next may not find room: another thing than a disk that fills up."""


class Disk(NamedTuple):
    """Hold the data folder's file system: bytes and inodes, available to us and total. Some have 0 inodes."""

    path: str
    free: int
    size: int
    inodes_free: int
    inodes: int

    @property
    def inodes_percent(self) -> float:
        """Return the percentage of free inodes; 100 if they are not counted."""
        return 100 * self.inodes_free / self.inodes if self.inodes else 100.0


def of_disk(disk: Disk | None, rules: Alerts, *, is_low: bool) -> list[Condition]:
    """Return the conditions of the data folder's disk.

    `is_low`: they were present before; a margin prevents flapping.
    """
    conditions: list[Condition] = []
    if disk is None:
        return conditions
    slack = 1.2 if is_low else 1.0
    if disk.free < rules.disk_free_mb * MB * slack and rules.disk_free_mb:
        text = Text(
            "low disk space: {free} free of {size} at {path}",
            free=file_size(disk.free),
            size=file_size(disk.size),
            path=disk.path,
        )
        conditions.append(Condition(MACHINE, "disk", text, case=_case(is_full=disk.free < FULL)))
    if disk.inodes_percent < rules.inodes_free_percent * slack and rules.inodes_free_percent:
        text = Text(
            "low on inodes: {share} free at {path}; remove small files, such as old log folders",
            share=share(disk.inodes_percent),
            path=disk.path,
        )
        conditions.append(Condition(MACHINE, "inodes", text, case=_case(is_full=not disk.inodes_free)))
    return conditions


def _case(*, is_full: bool) -> str:
    return "full" if is_full else "low"


def of_engine(why: str, rules: Alerts) -> Condition:
    """Return the condition of an engine that does not answer."""
    text = Text("the Docker Engine does not answer ({why}); the state of the bots is unknown", why=why)
    case = alert_cases.of_text(Text("{why}", why=why))
    return Condition(MACHINE, "engine", text, after=rules.engine_away_after, case=case)


def of_configs(
    problems: Sequence[Problem],
    blocking: Sequence[Problem],
    fault: str,
    views: Iterable[Instance],
    rules: Alerts,
) -> list[Condition]:
    """Return the condition of config files that cannot be used while what was started from them runs.

    `blocking`: those of the problems that concern every instance. `fault`: why the fleet's settings cannot be
    read, empty where they can. A file may be half written for a while; what is not mended then would be
    noticed only when a bot has to be started again.
    """
    if fault:
        text = Text(
            "{problem}; `manager watch` goes on with the settings from before, and nothing can be started",
            problem=" ".join(fault.splitlines()),
        )
        return [Condition(MACHINE, "configs", text, after=rules.unhealthy_after, case="settings")]
    if not problems:
        return []
    running = {
        view.id: view.container.config_file for view in views if view.is_bot_up and view.container is not None
    }
    concerned = [problem for problem in problems if problem in blocking or problem.concerns(running.values())]
    ids = sorted(id_ for id_, file in running.items() if any(p.concerns([file]) for p in concerned))
    if running and any(problem in blocking for problem in concerned):
        ids = sorted(running)
    if not ids:
        return []
    text = Text(
        "{problem}; what runs goes on as it was started, but the manager cannot start it again until this is"
        " mended: {ids}",
        problem=concerned[0],
        ids=", ".join(ids),
    )
    lines, case = tuple(map(str, concerned[1:])), " ".join(sorted({problem.file for problem in concerned}))
    return [Condition(MACHINE, "configs", text, lines, after=rules.unhealthy_after, case=case)]
