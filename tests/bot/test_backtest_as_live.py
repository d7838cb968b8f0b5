"""A backtest trades what the bot trades: the engine of a running bot on the same tape, fill by fill."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from gridbot.config import args
from gridbot.exchanges.paper import Costs, PaperExchange
from gridbot.exchanges.recording import Row
from gridbot.model.condition import Code
from gridbot.model.types import Fill, Side
from gridbot.runtime.shared_state import SharedState
from gridbot.store.ledger import Ledger
from gridbot.store.store import Store
from gridbot.strategies.strategy import make_strategy
from gridbot.trading.backtest import Backtest
from gridbot.trading.engine import Engine
from gridbot.trading.run_ending import CompletedError
from tests.bot.test_backtest_exact import MARKET, STRATEGIES, walk

D = Decimal
STEP_S, COUNT, SEED = 60.0, 130, 3
COSTS = Costs(maker_fee=D("0.0002"), taker_fee=D("0.0005"))
MORE = {"initial": f"{STRATEGIES['long']} --initial-position 0.4"}


class Tape:
    """Prices and the clock, for the engine."""

    name = "replay"

    def __init__(self, prices: list[Decimal]) -> None:
        self.prices, self.at = prices, -1

    def next_prices(self) -> list[Decimal]:
        return [self.prices[self.at]]

    def now(self) -> float:
        return 1_700_000_000.0 + STEP_S * self.at


def traded_by_the_engine(line: str, prices: list[Decimal], folder: Path) -> tuple[list[Fill], Decimal]:
    settings, tape = args.parse(line.split(), {}), Tape(prices)
    store = Store(folder / "bot.db", durable=False)
    exchange = PaperExchange(lambda: MARKET, tape, tape.now, COSTS)
    fills: list[Fill] = []
    given = exchange.fills

    def seen(since: float) -> list[Fill]:
        new = given(since)
        fills.extend(new)
        return new

    exchange.fills = seen  # type: ignore[method-assign]
    engine = Engine(
        settings,
        store.begin_run(settings.identity, "replay", {}, Ledger()),
        store,
        exchange,
        MARKET,
        make_strategy(settings, MARKET, store),
        SharedState(1.0),
        lambda: False,
        tape.now,
    )
    try:
        for tape.at in range(len(prices)):
            engine.tick()
    except CompletedError:
        pass
    pnl = store.ledger.pnl(prices[tape.at])
    store.close()
    return fills, pnl


@pytest.mark.parametrize("name", ["standard", "neutral", "adjust_range", "initial", "limits"])
def test_the_engine_trades_the_same(name: str, tmp_path: Path) -> None:
    line, prices = (STRATEGIES | MORE)[name], walk(SEED, count=COUNT)
    test = Backtest(args.parse(line.split(), {}), MARKET, COSTS)
    booked: list[Fill] = []
    given = test._exchange.fills

    def seen(since: float) -> list[Fill]:
        new = given(since)
        booked.extend(new)
        return new

    test._exchange.fills = seen  # type: ignore[method-assign]
    rows: list[Row] = [(1_700_000_000.0 + STEP_S * at, [price], None) for at, price in enumerate(prices)]
    result = test.run(iter(rows))
    fills, pnl = traded_by_the_engine(line, prices, tmp_path)
    assert booked
    if name == "limits":
        # The bot cancels its orders first, and closes what it holds with the next tick.
        assert result.end.code is Code.STOPPED_OUT
        assert fills.pop().side is booked.pop().side
    else:
        assert result.pnl == pnl
    assert list(map(shown, booked)) == list(map(shown, fills))


def shown(fill: Fill) -> tuple[Side, Decimal, Decimal, Decimal, bool]:
    return fill.side, fill.price, fill.qty, fill.fee, fill.maker
