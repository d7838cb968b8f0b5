"""The watch over the account's position: what counts as a difference, and what happens then."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from gridbot.config import args
from gridbot.exchanges.paper import PaperExchange
from gridbot.model.condition import Code
from gridbot.model.errors import RejectedError
from gridbot.model.types import Order
from gridbot.runtime.pace import Pace
from gridbot.runtime.shared_state import SharedState
from gridbot.store.ledger import Ledger
from gridbot.store.store import Store
from gridbot.strategies.strategy import make_strategy
from gridbot.trading.engine import Engine
from gridbot.trading.position_watch import LOOK_EVERY_S, MOST_LOOK_EVERY_S, SECOND_LOOK_S
from tests.bot.worlds import PERP

D = Decimal
LINE = (
    "--exchange backpack --symbol SOL_USDC_PERP --strategy perp_grid --grid-lower 100 --grid-upper 140"
    " --grid-num 5 --quantity 1 --enable-boundary-check"
)
LIVE = {"TRADING_MODE": "live", "DB_PATH": "unused"}


class Prices:
    """A market whose price and clock the test moves."""

    name = "live"

    def __init__(self) -> None:
        self.price, self.now = D(121), 1_000_000.0

    def next_prices(self) -> list[Decimal]:
        return [self.price]


class Account(PaperExchange):
    """A paper exchange with an account that others trade on too."""

    def __init__(self, prices: Prices) -> None:
        super().__init__(lambda: PERP, prices, lambda: prices.now)
        self.others = D(0)
        self.own = D(0)
        self.mark: Decimal | None = None
        self.placed: list[Order] = []
        self.refuses = False

    def place(self, order: Order) -> str:
        if self.refuses:
            raise RejectedError("no")
        self.placed.append(order)
        return super().place(order)

    def position(self) -> Decimal | None:
        return self.own + self.others

    def mark_price(self) -> Decimal | None:
        return self.mark


class Bench:
    """An engine on that account, ticked by hand."""

    def __init__(self, store: Store, more: str = "", pace: Pace | None = None, **env: str) -> None:
        settings = args.parse(f"{LINE} {more}".split(), LIVE | env)
        self.prices, self.store = Prices(), store
        self.account = Account(self.prices)
        run = store.begin_run(settings.identity, "live", {}, Ledger())
        self.engine = Engine(
            settings,
            run,
            store,
            self.account,
            PERP,
            make_strategy(settings, PERP, store),
            SharedState(1.0),
            lambda: False,
            lambda: self.prices.now,
            pace,
        )

    def tick(self, after: float = 2.0, price: str | None = None) -> Code:
        self.prices.now += after
        if price is not None:
            self.prices.price = D(price)
        self.engine.tick()
        self.account.own = self.store.ledger.position
        return self.engine.condition().code


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "bot.db", durable=False)
    yield made
    made.close()


def test_a_difference_seen_twice_stops_placing_until_both_agree(store: Store) -> None:
    bench = Bench(store)
    assert bench.tick() is Code.TRADING
    placed = len(bench.account.placed)
    bench.account.others = D("1.5")
    assert bench.tick(LOOK_EVERY_S) is Code.TRADING, "once may be a late list of trades"
    assert bench.tick(SECOND_LOOK_S) is Code.LEDGER_DIFFERS
    said = bench.engine.condition()
    assert said.params == {"ledger": "0", "account": "1.5"}
    assert said.reason == (
        "the account holds 1.5, this bot's trades make 0: no orders are placed until they agree"
    )
    # A filled entry gets no exit now.
    assert bench.tick(1, price="105") is Code.LEDGER_DIFFERS
    bench.tick(1)
    assert store.ledger.position == 1
    assert len(bench.account.placed) == placed
    bench.account.others = D(0)
    assert bench.tick(SECOND_LOOK_S) is Code.TRADING
    assert len(bench.account.placed) > placed


def test_with_a_small_share_looks_are_rarer_but_a_difference_is_confirmed_as_soon(
    store: Store, tmp_path: Path
) -> None:
    share = tmp_path / "requests.json"
    share.write_text('{"a_minute": 2}')
    bench = Bench(store, pace=Pace(share))
    bench.tick()
    bench.account.others = D("1.5")
    assert bench.tick(MOST_LOOK_EVERY_S - 1) is Code.TRADING
    assert bench.tick(SECOND_LOOK_S) is Code.TRADING, "seen for the first time"
    assert bench.tick(SECOND_LOOK_S) is Code.LEDGER_DIFFERS


def test_up_to_one_order_apart_is_no_difference(store: Store) -> None:
    bench = Bench(store)
    bench.tick()
    bench.account.others = D(1)
    assert [bench.tick(LOOK_EVERY_S) for _ in range(3)] == [Code.TRADING] * 3


def test_what_the_account_held_before_belongs_to_others(store: Store) -> None:
    bench = Bench(store)
    bench.account.others = D(-7)
    assert [bench.tick(LOOK_EVERY_S) for _ in range(3)] == [Code.TRADING] * 3
    bench.account.others = D(-4)
    bench.tick(LOOK_EVERY_S)
    assert bench.tick(SECOND_LOOK_S) is Code.LEDGER_DIFFERS
    assert bench.engine.condition().params == {"ledger": "0", "account": "3"}


def test_a_person_says_what_others_hold(store: Store) -> None:
    bench = Bench(store, GRIDBOT_OTHERS_POSITION="0")
    bench.account.others = D(3)
    bench.tick()
    assert bench.tick(SECOND_LOOK_S) is Code.LEDGER_DIFFERS


# prices


def test_one_print_far_away_ends_no_run(store: Store) -> None:
    bench = Bench(store, "--stop-loss 1")
    bench.tick()
    bench.tick(price="75")
    assert bench.tick(0.45, price="121") is Code.TRADING
    assert (store.ledger.trades, store.ledger.position) == (4, D(0)), "it traded, and nothing else"
    bench.tick(0.1, price="75")
    assert [bench.tick(1.1), bench.engine.condition().params["by"]] == [Code.STOPPED_OUT, "stop_loss"]


def test_a_position_is_closed_without_waiting_for_the_share(store: Store, tmp_path: Path) -> None:
    share = tmp_path / "requests.json"
    share.write_text('{"a_minute": 2}')
    pace = Pace(share)
    bench = Bench(store, "--stop-loss 1", pace)
    for _ in range(3):
        pace.before_call("fetch_ticker", lambda: None)
    bench.tick()
    assert pace.pause() > 60
    bench.tick(price="75")
    bench.tick(1.1)
    assert bench.engine.condition().params["by"] == "stop_loss"
    assert pace.pause() == 0


def test_a_mark_price_is_the_second_look(store: Store) -> None:
    bench = Bench(store)
    bench.tick()
    bench.account.mark = D(120)
    for _ in range(3):
        assert bench.tick(price="75") is not Code.STOPPED_OUT
    bench.account.mark = D(76)
    assert bench.tick() is Code.STOPPED_OUT
