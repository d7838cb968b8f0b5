"""What makes a live run impossible, or a loss by construction, is said before its first order."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.config.args import parse
from gridbot.config.settings import Settings
from gridbot.exchanges.account_facts import AccountFacts
from gridbot.exchanges.market_state import MarketState
from gridbot.model.check import Check, Level
from gridbot.model.errors import ConfigError
from gridbot.model.levels import make_levels
from gridbot.model.types import Market, OrderRequest, Side, as_text
from gridbot.store.ledger import Ledger
from gridbot.store.memory import MemoryStore
from gridbot.store.store import Store
from gridbot.strategies.strategy import make_strategy
from gridbot.trading import limit_checks
from gridbot.trading.preflight import check_run
from gridbot.trading.worst_case import WorstCase, worst_cases
from tests.bot.bots import BotFactory, run_program
from tests.bot.test_live import FAST, MESH, fake, live, settled
from tests.bot.worlds import PERP, SPOT
from tests.fake_exchange.book import BookOrder
from tests.fake_exchange.server import FakeExchange

__all__ = ["fake"]

GOOD = AccountFacts(
    price=Decimal(150),
    can_trade=True,
    free=Decimal(10000),
    leverage=Decimal(10),
    maintenance=Decimal("0.0125"),
    maker_fee=Decimal("0.0002"),
    clock_offset=0.1,
    state=MarketState(True, "Open"),
    is_isolated=False,
    says_least_value=True,
)
LIVE = {"TRADING_MODE": "live", "DB_PATH": "bot.db"}
LONG = ("--grid-type", "long")


def run_of(*more: str) -> Settings:
    return parse((*MESH, *more), LIVE)


def checks_of(settings: Settings, market: Market = PERP, **facts: Any) -> dict[str, Check]:
    checks = check_run(settings, market, replace(GOOD, **facts))
    by_code = {check.code: check for check in checks}
    assert len(by_code) == len(checks), "one line each"
    assert all(check.remedy for check in checks if check.level is not Level.OK), (
        "nobody is left alone with it"
    )
    return by_code


def cases_of(settings: Settings, market: Market = PERP) -> list[WorstCase]:
    levels = make_levels(
        settings.grid_lower, settings.grid_upper, settings.grid_num, settings.grid_mode, market.tick
    )
    return worst_cases(settings, market, levels, Decimal(150))


def test_a_sound_run_has_nothing_but_ok() -> None:
    checks = checks_of(run_of())
    assert list(checks) == [
        "keys_trade",
        "symbol",
        "notional",
        "funds",
        "liquidation",
        "profit",
        "clock",
    ]
    assert {check.level for check in checks.values()} == {Level.OK}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # 144 146 148 150 152 154 156 with 0.1 each, around 150
        ((), [(Side.BUY, "0.3", "43.8", "144"), (Side.SELL, "0.3", "46.2", "156")]),
        (("--grid-type", "long"), [(Side.BUY, "0.6", "89.4", "144")]),
        (("--grid-type", "short"), [(Side.SELL, "0.6", "90.6", "156")]),
        (("--grid-type", "long", "--max-position", "0.25"), [(Side.BUY, "0.25", "38.1", "144")]),
    ],
)
def test_the_worst_case_is_the_whole_range_up_to_max_position(
    options: Sequence[str], expected: list[tuple[Side, str, str, str]]
) -> None:
    cases = cases_of(run_of(*options))
    assert cases == [WorstCase(side, *map(Decimal, amounts)) for side, *amounts in expected]


def test_what_the_worst_case_needs_is_margin_and_loss() -> None:
    (case,) = cases_of(run_of("--grid-type", "long"))
    assert case.loss == Decimal("3.0")
    assert case.funds(Decimal(1)) == case.cost, "without leverage all of it was paid"
    assert case.funds(Decimal(10)) == Decimal("11.64")
    # At that price the equity, 20 + 0.6 p - 89.4, is the maintenance margin, 0.0125 * 0.6 p.
    price = case.liquidation(Decimal(20), Decimal("0.0125"))
    assert abs(20 + case.qty * price - case.cost - Decimal("0.0125") * case.qty * price) < Decimal("1e-20")


@pytest.mark.parametrize(
    ("free", "codes"),
    [
        ("11.63", {"funds_short": Level.FAIL, "liquidation": Level.OK}),
        ("11.64", {"funds": Level.OK, "liquidation": Level.OK}),
        ("5", {"funds_short": Level.FAIL, "liquidation": Level.WARN}),
        ("4", {"funds_short": Level.FAIL, "liquidation_inside": Level.FAIL}),
        ("0", {"funds_short": Level.FAIL, "liquidation_inside": Level.FAIL}),
    ],
)
def test_funds_and_the_distance_to_liquidation(free: str, codes: dict[str, Level]) -> None:
    checks = checks_of(run_of("--grid-type", "long"), free=Decimal(free))
    assert {code: checks[code].level for code in checks if code[:4] in ("fund", "liqu")} == codes


def test_a_stop_loss_limits_what_can_be_lost() -> None:
    without = checks_of(run_of("--grid-type", "long"), free=Decimal(10))
    within = checks_of(run_of("--grid-type", "long", "--stop-loss", "1"), free=Decimal(10))
    assert without["funds_short"].params["needed"] == "11.64"
    assert within["funds"].params["needed"] == "9.64"


@pytest.mark.parametrize(
    ("upper", "fee", "code"),
    [
        ("150.1165", "0.0002", "profit_below_fees"),  # 0.013 % against 0.04 %
        ("150.42", "0.0002", "profit_small"),
        ("156", "0.0002", "profit"),
        ("150.1165", "0.00005", "profit_small"),
        ("150.1165", "-0.0001", "profit"),
    ],
)
def test_a_grid_has_to_earn_more_than_its_fees(upper: str, fee: str, code: str) -> None:
    tick = replace(PERP, tick=Decimal("0.0001"))
    settings = run_of("--grid-lower", "150", "--grid-upper", upper)
    checks = checks_of(settings, tick, maker_fee=Decimal(fee))
    assert code in checks
    assert (checks[code].level is Level.FAIL) == (code == "profit_below_fees")


def test_the_issue_is_told_in_figures() -> None:
    tick = replace(PERP, tick=Decimal("0.0001"))
    settings = run_of("--grid-lower", "150", "--grid-upper", "150.117")
    check = checks_of(settings, tick)["profit_below_fees"]
    assert check.params == {"gross": "0.013", "fees": "0.04", "net": "-0.027"}
    assert check.text == "a grid earns 0.013 % and pays 0.04 % in fees: -0.027 % is left"


def test_quotes_are_compared_with_their_fees_too() -> None:
    argv = ("--exchange", "backpack", "--symbol", "SOL_USDC_PERP", "--strategy", "standard")
    more = ("--market-type", "perp", "--quantity", "1", "--spread", "0.03")
    checks = checks_of(parse((*argv, *more), LIVE))
    assert checks["profit_below_fees"].params["fees"] == "0.04"
    assert checks["funds"].params["needed"] == "150"


def test_the_minimum_notional_is_checked_at_every_level() -> None:
    market = replace(PERP, min_notional=Decimal("14.7"))
    check = checks_of(run_of(), market)["notional_small"]
    assert (check.level, check.params["count"], check.params["price"]) == (Level.FAIL, "2", "144")
    enough = Decimal(check.params["enough"])
    assert (enough - market.lot) * 144 < market.min_notional <= enough * 144


@pytest.mark.parametrize(
    ("options", "code", "level"),
    [
        (("--quantity", "0.105"), "quantity_rounded", Level.WARN),
        (("--quantity", "0.001"), "quantity_small", Level.FAIL),
        (("--grid-lower", "155.99", "--grid-num", "7"), "levels_invalid", Level.FAIL),
    ],
)
def test_tick_and_lot(options: Sequence[str], code: str, level: Level) -> None:
    assert checks_of(run_of(*options))[code].level is level


def share_of(most_held: str, *more: str) -> Settings:
    at = MESH.index("--quantity")
    return parse((*MESH[:at], *MESH[at + 2 :], "--max-position", most_held, *more), LIVE)


def test_a_quantity_that_nobody_wrote_is_told_by_the_numbers_that_he_did() -> None:
    settings = share_of("1", "--grid-num", "8")
    checks = checks_of(settings)
    rounded = checks["share_rounded"]
    assert (rounded.level, "quantity_rounded" in checks) == (Level.OK, False), "we have rounded, not he"
    assert rounded.text == (
        "an order is 0.14: max_position 1 over 7 orders is 0.14285714 each, rounded down to the lot 0.01"
    )
    market = replace(PERP, min_qty=Decimal("0.15"))
    small = checks_of(settings, market)["share_small"]
    assert (
        small.text == f"max_position 1 over 7 orders is 0.14285714 each, less than {PERP.symbol} allows: 0.15"
    )
    for enough in (small.params["enough"], "1.06"):
        assert "share_small" not in checks_of(share_of(enough, "--grid-num", "8"), market)
    with pytest.raises(
        ConfigError, match=r"^--max-position: 1 over 7 orders is 0.14285714 each, which is less"
    ):
        make_strategy(settings, market, MemoryStore())


def test_the_most_that_is_named_can_be_traded() -> None:
    market = replace(PERP, max_qty=Decimal("0.1"))
    large = checks_of(share_of("1", "--grid-num", "8"), market)["share_large"]
    assert large.level is Level.FAIL
    assert "share_large" not in checks_of(share_of(large.params["enough"], "--grid-num", "8"), market)


def test_the_least_quantity_that_is_named_can_be_traded() -> None:
    market = replace(PERP, lot=Decimal("0.04"), min_qty=Decimal("0.1"))
    remedy = checks_of(run_of(), market)["quantity_small"].remedy
    assert remedy == "set a quantity of at least 0.12"


def test_what_is_not_known_is_a_warning_and_neither_good_nor_bad() -> None:
    checks = checks_of(run_of(), can_trade=None, free=None, maker_fee=None, clock_offset=None)
    unknown = {code for code, check in checks.items() if check.level is Level.WARN}
    assert unknown == {"keys_unknown", "funds_unknown", "fees_unknown", "clock_unknown"}
    assert Level.FAIL not in {check.level for check in checks.values()}
    assert "funds" in checks_of(run_of(), leverage=None), "they suffice without leverage, so with any"
    assert checks_of(run_of(), leverage=None, free=Decimal(20))["leverage_unknown"].level is Level.WARN


@pytest.mark.parametrize(
    ("offset", "code"), [(180.0, "clock_behind"), (-180.0, "clock_ahead"), (0.5, "clock")]
)
def test_the_clock(offset: float, code: str) -> None:
    assert code in checks_of(run_of(), clock_offset=offset)


def test_a_spot_market_has_no_liquidation_and_needs_the_whole_price() -> None:
    argv = ("--exchange", "backpack", "--symbol", "SOL_USDC", "--strategy", "grid", *MESH[6:])
    checks = checks_of(parse(argv, LIVE), SPOT, leverage=Decimal(1), free=Decimal(80))
    assert checks["funds_short"].params["needed"] == "89.4"
    assert not [code for code in checks if code.startswith("liquidation")]


# over HTTP


def ask(
    folder: Path, fake: FakeExchange, *more: str, **env: str
) -> tuple[int, dict[str, dict[str, Any]], str]:
    own = {"PATH": os.environ["PATH"], "DB_PATH": str(folder / "bot.db")}
    done = run_program("preflight.py", [*MESH, *more], {**own, **fake.env, **FAST, **env})
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, {line["code"]: line for line in lines}, done.stderr


def test_the_program_asks_and_places_nothing(fake: FakeExchange, tmp_path: Path) -> None:
    code, lines, err = ask(tmp_path, fake)
    assert (code, err) == (0, "")
    assert {line["level"] for line in lines.values()} == {"ok"}, lines
    assert lines["funds"]["params"]["leverage"] == "20"
    assert lines["funds"]["params"]["free"] == "10000"
    assert fake.book.orders == {}
    assert fake.book.violations == []
    assert list(tmp_path.iterdir()) == [], "no database is made"


def test_the_program_finds_what_is_wrong_with_the_account(fake: FakeExchange, tmp_path: Path) -> None:
    fake.read_only = True
    fake.book.equity, fake.book.maker_points = Decimal(1), Decimal(100)
    code, lines, _err = ask(tmp_path, fake)
    assert code == 0
    assert {name for name, line in lines.items() if line["level"] == "fail"} == {
        "keys_read_only",
        "funds_short",
        "liquidation_inside",
        "profit_below_fees",
    }


def write_record(folder: Path, position: str, *orders: BookOrder, identity: str = "") -> None:
    """Make a record by which this position and these orders are the bot's own."""
    store = Store(folder / "bot.db", durable=False)
    try:
        store.begin_run(identity or run_of().identity, "live", {}, Ledger(position=Decimal(position)))
        for order in orders:
            side = Side.BUY if order.side == "Bid" else Side.SELL
            request = OrderRequest(f"slot {order.id}", side, order.price or Decimal(0), order.qty)
            store.confirm(store.new_order(request, time.time()).client_id, order.id)
    finally:
        store.close()


