"""Measure how long a live bot takes from a fill to its counter order, with the websocket and without.

`python -m bench.fills` prints both, of each `--bot`. The exchange is the one of the tests, at a round trip of
`--rtt` ms: half of it before a request is carried out, half of it before its answer arrives, and half of it
for what the socket tells. Of a spot market it has what the bot has bought, or `--coins` besides.
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

from bench.shell import raise_if_interrupted  # noqa: E402
from tests import ports  # noqa: E402
from tests.fake_exchange.book import ZERO, Book  # noqa: E402
from tests.fake_exchange.server import FakeExchange  # noqa: E402
from tests.fake_exchange.socket import FakeSocket  # noqa: E402

GRID = ("--grid-upper", "156", "--grid-lower", "144", "--grid-num", "7", "--quantity", "0.1")
QUOTES = ("--strategy", "standard", "--spread", "2", "--max-orders", "2", "--quantity", "0.1")
PERP, SPOT = "SOL_USDC_PERP", "SOL_USDC"
# The market, how many orders rest before the first fill (of spot only what buys), and the strategy.
BOTS: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "perp_grid": (PERP, 6, ("--strategy", "perp_grid", *GRID)),
    "spot_grid": (SPOT, 3, ("--strategy", "grid", "--market-type", "spot", *GRID)),
    "standard": (PERP, 4, ("--market-type", "perp", *QUOTES)),
    "spot_standard": (SPOT, 2, ("--market-type", "spot", *QUOTES)),
}


def main() -> int:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rtt", type=float, default=80.0, help="milliseconds (default 80)")
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between two ticks (default 1)")
    parser.add_argument("--fills", type=int, default=30, help="fills of each measurement (default 30)")
    parser.add_argument("--bot", choices=BOTS, nargs="*", default=["perp_grid"], help="which (perp_grid)")
    parser.add_argument("--coins", type=Decimal, default=Decimal(0), help="others' on the spot account (0)")
    options = parser.parse_args()
    asked = (options.rtt / 1000, options.interval, options.fills)
    rows = {
        bot: {
            name: measure(*asked, is_streamed=name == "websocket", bot=bot, coins=options.coins)
            for name in ("polling", "websocket")
        }
        for bot in options.bot
    }
    print(json.dumps({"rtt_ms": options.rtt, "interval_s": options.interval, **rows}, indent=2))
    return 0


def measure(
    rtt: float,
    interval: float,
    fills: int,
    *,
    is_streamed: bool,
    bot: str = "perp_grid",
    coins: Decimal = ZERO,
) -> dict[str, Any]:
    symbol, resting, strategy = BOTS[bot]
    book = Book(symbol=symbol, covered=symbol == SPOT, balance=coins)
    with FakeExchange(book, address="127.0.0.1") as fake, FakeSocket(fake, rtt / 2) as socket:
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
            argv = ["--exchange", "backpack", "--symbol", symbol, *strategy, "--interval", str(interval)]
            process = subprocess.Popen(
                [sys.executable, "-u", str(RUN), *argv], env=env, stdout=log, stderr=log
            )
            try:
                wait(lambda: len(book.own_open()) == resting and (not is_streamed or socket.subscribed), 60)
                return figures(book, process.pid, rtt, interval, fills)
            finally:
                process.terminate()
                try:
                    process.wait(60)
                finally:
                    process.kill()


def figures(book: Book, pid: int, rtt: float, interval: float, fills: int) -> dict[str, Any]:
    time.sleep(3 * interval)
    memory = next(
        int(line.split()[1]) / 1024
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS")
    )
    took = []
    for number in range(fills):
        wait_until_calm(book, 1.5 * interval)
        # Not in step with the ticks.
        time.sleep(interval * (0.3 + 0.618 * number % 1))
        price = next_fill(book, "Bid" if number % 2 == 0 else "Ask")
        before = set(book.orders)
        began = book.clock()
        book.move(price)
        wait(lambda seen=before: set(book.orders) - seen, 60)
        took.append(min(book.orders[new].at for new in set(book.orders) - before) - began)
    arrival = statistics.median(took)
    return {
        "fills": fills,
        "fill_to_order_sent_ms_median": round((arrival - rtt / 2) * 1000),
        "fill_to_order_at_exchange_ms_median": round(arrival * 1000),
        # On a spot market with others' coins only the order after a sale is sent before the look.
        "after_a_purchase_ms_median": round(statistics.median(took[::2]) * 1000),
        "after_a_sale_ms_median": round(statistics.median(took[1::2] or took) * 1000),
        "fill_to_order_at_exchange_ms_max": round(max(took) * 1000),
        "memory_mb": round(memory, 1),
    }


def next_fill(book: Book, side: str) -> Decimal:
    """Return the best price of the bot's own on that side, and wait for one."""
    wait(lambda: any(order.side == side for order in book.own_open()), 60)
    prices = [order.price for order in book.own_open() if order.side == side and order.price is not None]
    return max(prices) if side == "Bid" else min(prices)


def wait_until_calm(book: Book, pause: float) -> None:
    """Wait until the bot has placed nothing for so long: quotes are placed anew for some ticks."""
    began = book.clock()
    wait(lambda: book.clock() - max([began, *(order.at for order in book.orders.values())]) > pause, 60)


def wait(until: Any, within: float) -> None:
    deadline = time.monotonic() + within
    while not until():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within:g} s")
        raise_if_interrupted()
        time.sleep(0.002)


if __name__ == "__main__":
    sys.exit(main())
