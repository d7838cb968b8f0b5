"""What the record says of orders, for whoever may only read it."""

from __future__ import annotations

import sqlite3
from decimal import Decimal

from gridbot.model.types import ExchangeOrder, Order, Side
from gridbot.store.database import LIVE

ORDER_COLUMNS = "client_id, slot, cell, side, price, qty, filled, state, exchange_id, post_only, market, reduce_only, created_at"


class Record:
    """Questions to an open database."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def order(self, client_id: int) -> Order | None:
        row = self._db.execute(
            f"SELECT {ORDER_COLUMNS} FROM orders WHERE client_id = ?", (client_id,)
        ).fetchone()
        return _order(row) if row else None

    def order_by_exchange_id(self, exchange_id: str) -> Order | None:
        row = self._db.execute(
            f"SELECT {ORDER_COLUMNS} FROM orders WHERE exchange_id = ?", (exchange_id,)
        ).fetchone()
        return _order(row) if row else None

    def live_orders(self) -> list[Order]:
        rows = self._db.execute(f"SELECT {ORDER_COLUMNS} FROM orders WHERE {LIVE} ORDER BY created_at")
        return [_order(row) for row in rows]

    def ours(self, there: ExchangeOrder) -> Order | None:
        """The order of the record that an order of the exchange is; None for somebody else's."""
        order = self.order_by_exchange_id(there.exchange_id)
        if order is None and there.client_id is not None:
            order = self.order(there.client_id)
            if order is not None and (order.exchange_id is not None or not order.matches(there)):
                return None
        return order

    def markets(self) -> set[str]:
        """The identities of the runs whose orders may be open now."""
        rows = self._db.execute(
            f"SELECT DISTINCT runs.identity FROM orders JOIN runs ON runs.id = orders.run_id WHERE {LIVE}"
        )
        return {row["identity"] for row in rows}


def _order(row: sqlite3.Row) -> Order:
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
