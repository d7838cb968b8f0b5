"""The bot's state as JSON: built by the loop after each tick, served by the web threads."""

from __future__ import annotations

import time
from typing import Any

from gridbot.model.types import Order, as_text
from gridbot.trading.engine import Engine


def status_of(engine: Engine) -> dict[str, Any]:
    """A fresh dict. Amounts are strings, exact; times are seconds since the epoch."""
    settings, held, price = engine.settings, engine.store.ledger, engine.price
    orders = engine.store.live_orders()
    return {
        "instance": settings.instance,
        "exchange": settings.exchange,
        "symbol": settings.symbol,
        "base": engine.market.base,
        "quote": engine.market.quote,
        "strategy": settings.strategy,
        "market_type": "perp" if settings.perp else "spot",
        "mode": "live" if settings.live else "paper",
        "source": engine.exchange.name,
        "interval": settings.interval,
        "last_tick": round(time.time(), 3),
        "paused": engine.paused,
        "price": None if price is None else as_text(price),
        "position": as_text(held.position),
        "average_price": f"{held.average_price:.8f}",
        "pnl": None if price is None else f"{held.pnl(price):.8f}",
        "realized": f"{held.realized:.8f}",
        "unrealized": None if price is None else f"{held.unrealized(price):.8f}",
        "fees": f"{held.fees:.8f}",
        "volume": f"{held.volume:.8f}",
        "trades": held.trades,
        "open_orders": [_order(order) for order in sorted(orders, key=lambda order: -order.price)],
        "unsettled": engine.unsettled,
        "account_position": None if engine.account_position is None else as_text(engine.account_position),
        "grid": engine.strategy.describe() if price is not None else None,
    }


def _order(order: Order) -> dict[str, Any]:
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
