"""Reconciliation of store and exchange: own orders, their ends, and no trade counted twice."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import pytest

from gridbot.exchanges.exchange import Exchange
from gridbot.model.errors import (
    DatabaseError,
    ExchangeError,
    RejectedError,
    UnauthorizedError,
    UnreachableError,
)
from gridbot.model.types import (
    ExchangeOrder,
    Fill,
    Funding,
    Market,
    Order,
    OrderRequest,
    Side,
    UnreadableFill,
    UnreadableOrder,
)
from gridbot.store import history
from gridbot.store.ledger import Ledger
from gridbot.store.store import Store
from gridbot.trading.cancel import cancel_own_orders
from gridbot.trading.history_reads import ALL_EVERY_S, ALL_WHILE_BEHIND_S, MANY, OVERLAP_S
from gridbot.trading.missing import LOST_AFTER_S
from gridbot.trading.reconcile import COMPLETE_OVERLAP_S, Reconciler
from gridbot.trading.strays import REFUSED_FOR_S
from tests.bot.worlds import PERP

D = Decimal
NOW = 1_000_000.0

pytestmark = pytest.mark.usefixtures("live_run")


@dataclass
class There:
    """An exchange whose every answer is set by the test."""

    name: str = "live"
    price_is_firm: bool = True
    settle_s: float = 8.0
    clock_ahead: float = 0.0
    max_client_id: int = 2**32 - 1
    most_in_batch: int = 1
    has_cancel_all: bool = False
    listed: list[ExchangeOrder] = field(default_factory=list)
    past: list[ExchangeOrder] = field(default_factory=list)
    # Rows of the open orders and of the history that cannot be read.
    unreadable: list[UnreadableOrder] = field(default_factory=list)
    unreadable_past: list[UnreadableOrder] = field(default_factory=list)
    executed: list[Fill | UnreadableFill] = field(default_factory=list)
    has_no_history: bool = False
    cancelled: list[str | None] = field(default_factory=list)
    since: list[float] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    # Raised by the next calls that cancel, one each.
    refusals: list[ExchangeError] = field(default_factory=list)
    slowed: int = 0
    broken: bool = False
    stubborn: bool = False
    hurried: bool = False

    def market(self) -> Market:
        return PERP

    def price(self) -> Decimal:
        return D(100)

    def mark_price(self) -> Decimal | None:
        return None

    def funding(self, since: float) -> list[Funding] | None:
        return None

    def place(self, order: Order) -> str:
        raise RejectedError("not here")

    def cancel(self, order: Order) -> None:
        self._called("one")
        self._cancel(order)

    def cancel_batch(self, orders: Sequence[Order]) -> None:
        self._called(f"batch of {len(orders)}")
        for order in orders:
            self._cancel(order)

    def cancel_all_after(self, seconds: int) -> None:
        raise AssertionError(f"nobody asked for a timer of {seconds} s")

    def cancel_all(self) -> None:
        self._called("all")
        self.past += [replace(o, open=False) for o in self.listed]
        self.listed = []

    def _called(self, what: str) -> None:
        self.calls.append(what)
        if self.refusals:
            raise self.refusals.pop(0)

    def _cancel(self, order: Order) -> None:
        self.cancelled.append(order.exchange_id)
        if not self.stubborn:
            gone = [o for o in self.listed if o.exchange_id == order.exchange_id]
            self.listed = [o for o in self.listed if o not in gone]
            self.past += [replace(o, open=False) for o in gone]

    def open_orders(self) -> list[ExchangeOrder | UnreadableOrder]:
        if self.broken:
            raise UnreachableError("no answer")
        return [*self.unreadable, *self.listed]

    def find(self, orders: Sequence[Order]) -> Iterator[tuple[Order, ExchangeOrder | UnreadableOrder | None]]:
        for mine in orders:
            known = (
                o for o in self.past if mine.exchange_id == o.exchange_id or mine.client_id == o.client_id
            )
            yield mine, next(known, next(iter(self.unreadable_past), None))

    def fills(self, since: float) -> list[Fill | UnreadableFill]:
        self.since.append(since)
        if self.has_no_history:
            raise UnreachableError("no history")
        return [fill for fill in self.executed if isinstance(fill, UnreadableFill) or fill.at >= since]

    def channels(self, most: int) -> list[Exchange]:
        return [self]

    def shorten_timeouts(self) -> None:
        self.hurried = True

    def slow_down(self) -> None:
        self.slowed += 1

    def holdings(self) -> Decimal | None:
        return None

    def lent(self) -> Decimal | None:
        return None

    def position(self) -> Decimal | None:
        return None


def new(store: Store, slot: str = "L1", side: str = "buy", price: str = "99", qty: str = "1") -> Order:
    return store.new_order(OrderRequest(slot, Side(side), D(price), D(qty), cell=1, post_only=True), NOW)


def shown(order: Order, exchange_id: str = "7", *, filled: str = "0", is_open: bool = True) -> ExchangeOrder:
    return ExchangeOrder(exchange_id, order.client_id, order.side, order.price, order.qty, D(filled), is_open)


def executed(
    order: Order, number: str = "1", qty: str = "1", exchange_id: str = "7", *, named: bool = True
) -> Fill:
    client_id = order.client_id if named else None
    return Fill(number, exchange_id, client_id, order.side, order.price, D(qty), D(0), "USDC", NOW + 1)


def run(store: Store, there: There, now: float = NOW + 2) -> tuple[int, int, int]:
    """Newly recorded trades, stray orders, unsettled orders."""
    outcome = Reconciler(store, there, PERP).run(now)
    return len(outcome.trades), len(outcome.reopened), outcome.unsettled


def state(store: Store, order: Order) -> str:
    stored = store.order(order.client_id)
    assert stored is not None
    return stored.state


def test_an_order_of_unknown_outcome_that_is_open_is_adopted(store: Store) -> None:
    order = new(store)
    assert run(store, There(listed=[shown(order)])) == (0, 0, 0)
    assert state(store, order) == "open"


def test_an_order_of_unknown_outcome_waits_until_it_can_no_longer_arrive(store: Store) -> None:
    order = new(store)
    there = There()
    reconciler = Reconciler(store, there, PERP)
    for after in (7, 9):
        assert reconciler.run(NOW + after).unsettled == 1, "one list may be an old one"
        assert state(store, order) == "new"
    assert reconciler.run(NOW + 11).unsettled == 0
    assert state(store, order) == "absent"


def test_an_order_of_unknown_outcome_that_was_filled_at_once_is_found_by_its_trade(store: Store) -> None:
    order = new(store)
    there = There(executed=[executed(order)])
    assert run(store, there) == (1, 0, 0)
    assert state(store, order) == "filled"
    assert store.ledger.position == 1
    assert store.cells() == {1: D(1)}


def test_an_order_of_unknown_outcome_is_found_in_the_history(store: Store) -> None:
    """Where trades bear no client id, the history gives the order's id, and the next pass its trades."""
    order = new(store)
    there = There(past=[shown(order, filled="1", is_open=False)], executed=[executed(order, named=False)])
    assert run(store, there) == (0, 0, 1)
    assert run(store, there) == (1, 0, 0)
    assert state(store, order) == "filled"


