"""Whether an execution is known, in a table with all of a long run's."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.model.types import Fill, Order, OrderRequest, Side
from gridbot.store.order_reader import TOTAL
from gridbot.store.store import Store
from tests.bot.worlds import PERP

pytestmark = pytest.mark.usefixtures("live_run")


def an_order(store: Store, level: str) -> Order:
    order = store.new_order(OrderRequest(level, Side.BUY, Decimal(99), Decimal(1), 1, post_only=True), 1.0)
    store.confirm(order.client_id, f"of-{level}")
    return store.order(order.client_id) or order


def fill(order: Order, trade_id: str, qty: str) -> Fill:
    exchange_id = order.exchange_id or ""
    return Fill(
        trade_id, exchange_id, order.client_id, Side.BUY, Decimal(99), Decimal(qty), Decimal(0), "USDC", 2.0
    )


def booked(store: Store, order: Order, trade_id: str, qty: str) -> Order:
    assert store.add_trade(fill(order, trade_id, qty), order, PERP)
    return store.order(order.client_id) or order


def test_an_execution_of_more_than_is_left_is_beyond_unless_it_is_known(store: Store) -> None:
    order = booked(store, an_order(store, "L1"), "t1", "0.75")
    assert not store.is_beyond(fill(order, "t2", "0.25"), order)
    assert store.is_beyond(fill(order, "t2", "0.5"), order)
    assert not store.is_beyond(fill(order, "t1", "0.75"), order), "it is listed again"
    other = booked(store, an_order(store, "L2"), f"{TOTAL}of-L2:1", "1")
    assert not store.is_beyond(fill(other, "t9", "1"), other), "it may be what the totals have told of"
    assert store.is_beyond(fill(order, "t9", "1"), order), "the totals of another order tell nothing"


def test_no_table_is_read_through_for_it(store: Store) -> None:
    """After a start thousands may be listed again, of a run with a hundred thousand."""
    order = booked(store, an_order(store, "L1"), "t1", "1")
    statements: list[str] = []
    store._db.set_trace_callback(statements.append)
    store.is_beyond(fill(order, "t2", "1"), order)
    store._db.set_trace_callback(None)
    assert len(statements) == 2
    for statement in statements:
        [plan] = store._db.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
        assert plan["detail"].startswith("SEARCH trades USING"), plan["detail"]
