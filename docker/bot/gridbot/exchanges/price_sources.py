"""Provide prices to the paper exchange: from a seeded synthetic market, a CSV file or the real market.

A source returns the prices since the last call, oldest first, and never an empty list.
"""

from __future__ import annotations

import csv
import math
import random
import time
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from pathlib import Path
from typing import Protocol

from gridbot.config.settings import Settings
from gridbot.exchanges import venues
from gridbot.model.errors import ConfigError
from gridbot.model.levels import make_levels
from gridbot.model.types import Market, floor_to

STEP_S = 0.5
# At most this many steps are walked at once: a bot that slept for an hour doesn't find an hour of fills.
MAX_STEPS = 240
# Volatility as a share of the price per square root of a second, in bursts and between them. It knows nothing
# of the user's grid: a market that did would make money for any grid. Together about 2 % a day, so
# that a range of a few per cent still holds tomorrow.
BUSY, CALM = 0.001, 0.00006
# The mean length of both, in seconds.
BUSY_S, CALM_S = 15.0, 7200.0
# A new run begins with a burst of its own, so that its first trades come within seconds: 2 %.
FIRST_BURST, FIRST_BURST_S = 0.004, 25.0

QUANTITY_DIGITS = 8
# A paper market's tick is made this many digits finer at most for levels that would fall onto one.
MOST_TICK_DIGITS = 8


class EndOfDataError(Exception):
    """Report that a replay has no more rows."""


class PriceSource(Protocol):
    """Return prices in the order in which they were traded."""

    name: str

    def next_prices(self) -> list[Decimal]:
        """Return the prices since the last call, oldest first."""


class SyntheticPrices:
    """Walk randomly, without a drift and without a level to come back to. A seed gives one walk."""

    name = "synthetic"

    def __init__(
        self,
        seed: str,
        start: Decimal,
        tick: Decimal,
        *,
        is_new: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the walk at `start`. `is_new` is false where an earlier process's walk goes on."""
        self._random = random.Random(f"{seed}|{start}")
        self._tick, self._clock = tick, clock
        self._last = clock()
        self._price = float(start)
        self._burst, self._burst_steps = FIRST_BURST, round(FIRST_BURST_S / STEP_S) if is_new else 0

    def next_prices(self) -> list[Decimal]:
        steps = int((self._clock() - self._last) / STEP_S)
        self._last += steps * STEP_S
        return [self._step() for _ in range(min(steps, MAX_STEPS))] or [self._quoted()]

    def _step(self) -> Decimal:
        if self._burst_steps > 0:
            self._burst_steps -= 1
        elif self._random.random() < STEP_S / CALM_S:
            self._burst, self._burst_steps = BUSY, math.ceil(self._random.expovariate(STEP_S / BUSY_S))
        sigma = (self._burst if self._burst_steps else CALM) * math.sqrt(STEP_S)
        # The second term keeps the expected price where it is: without it, the exponential drifts upwards.
        self._price *= math.exp(sigma * self._random.gauss(0, 1) - sigma * sigma / 2)
        self._price = max(self._price, float(self._tick))
        return self._quoted()

    def _quoted(self) -> Decimal:
        nearest = (Decimal(repr(self._price)) / self._tick).to_integral_value(ROUND_HALF_EVEN) * self._tick
        return max(nearest, self._tick)


class LivePrices:
    """Return the real market's price at each call. Raises ExchangeError when the exchange doesn't answer."""

    name = "live"

    def __init__(self, price: Callable[[], Decimal]) -> None:
        self._price = price

    def next_prices(self) -> list[Decimal]:
        return [self._price()]


class ReplayPrices:
    """Read prices from a CSV file, one row a call: column `price` or `close`, optionally `open,high,low`.

    The file needs a header. Raises ConfigError for a file without prices, EndOfDataError after the last row.
    """

    name = "replay"

    def __init__(self, path: Path) -> None:
        self._rows = iter(read_prices(path))

    def next_prices(self) -> list[Decimal]:
        for row in self._rows:
            return row
        raise EndOfDataError


def read_prices(path: Path) -> list[list[Decimal]]:
    """Return each row's prices: one, or open, low, high and close with the nearer extreme first."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
            last = next((names[name] for name in ("price", "close", "last") if name in names), None)
            if last is None:
                raise ConfigError(f"--replay: {path} has no column price or close")
            rows: list[list[Decimal]] = []
            for row in reader:
                try:
                    close = Decimal(row[last])
                    if all(name in names for name in ("open", "high", "low")):
                        first, high, low = (Decimal(row[names[name]]) for name in ("open", "high", "low"))
                        rows.append([first, *((low, high) if close >= first else (high, low)), close])
                    else:
                        rows.append([close])
                    if not all(price.is_finite() and price > 0 for price in rows[-1]):
                        raise InvalidOperation
                except (InvalidOperation, TypeError):
                    raise ConfigError(f"--replay: {path}:{reader.line_num}: not a price") from None
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise ConfigError(f"--replay: cannot read {path}: {err}") from err
    if not rows:
        raise ConfigError(f"--replay: {path} has no rows")
    return rows


def synthetic_prices(settings: Settings, market: Market, start: Decimal | None, seed: str) -> SyntheticPrices:
    """Return the walk of a run: on from `start`, or from near the middle of the grid, or from about 100."""
    if start is not None:
        return SyntheticPrices(seed, start, market.tick, is_new=False)
    middle, spacing = Decimal(100), Decimal(0)
    if settings.is_grid:
        middle = (settings.grid_lower + settings.grid_upper) / 2
        spacing = (settings.grid_upper - settings.grid_lower) / (settings.grid_num - 1)
    offset = Decimal(repr(random.Random(seed).uniform(-0.3, 0.3)))
    return SyntheticPrices(
        seed, max(floor_to(middle + spacing * offset, market.tick), market.tick), market.tick
    )


def assumed_market(settings: Settings) -> Market:
    """Return rules for a symbol without an exchange: a tick of 1/10000 of the price, and a lot that fits."""
    base, quote = venues.currencies(settings.exchange, settings.symbol)
    middle = (settings.grid_lower + settings.grid_upper) / 2 if settings.is_grid else Decimal(100)
    exponents = [min(middle.adjusted() - 4, 0)]
    if settings.is_grid:
        exponents += [_exponent(settings.grid_lower), _exponent(settings.grid_upper)]
        step = (settings.grid_upper - settings.grid_lower) / (settings.grid_num - 1)
        exponents.append(step.adjusted() - 2)
        exponents.append(_exponent_of_levels(settings, min(exponents)))
    # A quantity that is the quotient of two others has no end; eight digits of it are enough.
    quantity = settings.quantity
    lot = Decimal(1).scaleb(min(max(_exponent(quantity), quantity.adjusted() - QUANTITY_DIGITS + 1), 0))
    return Market(
        symbol=settings.symbol,
        base=base,
        quote=quote,
        perp=settings.perp,
        tick=Decimal(1).scaleb(min(exponents)),
        lot=lot,
        min_qty=lot,
    )


def _exponent_of_levels(settings: Settings, exponent: int) -> int:
    """Return the tick's exponent, lowered as far as the levels need it: geometric ones lie closer below."""
    bounds = settings.grid_lower, settings.grid_upper
    for lower in range(exponent, exponent - MOST_TICK_DIGITS, -1):
        try:
            make_levels(*bounds, settings.grid_num, settings.grid_mode, Decimal(1).scaleb(lower))
        except ConfigError:
            continue
        return lower
    return exponent


def _exponent(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0
