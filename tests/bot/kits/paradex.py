"""Paradex's shapes, from its own document: openapi.json of github.com/tradeparadex/paradex-docs, 2026-08-20.

That is version 1.132.1, at commit 9b82a75.

As documented there: a cancelled order answers with nothing (204), an order is found by an id only while it is
new or open, an order that the risk check refuses is accepted first and closed then, and the side of an
execution is called the taker's.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from tests.bot.kits.kit import LOT, Kit, Refusal
from tests.fake_exchange.book import BookFill, BookOrder, RefusalError

# Of an order that is accepted first; the words are the book's.
REASONS = {"match and take": "POST_ONLY_WOULD_CROSS", "reduce only": "REDUCE_ONLY_WILL_INCREASE"}


class Paradex(Kit):
    """An order says what remains, and an unknown one is an invalid one to ccxt.

    `names_taker`: the side of an execution is the taker's, as documented, and not the account's.
    """

    name, symbol = "paradex", "SOL-USD-PERP"
    paths: ClassVar[dict[str, str]] = {"orders": "orders", "executions": "fills", "positions": "positions"}
    keys: ClassVar[dict[str, str]] = {"walletAddress": "0x1", "privateKey": "0x" + "1" * 64}
    quote = "USDC"
    market: ClassVar[dict[str, Any]] = {
        "id": "SOL-USD-PERP",
        "contractSize": 1.0,
        "maker": 0.0002,
        "taker": 0.0005,
    }
    names_taker = False
    refusals: ClassVar[dict[str, Refusal]] = {
        "rate_limited": Refusal(429, {"error": "RATE_LIMIT_EXCEEDED", "message": "rate limit exceeded"}),
        "maintenance": Refusal(503, {"error": "SERVICE_UNAVAILABLE", "message": "try again later"}),
        "unauthorized": Refusal(401, {"error": "INVALID_TOKEN", "message": "token is expired"}),
        "other": Refusal(400, {"error": "VALIDATION_ERROR", "message": "price: not a multiple of the tick"}),
        "below_minimum": Refusal(400, {"error": "ORDER_SIZE_TOO_SMALL", "message": "below min notional"}),
        "unreachable": Refusal(500, {"error": "INTERNAL_ERROR", "message": "internal error"}),
    }

    def __init__(self, seed: int = 1, lot: Decimal = LOT) -> None:
        self.reasons: dict[str, str] = {}
        super().__init__(seed, lot)

    def replace_signing(self) -> None:
        self.api.authenticate_rest = lambda *_: "token"
        self.api.sign_order_request = lambda request: request

    def refusal(self, err: RefusalError) -> Refusal:
        code = "CLIENT_ORDER_ID_NOT_FOUND" if err.status == 404 else err.code
        return Refusal(err.status, {"error": code, "message": err.message})

    def answer(self, path: str, method: str, params: dict[str, Any]) -> Any:
        if path == "markets/summary":
            price = str(self.book.price)
            summary = {"symbol": "SOL-USD-PERP", "last_traded_price": price, "mark_price": price}
            return {"results": [summary | {"funding_rate": "0.0001"}]}
        if path == "orders" and method == "POST":
            return self._order(self._create(params))
        if path == "orders/batch":
            return {"results": [self._cancelled_item(one) for one in params["order_ids"]]}
        if path.startswith("orders/"):
            order = self.find(params.get("order_id"), params.get("client_id"))
            if method == "DELETE":
                self.book.cancel(order.id)
                return ""
            if not order.open:
                raise RefusalError("RESOURCE_NOT_FOUND", "Order not found", 404)
            return self._order(order)
        if path == "orders" and method == "DELETE":
            self.book.cancel_all()
            return ""
        if path == "orders":
            return {"results": [self._order(order) for order in self.book.open_orders()]}
        if "history" in path:
            wanted = params.get("client_id")
            orders = [o for o in self.book.orders.values() if wanted in (None, str(o.client_id))]
            return {"results": [self._order(o) for o in reversed(orders)][: int(params["page_size"])]}
        if path == "fills":
            most, start = int(params["page_size"]), int(params.get("cursor", 0))
            fills = self.fills()[::-1]
            more = str(start + most) if len(fills) > start + most else None
            return {"results": [self._fill(fill) for fill in fills[start : start + most]], "next": more}
        if path == "funding/payments":
            return {"results": []}
        if path.startswith("orderbook/"):
            level = [str(self.book.price), "1"]
            return {
                "market": self.symbol,
                "bids": [level],
                "asks": [level],
                "last_updated_at": 1,
                "seq_no": 1,
            }
        if path == "positions":
            size = self.book.position()
            position = {"id": "1", "market": "SOL-USD-PERP", "status": "OPEN", "size": str(size)}
            other = {"id": "2", "market": "ETH-USD-PERP", "status": "OPEN", "size": "2", "side": "LONG"}
            return {"results": [other, {**position, "side": "SHORT" if size < 0 else "LONG"}]}
        raise AssertionError((path, method, params))

    def _create(self, params: dict[str, Any]) -> BookOrder:
        client_id, instruction = int(params["client_id"]), params.get("instruction")
        try:
            return self.place(
                params,
                client_id,
                is_post_only=instruction == "POST_ONLY",
                is_reduce_only="REDUCE_ONLY" in (params.get("flags") or ()),
                is_immediate=instruction == "IOC",
            )
        except RefusalError as err:
            reason = next((REASONS[words] for words in REASONS if words in err.message), None)
            if reason is None:
                raise
            side = "Bid" if params["side"] == "BUY" else "Ask"
            price, size = Decimal(params["price"]), Decimal(params["size"])
            order = BookOrder(str(len(self.reasons) + 1), client_id, side, price, size, self.now, True)
            order.status = "Cancelled"
            self.book.orders[order.id], self.reasons[order.id] = order, reason
            return order

    def _cancelled_item(self, order_id: str) -> dict[str, Any]:
        try:
            self.book.cancel(order_id)
        except RefusalError:
            return {"id": order_id, "status": "ALREADY_CLOSED"}
        return {"id": order_id, "market": "SOL-USD-PERP", "status": "QUEUED_FOR_CANCELLATION"}

    def _order(self, order: BookOrder) -> dict[str, Any]:
        ended = "IMMEDIATE_NOT_FILLED" if order.immediate else "USER_CANCELED"
        reason = ended if order.status == "Cancelled" else ""
        return _order(order) | {"cancel_reason": self.reasons.get(order.id, reason)}

    def _fill(self, fill: BookFill) -> dict[str, Any]:
        is_bid = fill.order.side == "Bid"
        if self.names_taker and fill.maker:
            is_bid = not is_bid
        return _fill(fill) | {"side": "BUY" if is_bid else "SELL"}


def _order(order: BookOrder) -> dict[str, Any]:
    return {
        "id": order.id,
        "client_id": str(order.client_id or ""),
        "market": "SOL-USD-PERP",
        "side": "BUY" if order.side == "Bid" else "SELL",
        "type": "LIMIT",
        "price": str(order.price),
        "size": str(order.qty),
        "remaining_size": str(order.qty - order.filled),
        "status": "OPEN" if order.open else "CLOSED",
        "avg_fill_price": str(order.quote_filled / order.filled) if order.filled else "",
        "created_at": int(order.at * 1000),
    }


def _fill(fill: BookFill) -> dict[str, Any]:
    return {
        "id": str(fill.id),
        "order_id": fill.order.id,
        "client_id": str(fill.order.client_id),
        "market": "SOL-USD-PERP",
        "size": str(fill.qty),
        "price": str(fill.price),
        "fee": str(fill.fee),
        "fee_currency": "USDC",
        "liquidity": "MAKER" if fill.maker else "TAKER",
        "created_at": int(fill.at * 1000),
    }


class ParadexNamesTaker(Paradex):
    """The same, with the taker's side on every execution."""

    names_taker = True
