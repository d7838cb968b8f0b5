"""Build the bot's status as JSON. The loop does so after each tick, and the web threads serve it."""

from __future__ import annotations

import time
from typing import Any

from gridbot.model.types import Order, as_text
from gridbot.trading.engine import Engine


def build_status(engine: Engine) -> dict[str, Any]:
    """Return a new dict. Amounts are exact strings, times are seconds since the epoch."""
    settings, ledger, price = engine.settings, engine.store.ledger, engine.price
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
        "position": as_text(ledger.position),
        "average_price": f"{ledger.average_price:.8f}",
        "pnl": None if price is None else f"{ledger.pnl(price):.8f}",
        "realized": f"{ledger.realized:.8f}",
        "unrealized": None if price is None else f"{ledger.unrealized(price):.8f}",
        "fees": f"{ledger.fees:.8f}",
        "volume": f"{ledger.volume:.8f}",
        "trades": ledger.trades,
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
