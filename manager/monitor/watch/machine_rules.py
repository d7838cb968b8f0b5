"""Decide what is wrong with the machine: its disk, its engine. Pure."""

from __future__ import annotations

from manager.config.fleet import Alerts
from manager.i18n import Text
from manager.monitor.watch import alert_cases
from manager.monitor.watch.alert_rules import MACHINE, Condition
from manager.typed import NamedTuple
from manager.util.formatting import GIB, MIB

FULL = 16 * MIB
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
    if disk.free < rules.disk_free_mb * MIB * slack and rules.disk_free_mb:
        text = Text(
            "low disk space: {free} MiB free of {size} GiB at {path}",
            free=disk.free // MIB,
            size=round(disk.size / GIB),
            path=disk.path,
        )
        conditions.append(Condition(MACHINE, "disk", text, case=_case(is_full=disk.free < FULL)))
    if disk.inodes_percent < rules.inodes_free_percent * slack and rules.inodes_free_percent:
        text = Text(
            "low on inodes: {percent} % free at {path}; remove small files, such as old log folders",
            percent=round(disk.inodes_percent, 1),
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
