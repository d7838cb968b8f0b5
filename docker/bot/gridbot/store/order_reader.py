"""Read orders from the database."""

from __future__ import annotations

import functools
import sqlite3
from decimal import Decimal
from typing import Any

from gridbot.model.types import ExchangeOrder, Fill, Order, Side
from gridbot.store.database import LIVE

ORDER_COLUMNS = (
    "client_id, slot, cell, side, price, qty, filled, state, exchange_id, post_only, market, reduce_only,"
    " created_at"
)
# A fee's rate changes with what an account trades in a month, and rounding makes more of a small part's.
PURCHASES = 20
# A fill that is the difference of an order's totals has an id of its own that begins so.
TOTAL = "total:"
AFTER_TOTAL = "total;"
ORDER_NAMES = ORDER_COLUMNS.split(", ")


class OrderReader:
    """Query orders through an open connection, read-only or not."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def order(self, client_id: int) -> Order | None:
        """Return the order with this client id."""
        row = self._db.execute(
            f"SELECT {ORDER_COLUMNS} FROM orders WHERE client_id = ?", (client_id,)
        ).fetchone()
        return _order(row) if row else None

    def order_by_exchange_id(self, exchange_id: str) -> Order | None:
        """Return the order with this id of the exchange."""
        row = self._db.execute(
            f"SELECT {ORDER_COLUMNS} FROM orders WHERE exchange_id = ?", (exchange_id,)
        ).fetchone()
        return _order(row) if row else None

    def live_orders(self) -> list[Order]:
        """Return the orders that may be open at the exchange, oldest first."""
        return self._orders_where(LIVE)

    def _orders_where(self, condition: str, values: tuple[Any, ...] = ()) -> list[Order]:
        query = f"SELECT {ORDER_COLUMNS} FROM orders WHERE {condition} ORDER BY created_at"
        return [_order(row) for row in self._db.execute(query, values)]

    def cancelled_since(self, since: float) -> list[Order]:
        """Return the orders that were closed as cancelled from `since` on."""
        return self._orders_where("state = 'canceled' AND updated_at >= ?", (since,))

    def first_unfilled(self, run_id: int) -> float | None:
        """Return when the first order of a run was sent that was cancelled, given up or refused; None without
        one. One that was refused in words unknown here may rest all the same.
        """
        ended = "'canceled', 'absent', 'rejected'"
        query = f"SELECT min(created_at) FROM orders WHERE run_id = ? AND state IN ({ended})"
        value = self._db.execute(query, (run_id,)).fetchone()[0]
        return None if value is None else float(value)

    def unnamed_orders(self, since: float) -> list[Order]:
        """Return the orders without a known id of the exchange: live ones, and others given up since."""
        return self._orders_where(
            f"exchange_id IS NULL AND ({LIVE} OR (state = 'absent' AND created_at >= ?))", (since,)
        )

    def kept_share(self, run_id: int, base: str) -> Decimal | None:
        """Return the least share that was left of a run's latest purchases; None before the first.

        Where the fee is taken in the currency that is bought, less than the order's quantity can be sold.
        """
        rows = self._db.execute(
            "SELECT qty, fee, fee_currency FROM trades WHERE run_id = ? AND side = 'buy'"
            " ORDER BY at DESC LIMIT ?",
            (run_id, PURCHASES),
        )
        shares = [
            1 - Decimal(row["fee"]) / Decimal(row["qty"]) if row["fee_currency"] == base else Decimal(1)
            for row in rows
        ]
        return min(shares, default=None)

    def orders_of_slot(self, slot: str, since: float) -> list[Order]:
        """Return the orders that this slot had from `since` on."""
        rows = self._db.execute(
            f"SELECT {ORDER_COLUMNS} FROM orders WHERE slot = ? AND created_at >= ?", (slot, since)
        )
        return [_order(row) for row in rows]

    def find_own(self, exchange_order: ExchangeOrder) -> Order | None:
        """Return the stored order that `exchange_order` is, None for an order of another program."""
        order = self.order_by_exchange_id(exchange_order.exchange_id)
        if order is None and exchange_order.client_id is not None:
            order = self.order(exchange_order.client_id)
            if order is not None and (order.exchange_id is not None or not order.matches(exchange_order)):
                return None
        return order

    def is_beyond(self, fill: Fill, order: Order) -> bool:
        """Tell whether a fill that is not stored is of more than is left of its order, whose fills are."""
        if fill.qty <= order.remaining:
            return False
        known = self._db.execute(
            "SELECT 1 FROM trades WHERE trade_id = ? AND exchange_id = ?", (fill.trade_id, fill.exchange_id)
        )
        return known.fetchone() is None and not self.is_counted_by_total(fill.exchange_id)

    def is_counted_by_total(self, exchange_id: str) -> bool:
        """Tell whether a fill of this order was booked as a difference of its totals."""
        row = self._db.execute(  # by the table's key: thousands of executions may be listed again
            "SELECT 1 FROM trades WHERE trade_id >= ? AND trade_id < ? AND exchange_id = ?",
            (TOTAL, AFTER_TOTAL, exchange_id),
        ).fetchone()
        return row is not None

    def open_order_identities(self) -> set[str]:
        """Return the identities of the runs whose orders may be open now."""
        rows = self._db.execute(
            f"SELECT DISTINCT runs.identity FROM orders JOIN runs ON runs.id = orders.run_id WHERE {LIVE}"
        )
        return {row["identity"] for row in rows}


def _order(row: sqlite3.Row) -> Order:
    return _order_of(tuple(row))


@functools.lru_cache(maxsize=256)
def _order_of(values: tuple[Any, ...]) -> Order:
    """Return the order of a row; every tick reads rows that have mostly not changed since the last."""
    row = dict(zip(ORDER_NAMES, values, strict=True))
    return Order(
        client_id=row["client_id"],
        slot=row["slot"],
        side=Side(row["side"]),
        price=Decimal(row["price"]),
        qty=Decimal(row["qty"]),
        filled=Decimal(row["filled"]),
        state=row["state"],
        created_at=row["created_at"],
        cell=row["cell"],
        exchange_id=row["exchange_id"],
        post_only=bool(row["post_only"]),
        market=bool(row["market"]),
        reduce_only=bool(row["reduce_only"]),
    )
