"""The strategies on a real store: how a grid begins."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from gridbot.config import args
from gridbot.exchanges.price_sources import assumed_market
from gridbot.model.errors import ConfigError
from gridbot.model.types import Fill, Order
from gridbot.store.ledger import Ledger
from gridbot.store.memory import MemoryStore
from gridbot.store.store import Store
from gridbot.strategies.grid import Plan
from gridbot.strategies.strategy import GridStrategy
from tests.bot.worlds import PERP, SPOT

D = Decimal
LINE = (
    "--exchange backpack --symbol SOL_USDC_PERP --strategy perp_grid --grid-lower 100 --grid-upper 140"
    " --grid-num 5"
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "bot.db", durable=False)
    made.begin_run("backpack SOL_USDC_PERP perp paper", "synthetic", {}, Ledger())
    yield made
    made.close()


def strategy(store: Store, more: str) -> GridStrategy:
    return GridStrategy(args.parse(f"{LINE} {more}".split(), {}), PERP, store)


def fill(store: Store, order: Order, qty: str, price: str) -> None:
    trade = f"t{store.ledger.trades}"
    stored = Fill(
        trade, f"x{order.client_id}", order.client_id, order.side, D(price), D(qty), D(0), "USDC", 1.0
    )
    assert store.add_trade(stored, order, PERP)


@pytest.mark.parametrize(
    ("kind", "opening", "cells", "exits"),
    [
        ("long", "buy", {2: D(1), 3: D(1)}, ["L3 sell 1 @ 130", "L4 sell 1 @ 140"]),
        ("short", "sell", {1: D(-1), 0: D(-1)}, ["L1 buy 1 @ 110", "L0 buy 1 @ 100"]),
    ],
)
def test_a_grid_begins_with_its_initial_position(
    store: Store, kind: str, opening: str, cells: dict[int, Decimal], exits: list[str]
) -> None:
    more = f"--quantity 1 --grid-type {kind} --initial-position 2"
    first = strategy(store, more)
    assert first.prepare(D(120)) == f"opening with {opening} 2 SOL at the market"
    [want] = first.plan((), D(120)).place
    assert (want.side, want.qty, want.market, want.cell) == (opening, D(2), True, None)
    order = store.new_order(want, 0.0)
    assert first.plan((order,), D(120)).place == (), "it waits while the outcome is unknown"
    fill(store, order, "1.5", "120")
    store.close_order(order.client_id, "canceled")
    # A restart in the middle goes on with what is missing.
    second = strategy(store, more)
    second.prepare(D(120))
    [rest] = second.plan((), D(120)).place
    assert rest.qty == D("0.5")
    order = store.new_order(rest, 0.0)
    fill(store, order, "0.5", "120")
    store.close_order(order.client_id, "filled")
    placed = second.plan((), D(120)).place
    assert store.cells() == cells
    assert [f"{w.slot} {w.side} {w.qty} @ {w.price}" for w in placed][:2] == exits
    # It is an opening, not a floor: what was sold since is not bought again at the market.
    third = strategy(store, more)
    assert third.prepare(D(120)).startswith("resuming")


def test_an_endless_quotient_makes_no_endless_lot() -> None:
    settings = args.parse(f"{LINE} --grid-num 4 --max-position 1".split(), {})
    assert assumed_market(settings).lot == D("1e-8")
    assert assumed_market(args.parse(f"{LINE} --quantity 0.123".split(), {})).lot == D("0.001")


@pytest.mark.parametrize("kind", ["neutral", "long", "short"])
@pytest.mark.parametrize("position", ["2", "-2"])
def test_a_position_that_was_taken_over_is_not_traded_at_the_market(
    store: Store, kind: str, position: str
) -> None:
    """Without an initial position a short one was once bought back at the market at the first tick."""
    held = Ledger(position=D(position), cost=D(position) * 120)
    store.begin_run("backpack SOL_USDC_PERP perp live", "live", {}, held)
    begun = strategy(store, f"--quantity 1 --grid-type {kind}")
    assert "grid: 5 levels" in begun.prepare(D(120))
    assert not [want for want in begun.plan((), D(120)).place if want.market]
    assert sum(store.cells().values()) == D(position)


def test_a_neutral_grid_on_a_spot_market_is_long() -> None:
    """Nothing can be sold there that was not bought: its upper half would only be refused."""
    line = LINE.replace("perp_grid", "grid")
    settings = args.parse(f"{line} --quantity 1 --grid-type neutral --market-type spot".split(), {})
    on_spot = GridStrategy(settings, SPOT, MemoryStore())
    assert "long arithmetic grid" in on_spot.prepare(D(120))
    assert {want.side for want in on_spot.plan((), D(120)).place} == {"buy"}


def test_the_moves_of_a_day_are_counted_also_across_a_restart(store: Store) -> None:
    more = "--quantity 1 --boundary-action adjust_range --max-range-moves 2"
    first = strategy(store, more)
    first.prepare(D(120))
    first.move_range(D(150), 1000.0)
    assert first.can_move_range(1001.0)
    first.move_range(D(180), 1002.0)
    assert not first.can_move_range(1003.0)
    second = strategy(store, more)
    second.prepare(D(180))
    assert second.price_range() == (D(160), D(200)), "it goes on with the range that it has moved to"
    assert not second.can_move_range(1003.0)
    assert second.can_move_range(1000.0 + 86401)


def test_a_maximum_below_one_order_is_refused(store: Store) -> None:
    with pytest.raises(ConfigError, match="--max-position: must be at least --quantity"):
        strategy(store, "--quantity 2 --max-position 1")


def test_a_grid_does_not_begin_beside_its_opening_order(store: Store) -> None:
    """Its rest may still be filled, and the cells would not know of it."""
    opening = strategy(store, "--quantity 1 --grid-type long --initial-position 2")
    opening.prepare(D(120))
    [want] = opening.plan((), D(120)).place
    order = store.new_order(want, 0.0)
    fill(store, order, "2", "120")
    assert opening.plan((order,), D(120)) == Plan()
    assert store.cells() == {}
