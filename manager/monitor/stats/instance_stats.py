"""Combine what an instance is, uses and reports, and sum it up for the fleet. Pure."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from manager.fleet import bot_report, display, doing
from manager.fleet.bot_report import KeptReport, Report
from manager.fleet.instance import Instance
from manager.fleet.status import State
from manager.monitor.disk.usage import DiskUse
from manager.monitor.stats.usage import Usage
from manager.typed import NamedTuple

STATES_BY_URGENCY: Sequence[State] = (
    "failed",
    "unhealthy",
    "restarting",
    "orphan",
    "starting",
    "running",
    "completed",
    "stopped",
    "missing",
)

NO_REPORT = Report()
"""The report of a bot that does not answer."""


class InstanceStats(NamedTuple):
    """Hold one instance at one moment. `usage` is None where nothing runs, or where it cannot be measured.

    `as_of`: when the report was made, where it is the last one of a bot that does not answer now. `disk` is
    None where it could not be measured in time.
    """

    view: Instance
    usage: Usage | None = None
    report: Report = NO_REPORT
    as_of: float | None = None
    disk: DiskUse | None = None

    @property
    def id(self) -> str:
        return self.view.id

    @property
    def is_live(self) -> bool:
        """Return whether it trades real money now or after its next start.

        Its container, its config and its bot's report count.
        """
        spec = self.view.spec
        return "live" in (self.view.mode, self.report.mode, spec.mode if spec else None)

    @property
    def needs_attention(self) -> bool:
        """Return whether it is in a state that needs an operator's attention."""
        is_bad = doing.severity(self.view) == "bad"
        return is_bad or self.view.exited_unexpectedly or self.has_mode_mismatch

    @property
    def has_mode_mismatch(self) -> bool:
        """Return whether its bot reports another mode than its container was created for.

        What an earlier run has reported, before the config's mode was changed, is no contradiction.
        """
        last = self.view.report
        if self.as_of is not None and last is not None and (last.has_ended or last.is_previous):
            return False
        return None not in (self.report.mode, self.view.mode) and self.report.mode != self.view.mode

    @property
    def figures_at(self) -> float | None:
        """Return of when its figures are, where they are not of now; 0.0 where nobody knows; else None."""
        if self.as_of is not None or self.report.contract is None:
            return self.as_of
        return doing.figures_at(self.view)  # of its answer

    @property
    def restarts(self) -> int:
        """Return how many times its supervisor has restarted its bot."""
        return self.view.supervisor.restarts_total if self.view.supervisor else 0

    @property
    def up_since(self) -> float | None:
        """Return the Unix time at which its bot was started; None if it is not running."""
        return display.since(self.view) if self.view.is_bot_up else None


def with_best_report(
    view: Instance, usage: Usage | None, answer: Report | None, disk: DiskUse | None = None
) -> InstanceStats:
    """Return the stats with the bot's own answer, else with the last report that its supervisor keeps.

    A bot that has just been started answers before it knows what it has: the last that was known stays.
    """
    kept_report = view.report
    if answer is not None:
        answer = bot_report.for_mode(answer, view.mode)
        if answer.contract is not None:  # newer than the copy
            now = time.time()  # which no answer is later than
            made_at = min(answer.at or now, now)
            answer = bot_report.by_our_clock(answer, made_at)
            view = view._replace(report=KeptReport(answer, made_at))
        says_nothing = answer.pnl is None and answer.position is None
        if (
            kept_report is None
            or not says_nothing
            or (kept_report.report.pnl is None and kept_report.report.position is None)
        ):
            return InstanceStats(view, usage, answer, disk=disk)
        last = kept_report.report._replace(mode=answer.mode or kept_report.report.mode)
        return InstanceStats(view, usage, last, kept_report.at or 0.0, disk)
    if kept_report is None:
        return InstanceStats(view, usage, disk=disk)
    return InstanceStats(view, usage, kept_report.report, kept_report.at or 0.0, disk)


