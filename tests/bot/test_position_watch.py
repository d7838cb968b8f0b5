"""The watch over the account's position: what counts as a difference, and what happens then."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path

import pytest

from gridbot.config import args
from gridbot.exchanges.paper import PaperExchange
from gridbot.model.condition import Code
from gridbot.model.errors import RejectedError, UnclearError
from gridbot.model.types import Order, as_text
from gridbot.runtime.pace import Pace
from gridbot.runtime.shared_state import SharedState
from gridbot.store.ledger import Ledger
from gridbot.store.store import Store
from gridbot.strategies.strategy import make_strategy
from gridbot.trading.engine import Engine
from gridbot.trading.listing import Reconciliation
from gridbot.trading.others_part import WORDS_WITHIN_S, OthersPosition, own_part
from gridbot.trading.position_watch import (
    BOOKED_WITHIN_S,
    LOOK_EVERY_S,
    MOST_LOOK_EVERY_S,
    SECOND_LOOK_S,
    own_position,
)
from gridbot.trading.run_ending import CompletedError
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
        self.unclear: str | None = None

    def place(self, order: Order) -> str:
        if self.refuses:
            raise RejectedError("no")
        self.placed.append(order)
        return super().place(order)

    def position(self) -> Decimal | None:
        if self.unclear is not None:
            raise UnclearError(self.unclear)
        return self.own + self.others

    def mark_price(self) -> Decimal | None:
        return self.mark


class Bench:
    """An engine on that account, ticked by hand."""

    line, market, ledger = LINE, PERP, Ledger()

    def __init__(self, store: Store, more: str = "", pace: Pace | None = None, **env: str) -> None:
        settings = args.parse(f"{self.line} {more}".split(), LIVE | env)
        self.prices, self.store = Prices(), store
        self.account = self.opened()
        run = store.begin_run(settings.identity, "live", {}, self.ledger, self.facts())
        self.engine = Engine(
            settings,
            run,
            store,
            self.account,
            self.market,
            make_strategy(settings, self.market, store),
            SharedState(1.0),
            lambda: False,
            lambda: self.prices.now,
            pace,
        )

    def facts(self) -> dict[str, str]:
        """Return what is known of the run before its first look."""
        return {}

    def opened(self) -> Account:
        return Account(self.prices)

    def tick(self, after: float = 2.0, price: str | None = None) -> Code:
        self.prices.now += after
        if price is not None:
            self.prices.price = D(price)
        self.engine.tick()
        self.account.own = self.store.ledger.position
        return self.engine.condition().code


def test_orders_that_may_be_filled_by_now_do_not_end_a_difference_that_counts(store: Store) -> None:
    bench = Bench(store)
    bench.tick()
    bench.account.others = D("1.5")
    assert [bench.tick(LOOK_EVERY_S), bench.tick(SECOND_LOOK_S)] == [Code.TRADING, Code.LEDGER_DIFFERS]
    watch = bench.engine._watch
    watch.note_pass(Reconciliation())  # no order is listed: each may have been filled
    watch.look(bench.prices.now + SECOND_LOOK_S)
    assert watch.is_in_doubt
    bench.account.others = D(0)
    watch.look(bench.prices.now + 2 * SECOND_LOOK_S)
    assert not watch.is_in_doubt


def test_orders_that_are_never_booked_explain_a_difference_for_ten_minutes(store: Store) -> None:
    bench = Bench(store)
    bench.tick()
    bench.account.others, watch = D("1.5"), bench.engine._watch
    now = bench.prices.now + LOOK_EVERY_S
    assert BOOKED_WITHIN_S >= 2 * MOST_LOOK_EVERY_S
    for after, is_in_doubt in (
        (0, False),
        (BOOKED_WITHIN_S, False),
        (LOOK_EVERY_S, False),
        (SECOND_LOOK_S, True),
    ):
        now += after
        watch.note_pass(Reconciliation())
        watch.look(now)
        assert watch.is_in_doubt is is_in_doubt


def test_a_difference_seen_twice_stops_placing_until_both_agree(store: Store) -> None:
    bench = Bench(store)
    assert bench.tick() is Code.TRADING
    placed = len(bench.account.placed)
    bench.account.others = D("1.5")
    assert bench.tick(LOOK_EVERY_S) is Code.TRADING, "once may be a late list of trades"
    assert bench.tick(SECOND_LOOK_S) is Code.LEDGER_DIFFERS
    condition = bench.engine.condition()
    assert condition.params == {"ledger": "0", "account": "1.5"}
    assert condition.reason == (
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


def test_a_range_moves_to_the_mark_price_and_not_to_the_print(store: Store) -> None:
    bench = Bench(store, "--boundary-action adjust_range")
    bench.tick()
    bench.account.mark = D(95)
    bench.tick(price="7")
    bounds = bench.engine.strategy.price_range()
    assert bounds is not None
    assert sum(bounds) / 2 == D(95)


def test_a_neutral_grid_begins_at_the_mark_price_and_not_at_a_print(store: Store) -> None:
    bench = Bench(store)
    bench.account.mark = D(120)
    bench.tick(price="7")
    bench.tick(price="120")
    assert {order.side.value for order in bench.account.placed} == {"buy", "sell"}


# other bots of the fleet on the same account


class Neighbour:
    """The file in which the manager tells what the fleet's other bots hold."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "others.json"
        self.env = str(self.path)

    def tell(self, position: str, at: float) -> None:
        self.path.write_text(f'{{"schema": 1, "position": "{position}", "at": {at}}}')


