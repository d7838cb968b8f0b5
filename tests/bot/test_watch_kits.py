"""The watch over the account's position, on each exchange's own shapes."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from gridbot.model.condition import Code
from gridbot.model.types import Order, Side
from gridbot.trading.listing import Reconciliation, on_the_way
from gridbot.trading.position_watch import LOOK_EVERY_S, SECOND_LOOK_S
from tests.bot.kits.apex import Apex
from tests.bot.kits.aster import Aster, AsterSpot
from tests.bot.kits.backpack import Backpack, BackpackSpot
from tests.bot.kits.kit import Kit, Run, running
from tests.bot.kits.lighter import Lighter
from tests.bot.kits.paradex import Paradex

D = Decimal
PERPETUALS = [Backpack, Aster, Paradex, Lighter, Apex]


def _looks(run: Run) -> list[Code]:
    """Return what the next two looks make of the account, which somebody else has changed."""
    codes = []
    for after in (LOOK_EVERY_S, SECOND_LOOK_S):
        run.kit.now += after
        run.engine.tick()
        codes.append(run.engine.condition().code)
    return codes


@pytest.mark.parametrize("kind", PERPETUALS)
def test_a_person_who_trades_beside_the_bot_stops_it_until_it_is_undone(
    kind: type[Kit], tmp_path: Path
) -> None:
    kit = kind()
    run = running(kit, tmp_path)
    placed = len(kit.book.orders)
    for side, undo, held in ("Bid", "Ask", "0.3"), ("Ask", "Bid", "-0.3"):
        kit.book.place(side, "Market", None, D("0.3"), None, foreign=True)
        assert _looks(run) == [Code.TRADING, Code.LEDGER_DIFFERS]
        assert run.engine.condition().params == {"ledger": "0", "account": held}
        kit.book.place(undo, "Market", None, D("0.3"), None, foreign=True)
        assert _looks(run)[-1] is Code.TRADING
    assert len(kit.book.orders) == placed + 4, "the person's own"
    kit.book.place("Bid", "Market", None, D("0.1"), None, foreign=True)
    assert _looks(run) == [Code.TRADING, Code.TRADING], "one order is none"
    run.store.close()


@pytest.mark.parametrize("kind", [*PERPETUALS, BackpackSpot, AsterSpot])
@pytest.mark.parametrize("price", ["143", "157"])
def test_several_fills_that_are_listed_late_are_no_difference(
    kind: type[Kit], price: str, tmp_path: Path
) -> None:
    kit = kind()
    run = running(kit, tmp_path)
    kit.fault = "late fills"
    kit.book.move(D(price))
    run.engine._watch.look_soon()
    codes = []
    for _ in range(6):
        run.tick(SECOND_LOOK_S)
        codes.append(run.engine.condition().code)
    assert Code.LEDGER_DIFFERS not in codes
    assert run.store.ledger.position == kit.book.position()
    run.end()


def test_only_what_no_list_shows_as_resting_is_on_its_way() -> None:
    order = Order(1, "s", Side.SELL, D(150), D(3), D(1), "open", 0.0, exchange_id="a")
    assert on_the_way(Reconciliation(), [order]) == {Side.BUY: 0, Side.SELL: 2}
    assert on_the_way(Reconciliation(), []) == {Side.BUY: 0, Side.SELL: 0}
