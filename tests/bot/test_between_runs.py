"""Two runs of one position with the price moved between them: together they have earned what was earned.

The figures are computed by hand: orders of 0.1 at 144 to 156 in steps of 2, a maker fee of 0.02 %.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from gridbot.model.types import Fill, Funding, OrderRequest, Side
from gridbot.store import history
from gridbot.store.database import HELD_SINCE, OPENING_PNL
from gridbot.store.ledger import Ledger
from gridbot.store.store import Store
from manager.monitor.history import bot_database, curve
from manager.monitor.history.model import Sample, Span
from tests.bot.bots import GRID, Bot, BotFactory
from tests.bot.worlds import PERP
from tests.fake_exchange.server import FakeExchange

D = Decimal
MESH = (*GRID[:6], "--grid-upper", "156", "--grid-lower", "144", "--grid-num", "7", "--quantity", "0.1")
ENDS = ("--enable-boundary-check", "--boundary-action", "stop_only", "--interval", "0.1")
ENV = {"TRADING_MODE": "live", "GRIDBOT_RATE_LIMIT_MS": "2"}


@pytest.fixture
def fake() -> Iterator[FakeExchange]:
    with FakeExchange() as served:
        yield served


def settled(bot: Bot) -> None:
    def states() -> list[str]:
        return [order["state"] for order in bot.status().get("open_orders", [])]

    bot.wait_for(lambda: states() == ["open"] * 6, 60)


def filled(bot: Bot, fake: FakeExchange, price: str) -> None:
    """Move the price, and wait until the bot has booked what that filled."""
    fake.book.move(D(price))
    bot.wait_for(lambda: bot.status().get("trades") == len(fake.book.fills), 60)


def samples(path: Path) -> list[Sample]:
    return list(bot_database.read(path, "bp_sol_01", [Span(1, time.time() + 60)]).equity)


@pytest.mark.parametrize(
    ("towards", "beyond", "position", "first", "between"),
    [
        # bought 0.1 at 148, 146 and 144: 43.8, fees 0.00876; worth 42.9 at 143
        (("148", "146", "144"), "143", "0.3", D("42.9") - D("43.8") - D("0.00876"), D("0.3") * 7),
        # sold 0.1 at 152, 154 and 156: 46.2, fees 0.00924; 47.1 to pay back at 157
        (("152", "154", "156"), "157", "-0.3", D("46.2") - D("47.1") - D("0.00924"), D("0.3") * 7),
    ],
    ids=["long", "short"],
)
def test_what_the_price_did_between_two_runs_is_in_the_second_one(
    start_bot: BotFactory,
    fake: FakeExchange,
    tmp_path: Path,
    towards: tuple[str, ...],
    beyond: str,
    position: str,
    first: Decimal,
    between: Decimal,
) -> None:
    bot = start_bot(*MESH, *ENDS, **fake.env | ENV)
    settled(bot)
    for price in towards:
        filled(bot, fake, price)
    fake.book.move(D(beyond))
    assert bot.wait_end(60) == 0
    ended = bot.last_words()
    assert (ended["condition"]["code"], ended["position"]) == ("stopped_out", position)
    assert D(ended["pnl"]) == first

    fake.book.move(D(150))
    moved = tmp_path / "elsewhere"  # the bot was moved: all it brings along is its database
    moved.mkdir()
    shutil.copy2(bot.db, moved / "bot.db")
    # A take profit below what the price has made: a limit counts from the begin, so it ends no run at once.
    again = Bot(moved, (*MESH, *ENDS, "--take-profit", "1"), fake.env | ENV)
    try:
        again.wait_for(lambda: again.status().get("price") == "150", 60)
        status = again.status()
        assert (status["position"], status["trades"]) == (position, 0)
        assert D(status["pnl"]) == D(status["unrealized"]) == between
        assert again.stop() == 0
        assert D(again.last_words()["pnl"]) == between
    finally:
        again.kill()
    known = samples(again.db)
    total = sum((step.amount or D(0) for step in curve.steps(known, [])), D(0))
    assert round(total, 8) == first + between
    ends = {sample.run: sample for sample in known}
    assert round(curve.of_runs(ends.values())["live", "USDC"], 8) == first + between


def test_a_record_of_an_earlier_version_counts_from_its_last_point(
    start_bot: BotFactory, fake: FakeExchange
) -> None:
    """Earlier versions wrote a point every two seconds and none at the end, and kept no facts."""
    bot = start_bot(*MESH, *ENDS, **fake.env | ENV)
    settled(bot)
    filled(bot, fake, "148")
    assert bot.stop() == 0
    store = Store(bot.db, durable=False)
    store.last_run()
    store.end_run("stop loss")
    store._db.execute("DELETE FROM equity")
    store._db.execute("DROP TABLE facts")
    store.samples.add_equity(store.run_id, time.time(), D("147.5"), store.ledger)
    store.close()
    fake.book.move(D(150))
    again = start_bot(*MESH, *ENDS, **fake.env | ENV)
    again.wait_for(lambda: again.status().get("price") == "150", 60)
    assert D(again.status()["pnl"]) == D("0.1") * D("2.5")
    again.kill()
    # A kill on top: the run goes on, and what it began with is not counted twice.
    fake.book.move(D(149))
    again = start_bot(*MESH, *ENDS, **fake.env | ENV)
    again.wait_for(lambda: again.status().get("price") == "149", 60)
    assert D(again.status()["pnl"]) == D("0.1") * D("1.5")


def test_funding_and_limits_of_a_run_that_took_a_position_over(store: Store) -> None:
    store.begin_run("backpack SOL_USDC_PERP perp live", "live", {}, Ledger())
    store.add_funding([Funding("a", 10.0, D("-0.5"))])
    ledger = Ledger(position=D(2), cost=D(200), cash=D(-200))
    store.begin_run(
        "backpack SOL_USDC_PERP perp live", "live", {}, ledger, {OPENING_PNL: "-30", HELD_SINCE: "12.5"}
    )
    # What the first run has counted is listed again, because the second one asks from before its end on.
    store.add_funding([Funding("a", 10.0, D("-0.5")), Funding("b", 20.0, D("0.25"))])
    assert store.pnl(D(85)) == D(-30) + D("0.25")
    assert store.pnl_since_begin(D(85)) == D("0.25")
    assert store.pnl_since_begin(D(75)) == D("-19.75")


def test_the_yearly_rate_leaves_out_what_came_before_the_begin(store: Store) -> None:
    ledger = Ledger(position=D(2), cost=D(200), cash=D(-200))
    store.begin_run("x", "live", {}, ledger, {OPENING_PNL: "-30"})
    store.set_run(ran_s=365 * 86400 / 2)
    store.samples.add_equity(store.run_id, 1.0, D(85), store.ledger)
    store.samples.add_equity(store.run_id, 2.0, D(102), store.ledger)
    # Of 170 that the position was worth at first, 34 were made in half a year.
    assert history.figures(store.path)["apr"] == pytest.approx(2 * 34 / 170)


def test_the_last_point_of_a_run_is_kept_when_another_begins_within_its_minute(store: Store) -> None:
    store.begin_run("x", "live", {}, Ledger())
    first, old = store.run_id, 60_000.0
    store.samples.add_equity(first, old, D(99), store.ledger)
    store.samples.add_equity(first, old + 1, D(100), store.ledger)
    store.begin_run("x", "live", {}, Ledger())
    store.samples.add_equity(store.run_id, old + 2, D(101), store.ledger)
    store.samples.thin_out(old + 2 * 86400)
    assert store.samples.last_mark(first) == (old + 1, D(100))


def test_the_curve_contains_the_funding_that_the_report_does(store: Store) -> None:
    store.begin_run("x", "live", {}, Ledger())
    order = store.new_order(OrderRequest("a", Side.BUY, D(100), D(1)), 1.0)
    fill = Fill("t", "x", order.client_id, Side.BUY, D(100), D(1), D(0), "USDC", 1.0)
    assert store.add_trade(fill, order, PERP)
    store.samples.add_equity(store.run_id, 5.0, D(103), store.ledger, D("-0.5"))
    assert store._db.execute("SELECT pnl FROM equity").fetchone()[0] == 2.5


def test_a_hole_in_the_curve_is_a_gap(store: Store) -> None:
    """Also up to now, and not where samples were only thinned out."""
    assert history.gaps([0.0, 2.0, 4.0, 40.0, 42.0], 43.0, 1.0) == [[4.0, 40.0]]
    assert history.gaps([0.0, 2.0], 100.0, 1.0) == [[2.0, 100.0]]
    assert history.gaps([0.0, 60.0, 120.0], 121.0, 60.0) == []
    day, month = 2 * 86400.0, 40 * 86400.0
    assert history.gaps([0.0, 60.0, 400.0], day, 1.0) == [[60.0, 400.0], [400.0, day]]
    assert history.gaps([0.0, 3600.0], month, 1.0) == [[3600.0, month]]
    assert history.gaps([], 5.0, 1.0) == []

    store.begin_run("x", "paper", {}, Ledger())
    now = time.time()
    for ago in (200, 198, 196, 4, 2):
        store.samples.add_equity(store.run_id, now - ago, D(100), store.ledger)
    ((begin, end),) = history.chart_data(store.path, 1.0, 1.0)["gaps"]
    assert (begin, end) == pytest.approx((now - 196, now - 4), abs=0.1)
