"""Aster's REST as ccxt calls it, as far as a bot's stop and the cancel program need it.

Requests name their account; signatures are not checked.
"""

from __future__ import annotations

import json
import secrets
from decimal import Decimal
from typing import Any

from gridbot.exchanges.ccxt_client import load
from tests.fake_exchange.book import Book, BookFill, BookOrder, RefusalError

PATHS = ("/fapi/v3/", "/api/v3/")
PUBLIC = {
    "/fapi/v3/exchangeInfo",
    "/api/v3/exchangeInfo",
    "/fapi/v3/time",
    "/api/v3/time",
    "/fapi/v3/premiumIndex",
    "/fapi/v3/ticker/24hr",
}
SYMBOL = "SOLUSDT"
MOST_IDS = 10
STATUSES = {
    "New": "NEW",
    "PartiallyFilled": "PARTIALLY_FILLED",
    "Filled": "FILLED",
    "Cancelled": "CANCELED",
}


class Wallet:
    """A private key and the address that ccxt derives from it."""

    def __init__(self) -> None:
        self.private_key = "0x" + secrets.token_hex(32)
        self._address: str | None = None

    @property
    def address(self) -> str:
        if self._address is None:
            self._address = str(load("aster")().eth_get_address_from_private_key(self.private_key))
        return self._address


def answer(book: Book, method: str, path: str, params: dict[str, Any]) -> Any:
    """Carry a request out. Raises RefusalError."""
    section, _, name = path.strip("/").partition("/v3/")
    perpetual = section == "fapi"
    if name == "exchangeInfo":
        return {"symbols": [_market(book, perpetual=perpetual)]}
    if name == "time":
        return {"serverTime": int(book.clock() * 1000)}
    match method, name:
        case "GET", "openOrders":
            return [_order(order, perpetual=perpetual) for order in book.open_orders()]
        case "GET", "allOrders":
            return [_order(order, perpetual=perpetual) for order in book.orders.values()][-500:]
        case "GET", "order":
            return _order(_find(book, params), perpetual=perpetual)
        case "DELETE", "order":
            return _order(_cancel(book, str(params["orderId"])), perpetual=perpetual)
        case "DELETE", "batchOrders" if perpetual:
            return [_batch_item(book, one) for one in _ids(params)]
        case "DELETE", "allOpenOrders":
            book.cancel_all()
            return {"code": 200, "msg": "The operation of cancel all open order is done."}
        case "GET", "userTrades":
            since = int(params.get("startTime", 0)) / 1000
            return [_trade(fill) for fill in book.fills if fill.at >= since]
    raise RefusalError("-5000", f"Path {path}, Method {method} is invalid", 404)


def _ids(params: dict[str, Any]) -> list[str]:
    ids = json.loads(params["orderIdList"])
    if not ids or len(ids) > MOST_IDS or not all(isinstance(one, int) for one in ids):
        raise RefusalError("-1130", f"orderIdList must have 1 to {MOST_IDS} numbers")
    return [str(one) for one in ids]


def _batch_item(book: Book, order_id: str) -> dict[str, Any]:
    try:
        return _order(_cancel(book, order_id), perpetual=True)
    except RefusalError as err:
        return {"code": int(err.code), "msg": err.message}


def _cancel(book: Book, order_id: str) -> BookOrder:
    try:
        return book.cancel(order_id)
    except RefusalError:
        raise RefusalError("-2011", "Unknown order sent.") from None


def _find(book: Book, params: dict[str, Any]) -> BookOrder:
    for order in book.orders.values():
        if order.id == params.get("orderId") or str(order.client_id) == params.get("origClientOrderId"):
            return order
    raise RefusalError("-2013", "Order does not exist.")


def _market(book: Book, *, perpetual: bool) -> dict[str, Any]:
    market = {
        "symbol": SYMBOL,
        "status": "TRADING",
        "baseAsset": "SOL",
        "quoteAsset": "USDT",
        "pricePrecision": 2,
        "quantityPrecision": 2,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": "0.01",
                "maxPrice": "10000",
                "tickSize": str(book.tick),
            },
            {"filterType": "LOT_SIZE", "minQty": str(book.lot), "maxQty": "9000", "stepSize": str(book.lot)},
        ],
    }
    return market | ({"contractType": "PERPETUAL", "marginAsset": "USDT"} if perpetual else {})


def _order(order: BookOrder, *, perpetual: bool) -> dict[str, Any]:
    answer = {
        "orderId": int(order.id),
        "clientOrderId": "" if order.client_id is None else str(order.client_id),
        "symbol": SYMBOL,
        "side": "BUY" if order.side == "Bid" else "SELL",
        "type": order.kind.upper(),
        "timeInForce": "GTC",
        "price": "0" if order.price is None else str(order.price),
        "avgPrice": "0",
        "origQty": str(order.qty),
        "executedQty": str(order.filled),
        "cumQuote": str(order.quote_filled),
        "status": STATUSES[order.status],
        "time": int(order.at * 1000),
        "updateTime": int(order.at * 1000),
    }
    return answer | ({"positionSide": "BOTH"} if perpetual else {})


def _trade(fill: BookFill) -> dict[str, Any]:
    return {
        "symbol": SYMBOL,
        "id": fill.id,
        "orderId": int(fill.order.id),
        "side": "BUY" if fill.order.side == "Bid" else "SELL",
        "price": str(fill.price),
        "qty": str(fill.qty),
        "quoteQty": str(Decimal(fill.price * fill.qty)),
        "commission": str(fill.fee),
        "commissionAsset": "USDT",
        "time": int(fill.at * 1000),
        "maker": fill.maker,
        "positionSide": "BOTH",
    }
