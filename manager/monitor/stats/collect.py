"""Collect usage and reports once: two samples per container, one request per bot."""

from __future__ import annotations

import time
from collections.abc import Iterable

from manager.fleet import doing
from manager.fleet.instance import Instance
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text, _
from manager.monitor.disk import usage as disk_usage
from manager.monitor.stats import reports
from manager.monitor.stats.instance_stats import InstanceStats, with_best_report
from manager.monitor.stats.sampler import Sampler

BETWEEN_SAMPLES_S = 0.5
"""CPU is the usage between two samples. The interval covers a bot's ticks, two a second; `docker stats` takes
1 s."""


def collect(snapshot: FleetSnapshot, views: Iterable[Instance], meter: Sampler) -> list[InstanceStats]:
    """Return the stats of these instances.

    The bots are asked after the second sample, because answering costs CPU time that would be measured.
    """
    selected = doing.with_reports(snapshot.project.fleet, views)
    running = [view.container.id for view in selected if view.container and view.container.is_up]
    meter.measure(running)
    time.sleep(BETWEEN_SAMPLES_S if running else 0)
    usages = meter.measure(running)
    bot_reports = reports.fetch_reports(addresses(snapshot, selected))
    sizes = disk_usage.read(snapshot.project.fleet, selected)
    return [
        with_best_report(
            view,
            usages.get(view.container.id) if view.container else None,
            bot_reports.get(view.id),
            sizes.get(view.id),
        )
        for view in selected
    ]


def addresses(snapshot: FleetSnapshot, views: Iterable[Instance]) -> dict[str, tuple[str, int]]:
    """Return instance → (host, port) for the bots that are up."""
    host = snapshot.project.fleet.web_host
    return {view.id: (host, port) for view in views if view.is_bot_up and (port := view.web_port)}


def mode_mismatch(row: InstanceStats) -> Text:
    """Return the warning for a bot that trades in another mode than its container was created for."""
    return Text(
        "{id}: the bot reports {reported} mode, but its container was created for {mode} mode",
        id=row.id,
        reported=_(row.report.mode or ""),
        mode=_(row.view.mode or ""),
    )
