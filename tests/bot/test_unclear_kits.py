"""Answers that don't say what was asked, in each exchange's own shape: unknown is never taken for none."""

from __future__ import annotations

import copy
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gridbot.exchanges.account_facts import AccountFacts
from gridbot.exchanges.closing import CcxtClosing
from gridbot.model.condition import Code
from gridbot.model.errors import UnclearError
from gridbot.trading.cancel import cancel_own_orders
from gridbot.trading.position_watch import SECOND_LOOK_S
from gridbot.trading.preflight import check_run
from tests import cases
from tests.bot.kits.apex import Apex
from tests.bot.kits.aster import Aster, AsterSpot
from tests.bot.kits.backpack import Backpack, BackpackSpot
from tests.bot.kits.kit import MAX_POSITION, KilledError, Kit, Run, without_list
from tests.bot.kits.lighter import Lighter
from tests.bot.kits.over_http import answer_over_http, response
from tests.bot.kits.paradex import Paradex

KITS = (Apex, Aster, AsterSpot, Backpack, BackpackSpot, Lighter, Paradex)
PERPS = (Apex, Aster, Backpack, Lighter, Paradex)
each_kit = pytest.mark.parametrize("kind", KITS)
each_perp = pytest.mark.parametrize("kind", PERPS)
# What walks for long: an exchange's spot market, too, in the long form only.
each_exchange = pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind in PERPS else [pytest.mark.long_form]) for kind in KITS]
)


@each_kit
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "answered with an empty body instead of JSON"),
        ("<html><h1>please wait</h1></html>", "answered something that is not JSON: please wait"),
    ],
)
def test_an_answer_that_is_no_json_is_called_so(kind: type[Kit], body: str, words: str) -> None:
    """It was told as ccxt's own stumble over it: AttributeError: 'str' object has no attribute 'get'."""
    kit = kind()
    answer_over_http(kit, lambda: response(200, body), "orders")
    with pytest.raises(UnclearError) as caught:
        kit.adapter.open_orders()
    assert str(caught.value) == f"{kit.name} {words}"


@each_exchange
@pytest.mark.parametrize("name", ["orders", "executions", "positions"])
def test_a_list_that_is_missing_now_and_then_changes_nothing(
    kind: type[Kit], name: str, tmp_path: Path
) -> None:
    kit = kind()
    kit.fault = f"no list of {name}"
    kit.book.partial_fills = 0.5
    run = Run(kit, tmp_path)
    run.walk(120 if cases.is_long else 90)
    assert run.failures == []
    assert len(kit.book.fills) > 10
    run.end()


