"""Keep a run's record in memory, for a backtest: what the strategies read, and nothing that lasts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from gridbot.model.types import ZERO, Fill, Market, Order, OrderRequest
from gridbot.store.ledger import Ledger, apply_fill, position_change


class MemoryStore:
    """Hold the orders, cells and ledger of one run."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.generation = 0
        self.orders: dict[int, Order] = {}
        self.outdated: set[int] = set()
        self._grid: dict[str, Any] | None = None
        self._cells: dict[int, Decimal] = {}
        self._ids = itertools.count(1)

    def grid(self) -> dict[str, Any] | None:
        """Return what `set_grid` stored."""
        return self._grid

    def set_grid(self, grid: Mapping[str, Any], generation: int, cells: Mapping[int, Decimal]) -> None:
        """Replace the grid. The orders of the old one are outdated, and their cells no longer count."""
        self._grid, self.generation, self._cells = dict(grid), generation, dict(cells)
        self.outdated = set(self.orders)

    def cells(self) -> dict[int, Decimal]:
        """Return the inventory of each cell of the current grid."""
        return self._cells

    def set_cells(self, cells: Mapping[int, Decimal]) -> None:
        """Replace the inventories of the current grid's cells."""
        self._cells = dict(cells)

    def live_orders(self) -> list[Order]:
        """Return the orders that are open, oldest first."""
        return list(self.orders.values())

    def add_order(self, request: OrderRequest, at: float) -> Order:
        """Store an order that is about to be placed."""
        client_id = next(self._ids)
        order = Order(
            client_id,
            request.slot,
            request.side,
            request.price,
            request.qty,
            ZERO,
            "open",
            at,
            request.cell,
            str(client_id),
            request.post_only,
            request.market,
            request.reduce_only,
        )
        self.orders[client_id] = order
        return order

    def remove(self, client_id: int) -> None:
        """Forget an order that is no longer open."""
        self.orders.pop(client_id, None)
        self.outdated.discard(client_id)

    def add_trade(self, fill: Fill, market: Market) -> None:
        """Count a fill of a stored order."""
        assert fill.client_id is not None
        order = self.orders[fill.client_id]
        self.ledger = apply_fill(self.ledger, fill, market.base, market.quote)
        if order.cell is not None and order.client_id not in self.outdated:
            change = position_change(fill, market.base)
            self._cells[order.cell] = self._cells.get(order.cell, ZERO) + change
        left = replace(order, filled=order.filled + fill.qty)
        if left.remaining > 0:
            self.orders[order.client_id] = left
        else:
            self.remove(order.client_id)
