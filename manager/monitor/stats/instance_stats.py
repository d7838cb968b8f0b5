"""What an instance is, uses and reports, side by side; the fleet's sums. Pure."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from manager.fleet import display
from manager.fleet.instance import Instance
from manager.fleet.status import State
from manager.monitor.stats.reports import Report
from manager.monitor.stats.usage import Usage

WORST_FIRST: Sequence[State] = (
    "failed", "unhealthy", "restarting", "orphan", "starting", "running", "completed", "stopped", "missing",
)  # fmt: skip

SILENT = Report()
"""What a bot reports that reports nothing."""


class InstanceStats(NamedTuple):
    """One instance at one moment. `usage` is None where nothing runs, or where nothing can be seen of it."""

    view: Instance
    usage: Usage | None = None
    report: Report = SILENT

    @property
    def id(self) -> str:
        """The instance's id."""
        return self.view.id

    @property
    def is_live(self) -> bool:
        """Whether it trades real money, or will once it is started anew: by its container, its config, or its bot's own word."""
        spec = self.view.spec
        return "live" in (self.view.mode, self.report.mode, spec.mode if spec else None)

    @property
    def needs_a_look(self) -> bool:
        """Whether it is in a state that a person has to know of."""
        state = self.view.verdict.inner or self.view.verdict.state
        return state in {"failed", "unhealthy"} or self.view.has_fallen or self.is_misled

    @property
    def is_misled(self) -> bool:
        """Whether its bot says that it trades in another mode than its container was made for."""
        return None not in (self.report.mode, self.view.mode) and self.report.mode != self.view.mode

    @property
    def restarts(self) -> int:
        """How often its supervisor has restarted its bot."""
        return self.view.supervision.restarts_total if self.view.supervision else 0

    @property
    def up_since(self) -> float | None:
        """When its bot was started, in seconds since the epoch; None when none is up."""
        return display.since(self.view) if self.view.is_bot_up else None


class Totals(NamedTuple):
    """A fleet's sums. P&L by (mode, quote currency): paper is no money, and two currencies make no sum.

    `with_pnl`: how many instances' P&L is in them; of the others it is not known now, which is not 0.
    """

    states: Mapping[State, int]
    cpu: float
    memory: int
    pnl: Mapping[tuple[str, str], Decimal]
    with_pnl: int


def totals(rows: Iterable[InstanceStats]) -> Totals:
    """The sums of what is known. In none of them is a P&L without a currency, or of a bot that says another mode than its own."""
    states: Counter[State] = Counter()
    pnl: dict[tuple[str, str], Decimal] = {}
    cpu, memory, with_pnl = 0.0, 0, 0
    for row in rows:
        states[row.view.verdict.state] += 1
        if row.usage is not None:
            cpu += row.usage.cpu or 0
            memory += row.usage.last.memory
        if row.report.pnl is not None and row.report.quote is not None and not row.is_misled:
            kind = (row.view.mode or "", row.report.quote)
            pnl[kind] = pnl.get(kind, Decimal(0)) + row.report.pnl
            with_pnl += 1
    by_urgency = {state: states[state] for state in WORST_FIRST if state in states}
    return Totals(by_urgency, cpu, memory, dict(sorted(pnl.items())), with_pnl)


def as_object(row: InstanceStats) -> dict[str, Any]:
    """One object of `manager stats --json`: sizes in bytes, times in seconds, amounts as exact text, null for what is not known."""
    view, report, began = row.view, row.report, row.up_since
    sample = row.usage.last if row.usage else None
    share = row.usage.memory_share if row.usage else None
    cpu = row.usage.cpu if row.usage else None
    return {
        "id": view.id,
        "state": view.verdict.state,
        "health": display.health(view),
        "mode": view.mode,
        "exchange": view.exchange,
        "symbol": view.symbol,
        "strategy": view.strategy,
        "cpu_percent": None if cpu is None else round(cpu, 2),
        "memory_bytes": sample and sample.memory,
        "memory_limit_bytes": sample and sample.memory_limit,
        "memory_percent": None if share is None else round(share, 2),
        "pids": sample and sample.pids,
        "network_received_bytes": sample and sample.received,
        "network_sent_bytes": sample and sample.sent,
        "disk_read_bytes": sample and sample.read,
        "disk_written_bytes": sample and sample.written,
        "restarts": row.restarts,
        "uptime_s": None if began is None else max(0, int(time.time() - began)),
        "pnl": None if report.pnl is None else format(report.pnl, "f"),
        "quote": report.quote,
        "position": None if report.position is None else format(report.position, "f"),
        "base": report.base,
        "open_orders": report.open_orders,
        "trades": report.trades,
        "reported_mode": report.mode,
    }
