"""close_position.py: a stopped bot's own position is closed once, at a bounded price, or named."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.config import args
from gridbot.config.settings import Settings
from gridbot.exchanges import venues
from gridbot.exchanges.ccxt_exchange import CcxtExchange
from gridbot.model.types import OrderRequest, Side
from gridbot.store.ledger import Ledger
from gridbot.store.store import Store
from gridbot.trading.others_part import OTHERS
from gridbot.trading.reconcile import Reconciler
from tests.bot.bots import RUN, Bot, BotFactory, run_program
from tests.bot.test_live import FAST, MESH, live, settled
from tests.fake_exchange.book import Book
from tests.fake_exchange.faults import Fault
from tests.fake_exchange.server import FakeExchange

SPOT = ("--exchange", "backpack", "--symbol", "SOL_USDC", "--strategy", "grid", *MESH[6:])
PROGRAM = RUN.with_name("close_position.py")
SELL = ("close", "sell", "1", "148.5")


class Sandbox:
    """A bot's record of a position, as its orders at the exchange have made it, and no bot."""

    def __init__(self, folder: Path, fake: FakeExchange, options: tuple[str, ...] = MESH) -> None:
        folder.mkdir(exist_ok=True)
        self.fake, self.options, self.path = fake, options, folder / "bot.db"
        self.env = {**fake.env, **FAST, "DB_PATH": str(self.path), "TRADING_MODE": "live"}

    @property
    def settings(self) -> Settings:
        return args.parse(self.options, self.env)

    def open(self) -> Store:
        store = Store(self.path, durable=False)
        store.last_run()
        return store

    def trade(self, side: Side, qty: str) -> None:
        """Trade `qty` at the market as the bot would, and book it."""
        exchange = CcxtExchange(self.settings, venues.credentials("backpack", self.env), self.env)
        store = self.open()
        try:
            if store.last_run() is None:
                store.begin_run(self.settings.identity, "live", {}, Ledger())
            price = Decimal(149 if side is Side.SELL else 151)
            order = store.new_order(OrderRequest("L1", side, price, Decimal(qty)), time.time())
            exchange_id = exchange.place(order)
            assert exchange_id is not None
            store.confirm(order.client_id, exchange_id)
            Reconciler(store, exchange, exchange.market()).run(time.time())
            assert store.live_orders() == []
        finally:
            store.close()

    @property
    def ledger(self) -> Decimal:
        store = self.open()
        try:
            return store.ledger.position
        finally:
            store.close()

    def command(self, *what: str) -> list[str]:
        return [sys.executable, str(PROGRAM), *what, *self.options]

    def run(self, *what: str, **env: str) -> subprocess.CompletedProcess[str]:
        variables = {"PATH": os.environ["PATH"], **self.env, **env}
        return run_program(PROGRAM.name, [*what, *self.options], variables)

    def answer(self, *what: str, **env: str) -> dict[str, Any]:
        done = self.run(*what, **env)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer

    def posts(self) -> int:
        return sum(method == "POST" for method, _path in self.fake.requests)


@pytest.fixture
def fake() -> Iterator[FakeExchange]:
    with FakeExchange(Book(mark=Decimal(150))) as served:
        yield served


@pytest.fixture
def sandbox(fake: FakeExchange, tmp_path: Path) -> Sandbox:
    """One unit is held, at 150."""
    sandbox = Sandbox(tmp_path, fake)
    sandbox.trade(Side.BUY, "1")
    fake.requests.clear()
    return sandbox


@pytest.fixture
def spot(tmp_path: Path) -> Iterator[Sandbox]:
    """One unit of a spot market is held, and half a unit that is somebody else's."""
    with FakeExchange(Book(symbol="SOL_USDC", balance=Decimal("0.5"), mark=Decimal(150))) as served:
        sandbox = Sandbox(tmp_path, served, SPOT)
        sandbox.trade(Side.BUY, "1")
        served.requests.clear()
        yield sandbox