def funds_of(folder: Path, fake: FakeExchange) -> dict[str, Any]:
    _code, lines, err = ask(folder, fake)
    assert err == ""
    return next(lines[code] for code in ("funds", "funds_short") if code in lines)


def test_what_a_bot_that_runs_has_bound_is_not_missing(fake: FakeExchange, tmp_path: Path) -> None:
    needed = funds_of(tmp_path, fake)["params"]["needed"]
    fake.book.equity = Decimal(needed) + Decimal("0.1")
    fake.book.place("Bid", "Market", None, Decimal("0.3"), 1)
    order = fake.book.place("Bid", "Limit", Decimal(144), Decimal("0.1"), 2)
    write_record(tmp_path, "0.3", order)
    assert fake.book.available() < Decimal(needed)
    assert funds_of(tmp_path, fake)["level"] == "ok"
    fake.book.equity -= 1
    assert funds_of(tmp_path, fake)["level"] == "fail"


def test_what_others_have_bound_is_not_free_for_this_bot(fake: FakeExchange, tmp_path: Path) -> None:
    fake.book.equity = Decimal(800)
    fake.book.place("Bid", "Market", None, Decimal(1), 1)
    order = fake.book.place("Bid", "Limit", Decimal(144), Decimal(1), 2)
    free = as_text(fake.book.available())
    assert free == "785", "1 + 1 at 150, at a leverage of 20"
    assert funds_of(tmp_path, fake)["params"]["free"] == free, "no record: nothing is its own"
    write_record(tmp_path, "0.4", identity="backpack SOL_USDC_PERP perp paper")
    assert funds_of(tmp_path, fake)["params"]["free"] == free, "a position on paper binds nothing"
    write_record(tmp_path, "0.4")
    assert funds_of(tmp_path, fake)["params"]["free"] == "788", "0.4 of the position is its own"
    write_record(tmp_path, "0.4", order)
    assert funds_of(tmp_path, fake)["params"]["free"] == "795.5", "and the order is, now"
    fake.book.place("Ask", "Market", None, Decimal(1), 3)
    assert funds_of(tmp_path, fake)["params"]["free"] == "800", "no more than the account has bound"


