"""The end of a run cancels with few calls, and leaves an exchange alone that refuses them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.cli.open_orders import query_open_orders
from gridbot.config import args
from gridbot.exchanges.ccxt_exchange import CcxtExchange
from gridbot.model.errors import (
    ExchangeError,
    RejectedError,
    UnauthorizedError,
    UnclearError,
    UnreachableError,
)
from gridbot.model.types import (
    ExchangeOrder,
    Fill,
    Order,
    OrderRequest,
    Side,
    UnreadableFill,
    UnreadableOrder,
)
from gridbot.store.ledger import Ledger
from gridbot.store.store import Store
from gridbot.trading.cancel import ask_patiently, cancel_own_orders
from tests.bot.bots import run_program
from tests.bot.test_live import FAST
from tests.bot.test_reconcile import There, new, shown
from tests.bot.worlds import PERP, begin_live_run
from tests.fake_exchange.book import Book, BookOrder
from tests.fake_exchange.limits import Limits, Rules, Scope, Window
from tests.fake_exchange.server import Account, FakeExchange

D = Decimal
BANNED = UnreachableError("418", cause="banned", retry_after=120.0)
BUSY = UnreachableError("429", cause="rate_limited", retry_after=2.0)

GRID = ["--strategy", "perp_grid", "--grid-upper", "160", "--grid-lower", "140", "--quantity", "0.1"]
ASTER = ("--exchange", "aster", "--symbol", "SOLUSDT", *GRID)
BACKPACK = ("--exchange", "backpack", "--symbol", "SOL_USDC_PERP", *GRID)


@pytest.fixture(name="store")
def _live_store(store: Store) -> Store:
    """Of the tests that take one; the others' programs open their own."""
    begin_live_run(store)
    return store