def test_a_look_says_what_would_be_done_and_sends_nothing(sandbox: Sandbox) -> None:
    answer = sandbox.answer("look", "0.01")
    report = answer.pop("report")
    assert (report["position"], report["entry_price"], report["unrealized"]) == ("1", "150", "0.00000000")
    assert answer == {
        "position": "1",
        "base": "SOL",
        "quote": "USDC",
        "side": "sell",
        "quantity": "1",
        "market_price": "150",
        "price": "148.5",
        "account": f"BACKPACK_KEY …{sandbox.fake.key[-4:]}",
    }
    assert (sandbox.posts(), sandbox.fake.book.position()) == (0, Decimal(1))


def test_a_position_is_closed_in_slices_as_the_book_gives(sandbox: Sandbox) -> None:
    sandbox.fake.book.depth = Decimal("0.4")
    answer = sandbox.answer(*SELL)
    report = answer.pop("report")
    assert (report["position"], report["entry_price"], report["price"]) == ("0", None, "150")
    assert report["pnl"] == f"{-Decimal(report['fees']):.8f}", "bought and sold at 150"
    assert report["maker_share"] == 0, "of the whole run: nothing that was closed rested"
    assert answer == {
        "position": "0",
        "base": "SOL",
        "quote": "USDC",
        "closed": "1",
        "average_price": "150",
        "done": True,
        "why": None,
    }
    orders = [order for order in sandbox.fake.book.orders.values() if order.side == "Ask"]
    assert [order.filled for order in orders] == [Decimal("0.4"), Decimal("0.4"), Decimal("0.2")]
    assert {order.price for order in orders} == {Decimal("148.5")}
    assert sandbox.fake.book.position() == sandbox.ledger == 0
    assert sandbox.fake.book.violations == []
    assert sandbox.answer("look", "0.01")["quantity"] == "0"
    again = sandbox.answer(*SELL)
    assert (again["closed"], again["done"], sandbox.posts()) == ("0", True, 3)


def test_a_short_position_is_bought_back(fake: FakeExchange, tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, fake)
    sandbox.trade(Side.SELL, "0.5")
    look = sandbox.answer("look", "0.02")
    assert (look["side"], look["quantity"], look["price"]) == ("buy", "0.5", "153")
    assert sandbox.answer("close", "buy", "0.5", "153")["position"] == "0"
    assert fake.book.position() == sandbox.ledger == 0


def test_no_worse_price_and_no_more_than_agreed_to(sandbox: Sandbox) -> None:
    sandbox.fake.book.price = Decimal(140)
    answer = sandbox.answer(*SELL)
    assert (answer["done"], answer["closed"], answer["position"]) == (False, "0", "1")
    assert answer["why"] == "the book gives no more at 148.5 or better"
    sandbox.fake.book.price = Decimal(150)
    answer = sandbox.answer("close", "sell", "0.3", "148.5")
    assert (answer["closed"], answer["position"], answer["done"]) == ("0.3", "0.7", False)
    assert answer["why"] == "it holds more than the 0.3 that were agreed to"
    answer = sandbox.answer("close", "buy", "1", "151")
    assert answer["why"] == "it holds 0.7 now, which buy does not close"
    assert sandbox.ledger == sandbox.fake.book.position() == Decimal("0.7")


@pytest.mark.parametrize("fault", [Fault.DROP_AFTER, Fault.HANG_AFTER, Fault.BROKEN_AFTER, Fault.DROP_BEFORE])
def test_a_lost_answer_never_closes_twice(sandbox: Sandbox, fault: Fault) -> None:
    """Also where the history is late: the fake knows the fill at once in the position alone."""
    lose_first_post(sandbox.fake, fault)
    sandbox.fake.book.history_lag = 0.5
    answer = sandbox.answer(*SELL)
    assert (answer["position"], answer["closed"], answer["done"]) == ("0", "1", True)
    assert sandbox.fake.book.position() == sandbox.ledger == 0
    assert sum(order.filled for order in sandbox.fake.book.orders.values() if order.side == "Ask") == 1


