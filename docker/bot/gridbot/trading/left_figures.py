"""Say what a bot that does not run has left: its report's figures, from its record."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

from gridbot.model.types import as_text
from gridbot.store.store import Store


def left_figures(store: Store, price: Decimal | None) -> dict[str, Any]:
    """Return what the bot's report would say of the record now. `price` values what is left.

    It becomes the record's last point: a run that takes over what is left counts from there.
    """
    ledger = store.ledger
    if price is not None:
        price = round(price, 8)
        store.samples.add_equity(store.run_id, time.time(), price, ledger, store.funding)
    return {
        "position": as_text(ledger.position),
        "entry_price": as_text(round(ledger.average_price, 8)) if ledger.position else None,
        "price": as_text(price) if price is not None else None,
        "pnl": f"{store.pnl(price):.8f}" if price is not None else None,
        "unrealized": f"{ledger.unrealized(price):.8f}" if price is not None else None,
        "realized": f"{ledger.realized:.8f}",
        "fees": f"{ledger.fees:.8f}",
        "trades": ledger.trades,
        "last_fill": store.last_fill_time(),
    }
