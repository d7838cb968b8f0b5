"""Format the bot's status as Prometheus text."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(detailed: Mapping[str, Any]) -> str:
    """Return the metrics of `detailed`, the answer of /health/detailed. Unknown values are left out."""
    lines: list[str] = []

    def metric(name: str, kind: str, text: str, *samples: tuple[Mapping[str, str], Any]) -> None:
        known = [(labels, value) for labels, value in samples if value is not None]
        if known:
            lines.extend((f"# HELP gridbot_{name} {text}", f"# TYPE gridbot_{name} {kind}"))
            lines.extend(f"gridbot_{name}{_labels(labels)} {_number(value)}" for labels, value in known)

    get = detailed.get
    names = ("instance", "exchange", "symbol", "strategy", "market_type", "mode", "source")
    if get("instance"):
        metric("info", "gauge", "What this bot is.", ({name: str(get(name)) for name in names}, 1))
    metric("healthy", "gauge", "1 while the bot trades.", ({}, bool(get("healthy"))))
    metric("paused", "gauge", "1 while a person has paused the bot.", ({}, get("paused")))
    metric("uptime_seconds", "gauge", "Seconds since the bot's process started.", ({}, get("uptime")))
    metric("last_tick_timestamp_seconds", "gauge", "When the loop last ticked.", ({}, get("last_tick")))
    metric("price", "gauge", "The last price, in quote currency.", ({}, get("price")))
    metric(
        "position",
        "gauge",
        "The position made by this bot's trades, in base currency.",
        ({}, get("position")),
    )
    metric("pnl", "gauge", "Profit and loss of the run after fees, in quote currency.", ({}, get("pnl")))
    metric("pnl_realized", "gauge", "Realised profit and loss of the run before fees.", ({}, get("realized")))
    metric("pnl_unrealized", "gauge", "Unrealised profit and loss of the run.", ({}, get("unrealized")))
    metric("fees", "gauge", "Fees of the run, in quote currency; below 0 for rebates.", ({}, get("fees")))
    metric("trades_total", "counter", "Trades of the run.", ({}, get("trades")))
    metric("volume_total", "counter", "Traded value of the run, in quote currency.", ({}, get("volume")))
    orders = get("open_orders")
    if orders is not None:
        sides = [({"side": side}, sum(order["side"] == side for order in orders)) for side in ("buy", "sell")]
        metric("open_orders", "gauge", "Live orders of this bot.", *sides)
    metric("maker_share", "gauge", "Share of the run's trades that were maker.", ({}, get("maker_share")))
    metric("reject_rate", "gauge", "Share of the run's orders that were refused.", ({}, get("reject_rate")))
    metric(
        "max_drawdown",
        "gauge",
        "Deepest fall of the run's P&L below its highest point, in quote currency.",
        ({}, get("max_drawdown")),
    )
    metric(
        "profit_per_grid",
        "gauge",
        "Mean profit of a trade that closed something, after fees, in quote currency.",
        ({}, get("profit_per_grid")),
    )
    metric(
        "apr",
        "gauge",
        "Profit a year as a share of the largest position's value; absent in the run's first hour.",
        ({}, get("apr")),
    )
    metric(
        "order_latency_seconds",
        "gauge",
        "How long the exchange took to answer the last accepted order.",
        ({}, get("order_latency")),
    )
    metric("errors_total", "counter", "Errors in this bot's record.", ({}, get("errors_total")))
    metric("resident_memory_bytes", "gauge", "Memory of the bot's process.", ({}, _memory()))
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    pairs = (f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return "{" + ",".join(pairs) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _memory() -> int | None:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None  # not a Linux
