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
from gridbot.model.errors import ExchangeError, RejectedError
from gridbot.model.types import Fill, Funding, Order, OrderRequest, Side, UnreadableFill
from gridbot.runtime.pace import Pace
from gridbot.runtime.shared_state import SharedState
from gridbot.store import history
from gridbot.store.database import HELD_SINCE
from gridbot.store.ledger import opening_ledger
from gridbot.store.store import Store
from gridbot.strategies.grid import Plan
from gridbot.trading import run_figures
from gridbot.trading.engine import FUNDING_EVERY_S, Engine
from gridbot.trading.missing import LOST_AFTER_S
from gridbot.trading.run_ending import CompletedError, RunEnding
from tests.bot.test_reconcile import There, shown
from tests.bot.worlds import PERP

D = Decimal
LIVE = {"TRADING_MODE": "live", "DB_PATH": "unused"}
LINE = "--exchange backpack --symbol SOL_USDC_PERP --strategy perp_grid --grid-lower 90 --grid-upper 99"
WANTS = tuple(OrderRequest(f"L{level}", Side.BUY, D(90 + level), D(1), level) for level in range(3))


class Exchange(There):
    """One that accepts orders. `on_place` is called with each."""

    held: Decimal | None = None
    funding_fails = False

    def __init__(self) -> None:
        super().__init__()
        self.placed: list[Order] = []
        self.funding_asked: list[float] = []
        self.on_place: Callable[[], object] = lambda: None
        self.on_cancel: Callable[[], object] = lambda: None

    def place(self, order: Order) -> str:
        self.placed.append(order)
        self.listed.append(shown(order, f"x{order.client_id}"))
        self.on_place()
        return f"x{order.client_id}"

    def cancel(self, order: Order) -> None:
        super().cancel(order)
        self.on_cancel()

    def funding(self, since: float) -> list[Funding] | None:
        self.funding_asked.append(since)
        if self.funding_fails:
            raise ExchangeError("away")
        return []

    def holdings(self) -> Decimal | None:
        return None

    def lent(self) -> Decimal | None:
        return None

    def position(self) -> Decimal | None:
        return self.held