def test_a_filled_order_stays_live_until_its_trades_are_listed(store: Store) -> None:
    order = new(store)
    store.confirm(order.client_id, "7")
    there = There(past=[shown(order, filled="1", is_open=False)], executed=[executed(order, qty="0.4")])
    assert run(store, there) == (1, 0, 1)
    assert state(store, order) == "open"
    there.executed.append(executed(order, number="2", qty="0.6"))
    assert run(store, there) == (1, 0, 0)
    assert state(store, order) == "filled"


def test_a_cancelled_order_keeps_its_partial_fill(store: Store) -> None:
    order = new(store)
    store.confirm(order.client_id, "7")
    there = There(past=[shown(order, filled="0.4", is_open=False)], executed=[executed(order, qty="0.4")])
    assert run(store, there) == (1, 0, 0)
    assert state(store, order) == "canceled"
    assert store.ledger.position == D("0.4")


def test_a_trade_is_counted_once(store: Store) -> None:
    order = new(store)
    there = There(listed=[shown(order, filled="0.4")], executed=[executed(order, qty="0.4")])
    assert [run(store, there)[0] for _ in range(3)] == [1, 0, 0]
    assert (store.ledger.position, store.ledger.trades) == (D("0.4"), 1)


def test_both_sides_of_a_trade_with_oneself_count(store: Store) -> None:
    buy, sell = new(store), new(store, "L2", "sell", "99")
    there = There(executed=[executed(buy), executed(sell, exchange_id="8")])
    assert run(store, there)[0] == 2
    assert store.ledger.position == 0