@each_exchange
@pytest.mark.parametrize("names", [("orders",), ("executions",), ("orders", "executions", "positions")])
def test_a_list_that_never_comes_doubles_nothing_and_a_stop_does_not_say_that_nothing_is_left(
    kind: type[Kit], names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridbot.trading.cancel.FILLS_WITHIN_S", 0.2)
    kit = kind()
    run = Run(kit, tmp_path)
    run.walk(10)
    kit.spoilt = dict.fromkeys(names, without_list)
    run.walk(60 if cases.is_long else 40)
    left, is_confirmed = cancel_own_orders(run.store, kit.adapter, run.market, 1.0)
    assert (is_confirmed, kit.book.violations) == ("orders" not in names and left == 0, [])
    kit.spoilt = {}
    # An order's total has its fee at the market's rate.
    run.end(fees_are_known="executions" not in names)


@each_kit
@pytest.mark.parametrize("name", ["orders", "executions"])
def test_a_missing_list_is_unknown_to_every_program(kind: type[Kit], name: str) -> None:
    kit = kind()
    kit.spoilt[name] = without_list
    ask = partial(kit.adapter.fills, kit.now - 60) if name == "executions" else kit.adapter.open_orders
    with pytest.raises(UnclearError):
        ask()


def test_a_spot_balance_without_a_list_is_not_nothing_to_close() -> None:
    kit = AsterSpot()
    kit.adapter.__class__ = CcxtClosing
    kit.api.fetch = lambda *_: {"canTrade": True, "balances": None}
    with pytest.raises(UnclearError):
        kit.adapter.held()  # type: ignore[attr-defined]


# positions


def _each_row(change: Callable[[dict[str, Any]], Any]) -> Callable[[Any], Any]:
    """Change every row of a position that is the bot's market's."""

    def spoil(answer: Any) -> Any:
        if isinstance(answer, list):
            return [change(dict(row)) if _is_own(row) else row for row in answer]
        if isinstance(answer, dict):
            return {key: spoil(value) for key, value in answer.items()}
        return answer

    return lambda answer: spoil(copy.deepcopy(answer))


def _is_own(row: Any) -> bool:
    return isinstance(row, dict) and ("SOL" in str(row.get("symbol") or row.get("market")))


def _through_accounts(change: Callable[[dict[str, Any]], Any]) -> Callable[[Any], Any]:
    rows = _each_row(change)

    def spoil(answer: Any) -> Any:
        if isinstance(answer, dict) and "accounts" in answer:
            return answer | {"accounts": [rows(account) for account in answer["accounts"]]}
        return rows(answer)

    return spoil


SIZES = ("size", "positionAmt", "netQuantity", "position")
SENSELESS: dict[str, Callable[[Any], Any]] = {
    "no list": without_list,
    "no row": _through_accounts(lambda _row: None),
    "a word": _through_accounts(lambda _row: "none"),
    "no size": _through_accounts(lambda row: {key: row[key] for key in row if key not in SIZES}),
    "null": _through_accounts(lambda row: row | {key: None for key in SIZES if key in row}),
    "no number": _through_accounts(lambda row: row | {key: "x" for key in SIZES if key in row}),
    "no market": _through_accounts(lambda row: row | dict.fromkeys(("symbol", "market", "market_id"))),
}


@each_perp
@pytest.mark.parametrize("kind_of_answer", SENSELESS)
def test_a_position_that_cannot_be_read_pauses_placing_and_is_said(
    kind: type[Kit], kind_of_answer: str, tmp_path: Path
) -> None:
    kit = kind()
    run = Run(kit, tmp_path)
    run.walk(8)
    while not kit.book.position():
        run.walk(1)
    kit.spoilt["positions"] = SENSELESS[kind_of_answer]
    with pytest.raises(UnclearError):
        kit.adapter.position()
    run.tick(31)
    placed = len(kit.book.orders)
    kit.book.move(Decimal(144))
    run.tick(1)
    assert run.failures == []
    assert len(kit.book.orders) == placed, "nothing new while it is unknown"
    run.tick(SECOND_LOOK_S)
    condition = run.engine.condition()
    assert (condition.code, condition.params["cause"]) == (Code.LEDGER_DIFFERS, "unreadable")
    assert condition.is_degraded
    assert condition.reason is not None
    assert condition.reason.startswith("what the account holds cannot be read")
    assert run.store.ledger.position == kit.book.position(), "orders and trades are known all the same"
    kit.spoilt = {}
    run.tick(SECOND_LOOK_S)
    run.tick()
    assert run.engine.condition().code is not Code.LEDGER_DIFFERS
    assert len(kit.book.orders) > placed
    run.end()


@each_perp
def test_a_senseless_row_of_another_market_is_nothing_to_this_bot(kind: type[Kit], tmp_path: Path) -> None:
    kit = kind()
    run = Run(kit, tmp_path)
    run.walk(12)

    def spoil(answer: Any) -> Any:
        if isinstance(answer, list):
            return [row if _is_own(row) else dict.fromkeys(SIZES, "x") | _name_of(row) for row in answer]
        if isinstance(answer, dict):
            return {
                key: spoil(value) if key != "accounts" else [spoil(a) for a in value]
                for key, value in answer.items()
            }
        return answer

    kit.spoilt["positions"] = spoil
    assert kit.adapter.position() == kit.book.position()
    run.end()


def _name_of(row: dict[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("symbol", "market", "market_id") if key in row}


def test_lighter_account_is_the_bots_own_among_those_of_its_wallet() -> None:
    kit = Lighter()
    kit.book.place("Bid", "Market", None, Decimal("0.3"))
    sub = {"index": 281474976710608, "positions": [{"market_id": 2, "sign": 1, "position": "9"}]}
    kit.spoilt["positions"] = lambda answer: answer | {"accounts": [*answer["accounts"], sub]}
    assert kit.adapter.position() == Decimal("0.3")


# hedge mode


def _hedged(kit: Kit) -> bool:
    return any(
        check.code == "hedge_mode" and check.level.value == "fail"
        for check in check_run(
            kit.settings, kit.adapter.market(), AccountFacts(is_hedged=kit.adapter.is_hedged())
        )
    )


@each_perp
def test_one_position_a_market_is_no_hedge(kind: type[Kit]) -> None:
    kit = kind()
    assert not _hedged(kit)
    kit.book.place("Bid", "Market", None, Decimal("0.3"))
    assert not _hedged(kit)


def test_an_account_in_hedge_mode_is_refused_before_the_first_order(tmp_path: Path) -> None:
    kit = Aster()
    kit.is_hedged = True
    assert _hedged(kit), "while it holds nothing, too"
    kit.book.place("Ask", "Market", None, Decimal("0.3"))
    assert _hedged(kit)
    assert kit.adapter.position() == Decimal("-0.3")
    # One that becomes so later: the exchange refuses its orders, and that is said.
    run = Run(kit, tmp_path)
    for _ in range(20):
        run.tick()
    assert run.engine.condition().code in (Code.ORDERS_REFUSED, Code.LEDGER_DIFFERS)
    run.store.close()


def test_two_positions_of_a_market_are_a_hedge_by_their_rows_alone() -> None:
    kit = Apex()
    rows = [{"symbol": "SOL-USDT", "side": side, "size": "0.3"} for side in ("LONG", "SHORT")]
    kit.spoilt["positions"] = lambda _answer: {"data": {"positions": rows}}
    assert _hedged(kit)
    kit.spoilt["positions"] = lambda _answer: {"data": {"positions": [rows[0], rows[1] | {"size": "0"}]}}
    assert not _hedged(kit)


# SIGKILL


@each_exchange
def test_killed_between_an_order_and_its_answer_doubles_no_level(kind: type[Kit], tmp_path: Path) -> None:
    """The record has the client id before the order is sent: a new process finds it by that alone."""
    kit = kind()
    kit.killed = 0.25
    kit.book.partial_fills = 0.3
    run, kills = Run(kit, tmp_path), 0
    for _ in range(200 if cases.is_long else 100):
        try:
            run.walk(1)
        except KilledError:
            kills += 1
            run.store.close()
            run.start()
            assert kit.book.violations == []
    assert kills > 10
    assert abs(kit.book.position()) <= MAX_POSITION
    assert run.failures == []
    kit.killed = 0.0
    run.end()
