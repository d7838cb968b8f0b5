"""Measure whole tasks: what a bot does by itself, and what a person does with a whole fleet."""

from __future__ import annotations

import json
import math
import sys
import tempfile
from pathlib import Path

from bench import cancels, fills
from bench.measure import Findings, Table
from bench.project import ROOT, Workshop
from bench.shell import run

RTT_S = 0.08
"""To the exchange and back."""
BOT = ROOT / "docker" / "bot"
STRATEGY = (
    *("--exchange", "backpack", "--symbol", "SOL_USDC_PERP", "--strategy", "perp_grid"),
    *("--grid-upper", "156", "--grid-lower", "144", "--grid-num", "7", "--quantity", "0.1"),
)
READY_S = 1
"""How long each bot of the roll-out must be healthy, of which the user decides: the least."""
HEADS = ["work", "figure", "how it was measured"]


def tables(
    shop: Workshop,
    findings: Findings,
    *,
    fleet: int,
    halted: int,
    orders: int,
    fills: int,
    every_bot: bool,
    ticks: int,
    interval: float,
) -> None:
    """Add the table of the tasks, and that of the halt over time. A row that fails is missing."""
    rows: list[list[str]] = []
    with findings.row("fill to counter order"):
        rows += _fills(fills, interval, every_bot=every_bot)
    with findings.row("backtest"):
        rows.append(_backtest(ticks))
    with findings.row(f"upgrade and backup of {fleet}"):
        rows += _upgrade_and_backup(shop, fleet)
    findings.tables.append(Table("Whole tasks", HEADS, rows))
    with findings.row(f"halt of {halted}"):
        findings.tables.append(_halt(halted, orders))


def _fills(count: int, interval: float, *, every_bot: bool) -> list[list[str]]:
    rows = []
    measured = [("websocket", "perp_grid"), ("polling", "perp_grid")]
    if every_bot:  # by the websocket
        measured += [("spot", "spot_grid"), ("standard", "standard")]
    for name, bot in measured:
        figures = fills.measure(RTT_S, interval, count, is_streamed=name != "polling", bot=bot)
        rows.append(
            [
                f"fill → counter order, {name}",
                f"{figures['fill_to_order_sent_ms_median']} ms to its sending, "
                f"{figures['fill_to_order_at_exchange_ms_median']} ms to the exchange",
                f"median of {count}, a tick every {interval:g} s, round trip {1000 * RTT_S:.0f} ms",
            ]
        )
    return rows


def _backtest(ticks: int) -> list[str]:
    """Run a backtest of prices that go up and down through the grid; without what the start takes."""
    with tempfile.TemporaryDirectory() as name:
        times = []
        for count in (2, ticks):
            data = Path(name) / f"{count}.csv"
            prices = (f"{60 * number},{150 + 5 * math.sin(number / 50):.2f}" for number in range(count))
            data.write_text("\n".join(["time,price", *prices]) + "\n")
            command: list[str | Path] = [
                sys.executable,
                BOT / "backtest.py",
                *STRATEGY,
                "--data",
                data,
                "--json",
            ]
            times.append(run(command))
        start, total = times
        trades = json.loads(total.out)["trades"]
        rate = ticks / max(total.seconds - start.seconds, 0.001)
    return ["backtest", f"{rate:,.0f} ticks/s", f"{ticks:,} prices, {trades} trades, the start not counted"]


def _upgrade_and_backup(shop: Workshop, size: int) -> list[list[str]]:
    project = shop.project(size)
    project.manager("up")
    project.settle()
    backup = project.manager("backup", "--to", str(project.folder / "backups"))
    size_mb = max(file.stat().st_size for file in (project.folder / "backups").iterdir()) / 1e6
    project.image = shop.variant()
    project.configure()
    before = project.container_ids()
    batch = max(size // 4, 1)
    upgrade = project.manager("upgrade", "--batch", str(batch), "--ready", str(READY_S))
    if project.container_ids() & before:
        raise AssertionError("a bot was not upgraded")
    project.remove_containers()
    return [
        [
            f"upgrade of {size}",
            f"{upgrade.seconds:.1f} s",
            f"one, then {batch} at a time, each healthy for {READY_S} s",
        ],
        [f"backup of {size}", f"{backup.seconds:.2f} s", f"{size_mb:.1f} MB, bots run"],
    ]


def _halt(bots: int, orders: int) -> Table:
    looks = list(cancels.left_over_time(bots, orders, 120.0))
    rows = [
        [f"{look.after:.0f} s", str(look.left), str(look.requests), str(look.refused), str(look.bans)]
        for look in looks
    ]
    words = (
        f"Of {bots} bots with {orders} orders each at one exchange with Aster's limits for one address. Time"
        " counts from the first request."
    )
    heads = ["after", "orders left", "requests", "refused", "bans"]
    return Table("Halt, orders left over time", heads, rows, words)
