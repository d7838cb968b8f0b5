"""What the pre-flight says of the market's state, the key's permission and the price of liquidation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.exchanges.market_state import MarketState, read_state
from gridbot.model.check import Level
from gridbot.model.types import Side
from gridbot.trading.preflight import check_run
from gridbot.trading.worst_case import WorstCase, worst_cases
from tests.bot.kits.apex import Apex
from tests.bot.kits.aster import Aster, AsterSpot
from tests.bot.kits.backpack import Backpack, BackpackSpot
from tests.bot.kits.kit import Kit
from tests.bot.kits.lighter import Lighter
from tests.bot.kits.paradex import Paradex
from tests.bot.test_live import fake
from tests.bot.test_preflight import LONG, ask, cases_of, checks_of, run_of
from tests.bot.test_preflight_kits import ANSWERS, ASTER, LIGHTER, facts
from tests.bot.worlds import PERP, SPOT
from tests.fake_exchange.book import RefusalError
from tests.fake_exchange.server import FakeExchange

__all__ = ["fake"]

D = Decimal
# docs.backpack.exchange, change log of 2025-11-12, "Get account" and "Get collateral".
BACKPACK: Mapping[str, Any] = {
    "account": {"leverageLimit": "50", "futuresMakerFee": "2"},
    "collateral": {"netEquityAvailable": "100"},
    "time": 0,
}


# the market's state


@pytest.mark.parametrize(
    ("exchange", "info", "is_open"),
    [
        ("backpack", {"orderBookState": "Open"}, True),
        ("backpack", {"orderBookState": "LimitOnly"}, True),
        ("backpack", {"orderBookState": "CancelOnly"}, False),
        ("backpack", {"orderBookState": "Closed"}, False),
        ("aster", {"status": "TRADING"}, True),
        ("aster", {"status": "SETTLING"}, False),
        ("lighter", {"status": "active"}, True),
        ("lighter", {"status": "inactive"}, False),
        ("apex", {"enableTrade": True, "enableOpenPosition": True}, True),
        ("apex", {"enableTrade": True, "enableOpenPosition": False}, False),
        ("apex", {"enableTrade": True}, None),
        ("paradex", {"symbol": "SOL-USD-PERP"}, None),
        ("backpack", {}, None),
        ("aster", {"status": None}, None),
        ("backpack", {"orderBookState": "OPEN"}, True),
        ("backpack", {"orderBookState": "AuctionOnly"}, None),
        ("aster", {"status": "PENDING_TRADING"}, False),
        ("aster", {"status": "HALT"}, False),
        ("aster", {"status": "TRADING_PLUS"}, None),
        ("lighter", {"status": ""}, None),
        ("lighter", None, None),
    ],
)
def test_a_market_that_takes_no_orders_is_told_from_one_of_which_nothing_is_known(
    exchange: str, info: Any, is_open: bool | None
) -> None:
    assert read_state(exchange, info).is_open is is_open


def test_a_market_that_is_closed_refuses_live_and_an_unknown_one_is_never_ok() -> None:
    closed = checks_of(run_of(), state=MarketState(False, "CancelOnly"))["market_closed"]
    assert closed.level is Level.FAIL
    assert "CancelOnly" in closed.text
    assert checks_of(run_of(), state=MarketState())["market_unknown"].level is Level.WARN


def test_a_suspended_market_is_a_line_of_the_program(fake: FakeExchange, tmp_path: Path) -> None:
    fake.book.state = "CancelOnly"
    _code, lines, _err = ask(tmp_path, fake)
    assert [code for code, line in lines.items() if line["level"] == "fail"] == ["market_closed"]


def test_a_least_value_that_is_not_said_is_no_least_value_of_nothing() -> None:
    line = checks_of(run_of(), says_least_value=False)["notional_unknown"]
    assert (line.level, line.params["value"]) == (Level.WARN, "14.4")
    for kind, is_said in ((Backpack, True), (Aster, False)):
        assert facts(kind(), ASTER if kind is Aster else BACKPACK).says_least_value is is_said
    kit = Aster()
    kit.adapter._loaded()["limits"]["cost"] = {"min": 5.0}
    assert facts(kit, ASTER).says_least_value


# the key's permission


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_may_cancel_and_not_order_is_read_only(
    fake: FakeExchange, tmp_path: Path, status: int
) -> None:
    fake.refusal = RefusalError("UNAUTHORIZED" if status == 401 else "FORBIDDEN", "no orders", status)
    _code, lines, _err = ask(tmp_path, fake)
    assert lines["keys_read_only"]["level"] == "fail"
    assert fake.book.orders == {}


def _refusing(kit: Kit, *methods: str) -> Kit:
    """Let these methods be refused for want of permission, as a key that may only read is."""
    carry_out = kit.answer

    def answer(path: str, method: str, params: dict[str, Any]) -> Any:
        if method in methods and path.split("/")[-1] in ("order", "test", "delete-order", "{order_id}"):
            raise RefusalError("unauthorized", "may only read", 401)
        return carry_out(path, method, params)

    kit.answer = answer  # type: ignore[method-assign]
    kit.refusal = lambda err: kit.refusals["unauthorized"]  # type: ignore[method-assign]
    return kit


@pytest.mark.parametrize(("kind", "method"), [(Paradex, "DELETE"), (Apex, "POST")])
def test_a_key_that_reads_and_may_not_cancel_is_read_only(kind: type[Kit], method: str) -> None:
    kit = _refusing(kind(), method)
    account_facts = facts(kit, ANSWERS[kind])
    assert (account_facts.can_trade, account_facts.is_account_blocked) == (False, False)
    checks = {check.code: check for check in check_run(kit.settings, kit.adapter.market(), account_facts)}
    assert checks["keys_read_only"].level is Level.FAIL
    assert kit.book.open_orders() == kit.others


@pytest.mark.parametrize(("kind", "method"), [(Aster, "POST"), (AsterSpot, "DELETE")])
def test_what_asters_account_may_does_not_vouch_for_its_key(kind: type[Kit], method: str) -> None:
    answers = {name: value for name, value in ASTER.items() if name != "test"}
    account_facts = facts(_refusing(kind(), method), answers)
    assert (account_facts.can_trade, account_facts.is_account_blocked) == (False, False)


def test_a_test_order_that_is_refused_for_another_reason_says_nothing_of_the_key() -> None:
    kit = Aster()
    kit.refusal = lambda err: kit.refusals["below_minimum"]  # type: ignore[method-assign]

    carry_out = kit.answer

    def answer(path: str, method: str, params: dict[str, Any]) -> Any:
        if path.endswith("test"):
            raise RefusalError("-4164", "too small")
        return carry_out(path, method, params)

    kit.answer = answer  # type: ignore[method-assign]
    assert facts(kit, ASTER).can_trade is None


# the price of liquidation


@pytest.mark.parametrize(
    ("kind", "more", "is_isolated"),
    [
        (Aster, {}, True),  # as the kit's position is
        (Paradex, {}, False),
        (
            Paradex,
            {"margin": {"configs": [{"market": "SOL-USD-PERP", "leverage": 5, "margin_type": "ISOLATED"}]}},
            True,
        ),
        (Lighter, {}, None),
        (Apex, {}, None),
        (Backpack, BACKPACK, False),
    ],
)
def test_whether_the_margin_is_isolated_is_known(
    kind: type[Kit], more: Mapping[str, Any], is_isolated: bool | None
) -> None:
    assert facts(kind(), {**ANSWERS.get(kind, {}), **more}).is_isolated is is_isolated


def test_margin_that_is_added_by_itself_is_not_isolated() -> None:
    kit = Aster()
    carry_out = kit.answer

    def answer(path: str, method: str, params: dict[str, Any]) -> Any:
        rows = carry_out(path, method, params)
        adds = {"isAutoAddMargin": "true"}
        return [row | adds for row in rows] if path.endswith("positionRisk") else rows

    kit.answer = answer  # type: ignore[method-assign]
    assert facts(kit, ASTER).is_isolated is False


@pytest.mark.parametrize(("mode", "is_isolated"), [(0, False), (1, True), (None, None), ("x", None)])
def test_lighters_margin_mode(mode: Any, is_isolated: bool | None) -> None:
    [account] = LIGHTER["account"]["accounts"]
    position = {"market_id": 2, "initial_margin_fraction": "20.00", "margin_mode": mode}
    own = {**account, "positions": [position]}
    account_facts = facts(Lighter(), {**LIGHTER, "account": {"code": 200, "accounts": [own]}})
    assert account_facts.is_isolated is is_isolated


def test_asters_maintenance_margin_is_that_of_the_positions_value() -> None:
    steps = [
        {"bracket": 1, "notionalCap": 5000, "notionalFloor": 0, "maintMarginRatio": 0.01},
        {"bracket": 2, "notionalCap": 50000, "notionalFloor": 5000, "maintMarginRatio": 0.025},
    ]
    brackets = [{"symbol": "SOLUSDT", "brackets": steps}]
    account_facts = facts(Aster(), {**ASTER, "leverageBracket": brackets})
    assert [account_facts.maintenance_of(D(value)) for value in (1, 5000, 5001, 10**6)] == [
        D("0.01"),
        D("0.01"),
        D("0.025"),
        D("0.025"),
    ]
    assert facts(Aster(), ASTER).maintenance_of(D(1)) is None


@pytest.mark.parametrize(
    ("kind", "cross", "isolated"),
    [
        # 154 152 150 148 146 144 with 0.1 each: cost 89.4, at a leverage of 10 a margin of 8.94.
        # (89.4 - 20) / (0.6 * (1 - 0.0125)) = 117.13, (89.4 - 8.94) / 0.5925 = 135.80
        ("long", "117.13", "135.8"),
        # 146 … 156: cost 90.6, margin 9.06. (90.6 + 20) / (0.6 * 1.0125) = 182.06, 99.66 / 0.6075 = 164.05
        ("short", "182.06", "164.05"),
    ],
)
def test_an_isolated_position_has_no_more_than_its_own_margin(kind: str, cross: str, isolated: str) -> None:
    settings = run_of("--grid-type", kind)
    assert checks_of(settings, free=D(20))["liquidation"].params["price"] == cross
    assert checks_of(settings, free=D(20), is_isolated=True)["liquidation"].params["price"] == isolated
    # With a leverage of 50 it ends inside the grid, whatever else the account has.
    inside = checks_of(settings, free=D(10000), is_isolated=True, leverage=D(50))["liquidation_isolated"]
    assert inside.level is Level.FAIL
    unknown = checks_of(settings, free=D(10000), is_isolated=True, leverage=None)["liquidation_unknown"]
    assert unknown.level is Level.WARN


def test_what_is_assumed_for_the_liquidation_is_never_ok_and_never_bad() -> None:
    unknowns: list[dict[str, Any]] = [{"maintenance": None}, {"is_isolated": None}]
    for unknown in unknowns:
        line = checks_of(run_of(*LONG), free=D(20), **unknown)["liquidation_assumed"]
        assert line.level is Level.WARN
    # Funds of 4 last until 142.33 without a maintenance margin, and until 145.98 with 2.5 %.
    assert "liquidation_assumed" in checks_of(run_of(*LONG), free=D(4), maintenance=None)
    assert "liquidation_inside" in checks_of(run_of(*LONG), free=D(4), maintenance=D("0.025"))
    assert "liquidation_inside" in checks_of(run_of(*LONG), free=D(2), maintenance=None), "in any case"


def test_a_stop_loss_ends_the_run_before_a_liquidation() -> None:
    assert "liquidation_inside" in checks_of(run_of(*LONG), free=D(4))
    assert "liquidation_none" in checks_of(run_of(*LONG, "--stop-loss", "1"), free=D(4))
    # 4 - 2.9 = 1.1 are less than the maintenance margin of 89.4 * 0.0125 = 1.1175.
    assert "liquidation_inside" in checks_of(run_of(*LONG, "--stop-loss", "2.9"), free=D(4))


@pytest.mark.parametrize(
    ("kind", "leverage", "before", "after"),
    [
        # 0.1 at 154 is liquidated at 15.092 / 0.09875 = 152.83, where 0.117 is lost; the entry at 152 is not
        # reached. 0.1 sold at 146 is at 14.892 / 0.10125 = 147.08, where 0.108 is lost.
        ("long", 50, "0.11", "0.12"),
        ("short", 50, "0.1", "0.11"),
        # What is bought at 154 to 150 lasts until 147.77, before which more is bought at 148: all of it until
        # 57.984 / 0.395 = 146.79, where 1.682 is lost.
        ("long", 25, "1.6", "1.7"),
    ],
)
def test_a_stop_loss_before_an_isolated_liquidation_refuses_nothing(
    kind: str, leverage: int, before: str, after: str
) -> None:
    def codes(stop_loss: str) -> dict[str, Level]:
        settings = run_of("--grid-type", kind, "--stop-loss", stop_loss)
        checks = checks_of(settings, free=D(10000), is_isolated=True, leverage=D(leverage))
        return {code: check.level for code, check in checks.items() if code.startswith("liquidation")}

    assert codes(before) == {"liquidation_stopped": Level.WARN}
    assert codes(after) == codes("10000") == {"liquidation_isolated": Level.FAIL}


@pytest.mark.parametrize(
    ("options", "price"),
    [
        # All that is bought is liquidated beyond the end, 0.1 at 150 before the next is bought at 144:
        # (15 - 15 / 30) / (0.1 * (1 - 0.0125)) = 146.84. Sold at 150, (15 + 0.5) / 0.10125 = 153.09.
        ((*LONG, "--grid-num", "3"), "146.84"),
        (("--grid-type", "short", "--grid-num", "3"), "153.09"),
        # A first entry that is far from the others: 1 at the market, at 150, and the next one at 144.
        ((*LONG, "--grid-num", "3", "--initial-position", "1", "--max-position", "9"), "146.84"),
    ],
)
def test_an_isolated_position_may_be_gone_before_the_next_entry(options: Sequence[str], price: str) -> None:
    line = checks_of(run_of(*options), is_isolated=True, leverage=D(30))["liquidation_isolated"]
    assert (line.level, line.params["price"]) == (Level.FAIL, price)
    # One that is stopped out before is told, and begins; and so does one whose maintenance margin is unknown.
    stopped = checks_of(run_of(*options, "--stop-loss", "0.2"), is_isolated=True, leverage=D(30))
    assert stopped["liquidation_stopped"].level is Level.WARN
    assert "liquidation" in checks_of(run_of(*options), is_isolated=True, leverage=D(15))
    assumed = checks_of(run_of(*options), is_isolated=True, leverage=D(18), maintenance=None)
    assert {check.level for check in assumed.values()} <= {Level.OK, Level.WARN}


def test_backpacks_leverage_is_the_markets_where_that_is_less() -> None:
    for base, leverage in ("0.1", D(10)), ("0.01", D(50)), (None, D(50)):
        kit = Backpack()
        kit.adapter._loaded()["info"] |= {"imfFunction": {"type": "sqrt", "base": base}}
        assert facts(kit, BACKPACK).leverage == leverage


# what is lent


def test_funds_that_are_lent_refuse_no_run() -> None:
    settings = run_of("--strategy", "grid", "--market-type", "spot", "--symbol", "SOL_USDC")
    for free, lent, code, level in (
        ("5", "200", "funds_lent", Level.WARN),
        ("5", "10", "funds_short", Level.FAIL),
        ("5", None, "funds_short", Level.FAIL),
        ("200", "10", "funds", Level.OK),
    ):
        facts_known = {"free": D(free), "lent": lent and D(lent), "leverage": D(1)}
        assert checks_of(settings, SPOT, **facts_known)[code].level is level


def test_what_a_spot_account_has_lent_of_its_quote_is_asked_for() -> None:
    rows = [{"symbol": "SOL", "lendQuantity": "1"}, {"symbol": "USDC", "lendQuantity": "70.5"}]
    assert facts(BackpackSpot(), {**BACKPACK, "collateral": {"collateral": rows}}).lent == D("70.5")
    assert facts(BackpackSpot(), BACKPACK).lent is None
    assert facts(Backpack(), {**BACKPACK, "collateral": {"collateral": rows}}).lent is None


# levels and the worst case


def test_the_levels_that_adjust_range_moves_to_are_checked_too() -> None:
    moving = ("--enable-boundary-check", "--boundary-action", "adjust_range")
    market = replace(PERP, min_notional=D("14"))
    checks = checks_of(run_of(*moving), market)
    # 144 to 156 with 0.1 is 14.4 and more; moved down to 144, its lowest level is 138: 13.8.
    assert checks["notional"].level is Level.OK
    line = checks["notional_small_moved"]
    assert (line.level, line.params["end"], line.params["count"]) == (Level.WARN, "138", "1")
    enough = D(line.params["enough"])
    assert (enough - market.lot) * 138 < market.min_notional <= enough * 138
    assert "notional_small_moved" not in checks_of(run_of(), market)
    assert "notional_small_moved" not in checks_of(run_of(*moving, "--max-range-moves", "0"), market)
    assert "notional_small_moved" not in checks_of(run_of(*moving), replace(market, min_notional=D("13.8")))


@pytest.mark.parametrize(
    ("kind", "held", "cost", "end"),
    [
        # 1 at 150, then 0.1 each at 148 146 144
        ("long", "1.3", "193.8", "144"),
        ("short", "1.3", "196.2", "156"),
    ],
)
def test_an_initial_position_beyond_the_cells_is_part_of_the_worst_case(
    kind: str, held: str, cost: str, end: str
) -> None:
    cases = cases_of(run_of("--grid-type", kind, "--max-position", "2", "--initial-position", "1"))
    side = Side.BUY if kind == "long" else Side.SELL
    assert WorstCase(side, D(held), D(cost), D(end)) in cases
    checks = checks_of(run_of("--grid-type", kind, "--max-position", "2", "--initial-position", "1"))
    assert checks["funds"].params["position"] == held


def test_an_initial_position_at_the_ranges_end_takes_the_cell_of_an_entry() -> None:
    settings = run_of(*LONG, "--initial-position", "0.1")
    levels = [D(level) for level in range(144, 157, 2)]
    # It is to be sold at 156, so 154 is no entry: 0.1 at 155.9, then 152 150 148 146 144.
    case = worst_cases(settings, PERP, levels, D("155.9"))[-1]
    assert case == WorstCase(Side.BUY, D("0.6"), D("89.59"), D(144))