def beside(store: Store, folder: Path, held: str) -> tuple[Bench, Neighbour]:
    """Return a bot, and the fleet's others on its account, which hold so much by now."""
    other = Neighbour(folder)
    bench = Bench(store, BOTFLEET_OTHERS=other.env)
    other.tell(held, bench.prices.now)
    return bench, other


def test_what_another_bot_of_the_fleet_trades_is_no_difference(store: Store, tmp_path: Path) -> None:
    bench, other = beside(store, tmp_path, "0")
    assert bench.tick() is Code.TRADING
    for held in ("3", "-2", "0", "5"):
        bench.account.others = D(held)
        assert bench.tick(LOOK_EVERY_S) is Code.TRADING
        assert bench.tick(SECOND_LOOK_S) is Code.TRADING, "the word of it is older than the difference"
        other.tell(held, bench.prices.now)
        assert [bench.tick(SECOND_LOOK_S) for _ in range(4)] == [Code.TRADING] * 4
    assert bench.engine.has_neighbours


def test_what_newer_words_do_not_explain_stops_it(store: Store, tmp_path: Path) -> None:
    bench, other = beside(store, tmp_path, "1")
    bench.account.others = D(1)
    assert bench.tick() is Code.TRADING
    bench.account.others = D(4)
    seen = [bench.tick(LOOK_EVERY_S)]
    for _ in range(3):
        other.tell("2", bench.prices.now)
        seen.append(bench.tick(SECOND_LOOK_S))
    assert seen == [Code.TRADING, Code.TRADING, Code.TRADING, Code.LEDGER_DIFFERS]
    condition = bench.engine.condition()
    assert condition.params == {"ledger": "0", "account": "2"}
    assert condition.reason is not None
    assert "this bot's trades make 0 (and those of the fleet's other bots 2 besides)" in condition.reason
    other.tell("4", bench.prices.now)
    assert bench.tick(SECOND_LOOK_S) is Code.TRADING


def test_a_word_from_ahead_of_this_clock_is_no_newer_one(store: Store, tmp_path: Path) -> None:
    bench, other = beside(store, tmp_path, "0")
    assert bench.tick() is Code.TRADING
    bench.account.others = D(3)
    seen = [bench.tick(LOOK_EVERY_S)]
    for ahead in (60, 70, 80):
        other.tell("0", bench.prices.now + SECOND_LOOK_S + ahead)
        seen.append(bench.tick(SECOND_LOOK_S))
    assert seen == [Code.TRADING] * 4, "it may be of before what was traded here"
    other.tell("0", bench.prices.now + 1000)
    assert [bench.tick(SECOND_LOOK_S) for _ in range(4)] == [Code.TRADING] * 4, "then nothing is compared"
    assert OthersPosition(D(0), 1120.0).is_of(1000.0, 120.0)
    assert not OthersPosition(D(0), 1121.0).is_of(1000.0, 120.0)


