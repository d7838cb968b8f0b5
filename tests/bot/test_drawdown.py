"""A run's drawdown is that of every tick: also of a fall that is over before the next sample."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from gridbot.config import args
from gridbot.exchanges.paper import PaperExchange
from gridbot.exchanges.recording import Row
from gridbot.model.types import Fill, Funding, Side
from gridbot.runtime.shared_state import SharedState
from gridbot.store import history
from gridbot.store.drawdown import DRAWDOWN
from gridbot.store.ledger import Ledger
from gridbot.store.store import Store
from gridbot.strategies.strategy import make_strategy
from gridbot.trading.backtest import Backtest
from gridbot.trading.engine import Engine
from gridbot.trading.missing import LOST_AFTER_S
from gridbot.trading.run_ending import CompletedError
from tests.bot.test_backtest_as_live import COSTS, Tape
from tests.bot.test_backtest_exact import MARKET, STRATEGIES, walk
from tests.bot.test_engine import World

D = Decimal
STEP_S = 0.25
"""Between two ticks: eight of them from one sample to the next."""
LINES = {name: STRATEGIES[name] for name in ("standard", "neutral", "adjust_range", "emergency_close")}
LINES["initial"] = f"{STRATEGIES['long']} --initial-position 0.4"


class QuickTape(Tape):
    def now(self) -> float:
        return 1_700_000_000.0 + STEP_S * self.at


def by_hand(prices: Sequence[Decimal], fills: Sequence[Sequence[Fill]]) -> Fraction:
    """The deepest fall, with the fills that each tick has booked."""
    cash = position = peak = deepest = Fraction(0)
    for price, booked in zip(prices, fills, strict=True):
        for fill in booked:
            qty = Fraction(fill.qty) * fill.side.sign
            position, cash = position + qty, cash - qty * Fraction(fill.price) - Fraction(fill.fee)
        pnl = cash + position * Fraction(price)
        peak = max(peak, pnl)
        deepest = max(deepest, peak - pnl)
    return deepest


def ticked(line: str, prices: list[Decimal], folder: Path) -> tuple[Store, Engine, list[list[Fill]]]:
    """Let the engine of a running bot tick over the prices. The fills are those of each tick."""
    settings, tape = args.parse(line.split(), {}), QuickTape(prices)
    store = Store(folder / "bot.db", durable=False)
    exchange, fills = PaperExchange(lambda: MARKET, tape, tape.now, COSTS), list[list[Fill]]()
    given = exchange.fills

    def seen(since: float) -> list[Fill]:
        fills[-1] += (new := given(since))
        return new

    exchange.fills = seen  # type: ignore[method-assign]
    run = store.begin_run(settings.identity, "replay", {}, Ledger())
    strategy = make_strategy(settings, MARKET, store)
    engine = Engine(
        *(settings, run, store, exchange, MARKET, strategy, SharedState(1.0), lambda: False, tape.now)
    )
    for tape.at in range(len(prices)):
        fills.append([])
        try:
            engine.tick()
        except CompletedError:
            engine.add_sample(prices[tape.at], tape.now())  # as the end of the bot does
            break
    return store, engine, fills


@pytest.mark.parametrize("name", LINES)
def test_it_is_what_every_tick_makes_and_what_a_backtest_says(name: str, tmp_path: Path) -> None:
    line, prices = LINES[name], walk(5, count=300)
    store, engine, fills = ticked(line, prices, tmp_path)
    wanted = by_hand(prices[: len(fills)], fills)
    figure = history.figures(store.path)["max_drawdown"]
    sampled = store._db.execute(
        "SELECT max(peak - pnl) FROM (SELECT pnl, max(0, max(pnl) OVER (ORDER BY at)) AS peak FROM equity)"
    ).fetchone()[0]
    store.close()
    rows: list[Row] = [(1_700_000_000.0 + STEP_S * at, [price], None) for at, price in enumerate(prices)]
    result = Backtest(args.parse(line.split(), {}), MARKET, COSTS).run(iter(rows))
    assert figure == engine.view().figures["max_drawdown"] == float(round(wanted, 8))
    assert wanted > Fraction(sampled) or name == "emergency_close", "the samples miss the deepest one"
    # At its end the bot cancels first, and closes at the price of the next tick.
    assert Fraction(result.drawdown) == wanted or name == "emergency_close"


def looked(world: World, prices: Sequence[str], apart: float = STEP_S) -> float | None:
    """Tick at each price and return the drawdown of the record, which is the report's too."""
    for price in prices:
        world.exchange.price = lambda price=price: D(price)  # type: ignore[method-assign, misc]
        world.engine.tick()
        world.now += apart
    figure = history.figures(world.store.path)["max_drawdown"]
    assert world.engine.view().figures["max_drawdown"] == figure
    return figure


def quiet(folder: Path, position: str = "1") -> World:
    """One that holds `position` since 100, and trades no more."""
    world = World(folder, position=position)
    world.shared.pause_requested = True
    return world


def test_a_kill_in_the_trough_forgets_nothing(tmp_path: Path) -> None:
    """The fall is younger than the last sample, and the price comes back before the next process looks."""
    child = os.fork()
    if child == 0:
        try:
            looked(quiet(tmp_path), ["100", "103", "91"])
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    store = Store(tmp_path / "bot.db", durable=False)
    assert [row["price"] for row in store._db.execute("SELECT price FROM equity")] == [100]
    assert history.figures(store.path)["max_drawdown"] == 12
    store.close()