def test_the_first_order_is_not_paid_with_what_others_have_bound(
    start_bot: BotFactory, fake: FakeExchange, tmp_path: Path
) -> None:
    needed = Decimal(funds_of(tmp_path, fake)["params"]["needed"])
    fake.book.place("Bid", "Limit", Decimal(141), Decimal(1), 2, foreign=True)
    fake.book.equity = needed + Decimal("0.1")
    bot = live(start_bot, fake)
    assert bot.wait_end() == 4
    assert "pre-flight: " in bot.last_words()["reason"]
    assert "is free, the worst case" in bot.last_words()["reason"]
    assert len(fake.book.orders) == 1


def test_wrong_keys_are_told_from_keys_that_may_only_read(fake: FakeExchange, tmp_path: Path) -> None:
    code, lines, _err = ask(tmp_path, fake, BACKPACK_SECRET="A" * 43 + "=")
    assert code == 0
    assert {name: line["level"] for name, line in lines.items()} == {"keys_refused": "fail", "symbol": "ok"}


def test_keys_that_cannot_sign_are_told_from_an_exchange_out_of_reach(
    fake: FakeExchange, tmp_path: Path
) -> None:
    code, lines, _err = ask(tmp_path, fake, BACKPACK_SECRET="c2hvcnQ=")
    assert code == 0
    assert {name: line["level"] for name, line in lines.items()} == {"keys_refused": "fail"}
    assert "BACKPACK_SECRET is not 32 or 64 bytes in base64" in lines["keys_refused"]["text"]
    assert "c2hvcnQ=" not in str(lines)


