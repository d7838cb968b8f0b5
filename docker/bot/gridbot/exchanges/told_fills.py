"""Read which of the account's orders a socket's update tells to be filled, and by how much.

An order is sent on this word before the exchange's lists are asked (trading.told_orders). So it has to name
the order by both ids, with its price and quantity. Whatever is left out or contradicts itself is no word; it
is still a reason to look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from gridbot.exchanges import values
from gridbot.model.types import Side, ToldFill

Raw = Mapping[str, Any]
# What Backpack calls the update of an order that was filled, in whole or in part.
FILL = "orderFill"
SIDES = {"Bid": Side.BUY, "Ask": Side.SELL, "BUY": Side.BUY, "SELL": Side.SELL}


def told_fill(exchange: str, update: Any, symbol: str) -> ToldFill | None:
    """Return the word in one of ccxt's updates, None for one that says nothing, or not clearly."""
    read = READERS.get(exchange)
    if read is None or not isinstance(update, Mapping) or update.get("symbol") != symbol:
        return None
    raw = update.get("info")
    return read(raw) if isinstance(raw, Mapping) else None


def may_be_fill(exchange: str, update: Raw) -> bool:
    """Tell whether an update is a reason to look: others are mostly the echo of the bot's own orders."""
    raw = update["info"]
    if exchange == "backpack":
        return bool(raw.get("e", FILL) == FILL)
    # Apex tells of orders and of executions, which alone name their order.
    return exchange != "apex" or "orderId" in raw or _apex(raw) is not None


def _backpack(raw: Raw) -> ToldFill | None:
    """Read `orderUpdate` of Backpack's private streams: `z` is what was filled so far.

    ccxt 4.5.90 gives `l` for it, which is the last execution alone.
    """
    if raw.get("e") != FILL or raw.get("o") != "LIMIT" or not isinstance(raw.get("i"), str):
        return None
    word = _word(raw, ids=("i", "c"), side="S", price="p", qty="q", filled=_amount(raw.get("z")))
    return word if word and raw.get("X") == ("Filled" if _is_whole(word) else "PartiallyFilled") else None


def _aster(raw: Raw) -> ToldFill | None:
    """Read the order of an `ORDER_TRADE_UPDATE`, or spot's `executionReport`: `z` was filled so far."""
    if raw.get("x") != "TRADE" or raw.get("o") != "LIMIT":
        return None
    word = _word(raw, ids=("i", "c"), side="S", price="p", qty="q", filled=_amount(raw.get("z")))
    return word if word and raw.get("X") == ("FILLED" if _is_whole(word) else "PARTIALLY_FILLED") else None


def _paradex(raw: Raw) -> ToldFill | None:
    """Read a fill. It names the taker's side, so that the order's own is not in it.

    Nor does it name the order's quantity: size and rest make it where this is the order's first fill, and
    what they make of a later one is that of no order.
    """
    size, rest = _amount(raw.get("size")), values.decimal(raw.get("remaining_size"))
    is_clear = raw.get("fill_type") == "FILL" and raw.get("liquidity") == "MAKER"
    if not is_clear or size is None or rest is None or rest < 0:
        return None
    whole = {**raw, "qty": str(size + rest)}
    return _word(whole, ids=("order_id", "client_id"), side=None, price="price", qty="qty", filled=size)


def _lighter(raw: Raw) -> ToldFill | None:
    """Read a trade, which names both sides' orders. ccxt adds whose account is listened to.

    It says nothing of the orders' quantities: only one that was filled by it alone is known by its size.
    """
    account = values.text(raw.get("accountIndex"))
    accounts = {"ask": values.text(raw.get("ask_account_id")), "bid": values.text(raw.get("bid_account_id"))}
    own = [side for side, name in accounts.items() if name is not None and name == account]
    if len(own) != 1 or raw.get("type") != "trade" or raw.get("is_maker_ask") is not (own == ["ask"]):
        return None
    ids = (f"{own[0]}_id", f"{own[0]}_client_id")
    side = "SELL" if own == ["ask"] else "BUY"
    filled = _amount(raw.get("size"))
    return _word({**raw, "side": side}, ids=ids, side="side", price="price", qty="size", filled=filled)


def _apex(raw: Raw) -> ToldFill | None:
    """Read the update of an order, which comes beside that of its executions."""
    keys = ("cumMatchFillSize", "cumSuccessFillSize")
    filled = max((size for size in (_amount(raw.get(key)) for key in keys) if size is not None), default=None)
    if raw.get("type") != "LIMIT":
        return None
    word = _word(raw, ids=("id", "clientOrderId"), side="side", price="price", qty="size", filled=filled)
    return word if word and raw.get("status") == ("FILLED" if _is_whole(word) else "OPEN") else None


def _word(
    raw: Raw, *, ids: tuple[str, str], side: str | None, price: str, qty: str, filled: Decimal | None
) -> ToldFill | None:
    """Return what the values under these keys tell, None where one of them is none."""
    exchange_id, client_id = _id(raw.get(ids[0])), values.number(_id(raw.get(ids[1])))
    at, whole = _amount(raw.get(price)), _amount(raw.get(qty))
    own = SIDES.get(str(raw.get(side))) if side is not None else None
    if exchange_id is None or client_id is None or (own is None and side is not None):
        return None
    if at is None or whole is None or filled is None or filled > whole:
        return None
    return ToldFill(exchange_id, client_id, own, at, whole, filled)


def _is_whole(word: ToldFill) -> bool:
    return word.filled == word.qty


def _id(value: Any) -> str | None:
    """Return an id that is written as one: as text, or as a whole number."""
    is_id = isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))
    return values.identity(value) if is_id else None


def _amount(value: Any) -> Decimal | None:
    """Return a quantity or a price that is written as one: as text, not as a number that was rounded."""
    return values.positive(value) if isinstance(value, str) else None


READERS: Mapping[str, Callable[[Raw], ToldFill | None]] = {
    "apex": _apex,
    "aster": _aster,
    "backpack": _backpack,
    "lighter": _lighter,
    "paradex": _paradex,
}
"""By exchange. Lighter's and apex's updates are known from ccxt alone, the others' from their documents."""