class Totals(NamedTuple):
    """Hold a fleet's sums.

    P&L by (mode, quote currency), because paper and live, or two currencies, cannot be added up. For prices
    that are no market's their word stands in the mode's place: such a P&L is no trading result.

    `with_pnl`: the number of instances whose P&L is included; that of the others is unknown, not 0, but for
    the `moved` ones: another machine sums it up. `with_usage`: that of those whose use is known.
    """

    states: Mapping[State, int]
    cpu: float
    memory: int
    pnl: Mapping[tuple[str, str], Decimal]
    with_pnl: int
    moved: int = 0
    with_usage: int = 0


def sum_up(rows: Iterable[InstanceStats]) -> Totals:
    """Sum up what is known. A P&L counts only with a currency, and from a bot without a mode mismatch.

    That of an instance that was moved to another machine counts there.
    """
    states: Counter[State] = Counter()
    pnl: dict[tuple[str, str], Decimal] = {}
    cpu, memory, with_pnl, moved, with_usage = 0.0, 0, 0, 0, 0
    for row in rows:
        states[row.view.status.state] += 1
        if row.usage is not None and row.usage.last.memory is not None:
            cpu += row.usage.cpu or 0
            memory += row.usage.last.memory
            with_usage += 1
        if row.view.moved_to is not None:
            moved += 1
        elif row.report.pnl is not None and row.report.quote is not None and not row.has_mode_mismatch:
            mode = row.report.market if row.report.is_artificial else row.view.mode
            kind = (mode or "", row.report.quote)
            pnl[kind] = pnl.get(kind, Decimal(0)) + row.report.pnl
            with_pnl += 1
    by_urgency = {state: states[state] for state in STATES_BY_URGENCY if state in states}
    return Totals(by_urgency, cpu, memory, dict(sorted(pnl.items())), with_pnl, moved, with_usage)


def stats_object(row: InstanceStats) -> dict[str, Any]:
    """Return an object of `manager stats --json`.

    Sizes in bytes, times in seconds, amounts as exact decimal strings, null for unknown.
    """
    view = row.view
    return {
        "id": view.id,
        "state": view.status.state,
        **display.doing_object(view),
        "health": display.health(view),
        "mode": view.mode,
        "exchange": view.exchange,
        "symbol": view.symbol,
        "strategy": view.strategy,
        **usage_object(row),
        "restarts": row.restarts,
        "uptime_s": uptime_s(row),
        **reported_object(row),
    }


def reported_object(row: InstanceStats) -> dict[str, Any]:
    """Return the part of it that its bot has reported."""
    report = row.report
    return {
        "pnl": None if report.pnl is None else format(report.pnl, "f"),
        "quote": report.quote,
        "position": None if report.position is None else format(report.position, "f"),
        "base": report.base,
        "open_orders": report.open_orders,
        "trades": report.trades,
        "reported_mode": report.mode,
        "report_is_live": row.as_of is None and report is not NO_REPORT,
        "realized": _exact(report.realized),
        "unrealized": _exact(report.unrealized),
        "fees": _exact(report.fees),
        "funding": _exact(report.funding),
        "entry_price": _exact(report.entry_price),
        **{name: _exact(getattr(report, name)) for name in bot_report.FIGURES},
    }


def usage_object(row: InstanceStats) -> dict[str, Any]:
    """Return the part of it that is measured anew with every look."""
    sample = row.usage.last if row.usage else None
    share = row.usage.memory_share if row.usage else None
    cpu = row.usage.cpu if row.usage else None
    return {
        "cpu_percent": None if cpu is None else round(cpu, 2),
        "memory_bytes": sample and sample.memory,
        "memory_limit_bytes": sample and sample.memory_limit,
        "memory_percent": None if share is None else round(share, 2),
        "pids": sample and sample.pids,
        "network_received_bytes": sample and sample.received,
        "network_sent_bytes": sample and sample.sent,
        "disk_read_bytes": sample and sample.read,
        "disk_written_bytes": sample and sample.written,
        "folders_bytes": row.disk and row.disk.size,
        "folders_files": row.disk and row.disk.files,
        "folders_growth_bytes": row.disk and row.disk.growth,
    }


def uptime_s(row: InstanceStats) -> int | None:
    """Return for how many seconds its bot has run; None if it does not."""
    started = row.up_since
    return None if started is None else max(0, int(time.time() - started))


def _exact(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")
