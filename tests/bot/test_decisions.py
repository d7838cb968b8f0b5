"""Small decisions of trading, each by itself."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from gridbot.model.condition import Code, Condition
from gridbot.model.types import Side
from gridbot.trading.others_part import OthersPosition
from gridbot.trading.run_ending import RunEnding
from gridbot.trading.second_look import APART_S, SAME_ANSWER_S, SecondLook
from gridbot.trading.worst_case import WorstCase

D = Decimal


@pytest.mark.parametrize(("at", "is_fresh"), [(980.0, True), (1020.0, True), (979.0, False), (1021.0, False)])
def test_a_word_from_ahead_of_the_clock_is_as_old_as_one_from_behind(at: float, is_fresh: bool) -> None:
    assert OthersPosition(D(1), at).is_of(1000.0, within=20.0) is is_fresh


@pytest.mark.parametrize(
    ("side", "cost", "loss"), [(Side.BUY, 90, 0), (Side.BUY, 110, 10), (Side.SELL, 110, 0)]
)
def test_a_gain_is_no_loss_below_zero(side: Side, cost: int, loss: int) -> None:
    assert WorstCase(side, D(1), D(cost), D(100)).loss == loss


def test_what_keeps_a_run_from_closing_says_what_it_is_closed_for() -> None:
    ending = RunEnding(Condition(Code.STOPPED_OUT, "stop loss", {"by": "stop_loss"}), flatten=True)
    held_up = ending.held_up_by(Condition(Code.LEDGER_DIFFERS, "they differ", {"ledger": "1"}))
    assert held_up.params == {"ledger": "1", "closing": "stop_loss"}
    assert held_up.reason == "stop loss, and the position is NOT CLOSED: they differ"


def test_without_a_mark_price_a_decision_holds_at_all_looks_for_a_while() -> None:
    exchange: Any = SimpleNamespace(price_is_firm=False, mark_price=lambda: None)
    look = SecondLook(exchange)
    seen = [look.confirm(lambda price: price, D(1), at) for at in (10.0, 10.5, 10.0 + APART_S)]
    assert seen == [None, None, D(1)]


def test_the_same_answer_again_is_no_second_look() -> None:
    """It may come out of a cache, or be the same trade; a price that moves on is another look."""
    exchange: Any = SimpleNamespace(price_is_firm=False, mark_price=lambda: None, price_answer={"last": "1"})
    look = SecondLook(exchange)
    seen = [look.confirm(lambda price: price, D(1), at) for at in (10.0, 12.0, 18.0)]
    exchange.price_answer = {"last": "1", "volume": "2"}
    assert [*seen, look.confirm(lambda price: price, D(1), 18.5)] == [None, None, None, D(1)]


def test_the_same_answer_is_believed_when_it_stands() -> None:
    exchange: Any = SimpleNamespace(price_is_firm=False, mark_price=lambda: None, price_answer={"last": "1"})
    look = SecondLook(exchange)
    seen = [look.confirm(lambda price: price, D(1), at) for at in (10.0, 10.0 + SAME_ANSWER_S)]
    assert seen == [None, D(1)]


def test_a_mark_price_that_did_not_come_at_the_first_look_decides_at_the_next() -> None:
    marks = [None, D(100)]
    exchange: Any = SimpleNamespace(price_is_firm=False, mark_price=lambda: marks.pop(0))
    look = SecondLook(exchange)
    seen = [look.confirm(lambda price: price if price < 90 else None, D(75), at) for at in (10.0, 12.0)]
    assert seen == [None, None]


@pytest.mark.parametrize(("mark", "market"), [(None, 100), (98, 100), (104, 100), (120, 120), (80, 80)])
def test_a_grid_begins_at_the_last_trade_unless_that_is_far_from_the_market(
    mark: int | None, market: int
) -> None:
    price = None if mark is None else D(mark)
    exchange: Any = SimpleNamespace(price_is_firm=False, mark_price=lambda: price)
    assert SecondLook(exchange).market_price(D(100)) == market
