"""The exchange's own timer that cancels all orders: renewed while the bot ticks, ended at a stop, and never
in the way of trading.
"""

from __future__ import annotations

from typing import Any

import pytest

from gridbot.config import args
from gridbot.model.errors import ConfigError, ExchangeError, UnreachableError
from gridbot.trading.dead_man_switch import DeadManSwitch

GRID = ["--exchange", "lighter", "--symbol", "SOL", "--strategy", "perp_grid", "--grid-upper", "160"]
GRID += ["--grid-lower", "140", "--quantity", "0.1"]
ON = [*GRID, "--exclusive-account", "--cancel-all-after", "600"]


class Lighter:
    def __init__(self) -> None:
        self.asked: list[int] = []
        self.failure: ExchangeError | None = None

    def cancel_all_after(self, seconds: int) -> None:
        if self.failure is not None:
            raise self.failure
        self.asked.append(seconds)


def switch(exchange: Any, words: list[str], now: list[float]) -> DeadManSwitch:
    return DeadManSwitch(args.parse(words, {}), exchange, lambda: now[0])


def test_a_bot_that_ticks_asks_again_when_a_third_of_the_time_is_over() -> None:
    exchange, now = Lighter(), [0.0]
    one = switch(exchange, ON, now)
    for moment in range(0, 601, 10):
        now[0] = float(moment)
        one.renew()
    assert exchange.asked == [600, 600, 600, 600]
    one.end()
    assert exchange.asked[-1] == 0


def test_what_the_exchange_refuses_is_tried_at_the_next_tick_and_stops_no_trading() -> None:
    exchange, now = Lighter(), [0.0]
    one = switch(exchange, ON, now)
    exchange.failure = UnreachableError("away")
    one.renew()
    exchange.failure, now[0] = None, 1.0
    one.renew()
    assert exchange.asked == [600]
    exchange.failure = UnreachableError("away")
    one.end()


def test_it_is_off_by_default() -> None:
    exchange = Lighter()
    one = switch(exchange, GRID, [0.0])
    one.renew()
    one.end()
    assert exchange.asked == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([*GRID, "--cancel-all-after", "600"], "needs --exclusive-account"),
        ([*ON[:-1], "299"], "300-1296000 s, not 299"),
        ([*ON[:-1], "-1"], "300-1296000 s, not -1"),
        ([*ON[:1], "backpack", *ON[2:]], "backpack has no such call"),
    ],
)
def test_what_would_cancel_others_orders_or_cannot_be_had_is_refused(words: list[str], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        args.parse(words, {})
