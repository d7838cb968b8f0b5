"""The other exchanges' private websockets, as far as a bot listens to its fills, and what they tell of one.

Aster's updates are those of github.com/asterdex/api-docs, futures V3 "Event: Order Update" and spot V3
"Payload: Order Update", 2026-06-30; Paradex's fill is `FillResult` in asyncapi-2.6.0.yaml of
github.com/tradeparadex/paradex-docs, 2026-08-20. All else is unverified: known from ccxt 4.5.90's handlers.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from aiohttp import web

from gridbot.model.types import Side, ToldFill
from tests.bot.kits.apex import Apex
from tests.bot.kits.aster import Aster, AsterSpot
from tests.bot.kits.kit import Kit
from tests.bot.kits.lighter import ACCOUNT, STRANGER, Lighter
from tests.bot.kits.paradex import Paradex
from tests.fake_exchange.socket import ThreadedServer

Say = Callable[[Any], Any]
# The first fill of an order, and all of it.
SOLD = ToldFill("7", 42, Side.SELL, Decimal(148), Decimal("0.1"), Decimal("0.1"))


class Dialect:
    """What one exchange's socket answers, and a fill in its words."""

    kit: type[Kit]
    path = "/"

    def greeting(self) -> Any:
        """Return what it says first, None for nothing."""
        return None

    def answer(self, asked: Mapping[str, Any]) -> tuple[Any, bool]:
        """Return the answer to a message, None for none, and whether fills are told from now on."""
        raise NotImplementedError

    def fill(self, word: ToldFill = SOLD) -> Any:
        """Return the message that tells of an order's first fill."""
        raise NotImplementedError


class AsterSocket(Dialect):
    kit = Aster
    path = "/fstream"

    def greeting(self) -> Any:
        return {"e": "ACCOUNT_CONFIG_UPDATE", "ac": {"s": "SOLUSDT", "l": 5}}

    def fill(self, word: ToldFill = SOLD) -> Any:
        price, filled = str(word.price), str(word.filled)
        order: dict[str, Any] = {
            "s": "SOLUSDT",
            "c": str(word.client_id),
            "S": _side(word),
            "o": "LIMIT",
            "f": "GTX",
            "q": str(word.qty),
            "p": price,
        }
        status = "FILLED" if word.filled == word.qty else "PARTIALLY_FILLED"
        order |= {"x": "TRADE", "X": status, "i": int(word.exchange_id), "l": filled, "z": filled, "L": price}
        order |= {"N": "USDT", "T": 1790000000000, "t": 901, "m": True, "ap": price, "ps": "BOTH", "R": False}
        order |= {"n": "0.003"}
        return {"e": "ORDER_TRADE_UPDATE", "E": 1790000000001, "T": 1790000000000, "o": order}


class AsterSpotSocket(AsterSocket):
    kit = AsterSpot
    path = "/sstream"

    def fill(self, word: ToldFill = SOLD) -> Any:
        order = super().fill(word)["o"]
        return order | {"e": "executionReport", "E": 1790000000001, "Z": "14.8", "Y": "14.8", "O": 1}


class ParadexSocket(Dialect):
    kit = Paradex

    def answer(self, asked: Mapping[str, Any]) -> tuple[Any, bool]:
        if asked["method"] == "auth":
            assert asked["params"] == {"bearer": "token"}
            return {"jsonrpc": "2.0", "id": asked["id"], "result": {"node_id": "1"}}, False
        assert asked["params"] == {"channel": "fills.SOL-USD-PERP"}
        return None, True

    def fill(self, word: ToldFill = SOLD) -> Any:
        data: dict[str, Any] = {
            "id": "901",
            "side": "BUY" if word.side is Side.SELL else "SELL",  # the taker's
            "liquidity": "MAKER",
            "market": "SOL-USD-PERP",
            "order_id": word.exchange_id,
            "client_id": str(word.client_id),
        }
        data |= {"price": str(word.price), "size": str(word.filled), "fee": "0.003", "fee_currency": "USDC"}
        data |= {"created_at": 1790000000000, "fill_type": "FILL"}
        data |= {"remaining_size": str(word.qty - word.filled)}
        params = {"channel": "fills.SOL-USD-PERP", "data": data}
        return {"jsonrpc": "2.0", "method": "subscription", "params": params}