def test_a_confirmed_order_the_exchange_forgot_is_given_a_minute(store: Store) -> None:
    order = new(store)
    store.confirm(order.client_id, "7")
    sync, there = None, There()
    sync = Reconciler(store, there, PERP)
    for after, expected in (
        (100.0, "open"),
        (100.0 + LOST_AFTER_S, "open"),
        (101.0 + LOST_AFTER_S, "canceled"),
    ):
        sync.run(NOW + after)
        assert state(store, order) == expected


@pytest.mark.parametrize("is_stop", [False, True])
def test_an_order_that_no_list_has_is_given_up_when_its_cancellation_went_through(
    store: Store, is_stop: bool
) -> None:
    order = new(store)
    store.confirm(order.client_id, "7")
    there = There()
    sync = Reconciler(store, there, PERP)
    sync.run(NOW + 100)
    there.refusals = [UnreachableError("no answer"), UnauthorizedError("no permission")]
    if is_stop:  # its first round is at the machine's time, at which the order has been missing for long
        there.refusals *= 2
        assert cancel_own_orders(store, there, PERP, 60.0, sleep=lambda _seconds: None) == (0, True)
    else:
        with pytest.raises(UnreachableError):
            sync.run(NOW + 101 + LOST_AFTER_S)
        for after in (102, 103):
            assert state(store, order) == "open"
            sync.run(NOW + after + LOST_AFTER_S)
    assert (state(store, order), set(there.cancelled)) == ("canceled", {"7"})


def test_an_order_that_no_list_has_is_not_given_up_while_its_cancellation_is_refused(store: Store) -> None:
    """For minutes: in which words an exchange says that it has ended is not always known."""
    order = new(store)
    store.confirm(order.client_id, "7")
    there = There()
    sync = Reconciler(store, there, PERP)
    sync.run(NOW)
    lost = NOW + LOST_AFTER_S + 1
    for after in (0.0, 1.0, REFUSED_FOR_S):
        there.refusals = [RejectedError("halted")]
        sync.run(lost + after)
        assert (state(store, order), there.refusals) == ("open", [])
    there.refusals = [RejectedError("gone")]
    sync.run(lost + REFUSED_FOR_S + 1)
    assert state(store, order) == "canceled"


def test_an_order_that_was_listed_once_after_it_was_given_up_is_cancelled_until_that_went_through(
    store: Store,
) -> None:
    order = new(store)
    store.close_order(order.client_id, "absent")
    there = There(listed=[shown(order)])
    sync = Reconciler(store, there, PERP)
    [stray] = sync.run(NOW + 10).reopened
    assert there.cancelled == [], "whoever runs the pass cancels what is listed"
    there.listed, there.refusals = [], [UnreachableError("no answer")]
    with pytest.raises(UnreachableError):
        sync.run(NOW + 20)
    for after in (30, 40):
        sync.run(NOW + after)
    assert there.cancelled == [stray.exchange_id], "once: it was taken"


@pytest.mark.parametrize("difference", [{"side": Side.SELL}, {"price": D("98.99")}])
def test_the_same_client_id_on_another_order_is_somebody_elses(
    store: Store, difference: dict[str, object]
) -> None:
    order = new(store)
    foreign = replace(shown(order), **difference)  # type: ignore[arg-type]
    there = There(listed=[foreign])
    sync = Reconciler(store, there, PERP)
    outcome = sync.run(NOW + 2)
    assert (outcome.reopened, outcome.foreign_ids) == ([], {order.client_id})
    assert state(store, order) == "new"
    cancel_own_orders(store, there, PERP, within=0.2)
    assert there.cancelled == []


def test_the_client_id_of_a_closed_order_is_not_trusted_once_its_id_is_known(store: Store) -> None:
    order = new(store)
    store.confirm(order.client_id, "7")
    store.close_order(order.client_id, "canceled")
    assert run(store, There(listed=[shown(order, "8")])) == (0, 0, 0)


def test_an_order_that_arrives_after_it_was_given_up_is_ours_to_cancel(store: Store) -> None:
    order = new(store)
    store.close_order(order.client_id, "absent")
    there = There(listed=[shown(order)])
    assert run(store, there) == (0, 1, 0)
    assert cancel_own_orders(store, there, PERP, within=60) == (0, True)
    assert there.cancelled == ["7"]


