"""Find an order among the rows of a list. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from gridbot.model.types import ExchangeOrder, Order, UnreadableOrder

Row = ExchangeOrder | UnreadableOrder


def match_order(order: Order, rows: Sequence[Row]) -> Row | None:
    """Find `order` by its id where that is known, else by its client id, side and price.

    Where it is not found, a row that cannot be read and may be its own is returned.
    """
    for row in rows:
        if isinstance(row, UnreadableOrder):
            continue
        if order.exchange_id is not None:
            if row.exchange_id == order.exchange_id:
                return row
        elif row.client_id == order.client_id and order.matches(row):
            return row
    return next((row for row in rows if isinstance(row, UnreadableOrder) and row.may_be(order)), None)
