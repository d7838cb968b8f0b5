"""Apex's shapes. Unverified: known from ccxt 4.5.90's parser, comments and recorded answers only.

No list is of one market alone: another one's orders, executions and positions are among them.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tests.bot.kits.kit import Kit, Refusal
from tests.fake_exchange.book import BookFill, BookOrder, RefusalError

STATUS = {"New": "OPEN", "PartiallyFilled": "OPEN", "Filled": "FILLED", "Cancelled": "CANCELED"}


class Apex(Kit):
    """No `filled` on an order and no `order` on a trade, once ccxt has read them."""

    name, symbol = "apex", "SOLUSDT"
    paths: ClassVar[dict[str, str]] = {"orders": "open-orders", "executions": "fills", "positions": "account"}
    keys: ClassVar[dict[str, str]] = {
        "apiKey": "k",
        "secret": "s",
        "password": "p",
        "options.seeds": "1",
        "options.accountId": "7",
    }
    market: ClassVar[dict[str, Any]] = {
        "id": "SOL-USDT",
        "id2": "SOLUSDT",
        "quoteId": "58",
        "contractSize": 0.1,
    }
    refusals: ClassVar[dict[str, Refusal]] = {
        "rate_limited": Refusal(429, {"code": 429, "msg": "too many requests"}),
        "maintenance": Refusal(503, {"code": 503, "msg": "service unavailable"}),
        "unauthorized": Refusal(200, {"code": 20006, "msg": "apikey sign error"}),
        "insufficient_funds": Refusal(
            200, {"code": 3, "msg": "not enough", "key": "ORDER_POSSIBLE_LEAD_TO_ACCOUNT_LIQUIDATED"}
        ),
        "below_minimum": Refusal(200, {"code": 3, "msg": "too small", "key": "ORDER_SIZE_LESS_THAN_MINIMUM"}),
        "unreachable": Refusal(500, {"code": 500, "msg": "internal error"}),
    }

    def replace_signing(self) -> None:
        self.api.get_zk_contract_signature_obj = lambda *_: "signature"

    def refusal(self, err: RefusalError) -> Refusal:
        key = "ORDER_NOT_FOUND" if err.status == 404 else err.code
        return Refusal(200, {"code": 3, "msg": err.message, "key": key})

    def answer(self, path: str, method: str, params: dict[str, Any]) -> Any:
        name = path.split("/")[-1]
        if name == "ticker":
            price = str(self.book.price)
            return {"data": [{"symbol": "SOLUSDT", "lastPrice": price, "markPrice": price}]}
        if name == "order" and method == "POST":
            return {
                "data": _order(
                    self.place(
                        params,
                        int(params["clientId"]),
                        is_post_only=params["timeInForce"] == "POST_ONLY",
                        is_reduce_only=bool(params.get("reduceOnly")),
                        is_immediate=params["timeInForce"] == "IMMEDIATE_OR_CANCEL",
                    )
                )
            }
        if name == "delete-order":
            return {"data": self.book.cancel(str(params["id"])).id}
        if name == "delete-open-orders":
            self.book.cancel_all()
            return {"data": {}}
        if name == "order":
            return {"data": _order(self.find(params["id"]))}
        if "client" in name and method == "GET":
            return {"data": _order(self.find(None, params["id"]))}
        if name == "open-orders":
            return {"data": [OTHER, *(_order(order) for order in self.book.open_orders())]}
        if name == "history-orders":
            return {"data": {"orders": [OTHER, *(_order(order) for order in self.ended())]}}
        if name == "fills":
            most, start = int(params["limit"]), int(params.get("page", 0)) * int(params["limit"])
            fills = [OTHER_FILL, *(_fill(fill) for fill in self.fills()[::-1])]
            return {"data": {"orders": fills[start : start + most], "totalSize": str(len(fills))}}
        if name == "depth":
            level = [str(self.book.price), "1"]
            return {"data": {"a": [level], "b": [level], "s": "SOLUSDT", "u": 1}}
        if name == "funding":
            return {"data": {"fundingValues": []}}
        if name == "account":
            size = self.book.position()
            side = "SHORT" if size < 0 else "LONG"
            own = {"symbol": "SOL-USDT", "side": side, "size": str(abs(size))}
            return {"data": {"positions": [{"symbol": "ETH-USDT", "side": "LONG", "size": "2"}, own]}}
        raise AssertionError((path, method, params))


def _order(order: BookOrder) -> dict[str, Any]:
    return {
        "id": order.id,
        "clientId": str(order.client_id or ""),
        "symbol": "SOL-USDT",
        "side": "BUY" if order.side == "Bid" else "SELL",
        "type": "LIMIT",
        "price": str(order.price),
        "size": str(order.qty),
        "status": "EXPIRED" if order.immediate and order.status == "Cancelled" else STATUS[order.status],
        "cumMatchFillSize": str(order.filled),
        "cumSuccessFillSize": str(order.filled),
        "createdAt": int(order.at * 1000),
    }


def _fill(fill: BookFill) -> dict[str, Any]:
    return {
        "id": str(fill.id),
        "orderId": fill.order.id,
        "clientId": str(fill.order.client_id),
        "symbol": "SOL-USDT",
        "side": "BUY" if fill.order.side == "Bid" else "SELL",
        "size": str(fill.qty),
        "price": str(fill.price),
        "fee": str(fill.fee),
        "direction": "MAKER" if fill.maker else "TAKER",
        "createdAt": int(fill.at * 1000),
    }


OTHER = {
    "id": "77",
    "clientId": "1",
    "symbol": "ETH-USDT",
    "side": "BUY",
    "type": "LIMIT",
    "price": "149",
    "size": "0.1",
    "status": "OPEN",
    "cumMatchFillSize": "0",
    "cumSuccessFillSize": "0",
    "createdAt": 1790000000000,
}
OTHER_FILL = {
    "id": "78",
    "orderId": "77",
    "clientId": "1",
    "symbol": "ETH-USDT",
    "side": "BUY",
    "size": "0.1",
    "price": "149",
    "fee": "0.1",
    "direction": "MAKER",
    "createdAt": 4102444800000,
}