@pytest.mark.parametrize("ended", ["absent", "canceled", "rejected"])
def test_the_fill_of_an_order_that_was_never_seen_is_booked(store: Store, ended: str) -> None:
    """Although the run has no other: one that was refused in words unknown here may rest all the same."""
    order = new(store)
    store.close_order(order.client_id, ended)
    assert run(store, There(executed=[executed(order)])) == (1, 0, 0)
    assert store.ledger.position == 1


def test_foreign_orders_survive_a_stop(store: Store) -> None:
    order = new(store)
    foreign = [
        ExchangeOrder("90", None, Side.BUY, D(99), D(1), D(0), True),
        shown(replace(order, client_id=5), "91"),
    ]
    there = There(listed=[shown(order), *foreign])
    assert cancel_own_orders(store, there, PERP, within=60) == (0, True)
    assert there.cancelled == ["7"]
    assert there.listed == foreign


def test_a_stop_says_what_it_could_not_cancel(store: Store) -> None:
    order = new(store)
    there = There(listed=[shown(order)], stubborn=True)
    assert cancel_own_orders(store, there, PERP, within=0.3) == (1, False)
    assert cancel_own_orders(store, There(broken=True), PERP, within=0.3) == (1, False)


def test_a_stop_without_orders_does_not_wait_for_a_dead_exchange(store: Store) -> None:
    assert cancel_own_orders(store, There(broken=True), PERP, within=30) == (0, False)


def test_histories_are_read_from_before_the_last_trade_and_before_the_oldest_open_question(
    store: Store,
) -> None:
    order = new(store)
    there = There(listed=[shown(order, filled="1")], executed=[executed(order, qty="0.1")])
    run(store, there)
    run(store, there)
    assert there.since == [NOW - 120, NOW + 1 - 120]


LATER = 100 * 86_400
"""Seconds; an exchange that takes one call for each week of a history takes fifteen for so long."""


def test_the_history_of_an_old_order_is_read_from_when_all_of_it_was_known(store: Store) -> None:
    order, other = new(store, "L1"), new(store, "L2", price="98")
    there = There(listed=[shown(order), shown(other, "8")])
    reconciler = Reconciler(store, there, PERP)
    reconciler.run(NOW + LATER)
    there.listed = [shown(other, "8")]
    there.past = [shown(order, filled="1", is_open=False)]
    there.executed = [replace(executed(order), at=NOW + LATER + 5)]
    assert len(reconciler.run(NOW + LATER + 10).trades) == 1
    a_day_before = NOW + LATER - COMPLETE_OVERLAP_S - OVERLAP_S
    assert there.since == [a_day_before, a_day_before]
    reconciler.run(NOW + 2 * LATER)  # the last trade is old now, and nothing else is missing
    assert there.since[-1] == NOW + 2 * LATER - COMPLETE_OVERLAP_S - OVERLAP_S


@pytest.mark.parametrize("counted", ["0.4", None])
def test_the_history_is_read_from_the_beginning_while_not_all_is_booked(
    store: Store, counted: str | None
) -> None:
    order = new(store)
    there = There(listed=[replace(shown(order), filled=None if counted is None else D(counted))])
    reconciler = Reconciler(store, there, PERP)
    reconciler.run(NOW + LATER)
    there.listed = []
    reconciler.run(NOW + LATER + 10)
    assert there.since == [NOW - OVERLAP_S] * 2


def test_of_thousands_of_others_executions_only_the_newest_are_read_with_each_tick(store: Store) -> None:
    order = new(store)
    there = There(listed=[shown(order)])
    sync, now = Reconciler(store, there, PERP), NOW + 80_000
    others = [executed(order, f"o{n}", "1", f"x{n}", named=False) for n in range(MANY)]
    there.executed = [replace(one, at=now - n) for n, one in enumerate(others)]
    sync.run(now)
    for seconds in (5.0, 10.0):
        sync.run(now + seconds)
    assert there.since == [NOW - OVERLAP_S, now - OVERLAP_S, now - OVERLAP_S]
    # Its own execution is as old as none that is read, and listed late: while the order says that it was
    # filled, all is read in time.
    there.executed.append(replace(executed(order, qty="0.4"), at=now - 1000))
    there.listed = [shown(order, filled="0.4")]
    for seconds in (15.0, 20.0, 20.0 + ALL_WHILE_BEHIND_S):
        sync.run(now + seconds)
    assert store.ledger.position == D("0.4")
    there.executed.append(replace(executed(order, "2", qty="0.1"), at=now - 999))
    sync.run(now + 70 + ALL_EVERY_S)
    assert store.ledger.position == D("0.5"), "and of what nothing tells, later"


