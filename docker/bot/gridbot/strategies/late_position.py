"""Give the cells of a grid what was filled of orders from before it began. Pure.

A range is moved while the fills of the one before may not be listed yet. What they have bought would have no
exit, and what they have sold would be offered once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from gridbot.model.types import ZERO
from gridbot.strategies.grid import Grid, nearest_level


def complete(grid: Grid, cells: Mapping[int, Decimal], rest: Decimal, price: Decimal) -> dict[int, Decimal]:
    """Return the cells' inventories with `rest`, which none of them holds yet.

    It first reduces what is held the other way, nearest to the price. Then it is spread as a position is at a
    grid's begin: over the empty cells beyond the price, and the outermost one takes what is left.
    """
    new, sign, left = dict(cells), 1 if rest > 0 else -1, abs(rest)
    at, count = nearest_level(grid.levels, price), len(grid.levels) - 1
    against = [cell for cell, held in cells.items() if held * sign < 0]
    for cell in sorted(against, key=lambda cell: abs(cell - at)):
        part = min(abs(new[cell]), left)
        new[cell] += sign * part
        left -= part
    beyond = list(range(at, count)) if sign > 0 else list(range(at - 1, -1, -1))
    for cell in beyond:
        if left and not new.get(cell):
            part = min(grid.qty, left)
            new[cell] = sign * part
            left -= part
    if left:
        last = beyond[-1] if beyond else min(at, count - 1)
        new[last] = new.get(last, ZERO) + sign * left
    return new
