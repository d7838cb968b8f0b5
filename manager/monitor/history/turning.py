"""Leave out the samples that no figure at given moments is made of: of a day of a fleet, six in seven. Pure.

What is earned from one sample of a run to a later one is the same whatever lies between them. So of samples
that follow each other closely and are of the same run, the last one before each moment counts, which is what
had been earned by then. Those around a gap, and at the begin and the end of a run, all count; so do those
that alone tell that there is none, where it is not known that `watch` ran.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from manager.monitor.history.curve import GAP_S, Cover
from manager.monitor.history.model import Span

Row = Sequence[Any]
"""What a query of the P&L returns: at, kind, run, start, quote, base, pnl, trades, from_bot."""


def kept(rows: Iterable[Row], covered: Sequence[Span], moments: Sequence[float]) -> Iterator[Row]:
    """Yield those rows, which are in the order of time, that count at any of these moments, which are too.

    A row of the very second of a moment is before it, as in a curve: see `just_before`. `covered`: as of a
    curve.
    """
    cover = Cover(covered)
    last: Row | None = None
    last_at = until = known_until = -math.inf
    identity: tuple[object, ...] = ()
    is_told = True
    for row in rows:
        at, kind, run, start, quote, _base, pnl, _trades, _from_bot = row
        present = kind, run, start, quote, pnl is None
        if at > until or at > known_until or present != identity or at - last_at > GAP_S:
            if last is not None and not is_told:
                yield last
            place = bisect_left(moments, at)
            until = moments[place] if place < len(moments) else math.inf
            is_told = present != identity or at - last_at > GAP_S
            known_until = cover.until(at if is_told else last_at)
            if is_told:
                yield row
            identity = present
        else:
            is_told = False
        last, last_at = row, at
    if last is not None and not is_told:
        yield last


def just_before(moment: float) -> float:
    """Return the moment for `kept` that parts what is before it from what is of its very second, as a day's
    begin does.
    """
    return math.nextafter(moment, -math.inf)
