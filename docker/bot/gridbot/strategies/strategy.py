"""Define the interface of a strategy, and its two implementations."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from gridbot.config.settings import POSITION_ORDERS, Settings
from gridbot.model.errors import ConfigError
from gridbot.model.levels import make_levels
from gridbot.model.types import ZERO, Market, Order, OrderRequest, Side, SpotCoins, as_text, floor_to
from gridbot.runtime.log import log
from gridbot.store.ledger import Ledger
from gridbot.strategies import grid, quotes, risk
from gridbot.strategies.grid import Grid, Plan
from gridbot.strategies.late_position import complete
from gridbot.strategies.quotes import Quotes

# The moves of the range are counted over this long.
MOVES_WINDOW_S = 86400.0


class StrategyStore(Protocol):
    """Keep what a strategy has to know again after a restart."""

    generation: int
    ledger: Ledger

    def grid(self) -> dict[str, Any] | None:
        """Return what `set_grid` stored for this run."""

    def set_grid(self, grid: Mapping[str, Any], generation: int, cells: Mapping[int, Decimal]) -> None:
        """Replace the grid."""

    def cells(self) -> dict[int, Decimal]:
        """Return the inventory of each cell of the current grid."""

    def set_cells(self, cells: Mapping[int, Decimal]) -> None:
        """Replace the inventories of the current grid's cells."""


class Strategy(Protocol):
    """Decide which orders to place and cancel, given the store and the price."""

    def prepare(self, price: Decimal) -> str:
        """Start or resume at `price` and return a line that describes the strategy."""

    def plan(
        self,
        live: Sequence[Order],
        price: Decimal,
        late: Sequence[Order] = (),
        told: Collection[int] = (),
    ) -> Plan:
        """Return the orders to cancel and to place now.

        `late`: ended ones that may have a fill yet. `told`: client ids of live ones that answer a fill which
        is told and not booked.
        """

    def counter_orders(
        self,
        order: Order,
        filled: Decimal,
        live: Sequence[Order],
        late: Sequence[Order],
        coins: SpotCoins | None,
    ) -> list[OrderRequest]:
        """Return what may be placed on the word that `order` has filled so much, be it true or not.

        `coins`: where that is a purchase on a spot market, and known.
        """

    def price_range(self) -> tuple[Decimal, Decimal] | None:
        """Return the lowest and the highest price of the range, None without a range."""

    def can_move_range(self, now: float) -> bool:
        """Tell whether the range may move again."""

    def move_range(self, price: Decimal, now: float) -> str:
        """Move the range to `price` and return a line that describes it."""

    def describe(self) -> dict[str, Any] | None:
        """Return the strategy's parameters for the page and the API."""


