"""Backpack's REST as ccxt calls it, over HTTP on loopback, with signatures checked and faults on the way."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.fake_exchange import aster
from tests.fake_exchange.book import Book, BookFill, BookOrder, RefusalError
from tests.fake_exchange.faults import Fault, Faults
from tests.fake_exchange.limits import TOO_MANY_REQUESTS, Limits, Refusal

INSTRUCTIONS = {
    ("GET", "/api/v1/capital"): "balanceQuery",
    ("GET", "/api/v1/capital/collateral"): "collateralQuery",
    ("GET", "/api/v1/account"): "accountQuery",
    ("GET", "/api/v1/position"): "positionQuery",
    ("GET", "/api/v1/order"): "orderQuery",
    ("POST", "/api/v1/order"): "orderExecute",
    ("DELETE", "/api/v1/order"): "orderCancel",
    ("GET", "/api/v1/orders"): "orderQueryAll",
    ("DELETE", "/api/v1/orders"): "orderCancelAll",
    ("GET", "/wapi/v1/history/funding"): "fundingHistoryQueryAll",
    ("GET", "/wapi/v1/history/orders"): "orderHistoryQueryAll",
    ("GET", "/wapi/v1/history/fills"): "fillHistoryQueryAll",
}


@dataclass
class Account:
    """One subaccount with keys and orders of its own. `key` is Backpack's, `wallet` Aster's."""

    book: Book = field(default_factory=Book)

    def __post_init__(self) -> None:
        key = Ed25519PrivateKey.generate()
        raw = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.secret, self.key = base64.b64encode(raw).decode(), base64.b64encode(public).decode()
        self.wallet = aster.Wallet()


class FakeExchange:
    """`with FakeExchange() as fake:` serves `fake.book` at `fake.url` until the block ends.

    `address`: where it listens; one of this machine's bridges, for bots in containers. `limits` are off
    unless they are given. `add_account` opens more accounts beside the first one, whose book is `book`.
    """

    def __init__(
        self,
        book: Book | None = None,
        faults: Faults | None = None,
        address: str = "127.0.0.1",
        limits: Limits | None = None,
    ) -> None:
        self.faults, self.limits = faults or Faults(), limits
        self.accounts = [Account(book or Book())]
        self.requests: list[tuple[str, str]] = []
        # Answered to every new order instead of carrying it out; with `read_only` to cancellations too.
        self.refusal: RefusalError | None = None
        self.read_only = False
        # Answered to each question for the positions, instead of the account's.
        self.position: Any = None
        # Called with "before" and "after" around the carrying out of each order and cancellation.
        self.tap: Callable[[str], None] = lambda moment: None
        self._server = _Server(self, address)

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    @property
    def book(self) -> Book:
        return self.accounts[0].book

    @property
    def key(self) -> str:
        return self.accounts[0].key

    @property
    def secret(self) -> str:
        return self.accounts[0].secret

    def add_account(self, book: Book | None = None) -> Account:
        self.accounts.append(Account(book or Book()))
        self.accounts[-1].book.skip_ids(10**6 * (len(self.accounts) - 1))
        return self.accounts[-1]

    @property
    def env(self) -> dict[str, str]:
        """The variables that make the bot trade here."""
        return self.env_of(self.accounts[0])

    def env_of(self, account: Account) -> dict[str, str]:
        """The same for another account, and for either exchange that is spoken here."""
        return {
            "BACKPACK_API_URL": self.url,
            "BACKPACK_KEY": account.key,
            "BACKPACK_SECRET": account.secret,
            "ASTER_API_URL": self.url,
            "ASTER_PRIVATE_KEY": account.wallet.private_key,
        }

    def account_of(self, params: Mapping[str, Any], headers: Any) -> Account | None:
        """Whose account a request names, before its signature is looked at."""
        key, user = headers.get("X-API-Key"), params.get("user")
        for account in self.accounts:
            if key == account.key or (user and user == account.wallet.address):
                return account
        return None

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def outcome(self, method: str, path: str, params: dict[str, Any], headers: Any) -> tuple[int, Any]:
        """Carry a request out, and return the status and the body of its answer."""
        try:
            return 200, self.answer(method, path, params, headers)
        except RefusalError as err:
            return err.status, {"code": err.code, "message": err.message}

    def answer(self, method: str, path: str, params: dict[str, Any], headers: Any) -> Any:
        """Carry a request out. Raises RefusalError."""
        account = self.account_of(params, headers)
        if (method, path) in INSTRUCTIONS:
            _check_signature(account, INSTRUCTIONS[method, path], params, headers, self.book.clock())
        if self.read_only and method in ("POST", "DELETE"):
            raise RefusalError("UNAUTHORIZED", "this key may only read", 401)
        if self.refusal is not None and method == "POST":
            raise self.refusal
        book = (account or self.accounts[0]).book
        if path.startswith(aster.PATHS):
            if account is None and path not in aster.PUBLIC:
                raise RefusalError("-2015", "Invalid API-key, IP, or permissions for action.", 401)
            with book.lock:
                return aster.answer(book, method, path, params)
        with book.lock:
            match method, path:
                case "GET", "/api/v1/assets":
                    return [{"symbol": name, "displayName": name, "tokens": []} for name in ("SOL", "USDC")]
                case "GET", "/api/v1/markets":
                    return [_market(book, book.symbol)]
                case "GET", "/api/v1/securities":
                    return []
                case "GET", "/api/v1/time":
                    return int(book.clock() * 1000)
                case "GET", "/api/v1/markPrices" if book.mark is not None:
                    return [
                        {
                            "symbol": book.symbol,
                            "markPrice": str(book.mark),
                            "indexPrice": str(book.mark),
                            "fundingRate": "0.0001",
                            "nextFundingTimestamp": int((book.clock() + 3600) * 1000),
                        }
                    ]
                case "GET", "/wapi/v1/history/funding" if book.funding is not None:
                    return [
                        {
                            "userId": 1,
                            "subaccountId": 1,
                            "symbol": book.symbol,
                            "quantity": str(amount),
                            "intervalEndTimestamp": _time(at).partition(".")[0],
                            "fundingRate": "0.0001",
                        }
                        for at, amount in book.funding
                    ]
                case "GET", "/api/v1/ticker":
                    return {
                        "symbol": book.symbol,
                        "lastPrice": str(book.price),
                        "firstPrice": str(book.price),
                    }
                case "GET", "/api/v1/orders":
                    return [_order(order) for order in book.open_orders()]
                case "POST", "/api/v1/order":
                    return _order(_place(book, params))
                case "DELETE", "/api/v1/order":
                    return _order(book.cancel(str(params["orderId"])))
                case "GET", "/api/v1/position":
                    return _positions(book) if self.position is None else self.position
                case "GET", "/api/v1/capital":
                    return {
                        "USDC": {"available": str(book.equity), "locked": "0", "staked": "0"},
                        "SOL": {
                            "available": str(book.balance + book.position()),
                            "locked": "0",
                            "staked": "0",
                        },
                    }
                case "GET", "/api/v1/capital/collateral":
                    available = str(book.available())
                    return {"netEquity": str(book.equity), "netEquityAvailable": available, "collateral": []}
                case "GET", "/api/v1/account":
                    return {
                        "futuresMakerFee": str(book.maker_points),
                        "spotMakerFee": str(book.maker_points),
                        "leverageLimit": str(book.leverage),
                        "liquidating": False,
                    }
                case "GET", "/wapi/v1/history/orders":
                    return _order_history(book, params)
                case "GET", "/wapi/v1/history/fills":
                    return _fill_history(book, params)
                case "DELETE", "/api/v1/orders":
                    return [_order(order) for order in book.cancel_all()]
        raise RefusalError("RESOURCE_NOT_FOUND", f"no {method} {path}", 404)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, fake: FakeExchange, address: str) -> None:
        self.fake = fake
        super().__init__((address, 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A bot that was killed in the middle of a request is the point, not news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._handle("GET")

    def do_POST(self) -> None:
        self._handle("POST")

    def do_DELETE(self) -> None:
        self._handle("DELETE")

    def _handle(self, method: str) -> None:
        fake = self.server.fake
        url = urllib.parse.urlsplit(self.path)
        params: dict[str, Any] = dict(urllib.parse.parse_qsl(url.query))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        params.update(_fields(body, self.headers.get("Content-Type") or ""))
        fake.requests.append((method, url.path))
        if (refusal := self._refusal(method, url.path, params)) is not None:
            self._refuse(refusal)
            return
        fault, delay = fake.faults.next(url.path)
        time.sleep(delay)
        match fault:
            case Fault.DROP_BEFORE:
                self._drop()
                return
            case Fault.BANNED:
                self._send(418, "<html>I'm a teapot</html>", {"Retry-After": str(fake.faults.retry_after)})
                return
            case Fault.TOO_MANY:
                self._send(429, {"code": "TOO_MANY_REQUESTS", "message": "slow down"})
                return
            case Fault.UNAVAILABLE:
                self._send(503, "<html>no upstream</html>")
                return
            case Fault.GARBAGE:
                self._send(200, "<html>please wait</html>")
                return
            case Fault.LATE:
                time.sleep(fake.faults.hang_s)
        if method != "GET":
            fake.tap("before")
        status, answer = fake.outcome(method, url.path, params, self.headers)
        if method != "GET":
            fake.tap("after")
        match fault:
            case Fault.DROP_AFTER | Fault.LATE:
                self._drop()
            case Fault.BROKEN_AFTER:
                self._send(502, "<html>bad gateway</html>")
            case Fault.HANG_AFTER:
                time.sleep(fake.faults.hang_s)
                self._drop()
            case _:
                self._send(status, answer)

    def _refusal(self, method: str, path: str, params: Mapping[str, Any]) -> Refusal | None:
        fake = self.server.fake
        if fake.limits is None:
            return None
        account = fake.account_of(params, self.headers)
        address = str(self.client_address[0])
        return fake.limits.next(address, None if account is None else account.key, method, path)

    def _refuse(self, refusal: Refusal) -> None:
        headers = {"Retry-After": str(refusal.retry_after)}
        if refusal.status == TOO_MANY_REQUESTS:
            self._send(refusal.status, {"code": "TOO_MANY_REQUESTS", "message": "slow down"}, headers)
        else:
            self._send(refusal.status, "<html>banned</html>", headers)

    def _send(self, status: int, answer: Any, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        text = answer if isinstance(answer, str) else json.dumps(answer)
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if isinstance(answer, str) else "application/json")
        self.send_header("Content-Length", str(len(text.encode())))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def _drop(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def _fields(body: bytes, kind: str) -> dict[str, Any]:
    """Return what a request's body says: as JSON, as a form, or as one in parts."""
    if body.startswith(b"{"):
        return dict(json.loads(body))
    if not kind.startswith("multipart/"):
        return dict(urllib.parse.parse_qsl(body.decode()))
    parts = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    return {
        str(part.get_param("name", header="Content-Disposition")): bytes(
            part.get_payload(decode=True)
        ).decode()
        for part in parts.walk()
        if not part.is_multipart()
    }