def test_a_pause_that_the_exchange_asks_for_is_kept(sandbox: Sandbox) -> None:
    lose_first_post(sandbox.fake, Fault.TOO_MANY)
    answer = sandbox.answer(*SELL)
    assert (answer["position"], answer["done"], sandbox.posts()) == ("0", True, 2)


def test_a_refusal_is_named_and_nothing_is_tried_again(sandbox: Sandbox) -> None:
    sandbox.fake.read_only = True
    answer = sandbox.answer(*SELL)
    assert (answer["done"], answer["closed"], answer["position"]) == (False, "0", "1")
    assert "refuses the order" in answer["why"]
    assert "this key may only read" in answer["why"]
    assert sandbox.posts() == 1


def test_where_record_and_account_differ_both_numbers_are_named_and_nothing_is_sent(sandbox: Sandbox) -> None:
    sandbox.fake.book.place("Bid", "Market", None, Decimal("0.4"), foreign=True)
    for what in (("look", "0.01"), SELL):
        done = sandbox.run(*what)
        assert (done.returncode, json.loads(done.stdout)["code"]) == (4, "differ")
        assert "this bot's trades make 1 SOL, the account holds 1.4" in done.stderr
    assert sandbox.posts() == 0
    assert sandbox.answer(*SELL, GRIDBOT_OTHERS_POSITION="0.4")["position"] == "0"
    assert sandbox.fake.book.position() == Decimal("0.4"), "others' part stays"


def test_a_position_that_changes_between_two_slices_ends_it(sandbox: Sandbox) -> None:
    sandbox.fake.book.depth = Decimal("0.4")

    def meddle(moment: str) -> None:
        if moment == "after" and sandbox.posts() == 1:
            sandbox.fake.tap = lambda _moment: None
            sandbox.fake.book.place("Ask", "Market", None, Decimal("0.2"), foreign=True)

    sandbox.fake.tap = meddle
    answer = sandbox.answer(*SELL)
    assert (answer["closed"], answer["position"], answer["done"]) == ("0.4", None, False)
    assert "this bot's trades make 0.6 SOL, the account holds 0.4" in answer["why"]
    assert sandbox.posts() == 1


def test_two_bots_on_one_account_close_their_own_part(fake: FakeExchange, tmp_path: Path) -> None:
    one, two = Sandbox(tmp_path / "one", fake), Sandbox(tmp_path / "two", fake)
    one.trade(Side.BUY, "1")
    two.trade(Side.SELL, "0.4")
    env = [{"GRIDBOT_OTHERS_POSITION": others} for others in ("-0.4", "1")]
    refused = one.run(*SELL, **env[0])
    assert refused.returncode == 4
    assert "this bot holds 1 SOL and the account as a whole 0.6" in refused.stderr
    refused = two.run("close", "buy", "0.4", "151", **env[1])
    assert refused.returncode == 4
    fake.book.place("Bid", "Market", None, Decimal(1), foreign=True)  # the account is long enough now
    assert one.answer(*SELL, GRIDBOT_OTHERS_POSITION="0.6")["position"] == "0"
    held = (fake.book.position(), one.ledger, two.ledger)
    assert held == (Decimal("0.6"), Decimal(0), Decimal("-0.4"))


def test_what_other_bots_of_the_fleet_hold_by_their_records_is_taken_off(
    fake: FakeExchange, tmp_path: Path
) -> None:
    one, two = Sandbox(tmp_path / "one", fake), Sandbox(tmp_path / "two", fake)
    one.trade(Side.BUY, "1")
    store = two.open()
    try:
        store.begin_run(two.settings.identity, "live", {}, Ledger())
        store.set_fact(OTHERS, "1")  # the other's part as it was when this one began
    finally:
        store.close()
    two.trade(Side.BUY, "0.4")
    refused = one.run(*SELL, OTHER_BOTS_POSITION="0.3")
    assert refused.returncode == 4
    assert "this bot's trades make 1 SOL, the account holds 1.4, of which 0.3 is others'" in refused.stderr
    assert one.answer(*SELL, OTHER_BOTS_POSITION="0.4")["position"] == "0"
    left = two.answer("close", "sell", "0.4", "148.5", OTHER_BOTS_POSITION="0")
    assert left["position"] == "0"
    assert [fake.book.position(), one.ledger, two.ledger] == [Decimal(0)] * 3


