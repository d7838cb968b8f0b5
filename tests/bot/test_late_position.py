"""A fill of an earlier range's order belongs to the grid that has begun meanwhile."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from gridbot.model.types import Side
from gridbot.strategies.grid import Grid
from gridbot.strategies.late_position import complete
from gridbot.trading.missing import LOST_AFTER_S
from tests.bot.kits.backpack import Backpack, BackpackSpot
from tests.bot.kits.kit import Kit, running
from tests.fake_exchange.book import BookOrder

D = Decimal
FIVE = Grid(tuple(D(level) for level in (100, 110, 120, 130, 140)), 4, D(1), D(9))


def fill(kit: Kit, order: BookOrder) -> None:
    assert order.price is not None
    kit.book._fill(order, order.price, order.qty - order.filled, maker=True)


@pytest.mark.parametrize("kind", [Backpack, BackpackSpot])
def test_what_an_earlier_ranges_order_has_bought_gets_an_exit(kind: type[Kit], tmp_path: Path) -> None:
    kit = kind()
    run = running(kit, tmp_path)
    gone = next(order for order in kit.book.own_open() if order.side == "Bid")
    run.engine.strategy.move_range(D(152), kit.now)
    run.tick(1.0)
    fill(kit, gone)
    for _ in range(4):
        run.tick()
    exits = [one for one in run.store.live_orders() if one.side is Side.SELL and not one.post_only]
    assert [one.qty for one in exits] == [gone.qty]
    assert sum(run.store.cells().values()) == run.store.ledger.position == gone.qty
    run.end()


@pytest.mark.parametrize("kind", [Backpack, BackpackSpot])
def test_what_an_earlier_ranges_order_has_sold_is_not_offered_again(kind: type[Kit], tmp_path: Path) -> None:
    """On a spot market that would be another's."""
    kit = kind()
    kit.book.balance = D(5)
    run = running(kit, tmp_path)
    kit.book.move(D(149))
    run.tick()
    run.tick()
    [own] = [one for one in run.store.live_orders() if one.side is Side.SELL and not one.post_only]
    run.engine.strategy.move_range(D(151), kit.now)
    run.tick(1.0)
    fill(kit, kit.find(own.exchange_id))
    for _ in range(4):
        run.tick()
    assert [one for one in run.store.live_orders() if not one.post_only] == []
    assert sum(run.store.cells().values()) == run.store.ledger.position == 0
    run.end()


def test_a_range_is_moved_when_it_is_known_what_is_held(tmp_path: Path) -> None:
    """What a jump has sold is listed a moment later: it would be offered again by the new range."""
    kit = Backpack()
    kit.settings = replace(kit.settings, boundary_check=True, boundary_action="adjust_range")
    run = running(kit, tmp_path)
    kit.book.move(D(149))
    run.tick()
    run.tick()
    kit.fault = "late fills"
    kit.book.move(D(163))
    for _ in range(2):
        run.tick(4.0)
        assert run.engine.strategy.price_range() == (D(140), D(160))
    for _ in range(4):
        run.tick(4.0)
    assert run.engine.strategy.price_range() == (D(153), D(173))
    assert sum(run.store.cells().values()) == run.store.ledger.position == kit.book.position()
    run.end()


def test_a_range_is_not_kept_waiting_for_ever(tmp_path: Path) -> None:
    kit = Backpack()
    kit.settings = replace(kit.settings, boundary_check=True, boundary_action="adjust_range")
    run = running(kit, tmp_path)
    run.engine._drawdown.note(D(150), kit.now, unsettled=1)
    assert run.engine._drawdown.awaits_fills
    run.engine._drawdown.note(D(150), kit.now + LOST_AFTER_S + 1, unsettled=1)
    assert not run.engine._drawdown.awaits_fills
    run.store.close()


def test_a_rest_closes_first_what_is_held_the_other_way() -> None:
    for cells, rest, price, wanted in (
        ({}, 2, 121, {2: 1, 3: 1}),
        ({2: D(1)}, 1, 121, {2: 1, 3: 1}),
        ({}, 5, 121, {2: 1, 3: 4}),
        ({}, -2, 121, {1: -1, 0: -1}),
        ({1: D(1), 3: D(1)}, -1, 131, {1: 1, 3: 0}),
        ({0: D(1), 3: D(1)}, -1, 101, {0: 0, 3: 1}),
        ({2: D(1)}, -2, 121, {2: 0, 1: -1}),
        ({}, 1, 150, {3: 1}),
        ({}, -1, 90, {0: -1}),
    ):
        assert complete(FIVE, cells, D(rest), D(price)) == wanted, (cells, rest, price)
