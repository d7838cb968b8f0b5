"""Run a strategy over recorded prices, without sleeping.

Strategy, limits, ledger and paper exchange are those of a running bot; the clock is the recording's, and the
record is in memory. An order placed at one row can be filled from the next one on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Generic, TypeVar

from gridbot.config.settings import Settings
from gridbot.exchanges.paper import Costs, PaperExchange
from gridbot.exchanges.recording import Row
from gridbot.model.condition import Code, Condition, duration_over
from gridbot.model.errors import RejectedError
from gridbot.model.types import ZERO, Market, Order, OrderRequest, Side, floor_to
from gridbot.store.drawdown import Drawdown
from gridbot.store.ledger import closing_side
from gridbot.store.memory import MemoryStore
from gridbot.strategies import risk
from gridbot.strategies.strategy import make_strategy

FUNDING_EVERY_S = 8 * 3600
YEAR_S = 365 * 86400
# Of the curve and of the fills, as many are kept as a picture can show.
POINTS, MOST_FILLS = 2000, 4000

RECORDING_OVER = Condition(Code.FINISHED, "the recording is over", {"by": "recording"})
T = TypeVar("T")


class Thinned(Generic[T]):
    """Keep at most `most` of what is added, evenly spread: each at first, then every second, and so on."""

    def __init__(self, most: int) -> None:
        self.kept: list[T] = []
        self._most, self._every, self._count = most, 1, 0

    def add(self, item: T) -> None:
        """Add an item, which may be left out."""
        if self._count % self._every == 0:
            if len(self.kept) >= self._most:
                del self.kept[1::2]
                self._every *= 2
            if self._count % self._every == 0:
                self.kept.append(item)
        self._count += 1


@dataclass
class Result:
    """Hold what the run came to. Amounts are exact, in the quote currency; shares are of 1."""

    rows: int = 0
    began: float = 0.0
    ended: float = 0.0
    first_price: Decimal = ZERO
    last_price: Decimal = ZERO
    pnl: Decimal = ZERO
    realized: Decimal = ZERO
    unrealized: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    position: Decimal = ZERO
    trades: int = 0
    maker_trades: int = 0
    round_trips: int = 0
    drawdown: Decimal = ZERO
    capital: Decimal = ZERO
    end: Condition = RECORDING_OVER
    curve: Thinned[tuple[float, Decimal, Decimal]] = field(default_factory=lambda: Thinned(POINTS))
    fills: Thinned[tuple[float, Side, Decimal]] = field(default_factory=lambda: Thinned(MOST_FILLS))

    @property
    def profit_per_grid(self) -> Decimal | None:
        """Return the mean profit of a round trip after fees, None before the first."""
        return (self.realized - self.fees) / self.round_trips if self.round_trips else None

    @property
    def apr(self) -> Decimal | None:
        """Return the profit a year as a share of the capital at the largest position, None under an hour."""
        seconds = self.ended - self.began
        if seconds < 3600 or not self.capital:
            return None
        return self.pnl / self.capital * YEAR_S / Decimal(repr(seconds))


class _Rows:
    """Give the exchange the prices of the row that the loop is at."""

    name = "replay"

    def __init__(self) -> None:
        self.prices: Sequence[Decimal] = ()
        self.at = 0.0

    def next_prices(self) -> list[Decimal]:
        return list(self.prices)


class Backtest:
    """Run one recording. `funding_rate` is paid by longs every eight hours of the recording's clock.

    None: the one that the recording says for that moment, and nothing where it says none.
    """

    def __init__(
        self, settings: Settings, market: Market, costs: Costs, funding_rate: Decimal | None = ZERO
    ) -> None:
        self._settings, self._market = settings, market
        self._rate, self._has_own_rate = funding_rate or ZERO, funding_rate is not None
        self._source, self._store = _Rows(), MemoryStore()
        self._exchange = PaperExchange(lambda: market, self._source, lambda: self._source.at, costs)
        self._strategy = make_strategy(settings, market, self._store)
        self._result = Result()
        self._quiet: tuple[Decimal, Decimal] | None = None
        self._ends = self._flatten = False
        self._drawdown = Drawdown()

    def run(self, rows: Iterator[Row]) -> Result:
        """Return the result of all rows, or of those up to a stop loss or another end."""
        result, source, exchange, store = self._result, self._source, self._exchange, self._store
        settings = self._settings
        has_limits = settings.stop_loss is not None or settings.take_profit is not None
        next_funding, note = math.inf, self._drawdown.note
        price = ZERO
        for number, (at, prices, rate) in enumerate(rows):
            source.at, source.prices = at, prices
            price = exchange.price()
            if number == 0:
                result.began, result.first_price = at, price
                self._strategy.prepare(price)
                next_funding = at // FUNDING_EVERY_S + 1
            if rate is not None and not self._has_own_rate:
                self._rate = rate
            if at >= next_funding * FUNDING_EVERY_S:
                times = int(at // FUNDING_EVERY_S + 1 - next_funding)
                result.funding -= store.ledger.position * price * self._rate * times
                next_funding += times
            if exchange.has_fills:
                self._take_fills()
            result.rows, result.ended = number + 1, at
            pnl = store.ledger.equity(price) + result.funding
            note(pnl, pnl)
            result.curve.add((at, price, pnl))
            if has_limits or settings.duration or settings.boundary_check:
                self._decide(price, pnl, at)
            quiet = self._quiet
            if (quiet is None or not quiet[0] < price < quiet[1]) and self._act(price, at):
                break
        if price:
            self._finish(price)
        return result

    def _decide(self, price: Decimal, pnl: Decimal, at: float) -> None:
        settings = self._settings
        if self._ends:
            return
        condition, flatten = risk.pnl_limit_reached(settings, pnl), True
        if condition is None and settings.duration and at - self._result.began >= settings.duration:
            self._end(duration_over(settings.duration), flatten=False)
            return
        bounds = self._strategy.price_range()
        if condition is None and bounds is not None and settings.boundary_check:
            left = risk.range_left(*bounds, settings.boundary_tolerance, price)
            if left is not None and settings.boundary_action == "adjust_range":
                if self._strategy.can_move_range(at):
                    self._strategy.move_range(price, at)
                    self._quiet = None
            elif left is not None:
                condition, flatten = risk.bound_reached(left), settings.boundary_action == "emergency_close"
        if condition is not None:
            self._end(condition, flatten=flatten)

    def _end(self, why: Condition, *, flatten: bool) -> None:
        self._result.end, self._flatten, self._ends, self._quiet = why, flatten, True, None

    def _act(self, price: Decimal, at: float) -> bool:
        """Carry the strategy's plan out. Return whether the run is over."""
        store = self._store
        if self._ends:
            for order in store.live_orders():
                self._cancel(order)
            qty = floor_to(abs(store.ledger.position), self._market.lot)
            if self._flatten and self._market.is_tradable(qty, price):
                side = closing_side(store.ledger.position)
                self._place(OrderRequest("close", side, price, qty, market=True), at)
            return True
        if store.outdated:
            for order in store.live_orders():
                if order.client_id in store.outdated:
                    self._cancel(order)
        plan = self._strategy.plan(store.live_orders(), price)
        for order in plan.cancel:
            self._cancel(order)
        for request in plan.place:
            self._place(request, at)
        self._quiet = plan.quiet
        return False

    def _cancel(self, order: Order) -> None:
        self._exchange.cancel(order)
        self._store.remove(order.client_id)

    def _place(self, request: OrderRequest, at: float) -> None:
        order = self._store.add_order(request, at)
        try:
            self._exchange.place(order)
        except RejectedError:
            self._store.remove(order.client_id)
            return
        if self._exchange.has_fills:
            self._take_fills()

    def _take_fills(self) -> None:
        result, store = self._result, self._store
        for fill in self._exchange.fills(0.0):
            closes = store.ledger.position * fill.side.sign < 0  # also at its average price, for nothing
            store.add_trade(fill, self._market)
            result.trades += 1
            result.maker_trades += fill.maker
            result.round_trips += closes
            result.fills.add((fill.at, fill.side, fill.price))
        self._quiet = None

    def _finish(self, price: Decimal) -> None:
        result, ledger = self._result, self._store.ledger
        result.last_price, result.position = price, ledger.position
        result.realized, result.unrealized = ledger.realized, ledger.unrealized(price)
        result.fees, result.pnl = ledger.fees, ledger.pnl(price) + result.funding
        self._drawdown.note(result.pnl, result.pnl)
        result.drawdown = self._drawdown.deepest
        described = self._strategy.describe()
        most = Decimal(described["max_position"]) if described else self._settings.quantity
        result.capital = most * result.first_price
        result.curve.kept.append((result.ended, price, result.pnl))
