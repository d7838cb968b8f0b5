"""Backpack's shapes, from its own document: docs.backpack.exchange, as of its change log of 2025-11-12.

Read in the copy of github.com/api-evangelist/backpack at commit 2b58248, 2026-08-03.

Codes of errors are the document's `ApiErrorCode`, as clients made from it list them; messages are ours.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

from tests.bot.kits.kit import Kit, Refusal
from tests.fake_exchange.book import BookFill, BookOrder, RefusalError


class Backpack(Kit):
    """Client ids are numbers in orders and text in executions; a position is a signed quantity."""

    name, symbol, quote = "backpack", "SOL_USDC_PERP", "USDC"
    paths: ClassVar[dict[str, str]] = {
        "orders": "api/v1/orders",
        "executions": "wapi/v1/history/fills",
        "positions": "api/v1/position",
    }
    keys: ClassVar[dict[str, str]] = {"apiKey": "k", "secret": "A" * 43 + "="}
    market: ClassVar[dict[str, Any]] = {
        "id": "SOL_USDC_PERP",
        "contractSize": 1,
        "info": {"marketType": "PERP"},
    }
    refusals: ClassVar[dict[str, Refusal]] = {
        "rate_limited": Refusal(429, {"code": "TOO_MANY_REQUESTS", "message": "Rate limit exceeded"}),
        "maintenance": Refusal(503, {"code": "MAINTENANCE", "message": "System under maintenance"}),
        "unauthorized": Refusal(401, {"code": "UNAUTHORIZED", "message": "Unauthorized"}),
        "insufficient_funds": Refusal(400, {"code": "INSUFFICIENT_FUNDS", "message": "Insufficient funds"}),
        "below_minimum": Refusal(400, {"code": "INVALID_ORDER", "message": "Quantity is below the minimum"}),
        "unreachable": Refusal(500, {"code": "SERVER_ERROR", "message": "Internal server error"}),
    }

    def refusal(self, err: RefusalError) -> Refusal:
        return Refusal(err.status, {"code": err.code, "message": err.message})

    def answer(self, path: str, method: str, params: dict[str, Any]) -> Any:
        name = path.removeprefix("api/v1/").removeprefix("wapi/v1/")
        if name == "ticker":
            return {"symbol": self.symbol, "lastPrice": str(self.book.price), "trades": "1"}
        if name == "order" and method == "POST":
            order = self.book.place(
                params["side"],
                params["orderType"],
                Decimal(params["price"]) if "price" in params else None,
                Decimal(params["quantity"]),
                params["clientId"],
                post_only=bool(params.get("postOnly")),
                reduce_only=bool(params.get("reduceOnly")),
                immediate=params.get("timeInForce") == "IOC",
            )
            return self._order(order)
        if name == "order" and method == "DELETE":
            return self._order(self.book.cancel(str(params["orderId"])))
        if name == "orders" and method == "DELETE":
            return [self._order(order) for order in self.book.cancel_all()]
        if name == "orders":
            return [self._order(order) for order in self.book.open_orders()]
        if name == "history/orders":
            wanted = params.get("orderId")
            orders = [o for o in self.book.orders.values() if wanted in (None, o.id)]
            return [self._old_order(order) for order in reversed(orders)][: int(params["limit"])]
        if name == "history/fills":
            since, start = params["from"] / 1000, int(params.get("offset", 0))
            fills = [fill for fill in reversed(self.fills()) if fill.at >= since]
            return [self._fill(fill) for fill in fills[start : start + int(params["limit"])]]
        if name == "history/funding":
            return []
        if name == "markPrices":
            return [{"symbol": self.symbol, "markPrice": str(self.book.price), "fundingRate": "0.0001"}]
        if name == "depth":
            level = [str(self.book.price), "1"]
            micros = int(self.now * 1_000_000)
            return {"bids": [level], "asks": [level], "lastUpdateId": "1", "timestamp": micros}
        if name == "capital":
            held = str(self.book.position() + self.book.balance)
            return {"SOL": {"available": held, "locked": "0", "staked": "0"}}
        if name == "capital/collateral":
            return {"netEquity": "10000", "netEquityAvailable": "10000", "collateral": []}
        if name == "position":
            net = self.book.position()
            other = {"symbol": "ETH_USDC_PERP", "netQuantity": "3.5", "positionId": "9"}
            return [other, *([_position(self.symbol, net)] if net else [])]
        raise AssertionError((path, method, params))

    def _order(self, order: BookOrder) -> dict[str, Any]:
        return {
            "id": order.id,
            "clientId": order.client_id,
            "symbol": self.symbol,
            "side": order.side,
            "orderType": order.kind,
            "timeInForce": "IOC" if order.immediate else "GTC",
            "selfTradePrevention": "RejectTaker",
            "status": "Expired" if order.immediate and order.status == "Cancelled" else order.status,
            "price": None if order.price is None else str(order.price),
            "quantity": str(order.qty),
            "executedQuantity": str(order.filled),
            "executedQuoteQuantity": str(order.quote_filled),
            "postOnly": order.post_only,
            "reduceOnly": None,
            "createdAt": int(order.at * 1000),
        }

    def _old_order(self, order: BookOrder) -> dict[str, Any]:
        return self._order(order) | {"createdAt": _naive(order.at), "expiryReason": None}

    def _fill(self, fill: BookFill) -> dict[str, Any]:
        return {
            "tradeId": fill.id,
            "orderId": fill.order.id,
            "clientId": None if fill.order.client_id is None else str(fill.order.client_id),
            "symbol": self.symbol,
            "side": fill.order.side,
            "price": str(fill.price),
            "quantity": str(fill.qty),
            "fee": str(fill.fee),
            "feeSymbol": "USDC",
            "isMaker": fill.maker,
            "systemOrderType": None,
            "timestamp": _naive(fill.at),
        }


class BackpackSpot(Backpack):
    """The same answers for a spot market."""

    symbol, perp = "SOL_USDC", False
    market: ClassVar[dict[str, Any]] = {"id": "SOL_USDC", "info": {"marketType": "SPOT"}}


def _position(symbol: str, net: Decimal) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "netQuantity": str(net),
        "netExposureQuantity": str(abs(net)),
        "positionId": "1",
    }


def _naive(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