def test_a_record_is_told_whatever_the_account_holds(fake: FakeExchange, tmp_path: Path) -> None:
    """Of two bots that were killed neither knows the other's part: each tells its own, and sends nothing."""
    one, two = Sandbox(tmp_path / "one", fake), Sandbox(tmp_path / "two", fake)
    one.trade(Side.BUY, "1")
    two.trade(Side.SELL, "0.4")
    fake.requests.clear()
    assert one.answer("record") == {"position": "1", "base": "SOL"}
    assert two.answer("record") == {"position": "-0.4", "base": "SOL"}
    assert one.posts() == 0


def test_a_record_is_told_with_what_was_filled_since_the_kill(sandbox: Sandbox) -> None:
    exchange = CcxtExchange(sandbox.settings, venues.credentials("backpack", sandbox.env), sandbox.env)
    store = sandbox.open()
    try:
        order = store.new_order(OrderRequest("L2", Side.BUY, Decimal(148), Decimal("0.5")), time.time())
        exchange_id = exchange.place(order)
        assert exchange_id is not None
        store.confirm(order.client_id, exchange_id)
    finally:
        store.close()
    refused = sandbox.run("record")
    assert refused.returncode == 4
    assert "1 orders of this bot are open at backpack" in refused.stderr
    sandbox.fake.book.move(Decimal(147))
    assert sandbox.answer("record")["position"] == "1.5"


def long(start_bot: BotFactory, fake: FakeExchange) -> Bot:
    """Return a live bot that has bought once."""
    bot = live(start_bot, fake)
    settled(bot, fake)
    fake.book.move(Decimal(148))
    bot.wait_for(lambda: bot.status().get("trades") == 1)
    return bot


def test_open_orders_and_a_running_bot_keep_it_from_closing(
    start_bot: BotFactory, fake: FakeExchange, tmp_path: Path
) -> None:
    bot = long(start_bot, fake)
    sandbox = Sandbox(tmp_path, fake)
    busy = sandbox.run(*SELL)
    assert busy.returncode == 5
    assert "another bot is running" in busy.stderr
    bot.kill()
    left = sandbox.run(*SELL)
    assert left.returncode == 4
    assert "orders of this bot are open at backpack" in left.stderr
    assert fake.book.position() == Decimal("0.1")


def test_a_bot_that_is_resumed_begins_anew_and_agrees_with_the_account(
    start_bot: BotFactory, fake: FakeExchange, tmp_path: Path
) -> None:
    bot = long(start_bot, fake)
    assert bot.stop() == 0
    assert Sandbox(tmp_path, fake).answer("close", "sell", "0.1", "146")["position"] == "0"
    bot = live(start_bot, fake)
    bot.wait_for(lambda: len(fake.book.own_open()) == 6)
    bot.wait_for(lambda: (bot.status().get("condition") or {}).get("code") == "trading")
    assert Decimal(bot.status()["position"]) == 0
    assert len(bot.query("SELECT id FROM runs")) == 2
    assert all(order.post_only for order in fake.book.own_open()), "no exit of what is gone"
    assert bot.stop() == 0


def test_spot_sells_its_own_and_never_more_than_is_held(spot: Sandbox) -> None:
    assert spot.answer(*SELL)["position"] == "0"
    assert spot.fake.book.position() == spot.ledger == 0
    spot.trade(Side.BUY, "1")
    spot.fake.book.balance = Decimal("-0.3")  # somebody has sold some of it
    refused = spot.run(*SELL)
    assert refused.returncode == 4
    assert "this bot's trades make 1 SOL, the account holds 0.7" in refused.stderr
    assert spot.fake.book.position() == 1


