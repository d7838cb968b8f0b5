"""Measure the orders left over time while many bots cancel at one exchange with its real limits.

`python -m bench.cancels` starts a cancel program per bot against the fake exchange, spread as `halt`
spreads its stops. `--one-by-one --unspread` does without batches, all from one moment, for comparison; `--bot
DIR` takes the bot of another checkout.
Time counts from the first request: fifty Python processes need longer to start than bots that run need to
cancel. A small machine takes `--bots 4 --share 0.02`, the part of a fleet of 200.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
BOT = ROOT / "docker" / "bot"
ONE_BY_ONE = Path(__file__).with_name("one_by_one.py")
sys.path[:0] = [str(BOT)]

from gridbot.model.types import OrderRequest, Side  # noqa: E402
from gridbot.store.ledger import Ledger  # noqa: E402
from gridbot.store.store import Store  # noqa: E402
from manager.ops.execution.stop_turns import turn  # noqa: E402
from tests.fake_exchange.limits import ASTER, Limits  # noqa: E402
from tests.fake_exchange.server import Account, FakeExchange  # noqa: E402

COMMAND = (
    *("--exchange", "aster", "--symbol", "SOLUSDT", "--strategy", "perp_grid"),
    *("--grid-upper", "160", "--grid-lower", "140", "--quantity", "0.1"),
)
LOOKS_S = 5.0


class Look(NamedTuple):
    """Hold the exchange at one moment, in seconds from the first request."""

    after: float
    left: int
    requests: int
    refused: int
    bans: int


def main() -> None:
    """Print the orders left every five seconds, and what the exchange refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bots", type=int, default=50)
    parser.add_argument("--orders", type=int, default=13)
    parser.add_argument("--seconds", type=float, default=60.0, help="at most, from the first request")
    parser.add_argument("--share", type=float, default=1.0, help="of the limits, for a larger fleet's part")
    parser.add_argument("--bot", type=Path, default=BOT, help="a folder with cancel_orders.py")
    parser.add_argument("--one-by-one", action="store_true", help="without the call for many orders")
    parser.add_argument("--unspread", action="store_true", help="start all at once")
    options = parser.parse_args()
    for look in left_over_time(
        options.bots,
        options.orders,
        options.seconds,
        options.share,
        ONE_BY_ONE if options.one_by_one else options.bot / "cancel_orders.py",
        is_spread=not options.unspread,
    ):
        print(
            f"{look.after:5.0f} s: {look.left:4} orders left, {look.requests:5} requests,"
            f" {look.refused:5} refused, {look.bans} bans",
            flush=True,
        )


def left_over_time(
    bots: int,
    orders: int,
    seconds: float,
    share: float = 1.0,
    program: Path = BOT / "cancel_orders.py",
    *,
    is_spread: bool = True,
) -> Iterator[Look]:
    """Cancel the orders of so many bots; yield a look every five seconds, the last one with none left."""
    windows = tuple(replace(w, most=max(int(w.most * share), 1)) for w in ASTER.windows)
    limits = Limits(replace(ASTER, windows=windows))
    with tempfile.TemporaryDirectory() as folder, FakeExchange(limits=limits) as fake:
        accounts = [fake.add_account() for _ in range(bots)]
        for number, account in enumerate(accounts):
            _place(Path(folder) / f"{number}.db", account, orders)
        processes: list[subprocess.Popen[bytes]] = []

        def start() -> None:
            launched = time.monotonic()
            for number, account in enumerate(accounts):
                due = turn("aster", int(number / share)) if is_spread else 0.0
                time.sleep(max(launched + due - time.monotonic(), 0.0))
                processes.append(_cancel(program, fake, account, Path(folder) / f"{number}.db"))

        starter = threading.Thread(target=start)
        starter.start()
        while not limits.requests:
            time.sleep(0.1)
            if len(processes) == bots and all(process.poll() for process in processes):
                raise SystemExit(f"{program} makes no request: every one of them has failed")
        began = time.monotonic()
        while (now := time.monotonic() - began) < seconds + LOOKS_S:
            left = sum(len(account.book.own_open()) for account in accounts)
            yield Look(now, left, limits.requests, limits.refused, limits.bans)
            if left == 0:
                break
            time.sleep(LOOKS_S)
        starter.join()
        for process in processes:
            process.kill()
            process.wait()


def _place(record: Path, account: Account, count: int) -> None:
    """Leave orders as a bot that was killed does: in its record, and in the market."""
    store = Store(record, durable=False)
    store.begin_run("aster SOLUSDT perp live", "live", {}, Ledger())
    for number in range(count):
        price, qty = Decimal(100 + number), Decimal("0.1")
        order = store.new_order(OrderRequest(f"L{number}", Side.BUY, price, qty, cell=1), time.time())
        store.confirm(order.client_id, account.book.place("Bid", "Limit", price, qty, order.client_id).id)
    store.close()


def _cancel(program: Path, fake: FakeExchange, account: Account, record: Path) -> subprocess.Popen[bytes]:
    env = {"PATH": os.environ["PATH"], "DB_PATH": str(record), "TRADING_MODE": "live"}
    return subprocess.Popen(
        [sys.executable, str(program), *COMMAND],
        env=env | fake.env_of(account),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    main()
