"""Keep a run's drawdown from every tick: a fall that is over before the next sample counts as well.

It is that of the P&L as the bot knew it. A fill that is listed late, or funding, counts from when it is
booked, and the falls before it stay what they were; while it is unknown what an order of the bot has filled,
the P&L is not counted, as it may be that of a position which is closed. On a price that is a single trade's,
or the middle of a book, two looks count as what both agree on, as they do for a bound: one print is no fall.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from gridbot.exchanges.exchange import Exchange
from gridbot.store.drawdown import Drawdown
from gridbot.store.store import Store
from gridbot.trading.missing import LOST_AFTER_S
from gridbot.trading.second_look import APART_S, SAME_ANSWER_S


@dataclass(slots=True)
class _Looks:
    """Hold the first of some looks, and the lowest and the highest P&L of all of them."""

    at: float
    answer: object
    low: Decimal
    high: Decimal


class DrawdownWatch:
    """Note the P&L of each tick, and write what that changes at once: a kill forgets nothing."""

    def __init__(self, store: Store, exchange: Exchange) -> None:
        self._store, self._exchange = store, exchange
        self._drawdown = store.samples.drawdown(store.run_id)
        self._looks: _Looks | None = None
        self._unsettled_since: float | None = None
        # Whether the position may be another one than the record says, as an order's fill is not listed yet.
        self.awaits_fills = False

    @property
    def figure(self) -> dict[str, float | None]:
        """Return the deepest fall under its name in the report, None before anything was noted."""
        return {"max_drawdown": None if self._drawdown is None else float(self._drawdown.deepest)}

    def note(self, price: Decimal, now: float, unsettled: int = 0) -> None:
        """Count the P&L at `price`. `unsettled`: of how many orders it is not known what they have filled."""
        self.awaits_fills = self._is_unknown(now, unsettled)
        if self.awaits_fills:
            return
        pnl = self._store.pnl(price)
        known = self._agreed(pnl, now)
        is_first = self._drawdown is None
        if self._drawdown is None:
            self._drawdown = Drawdown()
        has_changed = known is not None and self._drawdown.note(*known)
        if is_first or has_changed:
            self.keep(now)

    def keep(self, now: float) -> None:
        """Write what was noted until now."""
        if self._drawdown is not None:
            self._store.samples.keep_drawdown(self._store.run_id, self._drawdown, now)

    def _is_unknown(self, now: float, unsettled: int) -> bool:
        """Tell whether the P&L may not be true. What stays unknown for long must not hide a fall."""
        if not unsettled:
            self._unsettled_since = None
            return False
        since = now if self._unsettled_since is None else min(self._unsettled_since, now)
        self._unsettled_since = since
        return now - since <= LOST_AFTER_S

    def _agreed(self, pnl: Decimal, now: float) -> tuple[Decimal, Decimal] | None:
        """Return between which two values the P&L is, as far as it is certain."""
        if self._exchange.price_is_firm or not self._store.ledger.position:
            self._looks = None
            return pnl, pnl
        answer, looks = getattr(self._exchange, "price_answer", None), self._looks
        if looks is None:
            self._looks = _Looks(now, answer, pnl, pnl)
            return None
        looks.at = min(looks.at, now)  # the clock may be set back
        looks.low, looks.high = min(looks.low, pnl), max(looks.high, pnl)
        is_same = answer is not None and answer == looks.answer
        if now - looks.at < (SAME_ANSWER_S if is_same else APART_S):
            return None
        self._looks = _Looks(now, answer, pnl, pnl)
        return looks.low, looks.high
