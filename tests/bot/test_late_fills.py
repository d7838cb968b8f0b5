"""An order that is listed as cancelled with nothing filled may be listed as filled some seconds later."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.exchanges.paper import PaperExchange
from gridbot.model.types import OrderRequest, Side
from gridbot.store.store import Store
from gridbot.strategies import quotes
from gridbot.strategies.grid import Grid, counter_orders, plan
from gridbot.strategies.quotes import Quotes
from gridbot.trading.late_fills import LATE_FILL_S, LateFills
from tests.bot.kits.aster import Aster
from tests.bot.kits.backpack import Backpack, BackpackSpot
from tests.bot.kits.kit import MAX_POSITION, TICK_S, Kit, Run, running
from tests.bot.kits.lighter import Lighter
from tests.bot.worlds import PERP, SPOT, order_of
from tests.fake_exchange.book import BookOrder

D = Decimal


def fill_late(kit: Kit, order: BookOrder) -> None:
    """Let the exchange find out that a cancelled order had been filled."""
    assert order.price is not None
    kit.book._fill(order, order.price, order.qty, maker=True)


def cancelled_at_the_bound(kit: Kit, folder: Path) -> tuple[Run, BookOrder]:
    """Return a bot whose orders have all the room, and one of these, which has just been cancelled."""
    run = running(kit, folder)
    bids = [order for order in kit.book.own_open() if order.side == "Bid"]
    assert sum(order.qty for order in bids) == MAX_POSITION
    gone = max(bids, key=lambda order: order.price or D(0))
    [order] = [one for one in run.store.live_orders() if one.exchange_id == gone.id]
    run.engine._placing.cancel(order, kit.now)
    run.tick(1.0)
    return run, gone


@pytest.mark.parametrize("kind", [Backpack, Aster, Lighter, BackpackSpot])
@pytest.mark.parametrize("after", [3.0, 7.0])
def test_a_late_fill_of_a_cancelled_order_does_not_pass_max_position(
    kind: type[Kit], after: float, tmp_path: Path
) -> None:
    kit = kind()
    run, gone = cancelled_at_the_bound(kit, tmp_path)
    began = kit.now
    while kit.now < began + after:
        run.tick(1.0)
    fill_late(kit, gone)
    kit.book.move(D(130))  # and all that rests, at once
    assert abs(kit.book.position()) <= MAX_POSITION
    for _ in range(3):
        run.tick(TICK_S)
    run.end()


def test_the_room_is_given_back_when_no_fill_can_come_any_more(tmp_path: Path) -> None:
    kit = Backpack()
    run, gone = cancelled_at_the_bound(kit, tmp_path)
    for _ in range(3):
        run.tick(1.0)
    resting = [order.qty for order in kit.book.own_open() if order.side == "Bid"]
    assert sum(resting) + gone.qty == MAX_POSITION
    run.tick(LATE_FILL_S)
    run.tick()
    assert sum(order.qty for order in kit.book.own_open() if order.side == "Bid") == MAX_POSITION
    run.end()


def test_a_bot_that_was_killed_goes_on_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridbot.trading.late_fills.LATE_FILL_S", 600.0)  # the record has the machine's time
    kit = Backpack()
    run, gone = cancelled_at_the_bound(kit, tmp_path)
    run.store.close()
    run.start()
    assert [order.exchange_id for order in run.engine._placing.late.orders(kit.now)] == [gone.id]
    run.tick(1.0)
    fill_late(kit, gone)
    kit.book.move(D(130))
    assert abs(kit.book.position()) <= MAX_POSITION
    run.store.close()


def test_what_the_exchange_ends_by_itself_keeps_no_other_order_waiting(tmp_path: Path) -> None:
    """It ends a level's order again and again, as one that would take: the others have their turn."""
    kit = Backpack()
    run = running(kit, tmp_path)
    gone = next(order for order in kit.book.own_open() if order.side == "Bid")
    kit.book.cancel(gone.id)
    run.tick(1.0)
    assert run.engine._placing.late.orders(kit.now) == []
    run.end()


def test_what_has_been_booked_meanwhile_counts_once(store: Store) -> None:
    late = LateFills(store, settle_s=1.0)
    order = store.new_order(OrderRequest("L1", Side.BUY, D(99), D(1)), 0.0)
    store.close_order(order.client_id, "canceled")
    late.note(order, 100.0)
    assert [one.remaining for one in late.orders(101.0)] == [1]
    store._db.execute("UPDATE orders SET filled = '0.4'")
    assert [one.remaining for one in late.orders(102.0)] == [D("0.6")]
    store._db.execute("UPDATE orders SET filled = '1'")
    assert late.orders(103.0) == []
    store._db.execute("UPDATE orders SET filled = '0'")
    assert late.orders(100.0 + LATE_FILL_S) == []
    late.note(order, 100.0)
    assert late.orders(90.0) == [], "the clock was set back"


def test_on_paper_nothing_is_late_for_the_process_after_either(store: Store) -> None:
    """A grid at its bound would wait for ten seconds after each restart."""
    gone = store.new_order(OrderRequest("L1", Side.BUY, D(99), D(1)), 0.0)
    store.close_order(gone.client_id, "canceled")
    paper, live = LateFills(store, PaperExchange.settle_s), LateFills(store, settle_s=1.0)
    assert (paper.orders(5.0), [one.client_id for one in live.orders(5.0)]) == ([], [gone.client_id])
    paper.note(gone, 5.0)
    assert paper.orders(5.0) == []