def test_no_answer_is_no_check(fake: FakeExchange, tmp_path: Path) -> None:
    fake.faults.down = True
    code, lines, err = ask(tmp_path, fake)
    assert (code, lines) == (1, {})
    assert "backpack does not answer" in err


def test_a_symbol_that_is_not_there_is_a_line(fake: FakeExchange, tmp_path: Path) -> None:
    _code, lines, _err = ask(tmp_path, fake, "--symbol", "SOLX_USDC_PERP")
    assert [(name, line["level"]) for name, line in lines.items()] == [("symbol_missing", "fail")]


# the bot itself


def test_a_bot_refuses_its_first_order_and_says_why(start_bot: BotFactory, fake: FakeExchange) -> None:
    fake.read_only = True
    bot = live(start_bot, fake)
    assert bot.wait_end() == 4
    assert "pre-flight: the keys may not trade" in bot.output()
    assert bot.last_words()["reason"].startswith("pre-flight: the keys may not trade")
    assert fake.book.orders == {}
    again = live(start_bot, fake)
    assert again.wait_end() == 4, "that it was tried before makes it no run that goes on"
    fake.read_only = False
    third = live(start_bot, fake)
    settled(third, fake)
    assert third.stop() == 0


def test_a_bot_that_has_begun_goes_on_and_is_warned(start_bot: BotFactory, fake: FakeExchange) -> None:
    bot = live(start_bot, fake)
    settled(bot, fake)
    bot.kill()
    fake.book.maker_points = Decimal(100)
    again = live(start_bot, fake)
    settled(again, fake)
    assert "pre-flight: a grid earns" in again.output()
    assert again.stop() == 0


def test_a_person_may_begin_nevertheless(start_bot: BotFactory, fake: FakeExchange) -> None:
    fake.book.maker_points = Decimal(100)
    bot = live(start_bot, fake, GRIDBOT_PREFLIGHT="warn")
    settled(bot, fake)
    assert "pre-flight: a grid earns" in bot.output()
    assert bot.stop() == 0


@pytest.mark.parametrize(
    ("options", "most", "is_too_many"),
    [
        ((), 4, False),
        ((), 3, True),
        (("--max-position", "2"), 4, False),
        (("--max-position", "2", "--grid-type", "long"), 2, False),
        (("--max-position", "2", "--grid-type", "long"), 1, True),
        (("--max-position", "1"), 2, False),
        (("--max-position", "1"), 1, True),
    ],
)
def test_as_many_orders_as_the_exchange_takes_are_not_too_many(
    options: Sequence[str], most: int, *, is_too_many: bool
) -> None:
    """A neutral grid has orders on both sides of max_position, a long one on one."""
    settings = run_of("--grid-num", "5", "--quantity", "1", *options)
    checks = limit_checks.largest(settings, replace(PERP, max_orders=most), [Decimal(100)])
    assert ("orders_too_many" in {check.code for check in checks}) is is_too_many