def test_an_order_that_was_accepted_without_an_id_is_waited_for_after_a_restart_too(store: Store) -> None:
    order = new(store)
    new(store, "L2", price="98")
    there = There()
    Reconciler(store, there, PERP).accept(order.client_id)
    started_again = NOW + there.settle_s + 1
    later = Reconciler(store, there, PERP)
    for seconds in (0, 1):
        later.run(started_again + seconds)
    assert [live.client_id for live in store.live_orders()] == [order.client_id], "the other had no answer"
    later.run(started_again + LOST_AFTER_S + 1)
    assert store.live_orders() == []


# the record itself


def test_the_database_refuses_a_second_live_order_in_a_slot(store: Store) -> None:
    order = new(store)
    with pytest.raises(sqlite3.IntegrityError):
        new(store)
    store.close_order(order.client_id, "canceled")
    new(store)


def test_client_ids_avoid_those_in_use(store: Store) -> None:
    made = {
        store.new_order(OrderRequest(f"L{i}", Side.BUY, D(1), D(1)), NOW, taken={1, 2, 3}, limit=9).client_id
        for i in range(6)
    }
    assert made == {4, 5, 6, 7, 8, 9}


def test_a_new_grid_outdates_the_orders_of_the_old_one(store: Store) -> None:
    store.set_grid({"generation": 1}, 1, {0: D(1)})
    order = new(store)
    assert store.outdated_order_ids() == set()
    store.set_grid({"generation": 2}, 2, {})
    assert store.outdated_order_ids() == {order.client_id}
    assert store.cells() == {}
    run(store, There(executed=[executed(order)]))
    assert store.cells() == {}
    assert store.ledger.position == 1


def test_all_of_it_is_there_after_reopening(store: Store, tmp_path: Path) -> None:
    store.set_grid({"generation": 1}, 1, {})
    order = new(store)
    run(store, There(listed=[shown(order)], executed=[executed(order, qty="0.25")]))
    ledger = store.ledger
    store.close()
    again = Store(tmp_path / "bot.db", durable=False)
    kept = again.unfinished_run()
    assert kept is not None
    assert (again.ledger, again.cells(), again.generation) == (ledger, {1: D("0.25")}, 1)
    assert [o.filled for o in again.live_orders()] == [D("0.25")]
    again.close()
    store.__init__(tmp_path / "bot.db", durable=False)  # type: ignore[misc]


def test_a_file_of_the_first_version_goes_on(tmp_path: Path) -> None:
    """Its tables are those that 0.1 made; what came later is added, and an older bot can still read it."""
    path = tmp_path / "old.db"
    old = Store(path, durable=False)
    old.begin_run("backpack SOL_USDC_PERP perp live", "live", {}, Ledger(position=D(2), cost=D(200)))
    order = new(old)
    old.close()
    db = sqlite3.connect(path)
    db.executescript("DROP TABLE facts; DROP TABLE funding;")
    db.close()
    made = Store(path, durable=False)
    unfinished = made.unfinished_run()
    assert unfinished is not None
    assert (made.ledger.position, [o.client_id for o in made.live_orders()]) == (D(2), [order.client_id])
    assert (made.fact("x"), made.funding) == (None, D(0))
    made.set_fact("x", "1")
    made.add_funding([Funding("1", NOW, D("-0.5")), Funding("1", NOW, D("-0.5"))])
    assert (made.fact("x"), made.funding, made.pnl(D(100))) == ("1", D("-0.5"), D("-0.5"))
    made.close()
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone() == (1,), "a rollback finds the version it knows"
    db.close()


def test_two_bots_on_one_file_are_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="another bot is running on it"):
        Store(tmp_path / "bot.db", durable=False)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    file.write_text("not a database, but somebody's file, long enough to have a header" * 20)
    before = file.read_bytes()
    with pytest.raises(DatabaseError, match="file is not a database"):
        Store(file, durable=False)
    assert file.read_bytes() == before