FIVE = Grid(tuple(D(level) for level in (100, 110, 120, 130, 140)), 4, D(1), D(2))


def entry(level: int, client_id: int) -> Any:
    cell = FIVE.levels.index(D(level))
    return order_of(OrderRequest(f"L{cell}", Side.BUY, D(level), D(1), cell, post_only=True), client_id)


def test_nothing_is_cancelled_for_what_may_have_been_filled() -> None:
    """Or one cancellation would bring about the next one, until nothing rests."""
    live, late = [entry(120, 1)], [entry(100, 2)]
    assert [want.price for want in plan(FIVE, PERP, {}, live, D(126), D(0)).place] == [D(110)]
    waiting = plan(FIVE, PERP, {}, live, D(126), D(0), late)
    assert (waiting.cancel, waiting.place, waiting.quiet) == ((), (), None)
    full = [entry(120, 1), entry(110, 3)]
    assert plan(FIVE, PERP, {}, full, D(126), D(0), late).cancel == ()


def test_on_a_word_there_has_to_be_room_beside_it_too() -> None:
    wide = replace(FIVE, max_position=D(2), anchor=0)
    told = order_of(OrderRequest("L2", Side.SELL, D(120), D(1), 1, post_only=True), 1)
    for late, count in (([], 1), ([entry(100, 2)], 1), ([entry(100, 2), entry(110, 3)], 0)):
        assert len(counter_orders(wide, PERP, {}, [told], D(0), told, D(1), late)) == count


def test_of_quotes_too_all_that_may_have_been_filled_counts() -> None:
    """The market may have traded at one between two looks, wherever it is now."""
    mine = Quotes(spread=D(1), qty=D(1), max_orders=1, max_position=D(1))
    late = [order_of(one, n) for n, one in enumerate(quotes.ideal_quotes(mine, PERP, D(100), D(0)))]
    for price in ("90", "99.8", "100", "100.2", "110"):
        assert quotes.plan(mine, PERP, [], D(price), D(0), late).place == (), price
        one_more = replace(mine, max_position=D(2))
        assert len(quotes.plan(one_more, PERP, [], D(price), D(0), late).place) == 2, price


def test_of_a_spot_markets_sales_those_near_the_price_count() -> None:
    """All that is held is offered there, and the exchange refuses a second sale of what is gone."""
    mine = Quotes(spread=D(1), qty=D(1), max_orders=1, max_position=D(2), may_fill_late=True)
    [bid, ask] = [order_of(one, n) for n, one in enumerate(quotes.ideal_quotes(mine, SPOT, D(100), D(1)))]
    for price, sides in (("99.8", ["sell"]), ("100.2", []), ("99", ["sell"])):
        planned = quotes.plan(mine, SPOT, [], D(price), D(1), [bid, ask])
        assert [one.side for one in planned.place] == sides, price


def test_quotes_for_whose_successors_there_is_no_room_rest_where_they_are() -> None:
    """Or a market that moves all the time would leave none, long before the bot is at its bound."""
    mine = Quotes(spread=D(1), qty=D(1), max_orders=2, max_position=D(6), may_fill_late=True)
    live = [order_of(one, n) for n, one in enumerate(quotes.ideal_quotes(mine, PERP, D(100), D(0)))]
    late = list[Any]()
    left = []
    for count in range(6):
        planned = quotes.plan(mine, PERP, live, D(101), D(0), late)
        left.append(len(live) - len(planned.cancel))
        late += [replace(one, client_id=100 + 10 * count + n) for n, one in enumerate(live[:2])]
    assert left == [0, 0, 0, 2, 4, 4]
    # At its bound with nothing that may be filled yet, one of a side is moved, and the next one later.
    full = replace(mine, max_position=D(2))
    planned = quotes.plan(full, PERP, live, D(101), D(0))
    assert sorted(order.side for order in planned.cancel) == [Side.BUY, Side.SELL]
    assert len(quotes.plan(replace(full, may_fill_late=False), PERP, live, D(101), D(0)).cancel) == 4
    # What no quote takes the place of goes at once.
    flat = replace(full, threshold=D("0.5"))
    assert {one.side for one in quotes.plan(flat, PERP, live, D(101), D(1), late).cancel} >= {Side.BUY}


@pytest.mark.parametrize("kind", [Backpack, BackpackSpot])
def test_a_fill_that_is_listed_when_nothing_was_traded_and_nothing_rests_is_booked(
    kind: type[Kit], tmp_path: Path
) -> None:
    """Nobody asked for executions then: the account's position differed from the record for ever."""
    kit = kind()
    run = running(kit, tmp_path)
    gone = next(order for order in kit.book.own_open() if order.side == "Bid")
    run.engine.shared.pause_requested = True
    run.tick(1.0)
    run.tick(1.0)
    assert run.store.live_orders() == []
    fill_late(kit, gone)
    run.tick(1.0)
    assert run.store.ledger.position == gone.qty
    run.end()


def test_a_fill_of_before_the_orders_that_rest_is_booked(tmp_path: Path) -> None:
    kit = Backpack()
    run = running(kit, tmp_path)
    gone = next(order for order in kit.book.own_open() if order.side == "Bid")
    run.engine.shared.pause_requested = True
    run.tick(1.0)
    run.tick(1.0)
    fill_late(kit, gone)
    run.store.close()
    kit.now += 600.0
    run.start()
    run.engine.shared.pause_requested = False
    run.tick(1.0)
    run.tick(1.0)
    assert run.store.ledger.position == gone.qty
    run.end()