def test_a_restart_goes_on_from_the_highest_point(tmp_path: Path) -> None:
    world = quiet(tmp_path)
    assert looked(world, ["100", "105", "101"]) == 4
    world.engine = world.restarted()
    assert looked(world, ["104", "99", "104"]) == 6
    world.store.add_funding([Funding("1", world.now, D("-7"))])
    assert looked(world, ["104"]) == 8, "what was paid lowers the P&L"


@pytest.mark.parametrize("print_", ["75", "130"])
def test_one_print_is_neither_a_fall_nor_a_highest_point(tmp_path: Path, print_: str) -> None:
    world = quiet(tmp_path)
    world.exchange.price_is_firm = False
    assert looked(world, ["100", *["101"] * 12]) == 0
    assert looked(world, [print_, print_, print_, "101", "101", "100", "100", "100"], 0.15) == 0
    assert looked(world, ["100"] * 12) == 1, "a fall of 1 that stays is one"
    assert looked(world, ["92"] * 12) == 9
    world.exchange.price_is_firm = True
    assert looked(world, ["90", "100"]) == 11, "a mark price counts at once"


def test_the_same_answer_again_is_no_second_look(tmp_path: Path) -> None:
    world = quiet(tmp_path)
    world.exchange.price_is_firm = False
    world.exchange.price_answer = "a trade at 75"  # type: ignore[attr-defined]
    assert looked(world, ["75"] * 5, 1.0) == 0
    assert looked(world, ["75"] * 7, 1.0) == 25


def test_a_flat_run_needs_no_second_look(tmp_path: Path) -> None:
    world = quiet(tmp_path, "0")
    world.exchange.price_is_firm = False
    world.store.ledger = replace(world.store.ledger, cash=D(-3), realized=D(-3))
    assert looked(world, ["75"]) == 3


def test_what_is_filled_unknown_to_the_bot_makes_no_fall(tmp_path: Path) -> None:
    """It sold at 100 and is not told so: what it does not hold any more did not lose at 80."""
    world = World(tmp_path, position="1")
    looked(world, ["100"])
    order = world.exchange.placed[0]
    as_sale = "UPDATE orders SET side = 'sell', price = '100' WHERE client_id = ?"
    world.store._db.execute(as_sale, (order.client_id,))
    gone = world.exchange.listed.pop(0)
    world.exchange.past.append(replace(gone, side=Side.SELL, price=D(100), filled=D(1), open=False))
    assert looked(world, ["95", "80", "95"]) == 0
    fill = Fill("1", gone.exchange_id, order.client_id, Side.SELL, D(100), D(1), D(0), "USDC", world.now - 5)
    world.exchange.executed = [fill]
    assert looked(world, ["80"]) == 0
    assert world.store.ledger.position == 0


def test_what_stays_unknown_for_long_hides_no_fall(tmp_path: Path) -> None:
    world = World(tmp_path, position="1")
    looked(world, ["100"])
    gone = world.exchange.listed.pop(0)
    world.exchange.past.append(replace(gone, filled=None, open=False))
    assert looked(world, ["95"]) == 0
    world.now += LOST_AFTER_S
    assert looked(world, ["95"]) == 5


def test_a_run_of_a_version_that_noted_only_samples_is_gone_on_with(tmp_path: Path) -> None:
    """Also after such a version has gone on with a newer one's run: its points count."""
    world = quiet(tmp_path)
    for at, price in enumerate(("100", "104", "97")):
        world.store.samples.add_equity(world.store.run_id, world.now - 9 + at, D(price), world.store.ledger)
    assert history.figures(world.store.path)["max_drawdown"] == 7
    assert world.store.fact(DRAWDOWN) is None
    world.engine = world.restarted()
    assert looked(world, ["103", "96"]) == 8
    for after, price in ((60, "107"), (62, "98")):
        world.store.samples.add_equity(world.store.run_id, world.now + after, D(price), world.store.ledger)
    assert history.figures(world.store.path)["max_drawdown"] == 9
    world.now += 64
    world.engine = world.restarted()
    assert looked(world, ["103", "97"]) == 10


def test_it_outlives_the_points_that_are_deleted(tmp_path: Path) -> None:
    world = quiet(tmp_path)
    assert looked(world, ["100", "110", "95", "100"]) == 15
    world.now += 40 * 86400
    assert looked(world, ["100"]) == 15
    world.store._db.execute("DELETE FROM equity")
    assert looked(world, ["94"]) == 16


def test_the_clock_may_be_set_back(tmp_path: Path) -> None:
    world = quiet(tmp_path)
    world.exchange.price_is_firm = False
    looked(world, ["100"] * 8)
    world.now -= 86400
    assert looked(world, ["95"] * 12) == 5


def test_the_capital_knows_what_was_held_between_two_samples(tmp_path: Path) -> None:
    prices = [D(130), *(D(price) for price in ("104.01", "130") * 20)]
    store, engine, _fills = ticked(STRATEGIES["long"], prices, tmp_path)
    sampled = store._db.execute("SELECT max(abs(position)) FROM equity").fetchone()[0]
    traded = max(abs(D(row["position"])) for row in store._db.execute("SELECT position FROM trades"))
    assert traded > sampled
    engine.add_sample(prices[-1], 1_700_000_000.0 + 7200)
    store.set_run(ran_s=7200.0)
    pnl = store.pnl(prices[-1])
    apr = history.figures(store.path)["apr"]
    store.close()
    assert apr == pytest.approx(float(pnl / (traded * 130) * 365 * 12))