def test_a_lost_answer_closes_spot_once_although_others_coins_lie_there(spot: Sandbox) -> None:
    """No reduce-only helps here, and the history tells of the fill long after it would have to."""
    spot.fake.book.balance = Decimal(5)
    lose_first_post(spot.fake, Fault.DROP_AFTER)
    spot.fake.book.history_lag = 60.0
    answer = spot.answer(*SELL)
    assert (answer["done"], answer["position"]) == (False, None)
    assert spot.posts() == 1
    spot.fake.book.history_lag = 0.0
    spot.run(*SELL)
    assert (spot.posts(), spot.fake.book.position()) == (1, Decimal(0))


def test_nothing_is_closed_without_a_record_or_for_another_market(sandbox: Sandbox, tmp_path: Path) -> None:
    none = sandbox.run(*SELL, DB_PATH=str(tmp_path / "none.db"))
    assert none.returncode == 5
    assert not (tmp_path / "none.db").exists()
    sandbox.options = (*MESH, "--symbol", "ETH_USDC_PERP")
    other = sandbox.run(*SELL)
    assert other.returncode == 4
    assert "its last run traded on backpack SOL_USDC_PERP perp live" in other.stderr
    assert sandbox.run("look", "0.01", TRADING_MODE="paper").returncode == 2
    assert sandbox.run("look", "2").returncode == 2
    assert sandbox.run().returncode == 2
    assert sandbox.posts() == 0


def test_an_exchange_that_is_not_verified_is_refused(sandbox: Sandbox) -> None:
    sandbox.options = ("--exchange", "lighter", "--symbol", "SOL", *MESH[4:])
    refused = sandbox.run(*SELL, LIGHTER_SIGNER_LIBRARY=str(PROGRAM))
    assert refused.returncode == 2
    assert "set GRIDBOT_ACCEPT_UNVERIFIED=lighter" in refused.stderr
    answer = json.loads(refused.stdout)
    assert (answer["code"], answer["params"]["exchange"]) == ("unverified", "lighter")


@pytest.mark.parametrize("step", range(6))
def test_a_kill_at_each_step_and_another_run_close_it_once(sandbox: Sandbox, step: int) -> None:
    """Killed before and after each order is carried out, and between the questions around it."""
    sandbox.fake.book.depth = Decimal("0.6")
    moments = itertools.count()
    killed = threading.Event()
    process: list[subprocess.Popen[bytes]] = []

    def kill(_moment: object) -> None:
        if not killed.is_set() and next(moments) == step:
            killed.set()
            process[0].kill()
            process[0].wait()

    if step < 4:
        sandbox.fake.tap = kill
    else:
        before_questions(sandbox.fake, kill)
    process.append(subprocess.Popen(sandbox.command(*SELL), env={"PATH": os.environ["PATH"], **sandbox.env}))
    process[0].wait(60)
    assert killed.is_set()
    assert process[0].returncode == -9
    sandbox.answer("look", "0.01")
    answer = sandbox.answer(*SELL)
    assert (answer["position"], answer["done"]) == ("0", True)
    assert sandbox.fake.book.position() == sandbox.ledger == 0
    assert sum(order.filled for order in sandbox.fake.book.orders.values() if order.side == "Ask") == 1


def lose_first_post(fake: FakeExchange, fault: Fault) -> None:
    """Let `fault` happen to the next order, and to nothing else."""
    usual = fake.faults.next
    pending = [fault]

    def following(path: str) -> tuple[Fault, float]:
        if path == "/api/v1/order" and fake.requests[-1:] and fake.requests[-1][0] == "POST" and pending:
            return pending.pop(), 0.0
        return usual(path)

    fake.faults.next = following  # type: ignore[method-assign]


def before_questions(fake: FakeExchange, call: Callable[[object], None]) -> None:
    """Call before each answer that follows the first order."""
    usual = fake.answer

    def answer(method: str, path: str, *rest: Any) -> Any:
        if method == "GET" and any(seen == "POST" for seen, _path in fake.requests):
            call(path)
        return usual(method, path, *rest)

    fake.answer = answer  # type: ignore[method-assign, assignment]
