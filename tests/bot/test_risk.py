"""When a run ends, or its range moves."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.config import args
from gridbot.config.settings import Settings
from gridbot.model.condition import Code, Condition
from gridbot.model.errors import ConfigError
from gridbot.strategies import risk

D = Decimal


def settings(*more: str) -> Settings:
    return args.parse(
        [
            "--exchange",
            "backpack",
            "--symbol",
            "S_U",
            "--strategy",
            "perp_grid",
            "--grid-upper",
            "2",
            "--grid-lower",
            "1",
            "--quantity",
            "1",
            *more,
        ],
        {},
    )


def test_stop_loss_and_take_profit_are_inclusive() -> None:
    both = settings("--stop-loss", "5", "--take-profit", "7")
    assert risk.pnl_limit_reached(both, D("-4.99")) is None
    assert risk.pnl_limit_reached(both, D(-5)) == Condition(
        Code.STOPPED_OUT,
        "stop loss: P&L -5.0000 is at or below -5",
        {"by": "stop_loss", "limit": "-5", "value": "-5"},
    )
    assert risk.pnl_limit_reached(both, D("6.99")) is None
    assert risk.pnl_limit_reached(both, D(7)) == Condition(
        Code.STOPPED_OUT,
        "take profit: P&L 7.0000 is at or above 7",
        {"by": "take_profit", "limit": "7", "value": "7"},
    )
    assert risk.pnl_limit_reached(settings(), D(-1_000_000)) is None


def test_a_loss_may_be_given_with_its_sign() -> None:
    assert settings("--stop-loss=-5").stop_loss == 5
    assert settings("--stop-loss", "0").stop_loss is None


def test_bounds_and_tolerance() -> None:
    assert risk.range_left(D(100), D(200), D("0.01"), D(202)) is None
    above = risk.range_left(D(100), D(200), D("0.01"), D("202.01"))
    assert above == Condition(
        Code.OUT_OF_RANGE,
        "price 202.01 is above the upper bound 200",
        {"price": "202.01", "side": "above", "bound": "200"},
    )
    assert risk.range_left(D(100), D(200), D("0.01"), D(99)) is None
    below = risk.range_left(D(100), D(200), D("0.01"), D("98.99"))
    assert below is not None
    assert below.reason == "price 98.99 is below the lower bound 100"
    assert risk.bound_reached(below) == Condition(
        Code.STOPPED_OUT, below.reason, {"by": "lower_bound", "limit": "100", "value": "98.99"}
    )


def test_a_moved_range_keeps_its_width_or_its_ratio() -> None:
    assert risk.moved_range(D(100), D(120), "arithmetic", D(130), D("0.01")) == (D(120), D(140))
    assert risk.moved_range(D(100), D(400), "geometric", D(600), D("0.01")) == (D(300), D(1200))


def test_a_range_never_moves_below_zero() -> None:
    assert risk.moved_range(D(10), D(30), "arithmetic", D(5), D("0.01")) == (D("0.01"), D("20.01"))
    with pytest.raises(ConfigError):
        risk.moved_range(D(1), D(2), "geometric", D("0.004"), D("0.01"))
