"""Trade on a real exchange through ccxt. Calls and errors are translated here, and nothing is decided."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from gridbot.config.settings import Settings
from gridbot.exchanges import ccxt_client, venues
from gridbot.exchanges.answers import Page
from gridbot.exchanges.ccxt_calls import CcxtCalls
from gridbot.exchanges.exchange import Exchange
from gridbot.exchanges.lent_coins import read_lent
from gridbot.exchanges.order_match import Row, match_order
from gridbot.exchanges.values import decimal as _decimal
from gridbot.exchanges.values import middle, positive
from gridbot.model.errors import (
    ConfigError,
    ExchangeError,
    NotFoundError,
    RefusedError,
    RejectedError,
    UnauthorizedError,
    UnclearError,
    UnreachableError,
)
from gridbot.model.types import (
    ZERO,
    ExchangeOrder,
    Fill,
    Funding,
    Market,
    Order,
    UnreadableFill,
    UnreadableOrder,
)
from gridbot.runtime.pace import Pace

PAGE = 1000
MOST_PAGES = 50
# An order that has rested for long may be this many pages back in the history of orders; times there are the
# exchange's.
MOST_HISTORY_PAGES = 50
CLOCK_MARGIN_S = 60.0
# A market order bears a price on exchanges that have no other kind; this share beyond the current one.
SLIPPAGE = Decimal("0.03")
# A refused client doubles the time between its calls, to the first at least, and not beyond the second: a
# stop must end some time.
SLOWED_MS, SLOWEST_MS = 200.0, 2000.0


def _ignore(seconds: float) -> None:
    """Do nothing: the default of `on_call`."""


class CcxtExchange(CcxtCalls):
    """Read one market's prices, and trade on it when there are `credentials`."""

    name = "live"
    price_is_firm = False
    price_answer: object = None
    max_client_id = 2**32 - 1

    def __init__(
        self,
        settings: Settings,
        credentials: Mapping[str, str] | None,
        env: Mapping[str, str] = os.environ,
        on_call: Callable[[float], None] = _ignore,
        pace: Pace | None = None,
    ) -> None:
        """Make a client. `on_call` is told, around each call, how many seconds it may still take.

        `pace`: the bot's share of the exchange's requests; none for programs that only cancel or look.
        """
        super().__init__(settings, credentials, env, on_call, pace)
        self._venue = venues.VENUES[settings.exchange]
        self._settings, self._credentials, self._env = settings, credentials, env
        self._channels: list[CcxtExchange] = []
        self.settle_s = ccxt_client.settle_s(env)
        self._rate_limit = self._api.rateLimit
        by_id = self._api.has.get("cancelOrders") and (settings.perp or not self._venue.batch_is_for_perps)
        self.most_in_batch = self._venue.most_in_batch if by_id else 1
        self.has_cancel_all = bool(self._api.has.get("cancelAllOrders"))
        self._raw: dict[str, Any] | None = None
        self._listed: list[Any] = []

    def market(self) -> Market:
        """Load the market's rules. Raises RefusedError for a symbol that the exchange doesn't have."""
        markets = self._call(self._api.load_markets)
        raw = self._find_market(markets)
        perp = bool(raw.get("contract"))
        if perp != self._settings.perp:
            kind = "a perpetual" if perp else "a spot market"
            raise ConfigError(f"--symbol: {self._settings.symbol} is {kind} on {self._id}")
        self._raw = raw
        if self._credentials:
            self._clock_ahead()  # before the first signature
        precision, limits = raw.get("precision") or {}, raw.get("limits") or {}
        tick = _decimal(precision.get("price")) or Decimal("1e-8")
        lot = _decimal(precision.get("amount")) or Decimal("1e-8")
        return Market(
            symbol=self._settings.symbol,
            base=raw["base"],
            quote=raw.get("settle") or raw["quote"],
            perp=perp,
            tick=tick,
            lot=lot,
            min_qty=max(_decimal((limits.get("amount") or {}).get("min")) or lot, lot),
            min_notional=_decimal((limits.get("cost") or {}).get("min")) or ZERO,
            # No exchange means by 0 that no order is taken.
            max_qty=_decimal((limits.get("amount") or {}).get("max")) or None,
            max_market_qty=_decimal((limits.get("market") or {}).get("max")) or None,
            max_notional=self._answers.max_notional(raw) or None,
            max_orders=self._answers.max_orders(raw) or None,
            max_held=self._answers.max_held(raw) or None,
        )

    def known_markets(self) -> tuple[Mapping[str, Any], str]:
        """Return ccxt's descriptions of all markets, and its symbol of this one."""
        return self._api.markets, self._symbol

    def price(self) -> Decimal:
        ticker = self._call(self._api.fetch_ticker, self._symbol)
        mark = positive(ticker.get("markPrice"))
        price = mark or middle(ticker.get("bid"), ticker.get("ask")) or positive(ticker.get("last"))
        self.price_is_firm, self.price_answer = bool(mark), ticker.get("info")
        if price is None:
            raise UnreachableError(f"{self._id} gives no price for {self._settings.symbol}")
        return price

    def mark_price(self) -> Decimal | None:
        if self._settings.perp and self._api.has.get("fetchFundingRate"):
            try:
                mark = positive(self._call(self._api.fetch_funding_rate, self._symbol).get("markPrice"))
            except ExchangeError:
                mark = None
            if mark:
                return mark
        book = self._call(self._api.fetch_order_book, self._symbol)
        if not book.get("bids") or not book.get("asks"):
            return None
        return middle(book["bids"][0][0], book["asks"][0][0])

    def funding(self, since: float) -> list[Funding] | None:
        if not self._settings.perp:
            return []
        if not self._api.has.get("fetchFundingHistory"):
            return None
        start = int((since - self._clock_ahead()) * 1000)
        fetch, market = self._api.fetch_funding_history, self._loaded()
        rows, are_all = self._read_pages(
            fetch, self._symbol, Page(start), self._answers.next_funding, MOST_PAGES
        )
        read = [self._answers.payment(raw, market) for raw in rows if self._answers.is_of(raw, market)]
        payments = [payment for payment in read if payment is not None]
        if not are_all or len(payments) < len(read):
            return None
        return [payment for payment in payments if payment.at * 1000 >= start]

    @property
    def market_symbol(self) -> str:
        """Return the market's name in ccxt."""
        return self._symbol

    @property
    def market_answer(self) -> Mapping[str, Any]:
        """Return the market as ccxt describes it."""
        return self._loaded()

    def place(self, order: Order) -> str | None:
        params = {"clientOrderId": self._client_id(order), **self._order_params()}
        if order.post_only:
            params["postOnly"] = True
        if order.reduce_only:
            params["reduceOnly"] = True
        price = order.price
        if order.market:
            price += order.side.sign * price * SLIPPAGE
        answer = self._call(
            self._api.create_order,
            self._symbol,
            "market" if order.market else "limit",
            order.side.value,
            float(order.qty),
            float(price),
            params,
        )
        exchange_id = self._answers.new_id(answer, order)
        if exchange_id is None:
            if self._venue.answers_without_id:
                return None
            raise UnreachableError(f"{self._id} answered an order without an id")
        return exchange_id

    def _order_params(self) -> dict[str, Any]:
        """Return what every order bears besides: nothing, for a bot that trades."""
        return {}

    def cancel(self, order: Order) -> None:
        named = {} if order.exchange_id else {"clientOrderId": self._client_id(order)}
        try:
            self._cancel(self._api.cancel_order, order.exchange_id, self._symbol, named, json=False)
        except RejectedError as err:
            is_missing = isinstance(err, NotFoundError)
            if not self._answers.is_ended_order(str(err.__cause__), is_missing=is_missing):
                raise  # it may rest
        except UnreachableError as err:
            if "RESOURCE_NOT_FOUND" not in str(err):
                raise

    def cancel_batch(self, orders: Sequence[Order]) -> None:
        # Aster's documents name them as numbers.
        ids = [int(str(o.exchange_id)) if self._id == "aster" else str(o.exchange_id) for o in orders]
        self._cancel(self._api.cancel_orders, ids, self._symbol)

    def cancel_all(self) -> None:
        of_market = self._venue.of_market(self._loaded())
        self._cancel(self._api.cancel_all_orders, self._symbol, of_market, json=False)

    def cancel_all_after(self, seconds: int) -> None:
        self._cancel(self._api.cancel_all_orders_after, seconds * 1000, json=False)

    def open_orders(self) -> list[Row]:
        return self._orders(self._list(self._api.fetch_open_orders, self._symbol))

    def find(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Row | None]]:
        if self._venue.lookup == "client_id":
            # One list tells of most of several orders; each one that it lacks is asked for.
            listed = self._history({}) if self._venue.lists_history and len(orders) > 1 else []
            for order in orders:
                match = match_order(order, listed)
                # A row that cannot be read and may be its own tells more than that there is none.
                yield order, match if isinstance(match, ExchangeOrder) else self._find_one(order) or match
            return
        # One list for all of them; an old one may be further back than that list goes.
        pages = [self._history_page({})]
        for order in orders:
            match = self._search(order, pages)
            is_found = isinstance(match, ExchangeOrder)
            if not is_found and order.exchange_id and self._id == "backpack":
                match = match_order(order, self._history({"orderId": order.exchange_id}))
            yield order, match

    def _find_one(self, order: Order) -> Row | None:
        params = {} if order.exchange_id else {"clientOrderId": self._client_id(order)}
        try:
            raw = self._call(self._api.fetch_order, order.exchange_id or "", self._symbol, params)
        except NotFoundError:
            known = self._answers.history_of(order) if self._venue.finds_open_only else None
            return match_order(order, self._history(known)) if known is not None else None
        except UnauthorizedError:
            raise
        except RejectedError:
            # Refused for a reason that doesn't say whether the order exists: the lists know.
            return match_order(order, [*self.open_orders(), *self._history({})])
        if raw.get("id") is None:
            return match_order(order, [*self.open_orders(), *self._history({})])
        return self._answers.order_asked_for(order, raw, self._loaded())

    def _orders(self, answers: Sequence[Mapping[str, Any]]) -> list[Row]:
        market = self._loaded()
        return [self._answers.order(raw, market) for raw in answers if self._answers.is_of(raw, market)]

    def _search(self, order: Order, pages: list[_HistoryPage]) -> Row | None:
        """Find an order in the history, which is read further for it as far back as it was created."""
        unreadable: Row | None = None
        for number in range(MOST_HISTORY_PAGES):
            if number == len(pages):
                last = pages[-1]
                if last.following is None or last.oldest is None or last.oldest < order.created_at:
                    return unreadable
                pages.append(self._history_page(last.following))
            match = match_order(order, pages[number].rows)
            if isinstance(match, ExchangeOrder):
                return match
            unreadable = unreadable or match
        why = f"it is not among the last {MOST_HISTORY_PAGES} pages of the history"
        return unreadable or UnreadableOrder(order.exchange_id, order.client_id, why)

    def _history_page(self, params: dict[str, Any]) -> _HistoryPage:
        rows = self._history(params)
        times = [float(raw["timestamp"]) for raw in self._listed if raw.get("timestamp")]
        answer = self._answered[-1] if self._answered else None
        following = self._answers.next_history(answer) if isinstance(answer, dict) else None
        return _HistoryPage(rows, min(times) / 1000 + CLOCK_MARGIN_S if times else None, following)

    def _history(self, params: dict[str, Any]) -> list[Row]:
        fetch = self._api.fetch_orders if self._api.has["fetchOrders"] else self._api.fetch_closed_orders
        self._listed = self._list(fetch, self._symbol, None, PAGE if self._id == "backpack" else 100, params)
        return self._orders(self._listed)

    def fills(self, since: float) -> list[Fill | UnreadableFill]:
        # `since` may be this machine's time; asking from earlier only lists more.
        start = int((since - self._clock_ahead()) * 1000)
        market = self._loaded()
        first, following = self._answers.first_page(start), self._answers.next_page
        rows, are_all = self._read_pages(
            self._api.fetch_my_trades, self._symbol, first, following, MOST_PAGES
        )
        fills = [self._answers.fill(trade, market) for trade in rows if self._answers.is_of(trade, market)]
        if not are_all:
            why = f"{self._id} lists more than {MOST_PAGES} pages of executions, and the rest is not read"
            fills.append(UnreadableFill(None, None, None, why))
        return fills

    def channels(self, most: int) -> list[Exchange]:
        count = max(min(most, self._venue.channels), 1)
        while len(self._channels) < count - 1:
            client = CcxtExchange(self._settings, self._credentials, self._env, self._on_call, self._pace)
            client._api.set_markets(self._api.markets)
            client._raw = self._raw
            client._clock_read_at = self._clock_read_at
            client._set_clock(self._clock_offset)
            client._api.timeout = self._api.timeout
            self._channels.append(client)
        used = [self, *self._channels[: count - 1]]
        for channel in used:  # together they keep to the rate that one of them may have
            channel._api.rateLimit = self._rate_limit * len(used)
        return list(used)

    def slow_down(self) -> None:
        self._rate_limit = max(min(max(self._rate_limit * 2, SLOWED_MS), SLOWEST_MS), self._rate_limit)
        self.channels(1)

    def position(self) -> Decimal | None:
        if not self._settings.perp:
            return None
        return self._answers.net_position(self._position_rows(), self._loaded())

    def holdings(self) -> Decimal | None:
        return None if self._settings.perp else self._part_of_balance("total")

    def lent(self) -> Decimal | None:
        market = self._loaded()
        return None if self._settings.perp else read_lent(self, (market.get("baseId"), market["base"]))

    def _part_of_balance(self, part: str) -> Decimal:
        """Return that part of what there is of a spot market's base currency. Raises ExchangeError."""
        base = str(self._loaded()["base"])
        balance = self._call(self._api.fetch_balance, {"type": "spot"} if self._id == "aster" else {})
        if self._id == "aster":
            self._rows(self._api.fetch_balance)
        if not isinstance(balance, dict):
            raise UnclearError(f"{self._id} answered something that is no balance")
        amount = _decimal((balance[base] or {}).get(part)) if base in balance else ZERO
        if amount is None:
            raise UnclearError(f"{self._id} does not say how much {base} there is ({part})")
        return amount

    def is_hedged(self) -> bool:
        """Tell whether longs and shorts of this market are positions apart, which this bot can't trade."""
        if self._id == "aster":
            dual = self.ask("fapiPrivateGetV3PositionSideDual").get("dualSidePosition")
            if str(dual).lower() == "true":
                return True
        return self._answers.is_hedged(self._position_rows(), self._loaded())

    def max_held_value(self) -> Decimal | None:
        """Return what a position of this market may be worth at the account's leverage, None if unknown."""
        return self._answers.max_held_value(self._position_rows(), self._loaded())

    def _position_rows(self) -> list[Any]:
        self._call(self._api.fetch_positions, [self._symbol])
        return self._rows(self._api.fetch_positions)

    @property
    def _symbol(self) -> str:
        return str(self._loaded()["symbol"])

    def _loaded(self) -> dict[str, Any]:
        """Return ccxt's description of the market."""
        if self._raw is None:
            self.market()
        assert self._raw is not None
        return self._raw

    def _find_market(self, markets: Mapping[str, Any]) -> dict[str, Any]:
        symbol = self._settings.symbol
        if market := venues.find_market(symbol, markets.values(), perp=self._settings.perp):
            return market
        near = sorted({str(raw["id"]) for raw in markets.values() if str(raw["id"])[:3] == symbol[:3]})[:5]
        hint = f"; it has {', '.join(near)}" if near else ""
        raise RefusedError(f"--symbol: {self._id} has no market {symbol}{hint}")

    def _client_id(self, order: Order) -> int | str:
        return order.client_id if self._id in ("backpack", "lighter") else str(order.client_id)


class _HistoryPage(NamedTuple):
    """Hold a page of the history: since when none of its orders is missing, and what to ask for the next one.

    The exchange's clock and this machine's may differ, so that is later than its oldest order.
    """

    rows: list[Row]
    oldest: float | None
    following: dict[str, Any] | None
