"""The pre-flight of a bot that has begun goes by its own grid: where it began, and where its range is now."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.cli.preflight import _running_grid
from gridbot.config.settings import Settings
from gridbot.model.types import Side
from gridbot.store.database import CLOSING
from gridbot.store.ledger import Ledger
from gridbot.store.store import Store
from gridbot.strategies.strategy import make_strategy
from gridbot.trading.preflight import check_run
from gridbot.trading.worst_case import RunningGrid, worst_cases
from tests.bot.bots import BotFactory
from tests.bot.test_live import fake, live, settled
from tests.bot.test_preflight import GOOD, ask, cases_of, run_of
from tests.bot.worlds import PERP
from tests.fake_exchange.server import FakeExchange

__all__ = ["fake"]

D = Decimal


def record(folder: Path, settings: Settings, began_at: str, *, moved_to: str | None = None) -> Store:
    """Return the record of a bot that began at that price, and whose range may have moved."""
    store = Store(folder / "bot.db", durable=False)
    store.begin_run(settings.identity, "live", {}, Ledger())
    strategy = make_strategy(settings, PERP, store)
    strategy.prepare(D(began_at))
    if moved_to is not None:
        strategy.move_range(D(moved_to), 0.0)
    return store


def grid_of(folder: Path, settings: Settings) -> RunningGrid | None:
    return _running_grid(replace(settings, db_path=folder / "bot.db"), PERP)


def test_a_neutral_grid_is_divided_where_it_began(tmp_path: Path) -> None:
    settings = run_of()
    record(tmp_path, settings, "154").close()
    running = grid_of(tmp_path, settings)
    assert running == RunningGrid(D(144), D(156), 5)
    levels = [D(level) for level in range(144, 157, 2)]
    cases = worst_cases(settings, PERP, levels, D(150), running)
    # 152 150 148 146 144 may be bought, and only 156 sold; at today's price it would be three of each.
    assert [(case.side, case.qty) for case in cases] == [(Side.BUY, D("0.5")), (Side.SELL, D("0.1"))]
    assert [case.qty for case in cases_of(settings)] == [D("0.3"), D("0.3")]
    checks = {check.code: check for check in check_run(settings, PERP, GOOD, running)}
    assert checks["funds"].params["position"] == "0.5"


def test_a_grid_that_runs_opens_no_initial_position() -> None:
    settings = run_of("--grid-type", "long", "--initial-position", "0.3")
    levels, above = [D(level) for level in range(144, 157, 2)], D(170)
    begins = worst_cases(settings, PERP, levels, above)
    assert [case.cost for case in begins] == [D("89.4"), D(96)]
    runs = worst_cases(settings, PERP, levels, above, RunningGrid(D(144), D(156), 6))
    assert [case.cost for case in runs] == [D("89.4")], "it has sold all that it held"


def test_a_range_that_has_moved_is_checked_where_it_is(tmp_path: Path) -> None:
    settings = run_of("--enable-boundary-check", "--boundary-action", "adjust_range")
    record(tmp_path, settings, "150", moved_to="160").close()
    running = grid_of(tmp_path, settings)
    assert running is not None
    assert (running.lower, running.upper) == (D(154), D(166))
    checks = {check.code: check for check in check_run(settings, PERP, GOOD, running)}
    assert checks["funds"].params["end"] in ("154", "166")


def test_the_record_of_an_older_bot_has_no_facts(tmp_path: Path) -> None:
    settings = run_of()
    store = record(tmp_path, settings, "154")
    store._db.execute("DROP TABLE facts")
    store.close()
    assert grid_of(tmp_path, settings) == RunningGrid(D(144), D(156), 5)


@pytest.mark.parametrize(
    "change", ["no record", "another grid", "another market", "another mode", "ended", "damaged", "closing"]
)
def test_where_a_start_would_begin_a_grid_todays_price_counts(tmp_path: Path, change: str) -> None:
    settings: Any = run_of()
    if change != "no record":
        store = record(tmp_path, settings, "154")
        if change == "ended":
            store.end_run("over")
        elif change == "damaged":
            store.set_run(grid='{"of": 1')
        elif change == "closing":  # `manager close` was killed: the next start begins a run
            store.set_fact(CLOSING, '{"position": "1", "others": "0"}')
        store.close()
    if change == "another grid":
        settings = run_of("--grid-num", "13")
    elif change == "another market":
        settings = run_of("--symbol", "BTC_USDC_PERP")
    elif change == "another mode":
        settings = replace(settings, live=not settings.live)
    assert grid_of(tmp_path, settings) is None


def test_the_program_reads_the_grid_of_a_bot_that_runs(
    start_bot: BotFactory, fake: FakeExchange, tmp_path: Path
) -> None:
    fake.book.price = D(154)
    bot = live(start_bot, fake)
    settled(bot, fake)
    fake.book.price = D(150)
    _code, lines, _err = ask(bot.folder, fake)
    assert lines["funds"]["params"]["position"] == "0.5"
