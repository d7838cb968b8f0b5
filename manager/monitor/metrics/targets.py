"""Convert a look to targets.json, with which Prometheus' file_sd finds the bots' own `/metrics`. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from manager.config.fleet import Fleet
from manager.fleet.instance import Instance
from manager.util import formatting


def targets(fleet: Fleet, views: Iterable[Instance]) -> list[dict[str, Any]]:
    """Return one target group per instance whose container publishes a web port, in order of their ids."""
    return [
        {
            "targets": [formatting.host_port(fleet.web_host, view.web_port)],
            "labels": {
                "fleet": fleet.name,
                "id": view.id,
                "exchange": view.exchange or "",
                "symbol": view.symbol or "",
                "strategy": view.strategy or "",
                "mode": view.mode or "",
            },
        }
        for view in sorted(views, key=lambda view: view.id)
        if view.container is not None and view.web_port
    ]