def _place(book: Book, params: dict[str, Any]) -> BookOrder:
    if params.get("symbol") != book.symbol:
        raise RefusalError("INVALID_SYMBOL", "no such market")
    if "quantity" not in params:
        raise RefusalError("INVALID_CLIENT_REQUEST", "a quantity is missing")
    price = params.get("price")
    return book.place(
        params["side"],
        params["orderType"],
        None if price is None else Decimal(price),
        Decimal(params["quantity"]),
        params.get("clientId"),
        post_only=bool(params.get("postOnly")),
        reduce_only=bool(params.get("reduceOnly")),
        immediate=params.get("timeInForce") == "IOC",
    )


def _order_history(book: Book, params: dict[str, Any]) -> list[dict[str, Any]]:
    wanted = params.get("orderId")
    before = book.clock() - book.history_lag
    orders = [o for o in book.orders.values() if wanted in (None, o.id) and o.at <= before]
    return [_order(order) for order in reversed(orders)][: int(params.get("limit", 100))]


def _fill_history(book: Book, params: dict[str, Any]) -> list[dict[str, Any]]:
    since = int(params.get("from", 0)) / 1000
    before = book.clock() - book.history_lag
    fills = [f for f in book.fills if since <= f.at <= before]
    start = int(params.get("offset", 0))
    return [_fill(book, fill) for fill in reversed(fills)][start : start + int(params.get("limit", 100))]