def test_two_bots_that_nobody_tells_of_each_other_do_not_stop_each_other(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Their account is shared knowingly, as the file says; who else trades there cannot be told from it."""
    other = Neighbour(tmp_path)
    bench = Bench(store, BOTFLEET_OTHERS=other.env)
    other.tell("0", 0)
    for held in ("0", "3", "-2", "0"):
        bench.account.others = D(held)
        assert {bench.tick(LOOK_EVERY_S)} | {bench.tick(SECOND_LOOK_S) for _ in range(30)} == {Code.TRADING}
    assert caplog.text.count("is not compared with this bot's trades (run `manager watch`)") == 1
    assert bench.engine.has_neighbours
    assert own_position(bench.engine.settings, store, bench.account) is None, "unknown, and not all of it"
    seen = []
    for there in (0, 0, 3, 3, 3, 3):
        other.tell("0", bench.prices.now)
        bench.account.others = D(there)
        seen.append(bench.tick(LOOK_EVERY_S))
    assert seen[-1] is Code.LEDGER_DIFFERS, "as soon as it is told again"


def test_a_manager_that_falls_silent_leaves_a_difference_that_was_found(store: Store, tmp_path: Path) -> None:
    bench, other = beside(store, tmp_path, "0")
    bench.tick()
    bench.account.others = D(3)
    for _ in range(4):
        bench.tick(SECOND_LOOK_S)
        bench.tick(LOOK_EVERY_S)
        other.tell("0", bench.prices.now)
    bench.tick(SECOND_LOOK_S)
    assert {bench.tick(SECOND_LOOK_S) for _ in range(40)} == {Code.LEDGER_DIFFERS}


def test_a_position_that_is_not_said_stops_placing_from_the_first_look_on(store: Store) -> None:
    bench = Bench(store)
    bench.tick()
    placed = len(bench.account.placed)
    bench.account.unclear = "no size"
    assert bench.tick(LOOK_EVERY_S, price="105") is not Code.LEDGER_DIFFERS
    assert bench.tick(1) is not Code.LEDGER_DIFFERS
    assert len(bench.account.placed) == placed
    assert bench.tick(SECOND_LOOK_S) is Code.LEDGER_DIFFERS
    assert bench.engine.condition().params == {
        "ledger": as_text(store.ledger.position),
        "account": "?",
        "cause": "unreadable",
        "error": "no size",
    }
    bench.account.unclear = None
    assert bench.tick(SECOND_LOOK_S) is Code.TRADING
    assert len(bench.account.placed) > placed


def test_a_stop_loss_that_a_position_which_cannot_be_read_holds_up_is_loud(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(store, "--stop-loss 20")
    bench.tick()
    while not store.ledger.position:
        bench.tick(1, price="105")
    bench.account.unclear = "no size"
    bench.tick(LOOK_EVERY_S)
    bench.tick(1, price="75")
    bench.tick(1.1)
    bench.tick(0.5)
    assert "and the position is NOT CLOSED: what the account holds is unclear" in caplog.text
    assert bench.tick(SECOND_LOOK_S) is Code.LEDGER_DIFFERS
    condition = bench.engine.condition()
    assert (condition.params["closing"], condition.params["cause"]) == ("stop_loss", "unreadable")
    assert str(condition.reason).startswith("stop loss: P&L -60.0")
    assert "the position is NOT CLOSED: what the account holds cannot be read (no size)" in str(
        condition.reason
    )
    for _ in range(30):
        bench.tick(SECOND_LOOK_S)
    assert caplog.text.count("is NOT CLOSED") == 3, "once a minute"
    assert store.ledger.position == 2
    bench.account.unclear = None
    with pytest.raises(CompletedError):
        [bench.tick(SECOND_LOOK_S) for _ in range(4)]
    assert store.ledger.position == 0


def test_a_stop_loss_whose_orders_are_refused_is_said_before_the_refusal(store: Store) -> None:
    bench = Bench(store, "--stop-loss 20")
    bench.tick()
    while not store.ledger.position:
        bench.tick(1, price="105")
    bench.account.refuses = True
    seen = [bench.tick(10, price="75") for _ in range(6)]
    assert seen[-1] is Code.ORDERS_REFUSED
    assert bench.engine.condition().params["closing"] == "stop_loss"


@pytest.mark.parametrize("persons", ["0", "7"])
def test_a_bot_that_begins_beside_others_tells_their_part_from_a_persons(
    store: Store, tmp_path: Path, persons: str
) -> None:
    bench, other = beside(store, tmp_path, "2")
    bench.account.others = D(2) + D(persons)
    bench.tick()
    for _ in range(2):
        other.tell("2", bench.prices.now)
        assert bench.tick(LOOK_EVERY_S) is Code.TRADING
    bench.account.others += 3
    other.tell("5", bench.prices.now)
    assert [bench.tick(LOOK_EVERY_S)] + [bench.tick(SECOND_LOOK_S) for _ in range(3)] == [Code.TRADING] * 4
    assert bench.engine._watch.others == D(5) + D(persons)


def test_what_another_bot_traded_and_does_not_know_yet_is_no_persons(store: Store, tmp_path: Path) -> None:
    """Both begin at once, with a position each; the history lists the other's a few seconds later."""
    bench, other = beside(store, tmp_path, "0")
    bench.account.others = D(2)
    for held in ("0",) * 8 + ("2",) * 30:
        other.tell(held, bench.prices.now)
        assert bench.tick(SECOND_LOOK_S) is Code.TRADING
    assert bench.engine._watch.others == D(2)


def test_a_stale_first_word_makes_no_persons_part_for_good(store: Store, tmp_path: Path) -> None:
    """The run began before the manager told anything, and the other bot has just sold when it does."""
    other = Neighbour(tmp_path)
    bench = Bench(store, BOTFLEET_OTHERS=other.env)
    bench.tick()
    for held in ("2", "0", "0", "0", "0", "0"):
        other.tell(held, bench.prices.now)
        assert bench.tick(LOOK_EVERY_S) is Code.TRADING
    assert bench.engine._watch.others == D(0)


def test_a_run_that_began_before_the_manager_told_anything_goes_on(store: Store, tmp_path: Path) -> None:
    other = Neighbour(tmp_path)
    bench = Bench(store, BOTFLEET_OTHERS=other.env)
    bench.account.others = D(2)
    bench.tick()
    bench.account.others = D(6)
    other.tell("6", bench.prices.now + LOOK_EVERY_S)
    assert bench.tick(LOOK_EVERY_S) is Code.TRADING
    bench.account.others = D(-6)
    other.tell("-6", bench.prices.now + LOOK_EVERY_S)
    assert [bench.tick(LOOK_EVERY_S)] + [bench.tick(SECOND_LOOK_S) for _ in range(3)] == [Code.TRADING] * 4


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"position": "NaN", "at": 1}',
        '{"position": true}',
        '{"position": "1e16", "at": 1000000}',
        "x" * 9000,
    ],
)
def test_a_file_that_cannot_be_used_is_as_none(store: Store, tmp_path: Path, content: str) -> None:
    other = Neighbour(tmp_path)
    other.path.write_text(content)
    bench = Bench(store, BOTFLEET_OTHERS=other.env)
    bench.tick()
    assert not bench.engine.has_neighbours
    bench.account.others = D(3)
    bench.tick(LOOK_EVERY_S)
    assert bench.tick(SECOND_LOOK_S) is Code.LEDGER_DIFFERS


@pytest.mark.parametrize(
    ("age", "account", "part"),
    [(0.0, "3", D(1)), (0.0, "4", None), (WORDS_WITHIN_S + 60, "3", None), (None, "4", D(4))],
    ids=["they agree", "others may have traded since", "nobody tells any more", "there are no others"],
)
def test_beside_others_an_account_confirms_a_record_or_says_nothing(
    tmp_path: Path, age: float | None, account: str, part: Decimal | None
) -> None:
    other = Neighbour(tmp_path)
    if age is not None:
        other.tell("2", time.time() - age)
    settings = args.parse(LINE.split(), LIVE | {"BOTFLEET_OTHERS": other.env})
    assert own_part(settings, lambda _name: None, D(account), D(1)) == part
