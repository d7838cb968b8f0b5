"""How long an order is waited for that is in no list, and since when executions are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import cast

import pytest

from gridbot.exchanges.exchange import Exchange
from gridbot.model.types import ExchangeOrder, Fill, Order, OrderRequest, Side, UnreadableOrder
from gridbot.store.store import Store
from gridbot.trading.history_reads import ALL_WHILE_BEHIND_S, MANY, OVERLAP_S, HistoryReads
from gridbot.trading.missing import LOST_AFTER_S, MISSING, MissingOrders, find_missing

NOW = 1_000_000.0

pytestmark = pytest.mark.usefixtures("live_run")


def an_order(store: Store, level: str = "L1") -> Order:
    return store.new_order(OrderRequest(level, Side.BUY, Decimal(99), Decimal(1), 1, post_only=True), NOW)


class ByClientId:
    """An exchange that knows its orders by their client ids alone, and counts how often it is asked."""

    def __init__(self, known: Mapping[int, ExchangeOrder | UnreadableOrder]) -> None:
        self.known, self.asked = known, list[int]()

    def find(self, orders: Sequence[Order]) -> Iterator[tuple[Order, ExchangeOrder | UnreadableOrder | None]]:
        self.asked.append(len(orders))
        for order in orders:
            yield order, None if order.exchange_id else self.known.get(order.client_id)


def test_what_is_unknown_by_its_id_is_asked_for_together_by_client_ids(store: Store) -> None:
    orders = []
    for number in range(3):
        order = an_order(store, f"L{number}")
        store.confirm(order.client_id, f"answered-{number}")
        orders.append(store.order(order.client_id) or order)
    row = ExchangeOrder(
        "listed-1", orders[1].client_id, Side.BUY, Decimal(99), Decimal(1), Decimal(0), open=True
    )
    exchange = ByClientId({row.client_id or 0: row})
    results = list(find_missing(store, cast(Exchange, exchange), orders))
    assert results == [(order, row if order is orders[1] else None) for order in orders]
    assert exchange.asked == [3, 3]


@pytest.mark.parametrize(
    ("exchange_id", "is_another", "is_there"),
    [("listed-1", False, True), ("listed-1", True, False), (None, False, False)],
    ids=["its own row", "another's", "nothing but that lists go no further back"],
)
def test_a_row_under_another_id_that_cannot_be_read_is_not_that_there_is_none(
    store: Store, exchange_id: str | None, is_another: bool, is_there: bool
) -> None:
    """Its level would be bought again."""
    order = an_order(store)
    store.confirm(order.client_id, "answered")
    order = store.order(order.client_id) or order
    client_id = order.client_id + is_another
    row = UnreadableOrder(exchange_id, client_id, "it has no side")
    exchange = ByClientId({order.client_id: row})
    assert list(find_missing(store, cast(Exchange, exchange), [order])) == [
        (order, row if is_there else None)
    ]


def test_what_was_missing_while_there_was_no_list_is_waited_for_anew(store: Store) -> None:
    """It may have rested all the time."""
    missing, order = MissingOrders(store), an_order(store)
    for at in (0.0, 30.0, 61.0):
        missing.note([order], NOW + at, is_unclear=True)
    missing.note([order], NOW + 62, is_unclear=False)
    assert not missing.is_long(order, NOW + 62 + LOST_AFTER_S)
    assert missing.is_long(order, NOW + 63 + LOST_AFTER_S)


def test_a_time_ahead_of_the_clock_is_not_waited_for(store: Store) -> None:
    missing, order = MissingOrders(store), an_order(store)
    missing.note([order], NOW + 3600, is_unclear=False)
    missing.note([order], NOW, is_unclear=False)
    missing.save()
    again = MissingOrders(store)
    again.note([order], NOW + 1, is_unclear=False)
    assert again.is_long(order, NOW + 1 + LOST_AFTER_S), "since NOW, also for the next process"


def test_what_is_found_again_is_forgotten_in_the_store_too(store: Store) -> None:
    """The next process would give it up at its first look."""
    missing, order = MissingOrders(store), an_order(store)
    missing.note([order], NOW, is_unclear=False)
    missing.save()
    missing.note([], NOW + 1, is_unclear=False)
    missing.save()
    assert store.fact(MISSING) == "{}"


def executions(count: int, newest: float) -> list[Fill]:
    return [
        Fill(f"t{number}", "x", None, Side.BUY, Decimal(1), Decimal(1), Decimal(0), "USDC", newest)
        for number in range(count)
    ]


@pytest.mark.parametrize(("count", "is_shorter"), [(MANY - 1, False), (MANY, True)])
def test_only_of_many_the_next_listing_begins_at_the_newest(count: int, *, is_shorter: bool) -> None:
    """Of few it costs nothing to read all, and one that is listed late is found."""
    reads = HistoryReads()
    reads.begin(NOW - 5000, NOW)
    reads.end(executions(count, NOW - 10), NOW)
    begin = NOW - 10 if is_shorter else NOW - 5000
    assert reads.begin(NOW - 5000, NOW + 1) == begin - OVERLAP_S


def test_an_execution_from_ahead_of_the_clock_hides_none_of_now() -> None:
    reads = HistoryReads()
    reads.begin(NOW - 5000, NOW)
    reads.end(executions(MANY, NOW + 3600), NOW)
    assert reads.begin(NOW - 5000, NOW + 1) == NOW + 1 - OVERLAP_S


def test_an_order_that_is_behind_twice_has_all_read_sooner() -> None:
    """Once it is mostly an execution that is not listed yet."""
    reads, late = HistoryReads(), NOW + ALL_WHILE_BEHIND_S + 1
    reads.begin(NOW - 5000, NOW)
    reads.end(executions(MANY, NOW - 10), NOW)
    reads.note_behind({1})
    assert reads.begin(NOW - 5000, late) == NOW - 10 - OVERLAP_S
    reads.note_behind({1, 2})
    assert reads.begin(NOW - 5000, late) == NOW - 5000 - OVERLAP_S