class World:
    """An engine on a store, at a time that the test sets."""

    def __init__(self, folder: Path, more: str = "", position: str = "0", **facts: str) -> None:
        env = LIVE if facts else {}
        self.settings = args.parse(f"{LINE} --grid-num 4 --quantity 1 {more}".split(), env)
        self.store = Store(folder / "bot.db", durable=False)
        ledger = opening_ledger(D(position), D(100))
        self.run = self.store.begin_run(self.settings.identity, "live", {}, ledger, facts)
        self.exchange, self.shared = Exchange(), SharedState(1.0)
        self.now, self.moves = 1_000_000.0, list[Decimal]()
        self.engine = self.restarted()

    def restarted(self, pace: Pace | None = None) -> Engine:
        strategy: Any = SimpleNamespace(
            prepare=lambda _price: "ready",
            plan=lambda live, *_: Plan(place=() if live else WANTS),
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
            pace,
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


def test_a_position_that_was_taken_over_was_paid_for_between_the_runs_too(tmp_path: Path) -> None:
    world = World(tmp_path, position="1", **{HELD_SINCE: "5000"})
    world.exchange.held = D(1)
    world.engine.tick()
    assert world.exchange.funding_asked == [5000 - FUNDING_EVERY_S]
    world.store.close()


def test_what_others_positions_are_paid_is_not_counted(tmp_path: Path) -> None:
    """An exchange lists what it has paid for the account as a whole."""
    world = World(tmp_path, **{HELD_SINCE: "5000"})
    world.exchange.held = D(5)
    world.engine.tick()
    assert (world.exchange.funding_asked, world.engine.view().funding) == ([], None)
    world.store.close()


def test_no_order_takes_the_level_of_an_ended_one_whose_fill_cannot_be_read(world: World) -> None:
    """It may have been filled: the level would be doubled."""
    world.engine.tick()
    ended = world.exchange.placed.pop(0)
    world.store.close_order(ended.client_id, "canceled")
    del world.exchange.listed[0]
    strategy: Any = world.engine.strategy
    strategy.plan = lambda live, *_: Plan(place=WANTS[: 3 - len(live)])
    world.exchange.executed = [UnreadableFill("9", f"x{ended.client_id}", None, "no price")]
    world.exchange.placed = []
    world.engine.tick()
    assert world.exchange.placed == []
    world.exchange.executed = []
    world.engine.tick()
    assert [order.slot for order in world.exchange.placed] == ["L0"]


def test_nothing_is_placed_in_the_tick_that_gives_orders_up(world: World) -> None:
    """What they have filled is read first."""
    world.engine.tick()
    world.exchange.listed, world.exchange.placed = [], []
    world.engine.tick()
    world.now += LOST_AFTER_S + 1
    world.engine.tick()
    assert (world.store.live_orders(), world.exchange.placed) == ([], [])
    world.engine.tick()
    assert [order.slot for order in world.exchange.placed] == ["L0", "L1", "L2"]


def test_a_tick_cancels_for_a_few_seconds_and_then_looks_at_its_fills(world: World) -> None:
    """With 200 orders and an exchange that takes a second for each, it would look after minutes."""
    world.engine = world.restarted(Pace(clock=lambda: world.now))
    world.engine.tick()
    world.exchange.on_cancel = lambda: setattr(world, "now", world.now + 3)
    world.shared.pause_requested = True
    world.engine.tick()
    assert len(world.exchange.cancelled) == 2
    world.engine.tick()
    assert len(world.exchange.cancelled) == 3


def test_a_restart_that_goes_on_closing_does_not_wait_for_its_share(tmp_path: Path) -> None:
    world = World(tmp_path, "--stop-loss 5", position="-1")
    world.exchange.price = lambda: D(200)  # type: ignore[method-assign]
    world.engine.tick()
    share = tmp_path / "requests.json"
    share.write_text('{"a_minute": 2}')
    pace = Pace(share)
    for _ in range(3):
        pace.before_call("fetch_ticker", lambda: None)
    assert pace.pause() > 60
    world.restarted(pace)
    assert pace.pause() == 0
    world.store.close()


def test_how_the_run_goes_is_not_read_from_all_of_its_record_with_each_tick(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def figures(path: Path) -> dict[str, float | None]:
        read.append(path)
        return {}

    monkeypatch.setattr(history, "figures", figures)
    for later in (0.0, 1.0, 1.0, run_figures.EVERY_S):
        world.now += later
        world.engine.tick()
    assert len(read) == 2


def test_a_position_is_closed_when_no_other_order_rests_and_by_one_order_at_a_time(tmp_path: Path) -> None:
    """A resting order could open it again, and two closing ones would turn it round."""
    world = World(tmp_path, "--stop-loss 5", position="-1")
    world.engine.tick()
    resting = len(world.exchange.placed)
    world.exchange.price = lambda: D(200)  # type: ignore[method-assign]
    world.engine.tick()
    assert (len(world.exchange.cancelled), len(world.exchange.placed)) == (resting, resting)
    world.engine.tick()
    [close] = world.exchange.placed[resting:]
    assert close.market
    world.engine.tick()
    assert (len(world.exchange.cancelled), len(world.exchange.placed)) == (resting, resting + 1)
    world.store.close()


@pytest.mark.parametrize("is_away", [False, True])
def test_funding_is_not_asked_for_with_each_tick(tmp_path: Path, *, is_away: bool) -> None:
    world = World(tmp_path, position="1", **{HELD_SINCE: "5000"})
    world.exchange.held = D(1)
    world.exchange.funding_fails = is_away
    for later in (0.0, 1.0, FUNDING_EVERY_S):
        world.now += later
        world.engine.tick()
    assert len(world.exchange.funding_asked) == 2
    world.store.close()


def test_a_run_whose_time_is_over_leaves_its_position(tmp_path: Path) -> None:
    world = World(tmp_path, "--duration 10 --interval 1", position="-1")
    world.engine.tick()
    world.now += 10
    world.engine.tick()
    with pytest.raises(CompletedError):
        world.engine.tick()
    assert not [order for order in world.exchange.placed if order.market]
    assert world.store.ledger.position == -1
    world.store.close()


def test_an_outage_does_not_use_up_the_runs_duration(tmp_path: Path) -> None:
    world = World(tmp_path, "--duration 10 --interval 1")
    world.engine.tick()
    world.engine.record_failure(ExchangeError("away"), first=True)
    world.now += 11
    world.engine.tick()
    assert world.engine.condition().code != Code.FINISHED
    world.store.close()


@pytest.mark.parametrize(("price", "moves_left"), [(100, None), (110, 0)])
def test_that_no_move_is_left_is_said_beyond_the_tolerance(
    tmp_path: Path, price: int, moves_left: int | None
) -> None:
    """Within it the range would not move, however many moves are left."""
    world = World(
        tmp_path, "--boundary-action adjust_range --enable-boundary-check --boundary-tolerance 0.05"
    )
    strategy: Any = world.engine.strategy
    strategy.can_move_range = lambda _now: False
    world.exchange.price = lambda: D(price)  # type: ignore[method-assign]
    world.engine.tick()
    condition = world.engine.condition()
    assert (condition.code, condition.params.get("moves_left")) == (Code.OUT_OF_RANGE, moves_left)
    world.store.close()


def test_after_a_fill_it_decides_at_the_price_of_the_fill(world: World) -> None:
    """The market is no more where the last tick saw it."""
    world.engine.tick()
    order = world.exchange.placed[0]
    prices: list[Decimal] = []
    strategy: Any = world.engine.strategy

    def plan(_live: object, price: Decimal, *_late: object) -> Plan:
        prices.append(price)
        return Plan()

    strategy.plan = plan
    world.exchange.listed = world.exchange.listed[1:]
    fill = Fill("1", f"x{order.client_id}", order.client_id, order.side, D(90), D(1), D(0), "USDC", world.now)
    world.exchange.executed = [fill]
    world.engine.react()
    assert prices == [90]
