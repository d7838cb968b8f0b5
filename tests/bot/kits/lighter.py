"""Lighter's shapes: openapi.json of github.com/elliottech/lighter-python at commit 051d1ba, a stored copy.

Compared on 2026-11-30 with its published OpenAPI document of 2026-07-30, in the copy of
github.com/api-evangelist/lighter at commit 74746a2.

What an order becomes after `sendTx` has accepted it is known only from the list of statuses there: a
post-only order that would take ends as `canceled-post-only`. Codes of errors are known from ccxt 4.5.90
alone.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, ClassVar

from tests.bot.kits.kit import LOT, Kit, Refusal
from tests.fake_exchange.book import BookFill, BookOrder, RefusalError

ACCOUNT, STRANGER = 1077, 20
MOST = 100
# Of a premium account, in millionths; a standard one pays nothing.
MAKER_FEE, TAKER_FEE = 20, 200
CREATE, CANCEL, CANCEL_ALL = 14, 15, 16
# Of an order that is accepted first; the words are the book's.
REFUSED = {"match and take": "canceled-post-only", "reduce only": "canceled-reduce-only"}
STATUS = {"New": "open", "PartiallyFilled": "open", "Filled": "filled", "Cancelled": "canceled"}


class Lighter(Kit):
    """No id answers an order, a trade names both sides, and lists are pages of 100, the newest first."""

    name, symbol, quote = "lighter", "SOL", "USDC"
    paths: ClassVar[dict[str, str]] = {
        "orders": "accountActiveOrders",
        "executions": "trades",
        "positions": "account",
    }
    keys: ClassVar[dict[str, str]] = {
        "privateKey": "1",
        "options.accountIndex": str(ACCOUNT),
        "options.apiKeyIndex": "2",
    }
    market: ClassVar[dict[str, Any]] = {
        "id": "2",
        "contractSize": 1,
        "maker": 0,
        "taker": 0,
        "info": {"size_decimals": 1, "price_decimals": 2, "maker_fee": "0.0000", "taker_fee": "0.0000"},
    }
    maker_fee, taker_fee = Decimal(MAKER_FEE) / 1_000_000, Decimal(TAKER_FEE) / 1_000_000
    refusals: ClassVar[dict[str, Refusal]] = {
        "rate_limited": Refusal(429, {"code": 23000, "message": "Too Many Requests!"}),
        "unauthorized": Refusal(401, {"code": 20013, "message": "invalid auth: couldnt find account"}),
        "insufficient_funds": Refusal(
            400, {"code": 21739, "message": "not enough margin to create the order"}
        ),
        "below_minimum": Refusal(400, {"code": 21706, "message": "invalid order base or quote amount"}),
        "unreachable": Refusal(500, {"code": 29500, "message": "internal server error"}),
    }

    def __init__(self, seed: int = 1, lot: Decimal = LOT) -> None:
        self.status: dict[str, str] = {}
        # So many of the next transactions come with a number that another bot's had already.
        self.used_nonces = 0
        super().__init__(seed, lot)

    def replace_signing(self) -> None:
        self.api.load_account = lambda *_, **__: None
        self.api.create_auth = lambda *_: "token"
        self.api.lighter_sign_create_order = lambda _signer, order: (CREATE, json.dumps(order))
        self.api.lighter_sign_cancel_order = lambda _signer, order: (CANCEL, json.dumps(order))
        self.api.lighter_sign_cancel_all_orders = lambda _signer, all_: (CANCEL_ALL, json.dumps(all_))

    def is_cancel(self, path: str, params: dict[str, Any], method: str) -> bool:
        return params.get("tx_type") in (CANCEL, CANCEL_ALL)

    def refusal(self, err: RefusalError) -> Refusal:
        if err.code == "NONCE":
            return Refusal(400, {"code": 21104, "message": err.message})
        if err.status == 404:
            return Refusal(400, {"code": 21600, "message": "given order is not an active limit order"})
        return self.refusals["insufficient_funds"]

    def answer(self, path: str, method: str, params: dict[str, Any]) -> Any:
        if path == "sendTx":
            if self.used_nonces:
                self.used_nonces -= 1
                raise RefusalError("NONCE", "invalid nonce")
            asked = json.loads(params["tx_info"])
            assert asked["api_key_index"] == 2
            if params["tx_type"] == CANCEL:
                self.book.cancel(self._open_order(asked["order_index"]))
            elif params["tx_type"] == CANCEL_ALL:
                if asked["time_in_force"] == 0:  # at once
                    self.book.cancel_all()
            else:
                self._create(asked)
            return {"code": 200, "message": "{}", "tx_hash": "ab", "predicted_execution_time_ms": 1}
        return {"code": 200, **self._read_answer(path, params)}

    def _read_answer(self, path: str, params: dict[str, Any]) -> dict[str, Any]:
        if path == "orderBookDetails":
            last = {"market_id": 2, "symbol": "SOL", "last_trade_price": float(self.book.price)}
            return {"order_book_details": [last]}
        if path == "orderBookOrders":
            level = {"remaining_base_amount": "1", "price": str(self.book.price)}
            return {"bids": [level], "asks": [level]}
        if path == "accountLimits":
            return {"user_tier": "standard"}
        if path == "accountActiveOrders":
            return {"orders": [self._order(order) for order in self.book.open_orders()]}
        if path == "accountInactiveOrders":
            assert int(params["limit"]) <= MOST
            ended, start = self.ended()[::-1], int(params.get("cursor", 0))
            more = {"next_cursor": str(start + MOST)} if len(ended) > start + MOST else {}
            return {"orders": [self._order(order) for order in ended[start : start + MOST]], **more}
        if path == "trades":
            assert int(params["limit"]) <= MOST
            fills, start = self.fills()[::-1], int(params.get("cursor", 0))
            more = {"next_cursor": str(start + MOST)} if len(fills) > start + MOST else {}
            return {"trades": [_trade(fill) for fill in fills[start : start + MOST]], **more}
        if path == "positionFunding":
            return {"position_fundings": []}
        if path == "account":
            net = self.book.position()
            own = {"market_id": 2, "symbol": "SOL", "sign": -1 if net < 0 else 1, "position": str(abs(net))}
            other = {"market_id": 1, "symbol": "BTC", "sign": 1, "position": "0.5", "position_value": "9"}
            return {"accounts": [{"index": ACCOUNT, "positions": [other, {**own, "position_value": "1"}]}]}
        raise AssertionError((path, params))

    def _open_order(self, index: int) -> str:
        """Find what is cancelled by its number or its client's; ccxt 4.5.90 sends either: unverified."""
        return next((one.id for one in self.book.open_orders() if index == one.client_id), str(index))

    def _create(self, asked: dict[str, Any]) -> None:
        is_market, time_in_force = asked["order_type"] == 1, asked["time_in_force"]
        side = "Ask" if asked["is_ask"] else "Bid"
        digits = self.adapter._loaded()["info"]
        price = Decimal(asked["avg_execution_price"]).scaleb(-digits["price_decimals"])
        qty = Decimal(asked["base_amount"]).scaleb(-digits["size_decimals"])
        kind = "Market" if is_market else "Limit"
        try:
            self.book.place(
                side,
                kind,
                price,
                qty,
                asked["client_order_index"],
                post_only=time_in_force == 2,
                reduce_only=asked["reduce_only"] == 1,
                immediate=time_in_force == 0 and not is_market,
            )
        except RefusalError as err:
            status = next((REFUSED[words] for words in REFUSED if words in err.message), None)
            if status is None:
                raise
            # The transaction is accepted, and the order cancelled when it is carried out.
            order = BookOrder(
                str(len(self.status) + 1), asked["client_order_index"], side, price, qty, self.now, True
            )
            order.status = "Cancelled"
            self.book.orders[order.id], self.status[order.id] = order, status

    def _order(self, order: BookOrder) -> dict[str, Any]:
        return {
            "order_index": int(order.id),
            "order_id": order.id,
            "client_order_index": order.client_id or 0,
            "client_order_id": str(order.client_id or 0),
            "market_index": 2,
            "owner_account_index": ACCOUNT,
            "is_ask": order.side == "Ask",
            "side": "",
            "type": order.kind.lower(),
            "time_in_force": "post-only" if order.post_only else "good-till-time",
            "price": str(order.price),
            "initial_base_amount": str(order.qty),
            "remaining_base_amount": str(order.qty - order.filled if order.open else 0),
            "filled_base_amount": str(order.filled),
            "filled_quote_amount": str(order.quote_filled),
            "reduce_only": False,
            "status": self.status.get(order.id, _status(order)),
            "timestamp": int(order.at),
        }


def _status(order: BookOrder) -> str:
    if order.immediate and order.status == "Cancelled":
        return "canceled-too-much-slippage"
    return STATUS[order.status]


def _trade(fill: BookFill) -> dict[str, Any]:
    is_ask = fill.order.side == "Ask"
    own, other = ("ask", "bid") if is_ask else ("bid", "ask")
    return {
        "trade_id": fill.id,
        "tx_hash": "ab",
        "type": "trade",
        "market_id": 2,
        "size": str(fill.qty),
        "price": str(fill.price),
        "usd_amount": str(fill.qty * fill.price),
        f"{own}_id": int(fill.order.id),
        f"{own}_client_id": fill.order.client_id or 0,
        f"{own}_account_id": ACCOUNT,
        f"{other}_id": 5,
        f"{other}_client_id": fill.order.client_id or 0,
        f"{other}_account_id": STRANGER,
        "is_maker_ask": fill.maker == is_ask,
        "maker_fee": MAKER_FEE,
        "taker_fee": TAKER_FEE,
        "timestamp": int(fill.at * 1000),
    }
