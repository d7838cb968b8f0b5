"""Build the bot's report and status as JSON, after each tick.

The report is the object of the bot contract, version 2 (docker/README.md). The status adds the page's part.
Amounts are exact numbers as text, and None where they are unknown. Times are seconds since the epoch.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from gridbot.config.settings import Settings
from gridbot.model.condition import Condition
from gridbot.model.types import ZERO, Market, Order, as_text
from gridbot.store.ledger import Ledger
from gridbot.store.store import Store

CONTRACT = 2


@dataclass(frozen=True, slots=True)
class MarketView:
    """Hold what is known of the market: nothing before the exchange has answered once."""

    source: str | None = None
    market: Market | None = None
    price: Decimal | None = None
    price_at: float | None = None
    price_range: tuple[Decimal, Decimal] | None = None
    funding: Decimal | None = None
    min_order: Decimal | None = None
    figures: Mapping[str, float | None] = field(default_factory=dict)


def build_report(
    settings: Settings, store: Store, view: MarketView, condition: Condition | None, *, is_known: bool = True
) -> dict[str, Any]:
    """Return the report. With `is_known` false the store's ledger may not be this run's, and is left out."""
    ledger = store.ledger if is_known else None
    price, price_range = view.price, view.price_range
    worth = ZERO if price is None and ledger is not None and not ledger.position else price  # needs no price
    funding = view.funding if settings.live and settings.perp else ZERO
    paid = funding or ZERO
    return {
        "contract": CONTRACT,
        "at": round(time.time(), 3),
        "final": False,
        "condition": None if condition is None else condition.as_json(),
        "reason": None if condition is None else condition.reason,
        "instance": settings.instance,
        "mode": "live" if settings.live else "paper",
        "market": view.source,
        "price": None if price is None else as_text(price),
        "price_at": None if view.price_at is None else round(view.price_at, 3),
        "range": price_range and {"lower": as_text(price_range[0]), "upper": as_text(price_range[1])},
        "base": view.market and view.market.base,
        "quote": view.market and view.market.quote,
        "position": ledger and as_text(ledger.position),
        "min_order": None if view.min_order is None else as_text(view.min_order),
        "entry_price": as_text(round(ledger.average_price, 8)) if ledger and ledger.position else None,
        "open_orders": len(store.live_orders()),
        "pnl": None if ledger is None or worth is None else f"{ledger.pnl(worth) + paid:.8f}",
        "realized": ledger and f"{ledger.realized:.8f}",
        "unrealized": None if ledger is None or worth is None else f"{ledger.unrealized(worth):.8f}",
        "fees": ledger and f"{ledger.fees:.8f}",
        "funding": None if funding is None else as_text(funding),
        "trades": None if ledger is None else ledger.trades,
        "last_fill": store.last_fill_time() if ledger else None,
        "run_began": round(store.run_began, 3) if ledger and store.run_began else None,
        **{name: None if value is None else round(value, 8) for name, value in view.figures.items()},
    }


def build_status(
    report: dict[str, Any],
    settings: Settings,
    ledger: Ledger,
    orders: list[Order],
    *,
    is_paused: bool,
    unsettled: int,
    account_position: Decimal | None,
    grid: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return what /api/status serves: `report`, and what the page and the metrics need besides."""
    return {
        **report,
        "exchange": settings.exchange,
        "symbol": settings.symbol,
        "strategy": settings.strategy,
        "market_type": "perp" if settings.perp else "spot",
        "source": report["market"],
        "interval": settings.interval,
        "last_tick": report["at"],
        "paused": is_paused,
        "average_price": f"{ledger.average_price:.8f}",
        "volume": f"{ledger.volume:.8f}",
        "open_orders": [order_json(order) for order in sorted(orders, key=lambda order: -order.price)],
        "unsettled": unsettled,
        "account_position": None if account_position is None else as_text(account_position),
        "grid": grid,
    }


def order_json(order: Order) -> dict[str, Any]:
    """Return an order as /api/status lists it."""
    return {
        "id": order.exchange_id,
        "client_id": order.client_id,
        "side": order.side.value,
        "price": as_text(order.price),
        "quantity": as_text(order.qty),
        "filled": as_text(order.filled),
        "state": order.state,
        "at": order.created_at,
    }
