"""The shipped configs are a demo that has to be worth looking at tomorrow, too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gridbot.exchanges.price_sources import BUSY, BUSY_S, CALM, CALM_S, FIRST_BURST, FIRST_BURST_S
from tests.bot.bots import RUN

ACTIVE = sorted((RUN.parents[2] / "config" / "active").glob("*.json"))
# The synthetic market's standard deviation of a day, and of a new run's first day, as a share of the price.
A_DAY = (86400 * CALM**2 + 86400 / CALM_S * BUSY_S * BUSY**2) ** 0.5
FIRST_DAY = (A_DAY**2 + FIRST_BURST_S * FIRST_BURST**2) ** 0.5


def test_the_market_moves_as_its_documentation_says() -> None:
    assert 0.018 < A_DAY < 0.025


@pytest.mark.parametrize("path", ACTIVE, ids=lambda path: path.stem)
def test_a_shipped_config_trades_after_a_day(path: Path) -> None:
    strategy = json.loads(path.read_text())["strategy_config"]
    upper, lower = strategy["grid_upper_price"], strategy["grid_lower_price"]
    half_width = (upper - lower) / (upper + lower)
    assert half_width > 2 * FIRST_DAY, "the range holds for a day nine times of ten"
    spacing = (upper - lower) / (strategy["grid_num"] - 1) / upper
    assert spacing > 2 * 2 * 0.0002, "a round trip earns more than its fees"
