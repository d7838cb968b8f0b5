"""The watch over what a spot account holds: less than this bot's trades make is a difference, more is not."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.model.condition import Code
from gridbot.model.errors import ExchangeError, UnclearError, UnreachableError
from gridbot.store.store import Store
from gridbot.trading.position_watch import LOOK_EVERY_S, SECOND_LOOK_S
from tests.bot.kits.aster import AsterSpot
from tests.bot.kits.backpack import Backpack, BackpackSpot
from tests.bot.kits.kit import Kit
from tests.bot.test_position_watch import Account, Neighbour, Prices
from tests.bot.test_position_watch import Bench as PerpBench
from tests.bot.worlds import SPOT

D = Decimal
LINE = (
    "--exchange backpack --symbol SOL_USDC --strategy grid --market-type spot --grid-lower 100"
    " --grid-upper 140 --grid-num 5 --quantity 1"
)


class SpotAccount(Account):
    """What is there beside this bot's coins is `others`; it may be less than 0: taken from the bot's."""

    def __init__(self, prices: Prices) -> None:
        super().__init__(prices)
        self.unknown: ExchangeError | None = None
        self.says_nothing = False
        self.lends: Decimal | ExchangeError | None = D(0)
        self.asked_for_lent = 0

    def position(self) -> Decimal | None:
        return None

    def holdings(self) -> Decimal | None:
        if self.unknown is not None:
            raise self.unknown
        return None if self.says_nothing else self.own + self.others

    def lent(self) -> Decimal | None:
        self.asked_for_lent += 1
        if isinstance(self.lends, ExchangeError):
            raise self.lends
        return self.lends


class Bench(PerpBench):
    """An engine that holds 2 on that account, bought at 120 and 110."""

    line, market = LINE, SPOT
    account: SpotAccount

    def __init__(self, store: Store, **env: str) -> None:
        super().__init__(store, "", None, **env)
        for price in ("126", "119", "109", "109"):
            assert self.tick(price=price) is Code.TRADING
        assert store.ledger.position == 2

    def opened(self) -> SpotAccount:
        return SpotAccount(self.prices)

    def looks(self) -> list[Code]:
        """Return what the next two looks make of the account."""
        return [self.tick(LOOK_EVERY_S), self.tick(SECOND_LOOK_S)]


OK = [Code.TRADING, Code.TRADING]
DIFFERS = [Code.TRADING, Code.LEDGER_DIFFERS]


def test_coins_that_were_taken_away_stop_placing_until_they_are_back(store: Store) -> None:
    bench = Bench(store)
    own = store.ledger.position
    bench.account.others = D("-1.5")
    assert bench.looks() == DIFFERS
    assert bench.engine.condition().params == {"ledger": str(own), "account": str(own - D("1.5"))}
    placed = len(bench.account.placed)
    bench.tick(1, price="125")
    assert len(bench.account.placed) == placed
    bench.account.others = D(0)
    assert bench.tick(SECOND_LOOK_S) is Code.TRADING


@pytest.mark.parametrize("others", ["7", "0.4", "-1", "-0.0099"])
def test_deposits_dust_and_no_more_than_one_order_are_no_difference(store: Store, others: str) -> None:
    bench = Bench(store)
    bench.account.others = D(others)
    assert bench.looks() == OK


def test_others_coins_may_come_and_go(store: Store) -> None:
    bench = Bench(store)
    for others in ("100", "3", "0"):
        bench.account.others = D(others)
        assert bench.looks() == OK


@pytest.mark.parametrize("error", [UnreachableError("away"), UnclearError("no list"), None])
def test_a_balance_that_is_not_said_stops_nothing(store: Store, error: ExchangeError | None) -> None:
    bench = Bench(store)
    bench.account.others = D(-2)
    bench.account.unknown, bench.account.says_nothing = error, error is None
    assert bench.looks() == OK


def test_a_sale_that_is_listed_late_is_no_difference(store: Store) -> None:
    bench = Bench(store)
    bench.account.others = D(-2)
    assert bench.tick(LOOK_EVERY_S) is Code.TRADING
    bench.account.others = D(0)
    assert bench.looks() == OK


def test_what_the_fleets_other_bots_hold_has_to_be_there_too(store: Store, tmp_path: Path) -> None:
    other = Neighbour(tmp_path)
    other.tell("2", 1_000_000.0)
    bench = Bench(store, BOTFLEET_OTHERS=other.env)
    bench.account.others = D(2)
    assert bench.looks() == OK
    bench.account.others = D(0)
    seen = [bench.tick(LOOK_EVERY_S)]
    for _ in range(3):
        other.tell("2", bench.prices.now)
        seen.append(bench.tick(SECOND_LOOK_S))
    assert seen == [Code.TRADING, Code.TRADING, Code.TRADING, Code.LEDGER_DIFFERS]
    other.tell("0", bench.prices.now)
    assert bench.tick(SECOND_LOOK_S) is Code.TRADING


def test_a_person_may_say_that_coins_are_gone(store: Store) -> None:
    bench = Bench(store, GRIDBOT_OTHERS_POSITION="-2")
    bench.account.others = D(-2)
    assert bench.looks() == OK


def test_what_is_lent_is_held_and_asked_for_only_where_something_lacks(store: Store) -> None:
    bench = Bench(store)
    assert bench.looks() == OK
    assert bench.account.asked_for_lent == 0
    bench.account.others, bench.account.lends = D(-2), D(2)
    assert bench.looks() == OK
    assert bench.account.asked_for_lent > 0
    bench.account.lends = D("0.5")
    assert bench.looks() == DIFFERS
    bench.account.lends = None
    assert bench.tick(LOOK_EVERY_S) is Code.LEDGER_DIFFERS
    bench.account.lends = D(2)
    assert bench.tick(LOOK_EVERY_S) is Code.TRADING


@pytest.mark.parametrize("lends", [None, UnreachableError("away"), UnclearError("no list")])
def test_a_lack_beside_unknown_lending_is_one_warning_and_no_stop(
    store: Store, lends: ExchangeError | None
) -> None:
    bench = Bench(store)
    bench.account.others, bench.account.lends = D("-1.5"), lends
    for _ in range(3):
        assert bench.looks() == OK
    placed = len(bench.account.placed)
    bench.tick(1, price="125")
    assert len(bench.account.placed) > placed
    assert store._db.execute("SELECT kind, sum(count) FROM errors GROUP BY kind").fetchall()[0][:] == (
        "not_compared",
        1,
    )


@pytest.mark.parametrize(
    ("answer", "lent"),
    [
        ({"collateral": [{"symbol": "SOL", "lendQuantity": "1.5", "totalQuantity": "1.75"}]}, D("1.5")),
        ({"collateral": [{"symbol": "USDC", "lendQuantity": "9"}]}, D(0)),
        ({"collateral": []}, D(0)),
        ({"collateral": [{"symbol": "SOL", "totalQuantity": "1.75"}]}, None),
        ({"collateral": None}, None),
        ({"collateral": ["SOL"]}, None),
        ({"netEquityAvailable": "100"}, None),
        ([], None),
    ],
)
def test_what_backpack_has_lent_for_the_account_is_read(answer: Any, lent: Decimal | None) -> None:
    kit, carry_out = BackpackSpot(), BackpackSpot.answer
    kit.answer = lambda path, method, params: (  # type: ignore[method-assign]
        answer if path.endswith("collateral") else carry_out(kit, path, method, params)
    )
    assert kit.adapter.lent() == lent


def test_aster_lends_nothing_and_a_perpetual_is_not_asked() -> None:
    assert AsterSpot().adapter.lent() == 0
    assert Backpack().adapter.lent() is None


@pytest.mark.parametrize("kind", [BackpackSpot, AsterSpot])
def test_what_orders_bind_is_held_too(kind: type[Kit]) -> None:
    kit = kind()
    rows: dict[str, Any] = {
        "capital": {"SOL": {"available": "0.5", "locked": "1.25", "staked": "0"}},
        "account": {"balances": [{"asset": "SOL", "free": "0.5", "locked": "1.25"}]},
    }
    carry_out = kit.answer

    def answer(path: str, method: str, params: dict[str, Any]) -> Any:
        name = path.split("/")[-1]
        return rows[name] if name in rows else carry_out(path, method, params)

    kit.answer = answer  # type: ignore[method-assign]
    assert kit.adapter.holdings() == D("1.75")
    spoilt_answers: tuple[Any, ...] = ({}, [])
    for spoilt in spoilt_answers:
        rows["account"] = spoilt
        rows["capital"] = {"SOL": {"locked": "1"}}
        with pytest.raises(ExchangeError):
            kit.adapter.holdings()
