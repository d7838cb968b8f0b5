"""An adapter on a simulated venue: of ccxt's class only `fetch` and the signing are replaced."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, TypeVar

from gridbot.config import args
from gridbot.exchanges.ccxt_exchange import CcxtExchange
from gridbot.model.errors import ExchangeError
from gridbot.model.types import ZERO
from gridbot.runtime.shared_state import SharedState
from gridbot.store.ledger import Ledger
from gridbot.store.store import Store
from gridbot.strategies.strategy import make_strategy
from gridbot.trading.cancel import cancel_own_orders
from gridbot.trading.engine import Engine
from tests.bot.bots import GRID
from tests.fake_exchange.book import Book, BookFill, BookOrder, RefusalError

MAX_POSITION = Decimal("0.5")
# Ticks as far apart as a bot on an exchange with limits has them, and listings late by more than two.
TICK_S, LATE_S = 5.0, 12.0
UNLUCKY = 0.3
LOT = Decimal("0.1")

T = TypeVar("T")


class Refusal(Exception):
    """An answer that ccxt's `handle_errors` has to make an exception of."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(body)
        self.status, self.body = status, body


class KilledError(BaseException):
    """SIGKILL while a new order is on its way: nothing of the bot's own code runs any more."""


class StatusError(Exception):
    """What the HTTP client raises for a status of 400 and above."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.response = SimpleNamespace(status_code=status)


class Kit:
    """Subclasses give `name`, `symbol` (as users write it), `keys`, `market`, and carry requests out.

    `refusals`: what the exchange answers for each cause that the bot distinguishes. `paths`: how the path of
    each list's request ends.
    """

    name = symbol = ""
    keys: ClassVar[dict[str, str]] = {}
    quote = "USDT"
    market: ClassVar[dict[str, Any]] = {}
    perp = True
    maker_fee, taker_fee = Decimal("0.0002"), Decimal("0.0005")
    refusals: ClassVar[Mapping[str, Refusal]] = {}
    paths: ClassVar[Mapping[str, str]] = {}

    def __init__(self, seed: int = 1, lot: Decimal = LOT) -> None:
        """Take `lot`: an order of one lot is never filled in parts."""
        self.now = time.time()
        self.book = Book(
            seed=seed,
            lot=lot,
            clock=lambda: self.now,
            maker_fee=self.maker_fee,
            taker_fee=self.taker_fee,
        )
        # Other programs' orders, one with a client id that the bot will use too.
        self.others = [
            self.book.place("Bid", "Limit", Decimal(130), Decimal(1), 1, foreign=True),
            self.book.place("Ask", "Limit", Decimal(170), Decimal(1), None, foreign=True),
        ]
        self.random = random.Random(seed)
        self.fault: str | None = None
        # What becomes of the answer with the list of that name, however often it is asked for.
        self.spoilt: dict[str, Callable[[Any], Any]] = {}
        self.killed = 0.0
        own = {"backpack": self.name, "SOL_USDC_PERP": self.symbol}
        words = [own.get(word, word) for word in GRID]
        if not self.perp:
            words[words.index("perp_grid")] = "grid"
            words += ["--market-type", "spot", "--grid-type", "long"]
        env = {"TRADING_MODE": "live", "GRIDBOT_OTHERS_POSITION": "0", "DB_PATH": "-"}
        self.settings = args.parse([*words, "--max-position", str(MAX_POSITION)], env)
        self.adapter = CcxtExchange(self.settings, self.keys, {})
        self.adapter._clock_read_at = float("inf")
        # A further client would be one of the real exchange's.
        self.adapter.channels = lambda most: [self.adapter]  # type: ignore[method-assign]
        api = self.api = self.adapter._api
        pair = f"SOL/{self.quote}"
        market = {"symbol": pair, "base": "SOL", "quote": self.quote, "type": "spot"}
        kind = {"swap": self.perp, "spot": not self.perp, "contract": self.perp}
        if self.perp:
            market |= {"symbol": f"{pair}:{self.quote}", "settle": self.quote, "type": "swap"}
            kind |= {"linear": True, "inverse": False}
        steps = {"precision": {"amount": float(lot), "price": 0.01}, "info": {}}
        structure = api.safe_market_structure({**market, **kind, **steps, **self.market})
        if "size_decimals" in structure["info"]:  # lighter's numbers are whole
            structure["info"] = structure["info"] | {"size_decimals": -int(lot.as_tuple().exponent)}
        api.set_markets([structure])
        self.adapter._raw = api.markets[structure["symbol"]]
        api.rateLimit, api.last_json_response = 0, {}
        api.sign = lambda path, _api, method, params, *_: {
            "url": (path, dict(params)),
            "method": method,
            "body": None,
            "headers": None,
        }
        api.fetch = self._fetch
        for name in ("parse_order", "parse_trade"):
            setattr(api, name, _remembering(getattr(api, name)))
        for name in ("order", "fill"):
            setattr(self.adapter._answers, name, _reading_once(getattr(self.adapter._answers, name)))
        self.replace_signing()

    def replace_signing(self) -> None:
        """Replace what signs beside `sign`."""

    def answer(self, path: str, method: str, params: dict[str, Any]) -> Any:
        """Carry one request out."""
        raise NotImplementedError

    def refusal(self, err: RefusalError) -> Refusal:
        """Return the exchange's answer to what its book refuses."""
        raise NotImplementedError

    def is_write(self, path: str, method: str) -> bool:
        """Tell whether a request places or cancels an order."""
        return method in ("POST", "DELETE")

    def is_cancel(self, path: str, params: dict[str, Any], method: str) -> bool:
        """Tell whether a request cancels an order."""
        return method == "DELETE" or "delete" in path

    def fills(self) -> list[BookFill]:
        """Return the executions in the order and as late as the fault says."""
        fills = list(self.book.fills)
        if self.fault == "late fills":
            fills = [fill for fill in fills if fill.at < self.now - LATE_S]
        if self.fault == "duplicates":
            fills += fills
        if self.fault == "out of order":
            self.random.shuffle(fills)
        return fills

    def ended(self) -> list[BookOrder]:
        """Return the orders that are no longer open."""
        return [order for order in self.book.orders.values() if not order.open]

    def place(
        self,
        params: dict[str, Any],
        client_id: int,
        *,
        is_post_only: bool,
        is_reduce_only: bool = False,
        is_immediate: bool = False,
    ) -> BookOrder:
        """Carry an order out that gives side, type, price and size in these words."""
        return self.book.place(
            "Bid" if params["side"] == "BUY" else "Ask",
            params["type"].title(),
            Decimal(params["price"]),
            Decimal(params["size"]),
            client_id,
            post_only=is_post_only,
            reduce_only=is_reduce_only,
            immediate=is_immediate,
        )

    def find(self, order_id: Any, client_id: Any = None) -> BookOrder:
        """Return an order of the account, found by one of its ids. Raises RefusalError."""
        for order in self.book.orders.values():
            if order.id == str(order_id or "") or (client_id and str(order.client_id) == str(client_id)):
                return order
        raise RefusalError("RESOURCE_NOT_FOUND", "Order not found", 404)

    def _fetch(
        self, url: tuple[str, dict[str, Any]], method: str = "GET", headers: Any = None, body: Any = None
    ) -> Any:
        errors = self.adapter._errors
        path, params = url
        is_write = self.is_write(path, method)
        is_create = is_write and not self.is_cancel(path, params, method)
        if is_create and self.random.random() < self.killed / 2:
            raise KilledError
        unlucky = is_write and self.random.random() < UNLUCKY
        if self.fault == "request lost" and unlucky:
            raise errors.NetworkError("connection reset")
        refusal = None if is_write else self.refusals.get(self.fault or "")
        if refusal is not None and self.random.random() < UNLUCKY / 6:
            return self._read(path, method, refusal)
        try:
            if self.fault == "rejected" and unlucky and is_create:
                raise RefusalError("INSUFFICIENT_FUNDS", "insufficient margin")
            answer = self.answer(path, method, params)
        except RefusalError as err:
            return self._read(path, method, self.refusal(err))
        if is_create and self.random.random() < self.killed / 2:
            raise KilledError
        answer = self._spoil(path, method, answer)
        if self.fault == "answer lost" and unlucky:
            raise errors.RequestTimeout("timed out")
        self.api.last_json_response = answer
        self.api.handle_errors(200, "", path, method, {}, "", answer, {}, None)
        return answer

    def _spoil(self, path: str, method: str, answer: Any) -> Any:
        for name, suffix in self.paths.items():
            if method != "GET" or not path.endswith(suffix):
                continue
            if self.fault == f"no list of {name}" and self.random.random() < UNLUCKY:
                answer = without_list(answer)
            if name in self.spoilt:
                answer = self.spoilt[name](answer)
        return answer

    def _read(self, url: str, method: str, answer: Refusal) -> Any:
        """Read a refusal as ccxt's own `fetch` does."""
        self.api.last_json_response = answer.body
        text = json.dumps(answer.body)
        try:
            if answer.status >= 400:
                raise StatusError(answer.status)
        except StatusError:
            self.api.handle_errors(answer.status, "", url, method, {}, text, answer.body, {}, None)
            self.api.handle_http_status_code(answer.status, "", url, method, text)
        else:
            self.api.handle_errors(answer.status, "", url, method, {}, text, answer.body, {}, None)
        return answer.body


