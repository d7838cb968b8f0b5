"""Convert a look to targets.json, with which Prometheus' file_sd finds the bots' own `/metrics`. Pure."""

from __future__ import annotations

from typing import Any

from manager.monitor.metrics.families import FleetSample
from manager.util import formatting


def targets(look: FleetSample, host: str) -> list[dict[str, Any]]:
    """Return one target group per instance whose container publishes a web port, in order of their ids."""
    return [
        {
            "targets": [formatting.host_port(host, row.view.web_port)],
            "labels": {
                "fleet": look.fleet,
                "id": row.id,
                "exchange": row.view.exchange or "",
                "symbol": row.view.symbol or "",
                "strategy": row.view.strategy or "",
                "mode": row.view.mode or "",
            },
        }
        for row in sorted(look.rows, key=lambda row: row.id)
        if row.view.container is not None and row.view.web_port
    ]
