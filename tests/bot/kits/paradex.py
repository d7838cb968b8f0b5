"""Paradex's shapes. Unverified: known from ccxt 4.5.90's parser and comments only."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.bot.kits.kit import Kit, Refusal
from tests.fake_exchange.book import BookFill, BookOrder, RefusalError


class Paradex(Kit):
    """An order says what remains, and an unknown one is an invalid one to ccxt."""

    name, symbol = "paradex", "SOL-USD-PERP"
    keys: ClassVar[dict[str, str]] = {"walletAddress": "0x1", "privateKey": "0x" + "1" * 64}
    quote = "USDC"
    market: ClassVar[dict[str, Any]] = {"id": "SOL-USD-PERP", "contractSize": 1.0}

    def replace_signing(self) -> None:
        self.api.authenticate_rest = lambda *_: "token"
        self.api.sign_order_request = lambda request: request

    def refusal(self, err: RefusalError) -> Refusal:
        code = "CLIENT_ORDER_ID_NOT_FOUND" if err.status == 404 else err.code
        return Refusal(err.status, {"error": code, "message": err.message})

    def answer(self, path: str, method: str, params: dict[str, Any]) -> Any:
        if path == "markets/summary":
            price = str(self.book.price)
            return {"results": [{"symbol": "SOL-USD-PERP", "last_traded_price": price, "mark_price": price}]}
        if path == "orders" and method == "POST":
            return _order(
                self.place(
                    params, int(params["client_id"]), is_post_only=params.get("instruction") == "POST_ONLY"
                )
            )
        if path.startswith("orders/") and "history" not in path:
            order = self.find(params.get("order_id"), params.get("client_id"))
            return _order(self.book.cancel(order.id) if method == "DELETE" else order)
        if path == "orders":
            return {"results": [_order(order) for order in self.book.open_orders()]}
        if "history" in path:
            return {"results": [_order(order) for order in self.ended()]}
        if path == "fills":
            return {"results": [_fill(fill) for fill in self.fills()]}
        if path == "funding/payments":
            return {"results": []}
        if path == "positions":
            size = self.book.position()
            position = {"id": "1", "market": "SOL-USD-PERP", "status": "OPEN", "size": str(size)}
            return {"results": [{**position, "side": "SHORT" if size < 0 else "LONG"}]}
        raise AssertionError((path, method, params))


def _order(order: BookOrder) -> dict[str, Any]:
    return {
        "id": order.id,
        "client_id": str(order.client_id),
        "market": "SOL-USD-PERP",
        "side": "BUY" if order.side == "Bid" else "SELL",
        "type": "LIMIT",
        "price": str(order.price),
        "size": str(order.qty),
        "remaining_size": str(order.qty - order.filled),
        "status": "OPEN" if order.open else "CLOSED",
        "cancel_reason": "USER_CANCELED" if order.status == "Cancelled" else "",
        "avg_fill_price": str(order.quote_filled / order.filled) if order.filled else "",
        "created_at": int(order.at * 1000),
    }


def _fill(fill: BookFill) -> dict[str, Any]:
    return {
        "id": str(fill.id),
        "order_id": fill.order.id,
        "client_id": str(fill.order.client_id),
        "market": "SOL-USD-PERP",
        "side": "BUY" if fill.order.side == "Bid" else "SELL",
        "size": str(fill.qty),
        "price": str(fill.price),
        "fee": str(fill.fee),
        "fee_currency": "USDC",
        "liquidity": "MAKER" if fill.maker else "TAKER",
        "created_at": int(fill.at * 1000),
    }