def test_figures_of_a_run(store: Store) -> None:
    assert set(history.figures(store.path).values()) == {None}
    order, refused = new(store), new(store, "L2")
    store.close_order(refused.client_id, "rejected")
    run(
        store, There(executed=[executed(order, qty="0.5"), replace(executed(order, "2", "0.5"), maker=False)])
    )
    for at, price in enumerate(("100", "104", "95", "99", "98")):
        store.samples.add_equity(store.run_id, NOW + at, D(price), store.ledger)
    # One unit bought at 99: P&L 1, 5, -4, 0, -1.
    figures = history.figures(store.path)
    assert (figures["maker_share"], figures["reject_rate"], figures["max_drawdown"]) == (0.5, 0.5, 9.0)
    assert (figures["profit_per_grid"], figures["apr"]) == (None, None), (
        "nothing is closed, and no hour is over"
    )
    sale = replace(new(store, "L3"), side=Side.SELL)
    fees = store.ledger.fees
    for number, qty in enumerate(("0.4", "0.6")):
        fill = replace(executed(sale, f"s{number}", qty), side=Side.SELL, price=D(101), fee=D("0.1"))
        assert store.add_trade(fill, sale, PERP)
    store.set_run(ran_s=7200.0)
    store.samples.add_equity(store.run_id, NOW + 9, D(101), store.ledger)
    figures = history.figures(store.path)
    # One unit bought at 99 and sold at 101 by two trades: 2 less all fees; 99 was never held at 100.
    profit = 2 - float(fees) - 0.2
    assert figures["profit_per_grid"] == pytest.approx(profit / 2)
    assert figures["apr"] == pytest.approx(profit / 100 * 365 * 86400 / 7200)


def test_a_trade_at_the_average_price_closes_something_too(store: Store) -> None:
    """As the third exit of an evenly spaced grid often does; it was left out of the profit per grid."""
    trades = [
        (Side.BUY, 99),
        (Side.BUY, 97),
        (Side.SELL, 98),
        (Side.SELL, 99),
        (Side.SELL, 99),
        (Side.BUY, 99),
    ]
    for number, (side, price) in enumerate(trades):
        order = replace(new(store, f"L{number}"), side=side)
        fill = replace(executed(order, f"t{number}", "1"), side=side, price=D(price), fee=D("0.1"))
        assert store.add_trade(fill, order, PERP)
    assert store.ledger.realized == 1
    assert history.figures(store.path)["profit_per_grid"] == pytest.approx((1 - 0.6) / 3)


def test_old_samples_thin_out(store: Store) -> None:
    day = 86400.0
    for at in range(0, 600, 2):
        store.samples.add_equity(store.run_id, NOW - 2 * day + at, D(1), store.ledger)
        store.samples.add_equity(store.run_id, NOW - 60 + at / 10, D(1), store.ledger)
    store.samples.thin_out(NOW)
    db = sqlite3.connect(store.path)
    assert db.execute("SELECT count(*) FROM equity WHERE at > ?", (NOW - day,)).fetchone() == (300,)
    assert db.execute("SELECT count(*) FROM equity WHERE at < ?", (NOW - day,)).fetchone()[0] in (10, 11)
    db.close()


UNREADABLE = UnreadableFill("1", "7", None, "no price")


def total(order: Order, filled: str | None, *, is_open: bool = False) -> ExchangeOrder:
    known = None if filled is None else D(filled)
    fee = None if known is None else known * D("0.01")
    return replace(shown(order, is_open=is_open), filled=known, average=D(98), fee=fee)


def confirmed(store: Store) -> Order:
    order = new(store)
    store.confirm(order.client_id, "7")
    return order


