"""What one tick does and leaves undone: on an exchange whose every answer is set by the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gridbot.config import args
from gridbot.model.condition import Code
from gridbot.model.errors import RejectedError
from gridbot.model.types import Order, OrderRequest, Side
from gridbot.runtime.shared_state import SharedState
from gridbot.store.ledger import opening_ledger
from gridbot.store.store import Store
from gridbot.strategies.grid import Plan
from gridbot.trading.engine import Engine
from gridbot.trading.run_ending import RunEnding
from tests.bot.test_reconcile import There, shown
from tests.bot.worlds import PERP

D = Decimal
LINE = "--exchange backpack --symbol SOL_USDC_PERP --strategy perp_grid --grid-lower 90 --grid-upper 99"
WANTS = tuple(OrderRequest(f"L{level}", Side.BUY, D(90 + level), D(1), level) for level in range(3))


class Exchange(There):
    """One that accepts orders. `on_place` is called with each."""

    held: Decimal | None = None

    def __init__(self) -> None:
        super().__init__()
        self.placed: list[Order] = []
        self.on_place: Callable[[], object] = lambda: None

    def place(self, order: Order) -> str:
        self.placed.append(order)
        self.listed.append(shown(order, f"x{order.client_id}"))
        self.on_place()
        return f"x{order.client_id}"

    def position(self) -> Decimal | None:
        return self.held


class World:
    """An engine on a store, at a time that the test sets."""

    def __init__(self, folder: Path, more: str = "", position: str = "0") -> None:
        self.settings = args.parse(f"{LINE} --grid-num 4 --quantity 1 {more}".split(), {})
        self.store = Store(folder / "bot.db", durable=False)
        ledger = opening_ledger(D(position), D(100))
        self.run = self.store.begin_run("backpack SOL_USDC_PERP perp paper", "live", {}, ledger)
        self.exchange, self.shared = Exchange(), SharedState(1.0)
        self.now, self.moves = 1_000_000.0, list[Decimal]()
        self.engine = self.restarted()

    def restarted(self) -> Engine:
        strategy: Any = SimpleNamespace(
            prepare=lambda _price: "ready",
            plan=lambda live, _price: Plan(place=() if live else WANTS),
            price_range=lambda: (D(90), D(99)),
            can_move_range=lambda _now: True,
            move_range=lambda price, _now: str(self.moves.append(price)),  # type: ignore[func-returns-value]
            describe=lambda: None,
        )
        run = self.store.unfinished_run()
        assert run is not None
        return Engine(
            self.settings,
            run,
            self.store,
            self.exchange,
            PERP,
            strategy,
            self.shared,
            lambda: False,
            lambda: self.now,
        )


@pytest.fixture(name="world")
def _world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.store.close()


def test_a_pause_that_comes_while_orders_are_placed_places_no_more(world: World) -> None:
    """At one call a second a person would see orders for a minute after the button."""
    world.exchange.on_place = lambda: setattr(world.shared, "pause_requested", True)
    world.engine.tick()
    assert [order.slot for order in world.exchange.placed] == ["L0"]


def test_a_pause_forgets_that_orders_were_refused(world: World) -> None:
    """A paused bot places none, so no order is refused: it is paused, and nothing else."""
    refusals = world.engine._refusals
    for _order in range(3):
        refusals.record(RejectedError("no"), world.now)
    refusals.update(world.now, 0)
    assert world.engine.condition().code == Code.ORDERS_REFUSED
    world.shared.pause_requested = True
    world.engine.tick()
    assert world.engine.condition().code == Code.PAUSED


@pytest.mark.parametrize("is_paused", [True, False])
def test_a_paused_bot_moves_no_range(tmp_path: Path, *, is_paused: bool) -> None:
    """Its orders would be at another place when it goes on, and nobody has asked for that."""
    world = World(tmp_path, "--boundary-action adjust_range --enable-boundary-check --boundary-tolerance 0")
    world.shared.pause_requested = is_paused
    world.engine.tick()
    assert world.moves == ([] if is_paused else [D(100)])
    world.store.close()


def test_a_suspended_machine_does_not_use_up_the_runs_duration(tmp_path: Path) -> None:
    world = World(tmp_path, "--duration 3600 --interval 1")
    world.engine.tick()
    world.now += 86400
    world.engine.tick()
    assert world.engine.condition().code != Code.FINISHED
    world.store.close()


def test_how_a_run_ends_is_known_to_the_next_process(tmp_path: Path) -> None:
    """A bot that is killed while it closes would begin to trade again, whatever it has lost."""
    world = World(tmp_path, "--stop-loss 5", position="-1")
    world.exchange.price = lambda: D(200)  # type: ignore[method-assign]
    world.engine.tick()
    run = world.store.unfinished_run()
    assert run is not None
    assert run.closing is not None
    assert RunEnding.load(run.closing).condition.params["by"] == "stop_loss"
    world.store.close()


@pytest.mark.parametrize(("account", "is_reducing"), [("-1", True), ("-0.5", False), ("2", False)])
def test_what_the_account_has_less_of_is_not_closed_reduce_only(
    tmp_path: Path, account: str, *, is_reducing: bool
) -> None:
    """Beside another bot's opposite position such an order is refused, or closes a part."""
    world = World(tmp_path, "--stop-loss 5", position="-1")
    world.exchange.price = lambda: D(200)  # type: ignore[method-assign]
    world.exchange.held = D(account)
    world.engine.tick()
    [order] = world.exchange.placed
    assert (order.market, order.reduce_only) == (True, is_reducing)
    world.store.close()
