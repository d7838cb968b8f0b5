"""Hold what a person agreed to before a position is closed, and what has come of it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gridbot.model.errors import RefusedError
from gridbot.model.types import ZERO, Side, as_text


@dataclass(frozen=True, slots=True)
class Terms:
    """Hold what a person agreed to: never more than `qty`, never at a worse price than `price`."""

    side: Side
    qty: Decimal
    price: Decimal


@dataclass(slots=True)
class Closed:
    """Hold the result. `position` is what is left, which record and account agree on; None if unknown."""

    base: str
    quote: str
    position: Decimal | None = None
    qty: Decimal = ZERO
    value: Decimal = ZERO
    reason: RefusedError | None = None
    rest_is_tradable: bool = False
    report: dict[str, Any] | None = None

    @property
    def why(self) -> str | None:
        """Return why more is not closed, None where nothing keeps it from that."""
        return None if self.reason is None else str(self.reason)

    def as_json(self) -> dict[str, Any]:
        """Return it as the program prints it."""
        return {
            "position": None if self.position is None else as_text(self.position),
            "base": self.base,
            "quote": self.quote,
            "closed": as_text(self.qty),
            "average_price": as_text(round(self.value / self.qty, 8)) if self.qty else None,
            "done": self.position is not None and not self.rest_is_tradable,
            "why": self.why,
            **(self.reason.as_code() if self.reason else {}),
            "report": self.report,
        }
