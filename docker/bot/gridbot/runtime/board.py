"""What the loop tells the web threads, and what they may ask of the loop. The only object both touch."""

from __future__ import annotations

import time
from typing import Any

# Three intervals without a tick is the contract; a shorter wait than this only measures a busy machine.
LEAST_PATIENCE_S = 5.0


class Board:
    """Attributes are replaced whole, never changed in place, so readers need no lock."""

    def __init__(self, interval: float, out_of_reach: float) -> None:
        """`out_of_reach`: seconds without an answer of the exchange after which the bot counts as unhealthy."""
        self.started_at = time.time()
        self.status: dict[str, Any] = {}
        self.note: str | None = "starting"
        self.finished = False
        self._out_of_reach = out_of_reach
        self._patience = max(3 * interval, LEAST_PATIENCE_S)
        self._last_tick: float | None = None
        self._last_contact: float | None = None
        # The wish of a person, taken up by the loop.
        self.want_pause: bool | None = None

    def ticked(self) -> None:
        self._last_tick = time.monotonic()

    def contact(self) -> None:
        """The exchange has answered."""
        self._last_contact = time.monotonic()
        self.note = None

    @property
    def last_tick_age(self) -> float | None:
        return None if self._last_tick is None else time.monotonic() - self._last_tick

    def health(self) -> tuple[bool, str | None]:
        """Whether the bot trades, and why not."""
        now = time.monotonic()
        if self.finished:
            return False, "stopping"
        if self._last_tick is None or self._last_contact is None or not self.status:
            return False, self.note or "starting"
        if now - self._last_tick > self._patience:
            return False, f"the trading loop has not ticked for {now - self._last_tick:.0f} s"
        if now - self._last_contact > self._out_of_reach:
            return (
                False,
                self.note or f"the exchange has been out of reach for {now - self._last_contact:.0f} s",
            )
        return True, None