class Sleeps:
    """Stands in for `time.sleep`, and knows how long it was."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


class Asked:
    """Stands in for a call that always fails, and for the time that pauses take."""

    def __init__(self, failure: ExchangeError | None = None) -> None:
        self.failure, self.count, self.now = failure, 0, 0.0
        self.pauses: list[float] = []

    def __call__(self) -> list[ExchangeOrder | UnreadableOrder]:
        self.count += 1
        assert self.failure is not None
        raise self.failure

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def standing(store: Store, count: int, **more: Any) -> There:
    orders = [new(store, f"L{i}", price=str(50 + i)) for i in range(count)]
    return There(listed=[shown(order, str(100 + i)) for i, order in enumerate(orders)], **more)


# few calls


def test_orders_are_cancelled_in_batches_by_their_ids(store: Store) -> None:
    there = standing(store, 13, most_in_batch=10)
    foreign = replace(there.listed[0], exchange_id="7", client_id=7)
    there.listed.append(foreign)
    assert cancel_own_orders(store, there, PERP, within=60) == (0, True)
    assert (there.calls, there.listed) == (["batch of 10", "batch of 3"], [foreign])


def test_without_batches_they_are_cancelled_one_by_one(store: Store) -> None:
    there = standing(store, 3)
    assert cancel_own_orders(store, there, PERP, within=60) == (0, True)
    assert there.calls == ["one"] * 3


def test_a_batch_that_is_rejected_is_cancelled_one_by_one(store: Store) -> None:
    there = standing(store, 3, most_in_batch=10, refusals=[RejectedError("no such call")])
    assert cancel_own_orders(store, there, PERP, within=60) == (0, True)
    assert there.calls == ["batch of 3", "one", "one", "one"]


def test_batches_that_are_never_answered_are_given_up(store: Store) -> None:
    there = standing(store, 2, most_in_batch=10, refusals=[UnreachableError("?"), UnreachableError("?")])
    assert cancel_own_orders(store, there, PERP, within=60) == (0, True)
    assert there.calls == ["batch of 2", "batch of 2", "one", "one"]


def test_all_are_cancelled_at_once_only_where_nobody_else_trades(store: Store) -> None:
    there = standing(store, 3, has_cancel_all=True)
    assert cancel_own_orders(store, there, PERP, within=5, is_exclusive=True) == (0, True)
    assert there.calls == ["all"]


@pytest.mark.parametrize("is_exclusive", [False, True])
def test_all_are_not_cancelled_at_once_beside_an_order_of_somebody_else(
    store: Store, *, is_exclusive: bool
) -> None:
    there = standing(store, 3, has_cancel_all=True)
    if is_exclusive:
        there.listed.append(replace(there.listed[0], exchange_id="7", client_id=None))
    assert cancel_own_orders(store, there, PERP, within=5, is_exclusive=is_exclusive) == (0, True)
    assert there.calls == ["one"] * 3


def test_what_rests_is_cancelled_before_any_history_is_asked_for(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = standing(store, 3, most_in_batch=10)
    fills = there.fills

    def noted(since: float) -> list[Fill | UnreadableFill]:
        there.calls.append("fills")
        return fills(since)

    monkeypatch.setattr(there, "fills", noted)
    assert cancel_own_orders(store, there, PERP, within=60) == (0, True)
    assert there.calls[:2] == ["batch of 3", "fills"]


# an exchange that refuses


def test_after_a_refusal_nothing_is_asked_for_as_long_as_the_exchange_says(store: Store) -> None:
    there, sleeps = standing(store, 3, refusals=[BUSY]), Sleeps()
    assert cancel_own_orders(store, there, PERP, within=30, sleep=sleeps) == (0, True)
    assert there.calls == ["one"] + ["one"] * 3
    assert (2.5 <= sleeps.seconds[0] <= 3.0, there.slowed) == (True, 1)


def test_pauses_after_refusals_grow(store: Store) -> None:
    refusals: list[ExchangeError] = [UnreachableError("429", cause="rate_limited") for _ in range(4)]
    there, sleeps = standing(store, 1, refusals=refusals), Sleeps()
    assert cancel_own_orders(store, there, PERP, within=60, sleep=sleeps) == (0, True)
    for pause, longest in zip(sleeps.seconds, (1, 2, 4, 8), strict=False):
        assert longest / 2 <= pause <= longest


def test_refused_keys_are_tried_again_after_growing_pauses_with_one_call_each(store: Store) -> None:
    refusals: list[ExchangeError] = [UnauthorizedError("401", cause="unauthorized") for _ in range(5)]
    there, sleeps = standing(store, 3, refusals=refusals), Sleeps()
    assert cancel_own_orders(store, there, PERP, within=60, sleep=sleeps) == (0, True)
    assert there.calls == ["one"] * 5 + ["one"] * 3
    assert there.slowed == 0, "slower calls would be refused, too"
    for pause, longest in zip(sleeps.seconds[:5], (1, 2, 4, 8, 15), strict=True):
        assert longest / 2 <= pause <= longest


@pytest.mark.parametrize(
    "failure", [UnauthorizedError("401", cause="unauthorized"), UnreachableError("no route")]
)
def test_a_list_that_does_not_come_is_asked_for_after_growing_pauses(
    store: Store, monkeypatch: pytest.MonkeyPatch, failure: ExchangeError
) -> None:
    there, asked = standing(store, 1), Asked(failure)
    monkeypatch.setattr(there, "open_orders", asked)
    monkeypatch.setattr("gridbot.trading.cancel.time.monotonic", lambda: asked.now)
    assert cancel_own_orders(store, there, PERP, within=25, sleep=asked.sleep) == (1, False)
    assert asked.count <= 14, "once a second would be 25"
    assert len({round(pause, 6) for pause in asked.pauses[-3:]}) == 3, "bots that fell together differ"


@pytest.mark.parametrize(
    ("failure", "is_confirmed"), [(None, True), (UnclearError("a page is missing"), False)]
)
def test_that_nothing_is_left_is_confirmed_only_by_a_list(
    store: Store, monkeypatch: pytest.MonkeyPatch, *, failure: ExchangeError | None, is_confirmed: bool
) -> None:
    there, asked = There(), Asked(failure)
    if failure is not None:
        monkeypatch.setattr(there, "open_orders", asked)
    monkeypatch.setattr("gridbot.trading.cancel.time.monotonic", lambda: asked.now)
    assert cancel_own_orders(store, there, PERP, within=25, sleep=asked.sleep) == (0, is_confirmed)
    assert asked.now <= 6, "a list that does not come keeps no stop waiting for long"


def test_cancellations_that_are_all_refused_are_sent_again_after_growing_pauses(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, asked = standing(store, 1, refusals=[RejectedError("not now") for _ in range(99)]), Asked()
    monkeypatch.setattr("gridbot.trading.cancel.time.monotonic", lambda: asked.now)
    assert cancel_own_orders(store, there, PERP, within=25, sleep=asked.sleep) == (1, False)
    assert len(there.calls) <= 14


@pytest.mark.parametrize("is_list_away", [False, True])
def test_an_order_that_is_listed_again_and_stays_counts_as_left(
    store: Store, monkeypatch: pytest.MonkeyPatch, *, is_list_away: bool
) -> None:
    """Its record has it as ended. Without it a stop would leave it behind and say: 0 orders."""
    there, asked = standing(store, 1, refusals=[RejectedError("not now") for _ in range(99)]), Asked()
    [order] = store.live_orders()
    store.close_order(order.client_id, "canceled", "not found")
    listed = there.open_orders

    def open_orders() -> Any:
        if there.calls and is_list_away:
            raise UnreachableError("timed out")
        return listed()

    monkeypatch.setattr(there, "open_orders", open_orders)
    monkeypatch.setattr("gridbot.trading.cancel.time.monotonic", lambda: asked.now)
    assert cancel_own_orders(store, there, PERP, within=25, sleep=asked.sleep) == (1, False)
    assert asked.now > 20


def test_during_a_ban_that_outlasts_the_stop_nothing_more_is_asked(store: Store) -> None:
    there, sleeps = standing(store, 3, refusals=[BANNED]), Sleeps()
    assert cancel_own_orders(store, there, PERP, within=30, sleep=sleeps) == (3, False)
    assert (there.calls, sleeps.seconds) == (["one"], [])


def test_a_refused_question_is_asked_again_later_and_others_at_once_not_at_all() -> None:
    answers: list[object] = [BUSY, 5]

    def call() -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    sleeps = Sleeps()
    assert ask_patiently(call, 30, sleeps) == 5
    assert len(sleeps.seconds) == 1
    for failure in (UnreachableError("no route"), BANNED):
        answers[:] = [failure]
        with pytest.raises(UnreachableError):
            ask_patiently(call, 30, sleeps)
    assert len(sleeps.seconds) == 1


@pytest.mark.parametrize(("failure", "asked", "slept"), [(BUSY, 2, [2.5]), (BANNED, 1, [])])
def test_the_list_of_open_orders_waits_for_a_short_refusal_only(
    tmp_path: Path, store: Store, failure: ExchangeError, asked: int, slept: list[float]
) -> None:
    there, sleeps, calls = There(), Sleeps(), [failure]

    def open_orders() -> list[ExchangeOrder | UnreadableOrder]:
        there.calls.append("list")
        if calls:
            raise calls.pop()
        return []

    there.open_orders = open_orders  # type: ignore[method-assign]
    settings = replace(args.parse(BACKPACK, {}), live=True, db_path=tmp_path / "bot.db")
    if failure is BUSY:
        assert query_open_orders(settings, there, sleeps)["open_orders"] == 0
    else:
        with pytest.raises(UnreachableError):
            query_open_orders(settings, there, sleeps)
    assert (len(there.calls), sleeps.seconds) == (asked, slept)


# what goes over the wire


@pytest.fixture
def fake() -> Iterator[FakeExchange]:
    with FakeExchange() as served:
        yield served


def place(folder: Path, account: Account, options: tuple[str, ...], count: int) -> list[BookOrder]:
    """Orders as a bot that was killed leaves them: in its record, and in the market."""
    record = Store(folder / "bot.db", durable=False)
    record.begin_run(f"{options[1]} {options[3]} perp live", "live", {}, Ledger())
    placed = []
    for number in range(count):
        price = D(100 + number)
        order = record.new_order(OrderRequest(f"L{number}", Side.BUY, price, D("0.1"), cell=1), 0.0)
        placed.append(account.book.place("Bid", "Limit", price, D("0.1"), order.client_id))
        record.confirm(order.client_id, placed[-1].id)
    record.close()
    return placed


def cancel(folder: Path, env: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    own = {"PATH": os.environ["PATH"], "DB_PATH": str(folder / "bot.db"), "TRADING_MODE": "live"}
    return run_program("cancel_orders.py", options, own | FAST | env)


def left(done: subprocess.CompletedProcess[str]) -> int:
    assert done.returncode == 0, done.stderr
    return int(json.loads(done.stdout.splitlines()[-1])["open_orders_left"])


def deletions(fake: FakeExchange) -> list[str]:
    return [path for method, path in fake.requests if method == "DELETE"]


def test_aster_cancels_thirteen_perpetual_orders_with_two_calls(fake: FakeExchange, tmp_path: Path) -> None:
    placed = place(tmp_path, fake.accounts[0], ASTER, 13)
    foreign = fake.book.place("Bid", "Limit", D(99), D(1), 7, foreign=True)
    assert left(cancel(tmp_path, fake.env, *ASTER)) == 0
    assert {order.status for order in placed} == {"Cancelled"}
    assert (foreign.open, fake.book.violations) == (True, [])
    assert deletions(fake) == ["/fapi/v3/batchOrders"] * 2
    assert ("GET", "/fapi/v3/order") not in fake.requests, "how they ended is one list, not a call each"


def test_asters_spot_orders_are_never_cancelled_with_ccxts_batch_which_cancels_all() -> None:
    spot = args.parse([*ASTER[:4], "--strategy", "grid", *ASTER[6:]], {})
    assert CcxtExchange(spot, None, {}).most_in_batch == 1
    assert CcxtExchange(args.parse(ASTER, {}), None, {}).most_in_batch == 10


def test_paradex_names_the_ids_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = CcxtExchange(args.parse(["--exchange", "paradex", *ASTER[2:]], {}), None, {})
    assert exchange.most_in_batch == 50
    api, sent = exchange._api, []
    exchange._raw = {"symbol": "SOL/USD:USDC"}
    api.markets = {}
    monkeypatch.setattr(api, "authenticate_rest", lambda: None)

    def send(request: dict[str, object]) -> dict[str, object]:
        sent.append(request)
        api.last_json_response = {"results": [{"id": "1", "status": "NOT_FOUND"}]}
        return dict(api.last_json_response)

    monkeypatch.setattr(api, "privateDeleteOrdersBatch", send)
    exchange.cancel_batch(
        [Order(i, f"L{i}", Side.BUY, D(1), D(1), D(0), "open", 0.0, exchange_id=f"x{i}") for i in range(2)]
    )
    assert sent == [{"order_ids": ["x0", "x1"]}]


def test_backpack_cancels_all_of_the_market_with_one_call_on_an_exclusive_account(
    fake: FakeExchange, tmp_path: Path
) -> None:
    fake.book.exclusive = True
    place(tmp_path, fake.accounts[0], BACKPACK, 13)
    assert left(cancel(tmp_path, fake.env, *BACKPACK, "--exclusive-account")) == 0
    assert (fake.book.open_orders(), fake.book.violations) == ([], [])
    assert deletions(fake) == ["/api/v1/orders"]


def test_backpack_cancels_one_by_one_beside_an_order_of_somebody_else(
    fake: FakeExchange, tmp_path: Path
) -> None:
    foreign = fake.book.place("Bid", "Limit", D(99), D(1), 7, foreign=True)
    place(tmp_path, fake.accounts[0], BACKPACK, 13)
    assert left(cancel(tmp_path, fake.env, *BACKPACK, "--exclusive-account")) == 0
    assert (fake.book.open_orders(), fake.book.violations) == ([foreign], [])
    assert deletions(fake) == ["/api/v1/order"] * 13


def test_cancel_all_always_names_the_market(fake: FakeExchange) -> None:
    """Without a symbol ccxt's lighter and apex would cancel the orders of every market.

    Up to 4.5.85 lighter's does so with one, too, and is told the market's number.
    """
    for name in ("backpack", "aster", "paradex", "lighter", "apex"):
        exchange = CcxtExchange(args.parse(["--exchange", name, *ASTER[2:]], {}), None, fake.env)
        asked: list[object] = []
        exchange._raw = {"symbol": "SOL/USDT:USDT", "id": "2"}
        exchange._api.cancel_all_orders = lambda *terms, asked=asked: asked.extend(terms)
        exchange.cancel_all()
        assert asked == ["SOL/USDT:USDT", {"cancel_all_market_index": 2} if name == "lighter" else {}]


def test_a_refused_program_waits_as_long_as_it_is_told_and_finishes(tmp_path: Path) -> None:
    limits = Limits(Rules((Window(Scope.ADDRESS, 2, 8),), ban_after=6, ban_within=20))
    with FakeExchange(Book(), limits=limits) as fake:
        place(tmp_path, fake.accounts[0], BACKPACK, 13)
        assert left(cancel(tmp_path, fake.env, *BACKPACK)) == 0
        assert fake.book.open_orders() == []
    assert limits.refused > 0
    assert limits.bans == 0


def test_a_banned_program_ends_without_asking_again(tmp_path: Path) -> None:
    # eight calls are let through; then each of the four channels may have one more under way
    limits = Limits(Rules((Window(Scope.ADDRESS, 60, 8),), ban_after=1, ban_s=600))
    with FakeExchange(Book(), limits=limits) as fake:
        place(tmp_path, fake.accounts[0], BACKPACK, 13)
        done = cancel(tmp_path, fake.env, *BACKPACK)
        assert (done.returncode, done.stdout.count("open_orders_left")) == (1, 0)
        assert 8 < limits.requests <= 8 + 4 + 1
