"""The real engine on each exchange's own shapes, 200 ticks with each fault alone.

Always: one order at a level, and no position beyond max_position. At the end: account and ledger agree, and
nothing but other programs' orders is left in the market.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.model.errors import ExchangeError
from gridbot.model.types import Fill
from tests import cases
from tests.bot.kits.apex import Apex
from tests.bot.kits.aster import Aster, AsterSpot
from tests.bot.kits.backpack import Backpack, BackpackSpot
from tests.bot.kits.kit import LATE_S, Kit, Run
from tests.bot.kits.lighter import Lighter
from tests.bot.kits.paradex import Paradex, ParadexNamesTaker

KITS = (Apex, Aster, AsterSpot, Backpack, BackpackSpot, Lighter, Paradex, ParadexNamesTaker)
FAULTS = (
    None,
    "partial fills",
    "late fills",
    "duplicates",
    "out of order",
    "request lost",
    "answer lost",
    "rejected",
    "rate_limited",
    "maintenance",
    "unreachable",
)
FAILING = ("request lost", "answer lost", "rate_limited", "maintenance", "unreachable")
TICKS = 200
# An order of 0.1 can be filled in parts of it.
FINE_LOT = Decimal("0.01")
# A variant is walked with what it answers otherwise, and the rest is its exchange's own; all with --long.
REFUSALS = ("rate_limited", "maintenance", "unreachable")
NOT_WALKED: Mapping[type[Kit], tuple[str, ...]] = {
    AsterSpot: ("request lost", "rejected", "out of order", *REFUSALS),
    BackpackSpot: ("request lost", "rejected", "out of order", *REFUSALS),
    ParadexNamesTaker: ("request lost", "rejected", "out of order", *REFUSALS),
}


def _is_walked(kind: type[Kit], fault: str | None) -> bool:
    if fault in REFUSALS and fault not in kind.refusals:
        return False
    return cases.is_long or fault not in NOT_WALKED.get(kind, ())


CASES = [(kind, fault) for kind in KITS for fault in FAULTS if _is_walked(kind, fault)]


def _name(value: object) -> str:
    return str(getattr(value, "__name__", value))


@pytest.mark.parametrize(("kind", "fault"), CASES, ids=_name)
def test_account_and_ledger_agree_after_a_walk(kind: type[Kit], fault: str | None, tmp_path: Path) -> None:
    kit = kind(lot=FINE_LOT) if fault == "partial fills" else kind()
    kit.fault = fault
    kit.book.partial_fills = 0.7 if fault == "partial fills" else 0.0
    run = Run(kit, tmp_path)
    run.walk(TICKS)
    assert len(kit.book.fills) > 10, run.failures[:3]
    assert not run.failures or fault in FAILING, run.failures[:3]
    if fault == "partial fills":
        orders = {fill.order.id for fill in kit.book.fills}
        assert len(kit.book.fills) > len(orders), "none was filled in parts"
    run.end()


GARBAGE: tuple[Any, ...] = (None, {}, "", "null", 5, [], True, {"id": None}, {"info": "x"})


@pytest.mark.parametrize("kind", KITS, ids=_name)
def test_rows_that_make_no_sense_stop_no_decision(kind: type[Kit], tmp_path: Path) -> None:
    kit = kind()
    parse = kit.api.parse_orders

    def parse_orders(rows: list[Any], *rest: Any) -> Any:
        rows = list(rows)
        if rows and kit.fault and kit.random.random() < 0.5:
            rows[kit.random.randrange(len(rows))] = kit.random.choice(GARBAGE)
        return parse(rows, *rest)

    kit.api.parse_orders = parse_orders
    kit.fault = "garbage rows"
    run = Run(kit, tmp_path)
    run.walk(60)
    assert len(kit.book.fills) > 5
    assert run.failures == []
    run.end()


@pytest.mark.parametrize(
    ("kind", "cause"), [(kind, cause) for kind in KITS for cause in kind.refusals], ids=_name
)
def test_each_refusal_has_its_cause(kind: type[Kit], cause: str) -> None:
    kit = kind()
    refusal = kit.refusals[cause]
    kit.api.fetch = lambda url, method="GET", *_: kit._read(url, method, refusal)
    with pytest.raises(ExchangeError) as raised:
        kit.adapter.open_orders()
    assert raised.value.cause == cause


@pytest.mark.parametrize("kind", KITS, ids=_name)
def test_executions_of_weeks_and_of_several_pages_are_all_read(kind: type[Kit]) -> None:
    kit = kind()
    started = kit.now
    kit.adapter._answers.most_on_page = 100
    for _ in range(250):
        kit.book.place("Bid", "Market", None, kit.book.lot)
        kit.now += 7200
    kit.api.milliseconds = lambda: int(kit.now * 1000)
    fills = kit.adapter.fills(started - 60)
    assert {fill.trade_id for fill in fills} == {str(fill.id) for fill in kit.book.fills}
    assert all(isinstance(fill, Fill) for fill in fills)


@pytest.mark.parametrize("kind", [Aster, AsterSpot, Backpack, BackpackSpot], ids=_name)
def test_a_page_may_be_shorter_than_it_was_asked_for(kind: type[Kit]) -> None:
    """Unverified: both documents name 1,000 as the most."""
    kit = kind()
    carry_out, started = kit.answer, kit.now

    def answer(path: str, method: str, params: dict[str, Any]) -> Any:
        return carry_out(path, method, params | {"limit": min(int(params["limit"]), 100)})

    for _ in range(250):
        kit.book.place("Bid", "Market", None, kit.book.lot)
        kit.now += 1
    kit.answer = answer  # type: ignore[method-assign]
    kit.api.milliseconds = lambda: int(kit.now * 1000)
    assert len({fill.trade_id for fill in kit.adapter.fills(started - 60)}) == 250


def test_an_accepted_order_that_is_listed_late_is_not_placed_again(tmp_path: Path) -> None:
    """Its answer has no id, and a doubled order is worse than a level that stays empty for a minute."""
    kit = Lighter()
    carry_out = kit.answer

    def answer(path: str, method: str, params: dict[str, Any]) -> Any:
        reply = carry_out(path, method, params)
        if path == "accountActiveOrders":
            late = kit.now - LATE_S
            reply["orders"] = [one for one in reply["orders"] if one["timestamp"] < late]
        return reply

    kit.answer = answer  # type: ignore[method-assign]
    run = Run(kit, tmp_path)
    run.walk(40)
    assert len(kit.book.fills) > 3
    kit.answer = carry_out  # type: ignore[method-assign]
    run.end()
