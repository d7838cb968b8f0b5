"""Format the bot's status as Prometheus text."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


FIGURES = (
    ("paused", "gauge", "1 while a person has paused the bot.", "paused"),
    ("uptime_seconds", "gauge", "Seconds since the bot's process started.", "uptime"),
    ("last_tick_timestamp_seconds", "gauge", "When the loop last ticked.", "last_tick"),
    ("price", "gauge", "The last price, in quote currency.", "price"),
    ("position", "gauge", "The position made by this bot's trades, in base currency.", "position"),
    ("pnl", "gauge", "Profit and loss of the run after fees, in quote currency.", "pnl"),
    ("pnl_realized", "gauge", "Realised profit and loss of the run before fees.", "realized"),
    ("pnl_unrealized", "gauge", "Unrealised profit and loss of the run.", "unrealized"),
    ("fees", "gauge", "Fees of the run, in quote currency; below 0 for rebates.", "fees"),
    ("funding", "gauge", "Funding of the run, in quote currency; below 0 when paid.", "funding"),
    ("trades_total", "counter", "Trades of the run.", "trades"),
    ("volume_total", "counter", "Traded value of the run, in quote currency.", "volume"),
    ("maker_share", "gauge", "Share of the run's trades that were maker.", "maker_share"),
    ("reject_rate", "gauge", "Share of the run's orders that were refused.", "reject_rate"),
    (
        "max_drawdown",
        "gauge",
        "Deepest fall of the run's P&L below its highest point, in quote currency.",
        "max_drawdown",
    ),
    (
        "profit_per_grid",
        "gauge",
        "Mean profit of a trade that closed something, after fees, in quote currency.",
        "profit_per_grid",
    ),
    (
        "apr",
        "gauge",
        "Profit a year as a share of the largest position's value; absent in the run's first hour.",
        "apr",
    ),
    (
        "order_latency_seconds",
        "gauge",
        "How long the exchange took to answer the last accepted order.",
        "order_latency",
    ),
    ("errors_total", "counter", "Errors in this bot's record.", "errors_total"),
)
"""Name, kind and text of a metric, and the key of its value in the answer of /health/detailed."""


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
    for name, kind, text, key in FIGURES:
        metric(name, kind, text, ({}, get(key)))
    orders = get("open_orders")
    if orders is not None:
        sides = [({"side": side}, sum(order["side"] == side for order in orders)) for side in ("buy", "sell")]
        metric("open_orders", "gauge", "Live orders of this bot.", *sides)
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
