"""What instances use and report, gathered once: measured twice, asked once."""

from __future__ import annotations

import time
from collections.abc import Iterable

from manager.fleet.instance import Instance
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text, _
from manager.monitor.stats import reports
from manager.monitor.stats.instance_stats import SILENT, InstanceStats
from manager.monitor.stats.sampler import Meter

BETWEEN_SAMPLES_S = 0.5
"""CPU is what was used between two samples. A bot that ticks twice a second is seen to; `docker stats` takes 1 s."""


def gather(snapshot: FleetSnapshot, views: Iterable[Instance], meter: Meter) -> list[InstanceStats]:
    """Samples all, waits once, samples all again; the bots are asked only then, for that is work which they would not do else."""
    chosen = list(views)
    running = [view.container.id for view in chosen if view.container and view.container.is_up]
    meter.measure(running)
    time.sleep(BETWEEN_SAMPLES_S if running else 0)
    used = meter.measure(running)
    said = reports.read(addresses(snapshot, chosen))
    return [
        InstanceStats(
            view, used.get(view.container.id) if view.container else None, said.get(view.id, SILENT)
        )
        for view in chosen
    ]


def addresses(snapshot: FleetSnapshot, views: Iterable[Instance]) -> dict[str, tuple[str, int]]:
    """Where the bots that are up can be asked."""
    host = snapshot.project.fleet.web_host
    return {view.id: (host, view.web_port) for view in views if view.is_bot_up and view.web_port}


def misled(row: InstanceStats) -> Text:
    """What to say of a bot that trades otherwise than its container was made for."""
    return Text(
        "{id}: its bot says that it trades {said}, but its container was made for {mode}",
        id=row.id, said=_(row.report.mode or ""), mode=_(row.view.mode or ""),
    )  # fmt: skip
