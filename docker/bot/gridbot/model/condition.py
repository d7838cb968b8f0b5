"""Describe what the bot is doing, as a code with parameters and as one English sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Code(StrEnum):
    """Name the conditions of the bot contract, version 2 (docker/README.md)."""

    TRADING = "trading"
    PAUSED = "paused"
    OUT_OF_RANGE = "out_of_range"
    EXCHANGE_AWAY = "exchange_away"
    ORDERS_REFUSED = "orders_refused"
    LEDGER_DIFFERS = "ledger_differs"
    STOPPED_OUT = "stopped_out"
    FINISHED = "finished"


# The bot is alive but cannot trade, and a restart would not help.
DEGRADED = frozenset({Code.EXCHANGE_AWAY, Code.ORDERS_REFUSED, Code.LEDGER_DIFFERS})


@dataclass(frozen=True, slots=True)
class Condition:
    """Hold a code, its parameters and the sentence that says the same."""

    code: Code
    reason: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_degraded(self) -> bool:
        """Tell whether the bot cannot trade although it is alive."""
        return self.code in DEGRADED

    def as_json(self) -> dict[str, Any]:
        """Return the code and the parameters."""
        return {"code": self.code.value, "params": dict(self.params)}


TRADING = Condition(Code.TRADING)
PAUSED = Condition(Code.PAUSED, "paused: no orders in the market")


def duration_over(duration: float) -> Condition:
    """Return what ends a run after so many seconds."""
    reason = f"duration of {duration:g} s is over"
    return Condition(Code.FINISHED, reason, {"by": "duration", "limit": f"{duration:g}"})
