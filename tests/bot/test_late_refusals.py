"""Orders that an exchange accepts before it checks them: a bot is not green whose orders are refused then."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.model.condition import Code
from gridbot.trading.run_ending import CompletedError
from tests.bot.kits.kit import Kit, Run, running
from tests.bot.kits.lighter import Lighter
from tests.bot.kits.paradex import Paradex
from tests.fake_exchange.book import BookOrder

# The exchange's word -> what it means for the trader.
LIGHTER = {
    "canceled-margin-not-allowed": "insufficient_funds",
    "canceled-invalid-balance": "insufficient_funds",
    "canceled-position-not-allowed": "other",
}
PARADEX = {
    "NOT_ENOUGH_MARGIN": "insufficient_funds",
    "ORDER_EXCEEDS_POSITION_LIMIT": "other",
    "ORDER_SIZE_BELOW_MIN": "below_minimum",
}
CASES = [(Lighter, *case) for case in LIGHTER.items()] + [(Paradex, *case) for case in PARADEX.items()]


def refuse_late(kit: Kit, word: str) -> Callable[[], None]:
    """Let each new order be accepted, and be ended then with `word`. Return how to end that."""
    assert isinstance(kit, Lighter | Paradex)
    carry_out, ends = kit.answer, kit.status if isinstance(kit, Lighter) else kit.reasons

    def answer(path: str, method: str, params: dict[str, Any]) -> Any:
        known = set(kit.book.orders)
        answered = carry_out(path, method, params)
        for order_id in set(kit.book.orders) - known:
            kit.book.orders[order_id].status = "Cancelled"
            ends[order_id] = word
        return answered

    kit.answer = answer  # type: ignore[method-assign]

    def end() -> None:
        kit.answer = carry_out  # type: ignore[method-assign]

    return end


def assert_trades_again(run: Run, kit: Kit) -> None:
    """Assert that the bot finds out by itself, within half an hour, that its orders are accepted."""
    for _ in range(30):
        run.tick(60.0)
    assert run.engine.condition().code is Code.TRADING
    assert len(kit.book.own_open()) >= 5


@pytest.mark.parametrize(("kind", "word", "cause"), CASES)
def test_orders_that_are_refused_after_they_were_accepted_are_refused_orders(
    kind: type[Kit], word: str, cause: str, tmp_path: Path
) -> None:
    kit = kind()
    others = len(kit.book.orders)
    end = refuse_late(kit, word)
    run = Run(kit, tmp_path)
    for _ in range(40):
        run.tick()
    condition = run.engine.condition()
    assert (condition.code, condition.params["cause"], condition.params["error"]) == (
        Code.ORDERS_REFUSED,
        cause,
        word,
    )
    assert condition.is_degraded
    assert len(kit.book.orders) - others < 40, "not a full grid with each tick"
    end()
    assert_trades_again(run, kit)
    assert run.failures == []
    run.end()


@pytest.mark.parametrize("kind", [Lighter, Paradex])
def test_the_levels_that_rest_say_nothing_of_those_that_are_refused(kind: type[Kit], tmp_path: Path) -> None:
    kit = kind()
    run = running(kit, tmp_path)
    assert run.engine.condition().code is Code.TRADING
    for order in kit.book.own_open()[:3]:
        kit.book.cancel(order.id)
    refuse_late(kit, next(iter(LIGHTER if kind is Lighter else PARADEX)))
    for _ in range(30):
        run.tick()
    assert run.engine.condition().code is Code.ORDERS_REFUSED
    assert len(kit.book.own_open()) >= 3
    run.store.close()


@pytest.mark.parametrize("kind", [Lighter, Paradex])
def test_a_post_only_order_that_would_take_is_no_refusal(kind: type[Kit], tmp_path: Path) -> None:
    kit = kind()
    refuse_late(kit, "canceled-post-only" if kind is Lighter else "POST_ONLY_WOULD_CROSS")
    run = Run(kit, tmp_path)
    for _ in range(5):
        run.tick()
    assert run.engine.condition().code is Code.TRADING
    run.store.close()


@pytest.mark.parametrize("kind", [Lighter, Paradex])
@pytest.mark.parametrize("word", ["canceled-for-what-nobody-knows", "canceled-post-only"])
def test_orders_that_are_ended_again_and_again_are_refused_whatever_it_is_called(
    kind: type[Kit], word: str, tmp_path: Path
) -> None:
    kit = kind()
    others = len(kit.book.orders)
    end = refuse_late(kit, word)
    run = Run(kit, tmp_path)
    for _ in range(40):
        run.tick()
    assert run.engine.condition().code is Code.ORDERS_REFUSED
    assert len(kit.book.orders) - others < 100, "each level waits longer each time"
    end()
    assert_trades_again(run, kit)
    run.end()


@pytest.mark.parametrize("kind", [Lighter, Paradex])
def test_one_level_that_is_ended_each_time_waits_longer_each_time(kind: type[Kit], tmp_path: Path) -> None:
    kit = kind()
    run = running(kit, tmp_path)
    victim = kit.book.own_open()[0]
    placed = 0
    for _ in range(60):
        for order in kit.book.own_open():
            if order.price == victim.price:
                placed += 1
                kit.book.cancel(order.id)
        run.tick()
    assert 3 <= placed <= 12
    assert run.engine.condition().code is Code.ORDERS_REFUSED
    assert len(kit.book.own_open()) >= 4, "the others stay"
    for _ in range(20):
        run.tick(60.0)
    assert victim.price in {order.price for order in kit.book.own_open()}
    run.end()


@pytest.mark.parametrize("kind", [Lighter, Paradex])
def test_what_the_bot_cancels_itself_is_no_refusal(kind: type[Kit], tmp_path: Path) -> None:
    kit = kind()
    run = Run(kit, tmp_path)
    for _ in range(8):
        for is_paused in (True, False):
            run.engine.shared.pause_requested = is_paused
            run.tick()
            run.tick()
    assert run.engine.condition().code is Code.TRADING
    assert len(kit.book.own_open()) >= 5, "no level waits"
    run.end()


@pytest.mark.parametrize("kind", [Lighter, Paradex])
def test_a_level_that_is_ended_three_times_in_a_row_may_be_chance_and_four_times_not(
    kind: type[Kit], tmp_path: Path
) -> None:
    kit = kind()
    run = running(kit, tmp_path)
    refusals = []
    for _ in range(5):
        drop(kit, Decimal(149))
        while Decimal(149) not in {order.price for order in kit.book.own_open()}:
            run.tick(61.0)
        refusals.append(run.engine._refusals._count)
    assert refusals == [0, 0, 0, 1, 2]
    run.store.close()


def drop(kit: Kit, *prices: Decimal) -> None:
    """End this bot's orders at these prices, as a person or the exchange may."""
    for order in kit.book.own_open():
        if order.price in prices:
            kit.book.cancel(order.id)


