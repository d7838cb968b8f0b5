"""No level is traded twice where a fill is listed after its order was cancelled, and replaced."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.model.types import Order, OrderRequest, Side
from gridbot.strategies.doubled import surplus
from gridbot.strategies.grid import Grid, plan
from gridbot.trading.late_fills import LATE_FILL_S
from tests import cases
from tests.bot.kits.aster import Aster
from tests.bot.kits.backpack import Backpack, BackpackSpot
from tests.bot.kits.kit import Kit, Run
from tests.bot.kits.lighter import Lighter
from tests.bot.worlds import PERP, order_of
from tests.fake_exchange.book import BookOrder

D = Decimal
QTY = D("0.1")
KINDS = (Backpack, Aster, Lighter, BackpackSpot)
SEEDS = range(1, 101 if cases.is_long else 4)
LONG = Grid(tuple(D(level) for level in (100, 110, 120, 130, 140)), 4, D(1), D(4))


def entry(cell: int, client_id: int, **more: Any) -> Order:
    request = OrderRequest(f"L{cell}", Side.BUY, LONG.levels[cell], D(1), cell, post_only=True)
    return replace(order_of(request, client_id), **more)


def exit_of(cell: int, client_id: int, **more: Any) -> Order:
    request = OrderRequest(f"L{cell + 1}", Side.SELL, LONG.levels[cell + 1], D(1), cell)
    return replace(order_of(request, client_id), **more)


class LateFills:
    """A market on which cancelled orders turn out to be filled, within the time that is waited for it.

    Most are cancelled by the bot's own plan, and some as by a person.
    """

    def __init__(self, kit: Kit, folder: Path) -> None:
        self.kit, self.run = kit, Run(kit, folder)
        self._due = list[tuple[float, BookOrder]]()
        self._seen = set[str]()
        self.late = self.closed_twice = 0

    def walk(self, ticks: int) -> None:
        price = D(150)
        for _ in range(ticks):
            price = min(
                max(price + D(self.kit.random.choice([-100, -50, 0, 0, 50, 100])) / 100, D(144)), D(156)
            )
            self._fill_late()
            self.kit.book.move(price)
            live = [order for order in self.run.store.live_orders() if order.exchange_id is not None]
            if live and self.kit.random.random() < 0.4:
                self.run.engine._placing.cancel(self.kit.random.choice(live), self.kit.now)
            self.run.tick(1.0)
            self._schedule()
            if self.run.engine.settings.is_grid:
                self._check_cells()

    def _schedule(self) -> None:
        for order in self.kit.book.orders.values():
            if order.foreign or order.open or order.filled or order.id in self._seen:
                continue
            self._seen.add(order.id)
            if self.kit.random.random() < 0.4:
                self._due.append((self.kit.now + self.kit.random.uniform(1.0, LATE_FILL_S - 2), order))

    def _fill_late(self) -> None:
        for at, order in list(self._due):
            if at <= self.kit.now + 1.0:
                self._due.remove((at, order))
                if order.side == "Ask" and not self.run.market.perp and self.kit.book.coins() < order.qty:
                    continue  # what is offered anew cannot be gone
                assert order.price is not None
                self.kit.book._fill(order, order.price, order.qty, maker=True)
                self.late += 1

    def _check_cells(self) -> None:
        """Each cell holds at most one order's quantity, and what rests at the exchange makes it no more."""
        held = self.run.store.cells()
        resting = {order.id for order in self.kit.book.own_open()}
        for cell, amount in held.items():
            own = [
                one for one in self.run.store.live_orders() if one.cell == cell and one.exchange_id in resting
            ]
            entries = [one for one in own if one.post_only]
            exits = [one for one in own if not one.post_only]
            assert abs(amount) <= QTY, f"cell {cell} holds {amount}"
            assert not entries or abs(amount) + entries[0].remaining <= QTY, f"cell {cell} is bought twice"
            closes = sum((one.remaining for one in exits), D(0))
            assert not exits or closes <= -amount * exits[0].side.sign, f"cell {cell} is closed twice"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_grids_cells_are_never_doubled(kind: type[Kit], seed: int, tmp_path: Path) -> None:
    market = LateFills(kind(seed=seed), tmp_path)
    market.walk(120)
    assert market.late > 3
    market.run.end()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", KINDS)
def test_quotes_never_pass_the_bound_and_go_on(kind: type[Kit], seed: int, tmp_path: Path) -> None:
    kit = kind(seed=seed)
    kit.settings = replace(kit.settings, strategy="standard", spread=D("0.5"), max_orders=2)
    market = LateFills(kit, tmp_path)
    market.walk(120)
    assert market.late > 3
    assert len(kit.book.fills) > 3 * market.late / 2, "it trades all the while"
    market.run.end()


def test_an_order_that_answers_a_fill_before_it_is_booked_stays() -> None:
    """A cell whose exit is told to be filled holds, until that is booked, what its next entry is to buy."""
    for own, held, extra in (
        ([exit_of(1, 1), entry(1, 2)], D(0), 1),
        ([exit_of(1, 1)], D(0), 1),
        ([exit_of(1, 1)], D(1), None),
        ([entry(1, 2)], D(1), 2),
        ([entry(1, 2, filled=D(1) / 2)], D(1) / 2, None),
    ):
        order = surplus(PERP, own, held, ())
        assert (order and order.client_id) == extra
        assert surplus(PERP, own, held, {own[-1].client_id}) is None


def test_an_entry_waits_for_one_and_an_exit_for_two() -> None:
    gone = [entry(1, 1), exit_of(2, 2)]
    placed = plan(LONG, PERP, {2: D(1)}, [], D(125), D(1), gone).place
    assert [(one.side, one.price) for one in placed] == [(Side.SELL, D(130)), (Side.BUY, D(100))]
    twice = plan(LONG, PERP, {2: D(1)}, [], D(125), D(1), [*gone, exit_of(2, 3)]).place
    assert [(one.side, one.price) for one in twice] == [(Side.BUY, D(100))]
    half = replace(gone[0], filled=D("0.5"))
    assert D(110) in [one.price for one in plan(LONG, PERP, {}, [], D(125), D(0), [half]).place]
    # What it is filled by later takes the entry's place in the same plan.
    booked = plan(LONG, PERP, {1: D(1)}, [entry(1, 3)], D(125), D(1))
    assert [order.client_id for order in booked.cancel] == [3]
    assert (Side.SELL, D(120)) in [(one.side, one.price) for one in booked.place]
