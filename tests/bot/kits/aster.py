"""Aster's shapes, from its own documents: github.com/asterdex/api-docs, V3 for futures and spot, 2026-06-30.

That is at commit 265e024.

`positionRisk` answers with every market of the account, and without `notional`, as documented.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from tests.bot.kits.kit import Kit, Refusal
from tests.fake_exchange.book import BookFill, BookOrder, RefusalError

STATUS = {
    "New": "NEW",
    "PartiallyFilled": "PARTIALLY_FILLED",
    "Filled": "FILLED",
    "Cancelled": "CANCELED",
}
MOST_IDS = 10
WEEK_MS = 7 * 86_400_000
CODES = {
    "HEDGED": (-4061, "Order's position side does not match user's setting."),
    "REDUCE_ONLY": (-2022, "ReduceOnly Order is rejected."),
    "CANCEL_REJECTED": (-2011, "Unknown order sent."),
    "INSUFFICIENT_FUNDS": (-2019, "Margin is insufficient."),
    "RESOURCE_NOT_FOUND": (-2013, "Order does not exist."),
}


class Aster(Kit):
    """Executions bear no client id, and are listed for a week from `startTime` on."""

    name, symbol = "aster", "SOLUSDT"
    paths: ClassVar[dict[str, str]] = {
        "orders": "openOrders",
        "executions": "userTrades",
        "positions": "positionRisk",
    }
    is_hedged = False
    keys: ClassVar[dict[str, str]] = {"privateKey": "0x" + "1" * 64}
    market: ClassVar[dict[str, Any]] = {"id": "SOLUSDT", "contractSize": 1}
    refusals: ClassVar[dict[str, Refusal]] = {
        "rate_limited": Refusal(429, {"code": -1003, "msg": "Too many requests queued."}),
        "banned": Refusal(418, {"code": -1003, "msg": "Way too many requests; IP banned until 1."}),
        "maintenance": Refusal(503, {"code": -1001, "msg": "Internal error; unable to process."}),
        "unauthorized": Refusal(401, {"code": -2015, "msg": "Invalid API-key, IP, or permissions."}),
        "insufficient_funds": Refusal(400, {"code": -2019, "msg": "Margin is insufficient."}),
        "below_minimum": Refusal(
            400, {"code": -4164, "msg": "Order's notional must be no smaller than 5.0 (unless reduce only)"}
        ),
        "unreachable": Refusal(500, {"code": -1000, "msg": "An unknown error occurred."}),
    }

    def refusal(self, err: RefusalError) -> Refusal:
        name = "REDUCE_ONLY" if "reduce only" in str(err) else err.code
        code, message = CODES.get(name, (-2010, err.message))
        return Refusal(400, {"code": code, "msg": message})

    def answer(self, path: str, method: str, params: dict[str, Any]) -> Any:
        name = path.split("/")[-1]
        if name == "24hr":
            return {"symbol": self.symbol, "lastPrice": str(self.book.price)}
        if name == "premiumIndex":
            return {"symbol": self.symbol, "markPrice": str(self.book.price)}
        if name == "test":
            return {}
        if name == "order" and method == "POST":
            return self._order(self._place(params))
        if name == "order":
            order = self.find(params.get("orderId"), params.get("origClientOrderId"))
            if method == "DELETE":
                order = self._cancel(order)
            return self._order(order)
        if name == "batchOrders" and self.perp:
            assert 0 < len(params["orderIdList"]) <= MOST_IDS
            return [self._cancelled_item(str(one)) for one in params["orderIdList"]]
        if name == "allOpenOrders":
            self.book.cancel_all()
            return {"code": 200, "msg": "The operation of cancel all open order is done."}
        if name == "openOrders":
            return [self._order(order) for order in self.book.open_orders()]
        if name == "allOrders":
            return [self._order(order) for order in self.book.orders.values()][-int(params["limit"]) :]
        if name == "userTrades":
            start = int(params["startTime"])
            end = int(params.get("endTime", start + WEEK_MS))
            if end - start > WEEK_MS:
                raise RefusalError("-4166", "Search window is restricted to recent 7 days only.")
            fills = [fill for fill in self.fills() if start <= int(fill.at * 1000) <= end]
            return [self._fill(fill) for fill in fills[: int(params["limit"])]]
        if name == "dual":
            return {"dualSidePosition": self.is_hedged}
        if name == "income":
            return []
        if name == "depth":
            level = [str(self.book.price), "1"]
            return {"bids": [level], "asks": [level], "E": int(self.now * 1000), "T": int(self.now * 1000)}
        if name == "account" and not self.perp:
            held = str(self.book.position() + self.book.balance)
            return {"canTrade": True, "balances": [{"asset": "SOL", "free": held, "locked": "0"}]}
        if name == "leverageBracket":
            return []
        if name == "positionRisk":
            return [_position("ETHUSDT", Decimal("2.5")), *self._positions()]
        raise AssertionError((path, method, params))

    def _positions(self) -> list[dict[str, Any]]:
        net = self.book.position()
        if not self.is_hedged:
            return [_position(self.symbol, net)]
        sizes = {"LONG": max(net, Decimal(0)), "SHORT": min(net, Decimal(0))}
        return [_position(self.symbol, size) | {"positionSide": side} for side, size in sizes.items()]

    def _cancel(self, order: BookOrder) -> BookOrder:
        try:
            return self.book.cancel(order.id)
        except RefusalError:
            raise RefusalError("CANCEL_REJECTED", "Unknown order sent.") from None

    def _cancelled_item(self, order_id: str) -> dict[str, Any]:
        try:
            return self._order(self.book.cancel(order_id))
        except RefusalError:
            return {"code": -2011, "msg": "Unknown order sent."}

    def _place(self, params: dict[str, Any]) -> BookOrder:
        if self.is_hedged and "positionSide" not in params:
            raise RefusalError("HEDGED", "Order's position side does not match user's setting.")
        return self.book.place(
            "Bid" if params["side"] == "BUY" else "Ask",
            params["type"].title(),
            Decimal(params["price"]) if "price" in params else None,
            Decimal(params["quantity"]),
            int(params["newClientOrderId"]),
            post_only=params.get("timeInForce") == "GTX",
            reduce_only=str(params.get("reduceOnly")).lower() == "true",
            immediate=params.get("timeInForce") == "IOC",
        )

    def _order(self, order: BookOrder) -> dict[str, Any]:
        average = order.quote_filled / order.filled if order.filled else Decimal(0)
        return {
            "orderId": int(order.id),
            "clientOrderId": "" if order.client_id is None else str(order.client_id),
            "symbol": self.symbol,
            "side": "BUY" if order.side == "Bid" else "SELL",
            "type": order.kind.upper(),
            "status": "EXPIRED" if order.immediate and order.status == "Cancelled" else STATUS[order.status],
            "price": "0" if order.price is None else str(order.price),
            "avgPrice": f"{average:.5f}",
            "origQty": str(order.qty),
            "executedQty": str(order.filled),
            "cumQuote": str(order.quote_filled),
            "timeInForce": "GTX" if order.post_only else "GTC",
            "time": int(order.at * 1000),
            "updateTime": int(order.at * 1000),
            **({"positionSide": "BOTH", "reduceOnly": False} if self.perp else {}),
        }

    def _fill(self, fill: BookFill) -> dict[str, Any]:
        # A fee is below 0 in the document's example of futures, and above in that of spot.
        sign = "-" if self.perp else ""
        return {
            "id": fill.id,
            "orderId": int(fill.order.id),
            "symbol": self.symbol,
            "side": "BUY" if fill.order.side == "Bid" else "SELL",
            "price": str(fill.price),
            "qty": str(fill.qty),
            "quoteQty": str(fill.price * fill.qty),
            "commission": f"{sign}{fill.fee}",
            "commissionAsset": "USDT",
            "time": int(fill.at * 1000),
            "maker": fill.maker,
            "buyer": fill.order.side == "Bid",
            **({"positionSide": "BOTH", "realizedPnl": "0"} if self.perp else {"counterpartyId": 19}),
        }


class AsterSpot(Aster):
    """The same answers for a spot market, which shares its id with the perpetual."""

    perp = False
    market: ClassVar[dict[str, Any]] = {"id": "SOLUSDT"}


def _position(symbol: str, net: Decimal) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "positionAmt": str(net),
        "entryPrice": "150.0" if net else "0.0",
        "markPrice": "150.0",
        "marginType": "isolated",
        "isolatedMargin": "0",
        "isAutoAddMargin": "false",
        "leverage": "10",
        "liquidationPrice": "0",
        "maxNotionalValue": "20000000",
        "unRealizedProfit": "0",
        "positionSide": "BOTH",
        "updateTime": 0,
    }
