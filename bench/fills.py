"""Measure how long a live bot takes from a fill to its counter order, with the websocket and without.

`python -m bench.fills` prints both. The exchange is the one of the tests, at a round trip of
`--rtt` ms: half of it before a request is carried out, half of it before its answer arrives, and half of it
for what the socket tells.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

RUN = Path(__file__).resolve().parents[1] / "docker" / "bot" / "run.py"
sys.path[:0] = [str(RUN.parent)]

from tests import ports  # noqa: E402
from tests.fake_exchange.book import Book  # noqa: E402
from tests.fake_exchange.server import FakeExchange  # noqa: E402
from tests.fake_exchange.socket import FakeSocket  # noqa: E402

GRID = ("--grid-upper", "156", "--grid-lower", "144", "--grid-num", "7", "--quantity", "0.1")
COMMANDS = {
    "SOL_USDC_PERP": ("--strategy", "perp_grid"),
    "SOL_USDC": ("--strategy", "grid", "--market-type", "spot"),
}


def main() -> int:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rtt", type=float, default=80.0, help="milliseconds (default 80)")
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between two ticks (default 1)")
    parser.add_argument("--fills", type=int, default=30, help="fills of each measurement (default 30)")
    parser.add_argument("--symbol", choices=COMMANDS, default="SOL_USDC_PERP", help="the market")
    options = parser.parse_args()
    asked = (options.rtt / 1000, options.interval, options.fills)
    figures = {
        name: measure(*asked, is_streamed=name == "websocket", symbol=options.symbol)
        for name in ("polling", "websocket")
    }
    head = {"rtt_ms": options.rtt, "interval_s": options.interval, "symbol": options.symbol}
    print(json.dumps({**head, **figures}, indent=2))
    return 0


def measure(
    rtt: float, interval: float, fills: int, *, is_streamed: bool, symbol: str = "SOL_USDC_PERP"
) -> dict[str, Any]:
    with FakeExchange(Book(symbol=symbol), address="127.0.0.1") as fake, FakeSocket(fake, rtt / 2) as socket:
        carried_out = fake.answer

        def answer(*request: Any) -> Any:
            try:
                return carried_out(*request)
            finally:
                time.sleep(rtt / 2)

        fake.answer = answer  # type: ignore[method-assign, assignment]
        fake.faults.latency = (rtt / 2, rtt / 2)
        with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("wb") as log:
            env = {
                "PATH": os.environ["PATH"],
                "HOME": folder,
                "DB_PATH": f"{folder}/bot.db",
                "WEB_PORT": str(ports.reserve()),
                "TRADING_MODE": "live",
                "GRIDBOT_RATE_LIMIT_MS": "2",
                **fake.env,
                **(socket.env if is_streamed else {}),
            }
            argv = ["--exchange", "backpack", "--symbol", symbol, *COMMANDS[symbol], *GRID]
            command = [sys.executable, "-u", str(RUN), *argv, "--interval", str(interval)]
            bot = subprocess.Popen(command, env=env, stdout=log, stderr=log)
            try:
                return figures(fake, socket, bot, rtt, interval, fills, is_streamed=is_streamed)
            finally:
                bot.terminate()
                bot.wait(60)


def figures(
    fake: FakeExchange,
    socket: FakeSocket,
    bot: subprocess.Popen[bytes],
    rtt: float,
    interval: float,
    fills: int,
    *,
    is_streamed: bool,
) -> dict[str, Any]:
    resting = 6 if fake.book.symbol.endswith("_PERP") else 3  # of spot only what buys
    wait(lambda: len(fake.book.own_open()) == resting and (not is_streamed or socket.subscribed), 60)
    time.sleep(3 * interval)
    memory = next(
        int(line.split()[1]) / 1024
        for line in Path(f"/proc/{bot.pid}/status").read_text().splitlines()
        if line.startswith("VmRSS")
    )
    took = []
    for number in range(fills):
        # Not in step with the ticks.
        time.sleep(interval * (1.3 + 0.618 * number % 1))
        before = set(fake.book.orders)
        began = fake.book.clock()
        fake.book.move(Decimal("148") if number % 2 == 0 else Decimal("150"))
        wait(lambda seen=before: set(fake.book.orders) - seen, 60)
        [order, *_] = sorted(
            (fake.book.orders[i] for i in set(fake.book.orders) - before), key=lambda o: o.at
        )
        took.append(order.at - began)
    arrival = statistics.median(took)
    return {
        "fills": fills,
        "fill_to_order_sent_ms_median": round((arrival - rtt / 2) * 1000),
        "fill_to_order_at_exchange_ms_median": round(arrival * 1000),
        # On a spot market only the order after a sale is sent before the look.
        "after_a_purchase_ms_median": round(statistics.median(took[::2]) * 1000),
        "after_a_sale_ms_median": round(statistics.median(took[1::2] or took) * 1000),
        "fill_to_order_at_exchange_ms_max": round(max(took) * 1000),
        "memory_mb": round(memory, 1),
    }


def wait(until: Any, within: float) -> None:
    deadline = time.monotonic() + within
    while not until():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within:g} s")
        time.sleep(0.002)


if __name__ == "__main__":
    sys.exit(main())
