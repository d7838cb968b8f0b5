"""Closing, step by step, in each exchange's own shapes: what the book gives, refusals, kills, strangers."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.exchanges.closing import CcxtClosing
from gridbot.model.errors import RefusedError
from gridbot.model.types import OrderRequest, Side
from gridbot.store.ledger import Ledger, closing_side
from gridbot.store.store import Store
from gridbot.trading.close import Closer
from gridbot.trading.closed import Closed, Terms
from gridbot.trading.reconcile import Reconciler
from tests.bot.kits.apex import Apex
from tests.bot.kits.aster import Aster, AsterSpot
from tests.bot.kits.backpack import Backpack, BackpackSpot
from tests.bot.kits.kit import KilledError, Kit
from tests.bot.kits.lighter import Lighter
from tests.bot.kits.paradex import Paradex
from tests.fake_exchange.book import RefusalError

D = Decimal
PERPS = (Apex, Aster, Backpack, Lighter, Paradex)
KITS = (*PERPS, AsterSpot, BackpackSpot)
SHARE = D("0.01")
each_kit = pytest.mark.parametrize("kind", KITS, ids=lambda kind: kind.__name__)
each_perp = pytest.mark.parametrize("kind", PERPS, ids=lambda kind: kind.__name__)


class Sandbox:
    """A record of a position on a kit, and no bot. `sent`: the orders that were sent to close it."""

    def __init__(self, kind: type[Kit], folder: Path, held: str = "0.5") -> None:
        self.kit, self.path, self.sent = kind(), folder / "bot.db", 0
        kit = self.kit
        kit.adapter.__class__ = CcxtClosing
        assert isinstance(kit.adapter, CcxtClosing)
        self.adapter: CcxtClosing = kit.adapter
        self.adapter.settle_s = 0.0
        store = Store(self.path, durable=False)
        store.begin_run(kit.settings.identity, "live", {}, Ledger())
        self._trade(store, D(held))
        store.close()
        self._carry_out = kit.answer
        # What happens in the place of a new order, and right behind it.
        self.before: Callable[[], Any] = lambda: None
        self.after: Callable[[], Any] = lambda: None
        kit.answer = self._answer  # type: ignore[method-assign]

    def _trade(self, store: Store, qty: Decimal) -> None:
        exchange, market = self.kit.adapter, self.kit.adapter.market()
        side = Side.BUY if qty > 0 else Side.SELL
        price = D(151) if qty > 0 else D(149)
        order = store.new_order(OrderRequest("L1", side, price, abs(qty)), time.time())
        if (exchange_id := exchange.place(order)) is not None:
            store.confirm(order.client_id, exchange_id)
        Reconciler(store, exchange, market).run(time.time())
        assert (store.ledger.position, store.live_orders()) == (qty, [])

    def _answer(self, path: str, method: str, params: dict[str, Any]) -> Any:
        is_new = self.kit.is_write(path, method) and not self.kit.is_cancel(path, params, method)
        if not is_new:
            return self._carry_out(path, method, params)
        self.sent += 1
        self.before()
        answer = self._carry_out(path, method, params)
        self.after()
        return answer

    def _with_closer(self, ask: Callable[[Closer], Any], within: float) -> Any:
        store = Store(self.path, durable=False)
        try:
            return ask(Closer(self.kit.settings, store, self.adapter, within, sleep=lambda _seconds: None))
        finally:
            store.close()

    def look(self, within: float = 3.0) -> dict[str, Any]:
        answer: dict[str, Any] = self._with_closer(lambda closer: closer.look(SHARE), within)
        return answer

    def close(self, *, within: float = 3.0) -> Closed:
        """Close what a look names, as a person agrees to it."""
        look = self.look(within)
        terms = Terms(Side(look["side"]), D(look["quantity"]), D(look["price"]))
        closed: Closed = self._with_closer(lambda closer: closer.close(terms), within)
        return closed

    @property
    def ledger(self) -> Decimal:
        store = Store(self.path, durable=False)
        try:
            store.last_run()
            return store.ledger.position
        finally:
            store.close()


def _held(kind: type[Kit]) -> list[str]:
    return ["0.5", "-0.5"] if kind.perp else ["0.5"]


@pytest.mark.parametrize(("kind", "held"), [(kind, held) for kind in KITS for held in _held(kind)])
def test_it_is_closed_in_as_many_orders_as_the_book_needs(kind: type[Kit], held: str, tmp_path: Path) -> None:
    sandbox = Sandbox(kind, tmp_path, held)
    sandbox.kit.book.depth = D("0.2")
    look = sandbox.look()
    price = D("148.5") if D(held) > 0 else D("151.5")
    assert (look["side"], look["quantity"], D(look["market_price"]), D(look["price"])) == (
        closing_side(D(held)).value,
        "0.5",
        D(150),
        price,
    )
    closed = sandbox.close()
    assert (closed.why, closed.qty, closed.value, closed.position) == (None, D("0.5"), D(75), D(0))
    assert (sandbox.sent, sandbox.kit.book.position(), sandbox.ledger) == (3, D(0), D(0))
    assert sandbox.look()["quantity"] == "0"


def test_what_was_closed_is_told_where_the_runs_figures_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def figures(_path: Path) -> dict[str, float | None]:
        raise sqlite3.OperationalError("disk I/O error")

    sandbox = Sandbox(Backpack, tmp_path)
    monkeypatch.setattr("gridbot.store.history.figures", figures)
    closed = sandbox.close()
    assert (closed.why, closed.qty, closed.position) == (None, D("0.5"), D(0))
    assert closed.report is not None
    assert (closed.report["position"], "maker_share" in closed.report) == ("0", False)


@each_kit
def test_what_the_book_does_not_give_at_the_price_stays_and_is_named(kind: type[Kit], tmp_path: Path) -> None:
    sandbox = Sandbox(kind, tmp_path)
    fills = len(sandbox.kit.book.fills)

    def fall_after_one_part() -> None:
        if sandbox.sent > 1:
            sandbox.kit.book.price = D(140)

    sandbox.before = fall_after_one_part
    sandbox.kit.book.depth = D("0.2")
    closed = sandbox.close()
    assert closed.why == "the book gives no more at 148.5 or better"
    assert (closed.qty, closed.position, closed.rest_is_tradable) == (D("0.2"), D("0.3"), True)
    assert len(sandbox.kit.book.fills) == fills + 1
    assert sandbox.kit.book.position() == sandbox.ledger == D("0.3")
    assert sandbox.kit.book.own_open() == [], "nothing rests"


@each_kit
def test_an_order_that_is_refused_is_named_and_not_repeated(kind: type[Kit], tmp_path: Path) -> None:
    sandbox = Sandbox(kind, tmp_path)

    def refuse() -> None:
        raise RefusalError("INSUFFICIENT_FUNDS", "insufficient margin")

    sandbox.before = refuse
    closed = sandbox.close()
    assert closed.why is not None
    assert closed.why.startswith(f"{sandbox.kit.name} refuses the order: ")
    assert (sandbox.sent, closed.qty, closed.position) == (1, D(0), D("0.5"))


@each_perp
def test_a_reduce_only_order_that_the_exchange_does_not_take_is_named(
    kind: type[Kit], tmp_path: Path
) -> None:
    """Lighter and Paradex accept it, and end it then without a fill."""
    sandbox = Sandbox(kind, tmp_path)
    position = sandbox.kit.book.position

    def be_flat() -> None:
        sandbox.kit.book.position = lambda: D(0)  # type: ignore[method-assign]

    def be_back() -> None:
        sandbox.kit.book.position = position  # type: ignore[method-assign]

    sandbox.before, sandbox.after = be_flat, be_back
    refusal = sandbox.kit.refusal

    def refused(err: RefusalError) -> Any:
        be_back()
        return refusal(err)

    sandbox.kit.refusal = refused  # type: ignore[method-assign]
    closed = sandbox.close()
    assert closed.why is not None
    assert "reduce" in closed.why.lower(), closed.why
    assert (closed.qty, closed.position) == (D(0), D("0.5"))


@each_kit
def test_what_the_account_holds_otherwise_is_left_alone(kind: type[Kit], tmp_path: Path) -> None:
    sandbox = Sandbox(kind, tmp_path)
    if kind.perp:
        sandbox.kit.book.place("Bid", "Market", None, D("0.2"), foreign=True)
        with pytest.raises(RefusedError, match=r"trades make 0\.5 SOL, the account holds 0\.7"):
            sandbox.look()
    else:
        sandbox.kit.book.balance = D("-0.2")
        with pytest.raises(RefusedError, match=r"trades make 0\.5 SOL, the account holds 0\.3"):
            sandbox.look()
    assert sandbox.sent == 0


@each_perp
def test_a_stranger_that_trades_between_two_orders_ends_it(kind: type[Kit], tmp_path: Path) -> None:
    sandbox = Sandbox(kind, tmp_path)
    sandbox.kit.book.depth = D("0.2")

    def trade() -> None:
        sandbox.after = lambda: None
        sandbox.kit.book.place("Ask", "Market", None, D("0.2"), foreign=True)

    sandbox.after = trade
    closed = sandbox.close()
    assert (sandbox.sent, closed.qty, closed.position) == (1, D("0.2"), None)
    assert closed.why is not None
    assert "trades make 0.3 SOL, the account holds 0.1" in closed.why


@each_kit
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("order", [1, 2])
def test_killed_around_an_order_it_closes_the_rest_and_no_more(
    kind: type[Kit], moment: str, order: int, tmp_path: Path
) -> None:
    sandbox = Sandbox(kind, tmp_path)
    sandbox.kit.book.depth = D("0.3")

    def kill() -> None:
        if sandbox.sent == order:
            raise KilledError

    setattr(sandbox, moment, kill)
    with pytest.raises(KilledError):
        sandbox.close()
    setattr(sandbox, moment, lambda: None)
    look = sandbox.look()
    if D(look["quantity"]):
        assert sandbox.close().position == 0
    assert sandbox.kit.book.position() == sandbox.ledger == 0
    assert sum(fill.qty for fill in sandbox.kit.book.fills if fill.order.side == "Ask") == D("0.5")


def test_an_order_of_the_bot_that_no_list_has_is_cancelled_before_anything_is_closed(tmp_path: Path) -> None:
    """Lighter's history has ended orders alone: one that rests, and that the list lacks, is in none."""
    sandbox = Sandbox(Lighter, tmp_path)
    kit = sandbox.kit
    store = Store(sandbox.path, durable=False)
    store.last_run()
    order = store.new_order(OrderRequest("L2", Side.BUY, D(141), D("0.1")), time.time())
    resting = kit.book.place("Bid", "Limit", D(141), D("0.1"), order.client_id)
    store.confirm(order.client_id, resting.id)
    store.close()
    kit.spoilt["orders"] = lambda answer: {**answer, "orders": []}
    sandbox.before = lambda: cancelled.append(not resting.open)
    cancelled = list[bool]()
    sandbox.close()
    assert cancelled
    assert all(cancelled)
    assert kit.book.own_open() == []


@each_kit
@pytest.mark.parametrize("is_carried_out", [True, False])
def test_after_a_lost_answer_it_is_closed_once(kind: type[Kit], is_carried_out: bool, tmp_path: Path) -> None:
    sandbox = Sandbox(kind, tmp_path)
    sandbox.kit.book.depth = D("0.3")

    def lose() -> None:
        if sandbox.sent == 1:
            raise sandbox.kit.adapter._errors.RequestTimeout("timed out")

    setattr(sandbox, "after" if is_carried_out else "before", lose)
    closed = sandbox.close()
    assert (closed.why, closed.qty, closed.position) == (None, D("0.5"), D(0))
    assert sandbox.sent == (2 if is_carried_out else 3)
    assert sandbox.kit.book.position() == sandbox.ledger == 0