def _check_signature(
    account: Account | None, instruction: str, params: dict[str, Any], headers: Any, now: float
) -> None:
    stamp, window = int(headers.get("X-Timestamp", 0)), int(headers.get("X-Window", 5000))
    if not stamp - 1000 < now * 1000 <= stamp + window:
        raise RefusalError("INVALID_CLIENT_REQUEST", "request has expired")
    pairs = [(key, _text(params[key])) for key in sorted(params)]
    query = urllib.parse.urlencode(pairs)
    message = f"instruction={instruction}&{query + '&' if query else ''}timestamp={stamp}&window={window}"
    try:
        if account is None:
            raise InvalidSignature
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(account.key))
        public.verify(base64.b64decode(headers.get("X-Signature", "")), message.encode())
    except (InvalidSignature, ValueError):
        raise RefusalError("UNAUTHORIZED", "invalid signature", 401) from None


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]


def _market(book: Book, symbol: str) -> dict[str, Any]:
    return {
        "baseSymbol": symbol.split("_")[0],
        "quoteSymbol": symbol.split("_")[1],
        "symbol": symbol,
        "marketType": "PERP" if symbol.endswith("_PERP") else "SPOT",
        "orderBookState": book.state,
        "imfFunction": {"type": "sqrt", "base": "0.02", "factor": "0.00006"},
        "mmfFunction": {"type": "sqrt", "base": "0.0125", "factor": "0.0000375"},
        "filters": {
            "price": {"minPrice": "0.01", "maxPrice": None, "tickSize": str(book.tick)},
            "quantity": {"minQuantity": str(book.lot), "maxQuantity": None, "stepSize": str(book.lot)},
        },
        "createdAt": "2025-01-21T06:34:54.691858",
    }


