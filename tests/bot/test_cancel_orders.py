"""cancel_orders.py: a dead live bot leaves no orders.

Nobody else's is touched, and the count is the exchange's.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from decimal import Decimal
from pathlib import Path

from tests.bot.bots import BotFactory, run_program
from tests.bot.test_live import FAST, MESH, fake, live, settled
from tests.fake_exchange.server import FakeExchange

__all__ = ["fake"]


def cancel(folder: Path, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    own = {"PATH": os.environ["PATH"], "DB_PATH": str(folder / "bot.db"), "TRADING_MODE": "live"}
    return run_program("cancel_orders.py", [*MESH, *options], {**own, **env})


def left(done: subprocess.CompletedProcess[str]) -> int:
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    return int(answer["open_orders_left"])


def test_a_killed_bots_orders_are_cancelled_and_others_stay(
    start_bot: BotFactory, fake: FakeExchange, tmp_path: Path
) -> None:
    foreign = fake.book.place("Bid", "Limit", Decimal(141), Decimal(1), 7, foreign=True)
    bot = live(start_bot, fake)
    settled(bot, fake)
    busy = cancel(tmp_path, **fake.env | FAST)
    assert (busy.returncode, len(fake.book.own_open())) == (5, 6)
    assert "another bot is running" in busy.stderr
    bot.kill()
    fake.faults.down = True
    away = cancel(tmp_path, **fake.env | FAST, GRIDBOT_STOP_WITHIN="1")
    assert (away.returncode, away.stdout.count("open_orders_left")) == (1, 0)
    fake.faults.down = False
    fake.book.move(min(order.price for order in fake.book.own_open() if order.side == "Ask" and order.price))
    done = cancel(tmp_path, **fake.env | FAST)
    assert left(done) == 0
    report = json.loads(done.stdout.splitlines()[-2])["report"]
    sold = [fill for fill in fake.book.fills if not fill.order.foreign]
    assert sold, "an order was filled while no bot lived"
    assert Decimal(report["position"]) == -sum(fill.qty for fill in sold)
    assert Decimal(report["position_at_exchange"]) == Decimal(report["position"])
    assert (report["trades"], Decimal(report["fees"])) == (len(sold), sum(fill.fee for fill in sold))
    assert (fake.book.own_open(), foreign.open, fake.book.violations) == ([], True, [])
    assert left(cancel(tmp_path, **fake.env | FAST)) == 0


def test_what_another_dead_bot_of_the_account_last_said_makes_no_position(
    start_bot: BotFactory, fake: FakeExchange, tmp_path: Path
) -> None:
    """Its orders were filled after its last word, too: what it said then is not to be taken from the account
    of now.
    """
    bot = live(start_bot, fake)
    settled(bot, fake)
    bot.kill()
    fake.book.move(min(order.price for order in fake.book.own_open() if order.side == "Ask" and order.price))
    own = -sum(fill.qty for fill in fake.book.fills if not fill.order.foreign)
    fake.book.place("Bid", "Market", None, Decimal(1), foreign=True)
    others = tmp_path / "others.json"
    for word, at_exchange in (("0.4", None), ("1", own)):
        others.write_text(json.dumps({"schema": 1, "position": word, "at": time.time()}))
        done = cancel(tmp_path, **fake.env | FAST, BOTFLEET_OTHERS=str(others))
        assert left(done) == 0
        report = json.loads(done.stdout.splitlines()[-2])["report"]
        assert Decimal(report["position"]) == own
        position = report.get("position_at_exchange")
        assert (position and Decimal(position)) == at_exchange


def test_an_order_that_was_sent_and_never_answered_is_cancelled_too(
    start_bot: BotFactory, fake: FakeExchange, tmp_path: Path
) -> None:
    bot = live(start_bot, fake)
    settled(bot, fake)
    bot.kill()
    import sqlite3

    with sqlite3.connect(tmp_path / "bot.db") as db:
        db.execute("UPDATE orders SET exchange_id = NULL, state = 'new'")
    db.close()
    assert left(cancel(tmp_path, **fake.env | FAST)) == 0
    assert fake.book.own_open() == []


def test_without_its_record_nothing_is_cancelled_and_nothing_is_claimed(
    fake: FakeExchange, tmp_path: Path
) -> None:
    settle = {"GRIDBOT_RECV_WINDOW_MS": "1000"}
    for content in (None, "no database" * 1000):
        if content:
            (tmp_path / "bot.db").write_text(content)
        fake.book.orders.clear()
        assert left(cancel(tmp_path, **fake.env | FAST | settle)) == 0
        foreign = fake.book.place("Bid", "Limit", Decimal(141), Decimal(1), 7, foreign=True)
        done = cancel(tmp_path, **fake.env | FAST | settle)
        assert (done.returncode, done.stdout.count("open_orders_left"), foreign.open) == (5, 0, True), (
            done.stderr
        )
        assert "whose they are cannot be told" in done.stderr
        assert (tmp_path / "bot.db").exists() == bool(content)


def test_another_market_of_an_earlier_run_is_cancelled_there(
    start_bot: BotFactory, fake: FakeExchange, tmp_path: Path
) -> None:
    bot = live(start_bot, fake)
    settled(bot, fake)
    bot.kill()
    done = cancel(tmp_path, "--symbol", "ETH_USDC_PERP", **fake.env | FAST)
    assert fake.book.own_open() == [], done.stderr


def test_a_position_that_cannot_be_read_is_said_of_the_exchange(
    start_bot: BotFactory, fake: FakeExchange, tmp_path: Path
) -> None:
    """It was said of "live", where the prices come from."""
    bot = live(start_bot, fake)
    settled(bot, fake)
    bot.kill()
    fake.position = "none"
    done = cancel(tmp_path, **fake.env | FAST)
    assert "backpack does not say what position is left: " in done.stderr


def test_paper_mode_has_no_orders_to_cancel(tmp_path: Path) -> None:
    done = cancel(tmp_path, TRADING_MODE="paper")
    assert (done.returncode, done.stdout) == (2, "")
    assert "paper mode" in done.stderr