class GridStrategy:
    """Trade a grid. The store keeps the range and the cells' inventories across restarts."""

    def __init__(self, settings: Settings, market: Market, store: StrategyStore) -> None:
        self._settings, self._market, self._store = settings, market, store
        self._kind = _kind_of(settings)
        self._qty = floor_to(settings.quantity, market.lot)
        self._max_position = settings.max_position or self._qty * (settings.grid_num - 1)
        self._range = (settings.grid_lower, settings.grid_upper)
        levels = self._levels()
        lowest = next((level for level in levels if level > 0), ZERO)
        if not market.is_tradable(self._qty, lowest):
            raise ConfigError(
                f"{settings.quantity_text} is less than {market.symbol} allows"
                f" (lot {as_text(market.lot)}, smallest {as_text(market.min_qty)},"
                f" value {as_text(market.min_notional)})"
            )
        if self._max_position < self._qty:
            raise ConfigError("--max-position: must be at least --quantity")
        self._initial = floor_to(settings.initial_position, market.lot)
        self._is_opening = False
        self._grid: Grid | None = None
        self._moves: list[float] = []

    def prepare(self, price: Decimal) -> str:
        stored = self._store.grid()
        if stored is None and self._opening_order(price) is not None:
            self._is_opening = True
            return f"opening with {self._side} {as_text(self._initial)} {self._market.base} at the market"
        if stored is None or stored["of"] != self._fingerprint():
            return self._start(price, self._range)
        self._range = (Decimal(stored["lower"]), Decimal(stored["upper"]))
        self._moves = list(stored.get("moves", ()))
        self._grid = Grid(
            self._levels(), int(stored["anchor"]), self._qty, self._max_position, int(stored["generation"])
        )
        return f"resuming {self._describe_line()}"

    def plan(
        self,
        live: Sequence[Order],
        price: Decimal,
        late: Sequence[Order] = (),
        told: Collection[int] = (),
    ) -> Plan:
        if self._is_opening:
            order = self._opening_order(price)
            if live or order is not None:
                return Plan(place=() if live or order is None else (order,))
            self._is_opening = False
            log.info(self._start(price, self._range))
        assert self._grid is not None
        cells, position = self._complete_cells(self._grid, price), self._store.ledger.position
        return grid.plan(self._grid, self._market, cells, live, price, position, late, told)

    def counter_orders(
        self,
        order: Order,
        filled: Decimal,
        live: Sequence[Order],
        late: Sequence[Order],
        coins: SpotCoins | None,
    ) -> list[OrderRequest]:
        if self._is_opening or self._grid is None:
            return []
        cells, position = self._store.cells(), self._store.ledger.position
        return grid.counter_orders(
            self._grid, self._market, cells, live, position, order, filled, late, coins
        )

    def price_range(self) -> tuple[Decimal, Decimal] | None:
        return self._range

    def can_move_range(self, now: float) -> bool:
        return len(self._recent_moves(now)) < self._settings.max_range_moves

    def move_range(self, price: Decimal, now: float) -> str:
        self._moves = [*self._recent_moves(now), now]
        lower, upper = self._range
        return self._start(
            price, risk.moved_range(lower, upper, self._settings.grid_mode, price, self._market.tick)
        )

    def describe(self) -> dict[str, Any] | None:
        if self._grid is None:
            return None
        return {
            "lower": str(self._range[0]),
            "upper": str(self._range[1]),
            "mode": self._settings.grid_mode,
            "type": self._kind,
            "levels": [as_text(level) for level in self._grid.levels],
            "quantity": as_text(self._qty),
            "max_position": as_text(self._max_position),
        }

    def _complete_cells(self, grid: Grid, price: Decimal) -> dict[int, Decimal]:
        """Return the cells' inventories, which together are the position.

        An order of an earlier range, or the opening one, may be listed as filled when this grid has begun.
        """
        cells, position = self._store.cells(), self._store.ledger.position
        rest = position - sum(cells.values(), ZERO)
        if abs(rest) < self._market.lot:
            return cells
        cells = complete(grid, cells, rest, price)
        self._store.set_cells(cells)
        log.info("a position of %s of orders before this grid is its own now", as_text(rest))
        return cells

    @property
    def _side(self) -> Side:
        return Side.SELL if self._kind == "short" else Side.BUY

    def _opening_order(self, price: Decimal) -> OrderRequest | None:
        """Return the order for what the initial position still lacks, None when the grid can start.

        Without one a position that was taken over, of either side, is the grid's to trade and not to be
        bought back.
        """
        if not self._initial:
            return None
        held = self._store.ledger.position * self._side.sign
        qty = floor_to(self._initial - held, self._market.lot)
        if held >= self._initial or not self._market.is_tradable(qty, price):
            return None
        qty = self._market.one_order(qty, price, is_market=True)
        return OrderRequest("initial", self._side, price, qty, market=True)

    def _start(self, price: Decimal, bounds: tuple[Decimal, Decimal]) -> str:
        self._range = bounds
        generation = self._store.generation + 1
        self._grid, cells = grid.start_grid(
            self._levels(),
            self._kind,
            price,
            self._qty,
            self._max_position,
            self._store.ledger.position,
            generation,
        )
        stored = {
            "of": self._fingerprint(),
            "lower": str(bounds[0]),
            "upper": str(bounds[1]),
            "anchor": self._grid.anchor,
            "generation": generation,
            "moves": self._moves,
        }
        self._store.set_grid(stored, generation, cells)
        return self._describe_line()

    def _recent_moves(self, now: float) -> list[float]:
        # one from ahead of a clock that was set back is as old, or none would be allowed until then
        return [at for at in self._moves if abs(now - at) < MOVES_WINDOW_S]

    def _levels(self) -> tuple[Decimal, ...]:
        lower, upper = self._range
        return make_levels(lower, upper, self._settings.grid_num, self._settings.grid_mode, self._market.tick)

    def _fingerprint(self) -> list[str]:
        return grid_fingerprint(self._settings, self._market)

    def _describe_line(self) -> str:
        assert self._grid is not None
        levels = self._grid.levels
        return (
            f"{self._kind} {self._settings.grid_mode} grid: {len(levels)} levels"
            f" {as_text(levels[0])}-{as_text(levels[-1])}, {as_text(self._qty)} {self._market.base} each,"
            f" at most {as_text(self._max_position)}"
        )