def _order(order: BookOrder) -> dict[str, Any]:
    return {
        "clientId": order.client_id,
        "createdAt": int(order.at * 1000),
        "executedQuantity": str(order.filled),
        "executedQuoteQuantity": str(order.quote_filled),
        "id": order.id,
        "orderType": order.kind,
        "postOnly": order.post_only,
        "price": None if order.price is None else str(order.price),
        "quantity": str(order.qty),
        "side": order.side,
        "status": order.status,
        "symbol": order.symbol,
        "timeInForce": "GTC",
    }


def _fill(book: Book, fill: BookFill) -> dict[str, Any]:
    is_in_base = book.base_fees and fill.order.side == "Bid"
    return {
        "clientId": None if fill.order.client_id is None else str(fill.order.client_id),
        "fee": str(round(fill.fee / fill.price, 8) if is_in_base else fill.fee),
        "feeSymbol": "SOL" if is_in_base else "USDC",
        "isMaker": fill.maker,
        "orderId": fill.order.id,
        "price": str(fill.price),
        "quantity": str(fill.qty),
        "side": fill.order.side,
        "symbol": book.symbol,
        "systemOrderType": None,
        "timestamp": _time(fill.at),
        "tradeId": fill.id,
    }


def _positions(book: Book) -> list[dict[str, Any]]:
    net = book.position()
    if net == 0:
        return []
    return [
        {
            "symbol": book.symbol,
            "netQuantity": str(net),
            "netExposureQuantity": str(abs(net)),
            "netCost": str(net * book.price),
            "entryPrice": str(book.price),
            "markPrice": str(book.price),
            "positionId": "1",
            "pnlRealized": "0",
            "pnlUnrealized": "0",
            "imf": "0.02",
            "mmf": "0.0125",
            "estLiquidationPrice": "0",
        }
    ]