@pytest.mark.parametrize("kind", [Lighter, Paradex])
def test_the_nearest_level_that_is_ended_each_time_keeps_no_other_from_its_turn(
    kind: type[Kit], tmp_path: Path
) -> None:
    kit = kind()
    run = running(kit, tmp_path)
    for _ in range(60):
        drop(kit, Decimal(149))
        run.tick()
    assert run.engine.condition().code is Code.ORDERS_REFUSED
    drop(kit, Decimal(148))
    for _ in range(5):  # each is longer than any pause
        drop(kit, Decimal(149))
        run.tick(300.0)
    assert Decimal(148) in {order.price for order in kit.book.own_open()}
    for _ in range(10):
        drop(kit, Decimal(148), Decimal(149))
        run.tick()
    for _ in range(20):
        drop(kit, Decimal(149))
        run.tick(300.0)
    assert Decimal(148) in {order.price for order in kit.book.own_open()}, "they take turns"
    run.end()


@pytest.mark.parametrize("kind", [Lighter, Paradex])
def test_a_position_is_closed_at_once_although_a_level_is_refused(kind: type[Kit], tmp_path: Path) -> None:
    kit = kind()
    kit.settings = replace(kit.settings, stop_loss=Decimal("0.05"))
    run = running(kit, tmp_path)
    kit.book.move(Decimal("148.9"))
    run.tick()
    run.tick()
    assert run.store.ledger.position
    for _ in range(200):
        drop(kit, Decimal(155))
        run.tick()
    while run.engine._refusals.allows_attempt(kit.now + 60):
        drop(kit, Decimal(155))
        run.tick()
    drop(kit, Decimal(155))
    kit.book.move(Decimal("148.2"))
    with suppress(CompletedError):
        for _ in range(10):
            run.tick(2.0)
    assert kit.book.position() == 0
    run.store.close()


@pytest.mark.parametrize("kind", [Lighter, Paradex])
def test_a_clock_that_is_set_back_leaves_no_bot_with_refused_orders(kind: type[Kit], tmp_path: Path) -> None:
    kit = kind()
    run = running(kit, tmp_path)
    for _ in range(60):
        drop(kit, Decimal(149))
        run.tick()
    assert run.engine.condition().code is Code.ORDERS_REFUSED
    kit.now -= 7200
    for _ in range(100):
        run.tick()
    assert run.engine.condition().code is Code.TRADING
    run.store.close()


@pytest.mark.parametrize("kind", [Lighter, Paradex])
def test_a_closing_that_is_never_filled_is_tried_with_each_tick_and_said(
    kind: type[Kit], tmp_path: Path
) -> None:
    kit = kind()
    kit.settings = replace(kit.settings, stop_loss=Decimal("0.05"))
    run = running(kit, tmp_path)
    kit.book.move(Decimal("148.9"))
    run.tick()
    run.tick()
    place, sent = kit.book.place, 0

    def end_unfilled(*words: Any, **options: Any) -> BookOrder:
        nonlocal sent
        if words[1] != "Market":
            return place(*words, **options)
        sent += 1
        order = place(words[0], "Limit", Decimal(1000), *words[3:])
        kit.book.cancel(order.id)
        return order

    kit.book.place = end_unfilled  # type: ignore[method-assign]
    kit.book.move(Decimal("148.2"))
    for _ in range(30):
        run.tick()
    assert sent > 20, "a loss grows meanwhile"
    condition = run.engine.condition()
    assert (condition.code, condition.params["closing"]) == (Code.ORDERS_REFUSED, "stop_loss")
    assert "NOT CLOSED" in str(condition.reason)
    kit.book.place = place  # type: ignore[method-assign]
    with suppress(CompletedError):
        for _ in range(3):
            run.tick()
    assert kit.book.position() == 0
    run.store.close()