class LighterSocket(Dialect):
    kit = Lighter

    def greeting(self) -> Any:
        return {"session_id": "1", "type": "connected"}

    def answer(self, asked: Mapping[str, Any]) -> tuple[Any, bool]:
        assert asked == {"type": "subscribe", "channel": f"account_all_trades/{ACCOUNT}"}
        return {"type": "subscribed/account_all_trades", "channel": self._channel, "trades": {}}, True

    _channel = f"account_all_trades:{ACCOUNT}"

    def fill(self, word: ToldFill = SOLD) -> Any:
        trade: dict[str, Any] = {
            "trade_id": 901,
            "type": "trade",
            "market_id": 2,
            "size": str(word.filled),
            "price": str(word.price),
            "timestamp": 1790000000000,
        }
        own, other = ("ask", "bid") if word.side is Side.SELL else ("bid", "ask")
        trade |= {f"{own}_id": int(word.exchange_id), f"{own}_client_id": word.client_id}
        trade |= {f"{own}_account_id": ACCOUNT, f"{other}_account_id": STRANGER, f"{other}_id": 8}
        trade |= {"is_maker_ask": own == "ask", "maker_fee": 20, "usd_amount": "14.8"}
        return {"type": "update/account_all_trades", "channel": self._channel, "trades": {"2": [trade]}}


class ApexSocket(Dialect):
    kit = Apex

    def answer(self, asked: Mapping[str, Any]) -> tuple[Any, bool]:
        if asked["op"] == "login":
            assert json.loads(asked["args"][0])["apiKey"] == "k"
            return {"success": True, "ret_msg": "", "op": "auth", "conn_id": "1"}, False
        return None, asked["op"] == "subscribe"

    def fill(self, word: ToldFill = SOLD) -> Any:
        fill: dict[str, Any] = {
            "symbol": "SOL-USDT",
            "side": _side(word),
            "orderId": word.exchange_id,
            "fee": "0.003",
            "liquidity": "MAKER",
            "price": str(word.price),
        }
        order = {key: fill[key] for key in ("symbol", "side", "price")}
        fill |= {"size": str(word.filled), "id": "901", "createdAt": 1790000000000, "isOpen": False}
        order |= {"id": word.exchange_id, "clientOrderId": str(word.client_id), "size": str(word.qty)}
        order |= {"cumSuccessFillSize": str(word.filled), "type": "LIMIT", "createdAt": 1790000000000}
        order |= {"status": "FILLED" if word.filled == word.qty else "OPEN"}
        contents = {"fills": [fill], "orders": [order]}
        return {"topic": "ws_zk_accounts_v3", "type": "delta", "contents": contents}


def _side(word: ToldFill) -> str:
    return "SELL" if word.side is Side.SELL else "BUY"


class SocketServer(ThreadedServer):
    """`with SocketServer(dialect) as server:` listens, and tells of fills that the test makes."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__()
        self._dialect = dialect
        self._listeners: set[web.WebSocketResponse] = set()
        self.opened = 0
        # Whether a bot is told of fills.
        self.listens = threading.Event()

    def fill(self) -> None:
        """Tell of a fill."""
        asyncio.run_coroutine_threadsafe(self._tell(), self._loop).result(5)

    def go_silent(self) -> None:
        """Tell the sockets that are open of nothing any more, without closing them."""
        self.listens.clear()
        self._loop.call_soon_threadsafe(self._listeners.clear)

    def _add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_post("/{tail:.*}", self._rest)
        router.add_get("/{tail:.*}", self._connect)

    async def _rest(self, request: web.Request) -> web.Response:
        assert request.path.endswith("/v3/listenKey"), request.path
        return web.json_response({"listenKey": f"key{time.time_ns()}"})

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.opened += 1
        if (greeting := self._dialect.greeting()) is not None:
            await socket.send_json(greeting)
        if "stream/key" in request.path:
            self._listen(socket)
        async for message in socket:
            answer, is_listening = self._dialect.answer(json.loads(message.data))
            if answer is not None:
                await socket.send_json(answer)
            if is_listening:
                self._listen(socket)
        self._listeners.discard(socket)
        return socket

    async def _tell(self) -> None:
        for socket in list(self._listeners):
            await socket.send_json(self._dialect.fill())

    def _listen(self, socket: web.WebSocketResponse) -> None:
        self._listeners.add(socket)
        self.listens.set()

    async def _cut(self) -> None:
        self.listens.clear()
        for socket in list(self._listeners):
            await socket.close()
        self._listeners.clear()