def test_an_order_with_an_unreadable_trade_is_counted_by_its_total_and_only_by_it(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    order = confirmed(store)
    there = There(listed=[total(order, "0.6", is_open=True)])
    there.executed = [executed(order, "2", "0.2"), UNREADABLE]
    reconciler = Reconciler(store, there, PERP)
    with caplog.at_level("WARNING"):
        for _ in range(3):
            reconciler.run(NOW + 2)
    assert [record.message for record in caplog.records] == ["no price: its order's own total is counted"]
    assert store.ledger.position == D("0.6")
    # 0.2 at 99, and the rest so that all of it was bought at 98 on average
    assert (store.ledger.cost, store.ledger.fees) == (D("58.8"), D("0.006"))
    there.executed = [executed(order, "1", "0.4"), executed(order, "2", "0.2"), executed(order, "3", "0.4")]
    there.listed, there.past = [], [total(order, "1")]
    reconciler.run(NOW + 3)
    assert store.ledger.position == D("0.6"), "a trade that can be read now is part of the total"
    reconciler.run(NOW + 3 + LOST_AFTER_S + 1)
    assert (store.ledger.position, state(store, order)) == (D(1), "filled")


def test_a_level_whose_fill_is_unknown_stays_shut_until_it_is_known(store: Store) -> None:
    order, other = confirmed(store), new(store, "L2", price="98")
    there = There(past=[total(order, None)], executed=[UNREADABLE], listed=[shown(other, "8")])
    reconciler = Reconciler(store, there, PERP)
    for now in (NOW + 2, NOW + 2 * LOST_AFTER_S):
        result = reconciler.run(now)
        assert (result.uncertain_slots, result.ended) == ({"L1"}, {order.client_id})
        assert (state(store, order), state(store, other)) == ("open", "open")
    there.past = [total(order, "0.3")]
    reconciler.run(NOW + 2 * LOST_AFTER_S + 1)
    assert (store.ledger.position, state(store, order)) == (D("0.3"), "canceled")


def test_an_ended_order_whose_fill_nobody_says_is_closed_by_its_trades_when_they_must_be_listed(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    order = confirmed(store)
    there = There(past=[total(order, None)], executed=[executed(order, "1", "0.4")])
    reconciler = Reconciler(store, there, PERP)
    assert reconciler.run(NOW).unsettled == 1
    assert reconciler.run(NOW + LOST_AFTER_S - 1).unsettled == 1
    assert len([record for record in caplog.records if "it is unknown how much" in record.message]) == 1
    assert reconciler.run(NOW + LOST_AFTER_S + 1).unsettled == 0
    assert (store.ledger.position, state(store, order)) == (D("0.4"), "canceled")


def test_trades_that_are_never_listed_are_counted_by_the_orders_total(store: Store) -> None:
    order = confirmed(store)
    reconciler = Reconciler(store, There(past=[total(order, "1")]), PERP)
    assert reconciler.run(NOW).unsettled == 1
    assert reconciler.run(NOW + LOST_AFTER_S + 1).unsettled == 0
    assert (store.ledger.position, state(store, order)) == (D(1), "filled")


def test_an_unreadable_trade_of_another_program_shuts_nothing(store: Store) -> None:
    order = confirmed(store)
    there = There(listed=[shown(order)], executed=[UnreadableFill("9", "foreign", None, "no price")])
    result = Reconciler(store, there, PERP).run(NOW)
    assert (result.uncertain_slots, result.unsettled, store.ledger.position) == (set(), 0, D(0))


def test_cancelling_ends_soon_where_only_a_fill_is_unknown(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridbot.trading.cancel.FILLS_WITHIN_S", 0.1)
    order = confirmed(store)
    there = There(past=[total(order, None)])
    began = time.monotonic()
    assert cancel_own_orders(store, there, PERP, 30.0) == (0, True)
    assert time.monotonic() - began < 5
    assert (there.cancelled, state(store, order)) == ([], "open"), "the next run still looks for its fill"


def test_a_history_that_does_not_answer_keeps_no_order_from_being_cancelled(store: Store) -> None:
    order = confirmed(store)
    there = There(listed=[shown(order)], has_no_history=True)
    assert cancel_own_orders(store, there, PERP, 0.2) == (1, False)
    assert "7" in there.cancelled


GARBAGE = UnreadableOrder(None, None, "it has no id")


def test_no_order_is_given_up_while_an_unreadable_row_may_be_its_own(store: Store) -> None:
    sent, confirmed, listed = new(store, "L1"), new(store, "L2"), new(store, "L3")
    store.confirm(confirmed.client_id, "8")
    there = There(listed=[shown(listed, "9")], unreadable=[GARBAGE])
    reconciler = Reconciler(store, there, PERP)
    for now in (NOW + 2, NOW + 500):
        result = reconciler.run(now)
        assert [state(store, order) for order in (sent, confirmed, listed)] == ["new", "open", "open"]
    assert (result.unsettled, result.unreadable) == (2, [GARBAGE])
    there.unreadable = []
    for after in (502, 504):
        reconciler.run(NOW + after)
    assert [state(store, order) for order in (sent, confirmed, listed)] == ["absent", "canceled", "open"]


def test_an_unreadable_row_that_names_another_order_keeps_none(store: Store) -> None:
    order = new(store)
    store.confirm(order.client_id, "8")
    there = There(unreadable=[UnreadableOrder("1234", None, "it has no side")])
    reconciler = Reconciler(store, there, PERP)
    reconciler.run(NOW)
    reconciler.run(NOW + LOST_AFTER_S + 1)
    assert state(store, order) == "canceled"


def test_an_unreadable_history_gives_up_no_order(store: Store) -> None:
    order = new(store)
    there = There(unreadable_past=[GARBAGE])
    reconciler = Reconciler(store, there, PERP)
    for now in (NOW, NOW + 500):
        assert reconciler.run(now).unsettled == 1
    assert state(store, order) == "new"


def test_a_stop_cancels_beside_an_unreadable_row_and_does_not_call_that_confirmed(store: Store) -> None:
    orders = [new(store, slot) for slot in ("L1", "L2")]
    listed = [shown(order, str(number)) for number, order in enumerate(orders)]
    there = There(listed=listed, unreadable=[GARBAGE], has_cancel_all=True)
    assert cancel_own_orders(store, there, PERP, within=5, is_exclusive=True) == (0, False)
    assert sorted(str(one) for one in there.cancelled) == ["0", "1"]
    assert "all" not in there.calls


def test_a_missing_order_waits_once_however_often_the_bot_starts_again(store: Store) -> None:
    order = new(store)
    store.confirm(order.client_id, "8")
    for after in range(0, 61, 20):
        assert run(store, There(), NOW + after) == (0, 0, 1)
        assert state(store, order) == "open"
    run(store, There(), NOW + 61)
    assert state(store, order) == "canceled"


def test_a_clock_that_was_set_back_makes_no_missing_order_wait_for_it(store: Store) -> None:
    order = new(store)
    store.confirm(order.client_id, "8")
    run(store, There(), NOW + 86_400)
    run(store, There(), NOW)
    run(store, There(), NOW + LOST_AFTER_S + 1)
    assert state(store, order) == "canceled"


def test_a_clock_that_was_set_back_makes_no_refused_cancellation_wait_for_it(store: Store) -> None:
    order = new(store)
    store.confirm(order.client_id, "8")
    there, now = There(), NOW + 86_400
    sync = Reconciler(store, there, PERP)
    for after in (now, now + LOST_AFTER_S + 1, NOW, NOW + LOST_AFTER_S + 1):
        there.refusals = [RejectedError("gone")]
        sync.run(after)
    assert state(store, order) == "open"
    there.refusals = [RejectedError("gone")]
    sync.run(NOW + LOST_AFTER_S + REFUSED_FOR_S + 2)
    assert state(store, order) == "canceled"


def test_figures_stay_what_they_are_when_old_rows_are_deleted(store: Store) -> None:
    """A drawdown within a minute, the largest position, and refusals of more than a week ago."""
    day = 86400.0
    orders = [new(store, f"L{level}") for level in range(4)]
    for order in orders[:3]:
        store.close_order(order.client_id, "rejected")
    long_ago = (NOW - 40 * day) // 3600 * 3600
    store._db.execute("UPDATE orders SET updated_at = ?", (long_ago,))
    run(store, There(executed=[executed(orders[3])]))
    for second, price in enumerate(("100", "130", "70", "99", "98")):
        store.samples.add_equity(store.run_id, long_ago + second, D(price), store.ledger)
    for hour, position in enumerate(("1", "7", "2")):
        moved = replace(store.ledger, position=D(position), cost=D(99) * D(position))
        store.samples.add_equity(store.run_id, long_ago + 5 + hour, D(99), moved)
    store.set_run(ran_s=7200.0)
    before = history.figures(store.path)
    assert (before["max_drawdown"], before["reject_rate"]) == (60.0, 0.75)
    for hours in range(3):
        store.samples.thin_out(NOW + hours * 3601)
        assert history.figures(store.path) == before
    assert store._db.execute("SELECT count(*) FROM equity").fetchone()[0] < 3
    assert store._db.execute("SELECT count(*) FROM orders").fetchone()[0] == 1
    store.samples.add_equity(store.run_id, NOW + 9, D(60), store.ledger)
    # One unit bought at 99: it has been worth 130, and is worth 60.
    assert history.figures(store.path)["max_drawdown"] == 70
