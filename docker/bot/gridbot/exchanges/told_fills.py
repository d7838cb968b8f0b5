"""Read which of the account's orders a socket's update tells to be filled, and by how much.

Only where the exchange's document says what each value means: an order is sent on this word before the
exchange's lists are asked (trading.told_orders). Whatever is left out or contradicts itself is no word; it is
still a reason to look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from gridbot.exchanges import values
from gridbot.model.types import Side, ToldFill

# What Backpack calls the update of an order that was filled, in whole or in part.
FILL = "orderFill"
SIDES = {"Bid": Side.BUY, "Ask": Side.SELL}


def told_fill(exchange: str, update: Any, symbol: str) -> ToldFill | None:
    """Return the word in one of ccxt's updates, None for one that says nothing, or not clearly."""
    read = READERS.get(exchange)
    if read is None or not isinstance(update, Mapping) or update.get("symbol") != symbol:
        return None
    raw = update.get("info")
    return read(raw) if isinstance(raw, Mapping) else None


def _backpack(raw: Mapping[str, Any]) -> ToldFill | None:
    """Read `orderUpdate` of Backpack's private streams: `z` is what was filled so far.

    ccxt 4.5.90 gives `l` for it, which is the last execution alone.
    """
    exchange_id, client_id, side = raw.get("i"), raw.get("c"), raw.get("S")
    price, qty, filled = (_amount(raw.get(key)) for key in ("p", "q", "z"))
    if raw.get("e") != FILL or raw.get("o") != "LIMIT":
        return None
    if not isinstance(exchange_id, str) or not isinstance(client_id, int | str) or not isinstance(side, str):
        return None
    number = None if isinstance(client_id, bool) else values.number(client_id)
    if not exchange_id or number is None or side not in SIDES:
        return None
    if price is None or qty is None or filled is None:
        return None
    if filled > qty or raw.get("X") != ("Filled" if filled == qty else "PartiallyFilled"):
        return None
    return ToldFill(exchange_id, number, SIDES[side], price, qty, filled)


def _amount(value: Any) -> Decimal | None:
    """Return a quantity or a price that is written as one: as text, not as a number that was rounded."""
    return values.positive(value) if isinstance(value, str) else None


READERS: Mapping[str, Callable[[Mapping[str, Any]], ToldFill | None]] = {"backpack": _backpack}
