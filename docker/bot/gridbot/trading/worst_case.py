"""Compute what a strategy holds, and has lost, when the price goes through its whole range. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from gridbot.config.settings import POSITION_ORDERS, Settings
from gridbot.model.types import ZERO, Market, Side, floor_to
from gridbot.strategies.grid import nearest_level, start_grid
from gridbot.strategies.strategy import grid_fingerprint


@dataclass(frozen=True, slots=True)
class WorstCase:
    """Hold the position of one side at the range's end: `cost` is what it was entered for.

    `entries`: the prices and quantities of which it consists, in the order in which they are reached.
    """

    side: Side
    qty: Decimal
    cost: Decimal
    end: Decimal
    entries: tuple[tuple[Decimal, Decimal], ...] = field(default=(), compare=False, kw_only=True)

    @property
    def value(self) -> Decimal:
        """Return the position's value at the range's end."""
        return self.qty * self.end

    @property
    def loss(self) -> Decimal:
        """Return what is lost by then, before fees, never below 0."""
        return max((self.cost - self.value) * self.side.sign, ZERO)

    def parts(self) -> Iterator[tuple[WorstCase, Decimal]]:
        """Yield what is held after each entry, and the next one's price; the range's end after the last."""
        qty = cost = ZERO
        following = [price for price, _part in self.entries[1:]]
        for (price, part), next_price in zip(self.entries, [*following, self.end], strict=True):
            qty, cost = qty + part, cost + price * part
            yield WorstCase(self.side, qty, cost, self.end), next_price

    def funds(self, leverage: Decimal) -> Decimal:
        """Return what the account needs: the margin of the position, and its loss."""
        return self.value / leverage + self.loss

    def liquidation(self, funds: Decimal, maintenance: Decimal) -> Decimal:
        """Return the price at which `funds` no longer cover the maintenance margin, 0 or less for none."""
        sign = self.side.sign
        return (self.cost - sign * funds) / (self.qty * (1 - sign * maintenance))


class RunningGrid(NamedTuple):
    """Hold the grid of a run that has begun: at another price than today's, and its range may have moved."""

    lower: Decimal
    upper: Decimal
    anchor: int


def running_grid(settings: Settings, market: Market, stored: Mapping[str, Any] | None) -> RunningGrid | None:
    """Return the grid that a bot's record has, None where a start would begin a new one."""
    if stored is None or not settings.is_grid or stored.get("of") != grid_fingerprint(settings, market):
        return None
    return RunningGrid(Decimal(stored["lower"]), Decimal(stored["upper"]), int(stored["anchor"]))


def worst_cases(
    settings: Settings,
    market: Market,
    levels: Sequence[Decimal],
    price: Decimal,
    running: RunningGrid | None = None,
) -> list[WorstCase]:
    """Return the worst case of each side that the strategy may take. Quotes have no range: they end here.

    A neutral grid is divided at the price, and a running one where it began. That one opens no initial
    position any more: at a price which has risen beyond the range it would cost more than all its entries.
    """
    qty = floor_to(settings.quantity, market.lot)
    if not settings.is_grid:
        most = settings.max_position or qty * POSITION_ORDERS
        sides = tuple(Side) if market.perp else (Side.BUY,)
        return [WorstCase(side, most, most * price, price) for side in sides]
    most = settings.max_position or qty * (settings.grid_num - 1)
    kind = settings.grid_type if market.perp else "long"
    anchor = {"long": len(levels) - 1, "short": 0}.get(kind)
    if anchor is None:
        anchor = nearest_level(levels, price) if running is None else running.anchor
    # A price that falls through the range meets the upper levels first, one that rises the lower ones.
    entries = {Side.BUY: levels[:anchor][::-1], Side.SELL: levels[anchor + 1 :]}
    ends = {Side.BUY: levels[0], Side.SELL: levels[-1]}
    cases = []
    for side, prices in entries.items():
        case = _case(side, (), prices, qty, most, ends[side])
        if case.qty:
            cases.append(case)
    if settings.initial_position and running is None and kind in ("long", "short"):
        side = Side.BUY if kind == "long" else Side.SELL
        cases.append(_from_initial(settings, market, levels, price, side))
    return cases


def _from_initial(
    settings: Settings, market: Market, levels: Sequence[Decimal], price: Decimal, side: Side
) -> WorstCase:
    """Return the case in which the price goes at once against a position that was opened at the market."""
    qty = floor_to(settings.quantity, market.lot)
    most = settings.max_position or qty * (settings.grid_num - 1)
    held = floor_to(settings.initial_position, market.lot)
    kind = settings.grid_type if market.perp else "long"
    _grid, filled = start_grid(tuple(levels), kind, price, qty, most, held * side.sign)
    level = nearest_level(levels, price)
    if side is Side.BUY:
        entries = [levels[cell] for cell in range(level - 1, -1, -1) if cell not in filled]
    else:
        entries = [levels[cell + 1] for cell in range(level, len(levels) - 1) if cell not in filled]
    end = levels[0] if side is Side.BUY else levels[-1]
    return _case(side, ((price, held),), entries, qty, most, end)


def _case(
    side: Side,
    held: tuple[tuple[Decimal, Decimal], ...],
    prices: Sequence[Decimal],
    qty: Decimal,
    most: Decimal,
    end: Decimal,
) -> WorstCase:
    """Return the case in which `qty` is added at each of `prices`, as far as `most` allows."""
    entries, total = list(held), sum((part for _price, part in held), ZERO)
    for price in prices:
        part = min(qty, most - total)
        if part <= 0:
            break
        entries.append((price, part))
        total += part
    cost = sum((price * part for price, part in entries), ZERO)
    return WorstCase(side, total, cost, end, entries=tuple(entries))