def without_list(answer: Any) -> Any:
    """Return the answer with null in the place of its list; without any content where it is one itself."""
    if isinstance(answer, list):
        return {}
    lists = {key: None for key, value in answer.items() if isinstance(value, list)}
    if lists:
        return answer | lists
    return {key: without_list(value) if isinstance(value, dict) else value for key, value in answer.items()}


def _remembering(parse: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Return ccxt's own `parse`, called once for each answer: most of a list is as it was a tick ago."""
    known: dict[str, dict[str, Any]] = {}

    def parse_once(raw: Any, market: Any = None) -> dict[str, Any]:
        key = f"{raw!r} {market and market['symbol']}"
        if key not in known:
            known[key] = parse(raw, market)
        return dict(known[key])

    return parse_once


def _reading_once(read: Callable[[Any, Any], T]) -> Callable[[Any, Any], T]:
    """Return the bot's own reading of a parsed row, called anew only for one that is not as it was."""
    known: dict[int, tuple[Any, Any, T]] = {}

    def read_once(raw: Any, market: Any) -> T:
        # The exchange's own row is kept with the result, so that no other one gets its number.
        row, of, result = known.get(id(raw["info"]), (None, None, None))
        if result is None or row != raw or of is not market:
            result = read(raw, market)
            known[id(raw["info"])] = (dict(raw), market, result)
        return result

    return read_once


class Run:
    """The real engine on a kit, ticked by hand; every tick checks what must always hold."""

    def __init__(self, kit: Kit, folder: Path) -> None:
        self.kit, self.folder, self.failures = kit, folder, list[str]()
        self.start()

    def start(self) -> None:
        """Begin, or go on with what an engine that was killed has left in the record."""
        kit = self.kit
        self.store = Store(self.folder / "bot.db", durable=False)
        settings, market = kit.settings, kit.adapter.market()
        run = self.store.unfinished_run() or self.store.begin_run(settings.identity, "live", {}, Ledger())
        strategy = make_strategy(settings, market, self.store)
        self.engine = Engine(
            settings,
            run,
            self.store,
            kit.adapter,
            market,
            strategy,
            SharedState(1.0),
            lambda: False,
            lambda: kit.now,
        )
        self.market = market

    def tick(self, after: float = TICK_S) -> None:
        self.kit.now += after
        try:
            self.engine.tick()
        except ExchangeError as err:
            self.failures.append(str(err))
        assert self.kit.book.violations == []
        assert abs(self.kit.book.position()) <= MAX_POSITION

    def walk(self, ticks: int) -> None:
        price = Decimal(150)
        for _ in range(ticks):
            price += Decimal(self.kit.random.choice([-100, -50, 0, 50, 100])) / 100
            price = min(max(price, Decimal(142)), Decimal(158))
            self.kit.book.move(price)
            self.tick()

    def end(self, *, fees_are_known: bool = True) -> None:
        """Let everything be listed, compare account and ledger, and stop."""
        self.kit.fault = None
        for after in (TICK_S, 20.0, 61.0, TICK_S, TICK_S):
            self.tick(after)
        if self.store.ledger.position != self.kit.book.position():
            self.tick()  # what the last one placed was filled at once
        assert self.store.ledger.position == self.kit.book.position()
        assert self.kit.adapter.position() == (self.kit.book.position() if self.market.perp else None)
        fees = sum((fill.fee for fill in self.kit.book.fills), ZERO)
        # Lighter says a rate; the book rounds the fee of each execution.
        rounded = Decimal("5e-7") * len(self.kit.book.fills) if self.kit.name == "lighter" else ZERO
        assert abs(self.store.ledger.fees - fees) <= rounded or not fees_are_known
        assert cancel_own_orders(self.store, self.kit.adapter, self.market, 10.0) == (0, True)
        assert self.kit.book.open_orders() == self.kit.others
        self.store.close()


def running(kit: Kit, folder: Path) -> Run:
    """Begin a bot on the kit, and let two ticks pass, after which its grid rests."""
    run = Run(kit, folder)
    run.tick()
    run.tick()
    return run
