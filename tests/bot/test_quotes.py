"""Two-sided quotes."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from gridbot.model.types import ZERO, Order, OrderRequest, Side, as_text
from gridbot.strategies import quotes
from gridbot.strategies.grid import Plan
from gridbot.strategies.quotes import Quotes
from tests.bot.worlds import PERP, SPOT, World, order_of
from tests.cases import cases

D = Decimal
TWO = Quotes(spread=D(1), qty=D(1), max_orders=2, max_position=D(10))


def ideal_prices(mine: Quotes, price: str = "100", position: str = "0") -> list[str]:
    return [f"{w.slot} {as_text(w.price)}" for w in quotes.ideal_quotes(mine, PERP, D(price), D(position))]


def test_quotes_stand_around_the_price() -> None:
    assert ideal_prices(TWO) == ["buy0 99.5", "sell0 100.5", "buy1 99", "sell1 101"]


def test_skew_shifts_both_sides_against_the_position() -> None:
    mine = replace(TWO, skew=D("0.5"), max_orders=1)
    assert ideal_prices(mine, position="10") == ["buy0 99.25", "sell0 100.25"]
    assert ideal_prices(mine, position="-5") == ["buy0 99.62", "sell0 100.63"]


def test_skew_is_measured_from_the_target() -> None:
    assert ideal_prices(replace(TWO, skew=D(1), target=D(4), max_orders=1), position="4") == [
        "buy0 99.5",
        "sell0 100.5",
    ]


def test_a_quote_never_crosses_the_price() -> None:
    assert ideal_prices(replace(TWO, skew=D(1), max_orders=1), position="10") == ["buy0 99", "sell0 100.01"]


def test_beyond_the_threshold_only_the_way_back() -> None:
    mine = replace(TWO, threshold=D(2), max_orders=1)
    assert ideal_prices(mine, position="2") == ["buy0 99.5", "sell0 100.5"]
    assert ideal_prices(mine, position="2.01") == ["sell0 100.5"]
    assert ideal_prices(mine, position="-3") == ["buy0 99.5"]


def test_near_enough_stays_far_off_is_moved() -> None:
    live = [order_of(want, i) for i, want in enumerate(quotes.ideal_quotes(TWO, PERP, D(100), ZERO))]
    assert quotes.plan(TWO, PERP, live, D("100.1"), ZERO) == Plan()
    moved = quotes.plan(TWO, PERP, live, D("100.2"), ZERO)
    assert {order.slot for order in moved.cancel} == {"buy0", "sell0", "buy1", "sell1"}
    assert moved.place == (), "each keeps its place until it is gone"
    # The bids are 99.89 and 99.39 now, the asks 100.91 and 101.41: two orders are near enough to one of them.
    moved = quotes.plan(TWO, PERP, live, D("100.4"), ZERO)
    assert [order.slot for order in moved.cancel] == ["sell0", "buy1"]


def test_a_spot_market_sells_only_what_is_held() -> None:
    assert [w.side for w in quotes.plan(TWO, SPOT, [], D(100), ZERO).place] == [Side.BUY, Side.BUY]
    plan = quotes.plan(TWO, SPOT, [], D(100), D("1.5"))
    assert [as_text(w.qty) for w in plan.place if w.side is Side.SELL] == ["1", "0.5"]


@cases(short=60, long=2000)
@given(
    perp=st.booleans(),
    spread=st.decimals("0.05", "5", places=2),
    most=st.decimals("0.5", "6", places=1),
    threshold=st.none() | st.decimals("0", "3", places=1),
    skew=st.decimals("0", "1", places=1),
    moves=st.lists(st.decimals("-3", "3", places=2), max_size=30),
)
def test_walks(
    perp: bool,
    spread: Decimal,
    most: Decimal,
    threshold: Decimal | None,
    skew: Decimal,
    moves: list[Decimal],
) -> None:
    market = PERP if perp else SPOT
    mine = Quotes(spread, D(1), 3, most, ZERO, threshold, skew)

    def decide(cells: dict[int, Decimal], live: object, price: Decimal, position: Decimal) -> Plan:
        plan = quotes.plan(mine, market, world.live, price, position)
        for want in plan.place:
            assert want.side.sign * (price - want.price) > 0
            assert want.price % market.tick == 0
            assert want.qty % market.lot == 0
        return plan

    world = World(market, D(100), decide)
    for change in [ZERO, *moves]:
        world.move(world.price + change)
        world.act()
        position = world.ledger.position
        orders: list[Order] = world.live
        assert len({order.slot for order in orders}) == len(orders)
        assert position + world.open(Side.BUY) <= most
        assert position - world.open(Side.SELL) >= (-most if perp else 0)
        assert world.ledger.cash + world.ledger.cost == world.ledger.realized - world.ledger.fees


def test_an_order_stays_for_whichever_quote_it_is_near_to() -> None:
    """After a fill what rests behind is the best quote, and a new one is placed behind it."""
    live = [replace(order_of(quotes.ideal_quotes(TWO, PERP, D(100), ZERO)[0], 1), slot="buy1")]
    plan = quotes.plan(TWO, PERP, live, D(100), ZERO)
    assert plan.cancel == ()
    assert [(want.slot, as_text(want.price)) for want in plan.place] == [
        ("sell0", "100.5"),
        ("buy0", "99"),
        ("sell1", "101"),
    ]


def test_a_quote_waits_while_an_order_that_is_cancelled_rests_at_its_price() -> None:
    """The exchange would match the two, or refuse one."""
    old = replace(order_of(quotes.ideal_quotes(TWO, PERP, D(99), ZERO)[1], 1), price=D("99.5"))
    plan = quotes.plan(TWO, PERP, [old], D(100), ZERO)
    assert [order.side for order in plan.cancel] == [Side.SELL]
    assert [as_text(want.price) for want in plan.place] == ["100.5", "99"]
    bid = order_of(quotes.ideal_quotes(TWO, PERP, D("100.5"), ZERO)[0], 2)
    assert as_text(bid.price) == "99.99"
    at_the_next = replace(old, price=D("99.49"))
    assert quotes.counter_orders(TWO, PERP, [bid, at_the_next], ZERO, bid, D(1)) == []


def test_of_two_orders_near_one_quote_one_stays() -> None:
    [best, *_] = quotes.ideal_quotes(TWO, PERP, D(100), ZERO)
    live = [order_of(best, 1), replace(order_of(best, 2), slot="buy2", price=best.price + PERP.tick)]
    plan = quotes.plan(TWO, PERP, live, D(100), ZERO)
    assert [order.slot for order in plan.cancel] == ["buy2"]
    assert [want.slot for want in plan.place] == ["sell0", "sell1"], (
        "both stand on their side until one is gone"
    )


def test_a_told_quote_is_quoted_behind_the_others() -> None:
    live = [order_of(want, i) for i, want in enumerate(quotes.ideal_quotes(TWO, PERP, D(100), ZERO))]
    best = live[0]
    [want] = quotes.counter_orders(TWO, PERP, live, ZERO, best, D(1))
    assert (want.slot, want.side, as_text(want.price)) == ("buy2", Side.BUY, "98.5")
    assert want.post_only
    # Its rest stays quoted; room for it has to be beside all, as what was told may not be true.
    assert quotes.counter_orders(TWO, PERP, live, ZERO, best, D("0.5")) == []
    for most, qty in (("3", ["1"]), ("2.5", ["0.5"]), ("2", [])):
        few = replace(TWO, max_position=D(most))
        wanted = quotes.counter_orders(few, PERP, live, ZERO, best, D(1))
        assert [as_text(one.qty) for one in wanted] == qty
    only_sales = replace(TWO, threshold=D("0.5"))
    assert quotes.counter_orders(only_sales, PERP, live, ZERO, best, D(1)) == []


def test_where_nothing_is_left_to_sell_the_other_side_has_its_next_quote() -> None:
    bids = [order_of(want, i) for i, want in enumerate(quotes.plan(TWO, SPOT, [], D(100), ZERO).place)]
    ask = order_of(OrderRequest("sell0", Side.SELL, D("100.5"), D(1), post_only=True), 9)
    live = [*bids, ask]

    def wanted(mine: Quotes, live: list[Order], held: str, filled: str = "1") -> list[str]:
        orders = quotes.counter_orders(mine, SPOT, live, D(held), ask, D(filled))
        assert all(one.post_only for one in orders)
        return [f"{one.slot} {as_text(one.price)} {as_text(one.qty)}" for one in orders]

    # The bids are 99.99 and 99.49 after the sale, of which one is near enough to 99.5.
    assert wanted(TWO, live, "1") == ["buy2 99.99 1"]
    assert wanted(TWO, live, "1", "0.5") == []
    # There is something to sell beside the order that is told: its side comes first.
    assert wanted(TWO, live, "2") == ["sell1 101.01 1"]
    # Beside what is held and all bids, be the sale true or not.
    for most, qty in (("4", ["buy2 99.99 1"]), ("3.5", ["buy2 99.99 0.5"]), ("3", [])):
        assert wanted(replace(TWO, max_position=D(most)), live, "1") == qty
    # One more than the most rests there at most, and none that would meet one of the other side.
    third = replace(bids[1], client_id=7, slot="buy3", price=D(98))
    assert wanted(TWO, [*live, third], "1") == []
    old = replace(ask, client_id=8, slot="sell1", price=D("99.9"), qty=D("0.5"))
    assert wanted(TWO, [*live, old], "1.5") == []


def test_a_quote_that_is_one_tick_off_stays() -> None:
    """With a narrow spread it would be cancelled and placed at each tick."""
    narrow = replace(TWO, spread=D("0.02"), max_orders=1)
    [buy, _sell] = quotes.ideal_quotes(narrow, PERP, D(100), ZERO)
    for ticks, is_moved in ((1, False), (2, True)):
        live = [replace(order_of(buy, 1), price=buy.price - ticks * PERP.tick)]
        assert bool(quotes.plan(narrow, PERP, live, D(100), ZERO).cancel) is is_moved


def test_what_rests_beyond_the_most_is_cancelled() -> None:
    """As after an order that was cancelled, replaced, and told to be filled later all the same."""
    for sign, side in ((1, Side.BUY), (-1, Side.SELL)):
        live = [order_of(want, i) for i, want in enumerate(quotes.ideal_quotes(TWO, PERP, D(100), ZERO))]
        assert quotes.plan(TWO, PERP, live, D(100), D(8) * sign).cancel == ()
        plan = quotes.plan(TWO, PERP, live, D(100), D("8.5") * sign)
        assert [order.slot for order in plan.cancel] == [f"{side.value}1"]
        assert plan.place == ()
