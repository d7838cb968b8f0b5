"""Times of executions: an exchange that leaves one out, or has another unit, hides no execution by it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.model.types import Fill, UnreadableFill
from tests.bot.kits.apex import Apex
from tests.bot.kits.aster import Aster, AsterSpot
from tests.bot.kits.backpack import Backpack, BackpackSpot
from tests.bot.kits.kit import Kit, Run
from tests.bot.kits.lighter import Lighter
from tests.bot.kits.paradex import Paradex

KITS = (Apex, Aster, AsterSpot, Backpack, BackpackSpot, Lighter, Paradex)
TIMES = ("createdAt", "created_at", "timestamp", "time")
# Of Backpack's executions, which bear the time as ISO 8601, there is no unit.
COUNTED = (Apex, Aster, Lighter, Paradex)


def with_times(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return what changes each time in an answer."""

    def spoil(answer: Any) -> Any:
        if isinstance(answer, list):
            return [spoil(row) for row in answer]
        if not isinstance(answer, dict):
            return answer
        return {key: change(value) if key in TIMES else spoil(value) for key, value in answer.items()}

    return spoil


@pytest.mark.parametrize("kind", KITS)
@pytest.mark.parametrize("value", [None, "", 0, "soon"])
def test_an_execution_without_a_time_is_not_taken_for_an_old_one(kind: type[Kit], value: Any) -> None:
    kit = kind()
    order = kit.book.place("Bid", "Market", None, kit.book.lot, 7)
    kit.spoilt["executions"] = with_times(lambda _: value)
    [fill] = kit.adapter.fills(kit.now - 60)
    assert isinstance(fill, UnreadableFill)
    assert fill.exchange_id == order.id


@pytest.mark.parametrize("kind", COUNTED)
@pytest.mark.parametrize("factor", [Decimal("0.001"), 1000, 1_000_000])
def test_a_time_is_understood_in_any_unit(kind: type[Kit], factor: Decimal | int) -> None:
    kit = kind()
    kit.book.place("Bid", "Market", None, kit.book.lot, 7)
    kit.now += 3600
    kit.book.place("Bid", "Market", None, kit.book.lot, 8)
    kit.spoilt["executions"] = with_times(lambda at: int(at * factor))
    [fill] = kit.adapter.fills(kit.now - 60)
    assert isinstance(fill, Fill)
    assert abs(fill.at - kit.now) < 1


@pytest.mark.parametrize("kind", KITS)
def test_what_is_filled_of_an_open_order_is_counted_without_a_time(kind: type[Kit], tmp_path: Path) -> None:
    kit = kind(lot=Decimal("0.01"))
    kit.spoilt["executions"] = with_times(lambda _: None)
    run = Run(kit, tmp_path)
    run.tick()
    run.tick()
    order = max(kit.book.own_open(), key=lambda one: (one.side == "Bid", one.price))
    assert order.price is not None
    kit.book._fill(order, order.price, Decimal("0.04"), maker=True)
    run.tick()
    assert run.store.ledger.position == Decimal("0.04")
    run.walk(20)
    assert run.failures == []
    run.end(fees_are_known=False)


@pytest.mark.parametrize("kind", KITS)
def test_an_execution_from_the_future_hides_none_after_it(kind: type[Kit], tmp_path: Path) -> None:
    kit = kind(lot=Decimal("0.01"))
    run = Run(kit, tmp_path)
    run.tick()
    run.tick()
    order = max(kit.book.own_open(), key=lambda one: (one.side == "Bid", one.price))
    assert order.price is not None
    for ahead in (86400, 0):
        kit.now += ahead
        kit.book._fill(order, order.price, Decimal("0.02"), maker=True)
        kit.now -= ahead
        run.tick()
    assert run.store.ledger.position == Decimal("0.04")
    run.store.close()


@pytest.mark.parametrize("kind", [Apex, Lighter, Paradex])  # aster's pages are told apart by times
@pytest.mark.parametrize("change", [str, lambda at: str(at // 1000), lambda _: "0", lambda _: None])
def test_times_of_any_form_are_read_on_every_page(kind: type[Kit], change: Callable[[int], Any]) -> None:
    kit = kind()
    kit.adapter._answers.most_on_page = 100
    for _ in range(150):
        kit.book.place("Bid", "Market", None, kit.book.lot)
    kit.spoilt["executions"] = with_times(change)
    fills = kit.adapter.fills(kit.now - 60)
    assert len({fill.trade_id for fill in fills}) == 150