class QuoteStrategy:
    """Quote both sides of the price (`standard`)."""

    def __init__(self, settings: Settings, market: Market, store: StrategyStore) -> None:
        qty = floor_to(settings.quantity, market.lot)
        if qty < market.min_qty:
            raise ConfigError(
                f"{settings.quantity_text} is less than {market.symbol} allows"
                f" (lot {as_text(market.lot)}, smallest {as_text(market.min_qty)})"
            )
        self._market, self._store = market, store
        self._quotes = Quotes(
            spread=settings.spread,
            qty=qty,
            max_orders=settings.max_orders,
            max_position=settings.max_position or qty * POSITION_ORDERS,
            target=settings.target_position,
            threshold=settings.position_threshold,
            skew=settings.inventory_skew,
            may_fill_late=settings.live,
        )

    def prepare(self, price: Decimal) -> str:
        del price
        params = self._quotes
        return (
            f"quoting {params.max_orders} orders a side, {as_text(params.qty)} {self._market.base} each,"
            f" spread {as_text(params.spread)} %, at most {as_text(params.max_position)}"
        )

    def plan(
        self,
        live: Sequence[Order],
        price: Decimal,
        late: Sequence[Order] = (),
        told: Collection[int] = (),
    ) -> Plan:
        del told  # no quote has a position of its own
        return quotes.plan(self._quotes, self._market, live, price, self._store.ledger.position, late)

    def counter_orders(
        self,
        order: Order,
        filled: Decimal,
        live: Sequence[Order],
        late: Sequence[Order],
        coins: SpotCoins | None,
    ) -> list[OrderRequest]:
        del coins  # the quote that is told to be bought is quoted anew, on its own side
        position = self._store.ledger.position
        return quotes.counter_orders(self._quotes, self._market, live, position, order, filled, late)

    def price_range(self) -> tuple[Decimal, Decimal] | None:
        return None

    def can_move_range(self, now: float) -> bool:
        del now
        return False

    def move_range(self, price: Decimal, now: float) -> str:
        del now
        raise AssertionError(f"quotes have no range to move to {price}")

    def describe(self) -> dict[str, Any] | None:
        return None


def grid_fingerprint(settings: Settings, market: Market) -> list[str]:
    """Return what the cells' inventories depend on. A change starts a new grid with the position."""
    values = (
        settings.grid_lower,
        settings.grid_upper,
        settings.grid_num,
        settings.grid_mode,
        _kind_of(settings),
        floor_to(settings.quantity, market.lot),
        market.tick,
    )
    return [str(value) for value in values]


def _kind_of(settings: Settings) -> str:
    # On a spot market only what was bought can be sold: neutral is long there.
    return settings.grid_type if settings.perp else "long"


def make_strategy(settings: Settings, market: Market, store: StrategyStore) -> Strategy:
    """Return the strategy of `settings`. Raises ConfigError when the market's rules don't allow it."""
    if settings.is_grid:
        return GridStrategy(settings, market, store)
    return QuoteStrategy(settings, market, store)
