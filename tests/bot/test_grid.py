"""The grid's arithmetic and its decisions, over examples and over many random walks."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.model.errors import ConfigError
from gridbot.model.levels import make_levels
from gridbot.model.types import ZERO, Order, OrderRequest, Side
from gridbot.strategies import grid
from gridbot.strategies.grid import Grid
from tests.bot.worlds import PERP, World, order_of
from tests.cases import cases

D = Decimal
TICK = D("0.01")
MANY = cases(short=100, long=2000)


def told(plan: grid.Plan) -> list[str]:
    """A plan as text, one line an action."""
    cancels = [f"cancel {o.slot} {o.side} {o.remaining} @ {o.price}" for o in plan.cancel]
    return cancels + [f"{w.slot} {w.side} {w.qty} @ {w.price}" for w in plan.place]


def five(anchor: int, most: str = "10") -> Grid:
    """Levels 100, 110 … 140, one unit each."""
    return Grid(tuple(D(100 + 10 * i) for i in range(5)), anchor, D(1), D(most))


def placed(
    mesh: Grid, price: str, cells: dict[int, Decimal] | None = None, live: tuple[Order, ...] = ()
) -> list[str]:
    held = cells or {}
    return told(grid.plan(mesh, PERP, held, live, D(price), sum(held.values(), ZERO)))


# levels


def test_arithmetic_levels_are_evenly_spaced() -> None:
    assert make_levels(D(100), D(110), 5, "arithmetic", TICK) == (
        D(100),
        D("102.5"),
        D(105),
        D("107.5"),
        D(110),
    )


def test_geometric_levels_have_one_ratio() -> None:
    assert make_levels(D(100), D(1600), 5, "geometric", TICK) == (
        D(100),
        D(200),
        D(400),
        D(800),
        D(1600),
    )


def test_bounds_off_the_tick_are_rounded_inwards() -> None:
    levels = make_levels(D("100.004"), D("109.996"), 3, "arithmetic", TICK)
    assert (levels[0], levels[-1]) == (D("100.01"), D("109.99"))


def test_no_level_at_price_zero() -> None:
    assert make_levels(D(0), D(10), 3, "arithmetic", TICK) == (D(5), D(10))


@pytest.mark.parametrize(
    ("lower", "upper", "count", "mode", "message"),
    [
        (
            "100",
            "100.03",
            5,
            "arithmetic",
            "--grid-num: 5 levels between 100 and 100.03 are closer than the tick 0.01",
        ),
        ("0", "100", 5, "geometric", "--grid-lower: a geometric grid needs a lower price above 0"),
    ],
)
def test_impossible_levels_are_refused(lower: str, upper: str, count: int, mode: str, message: str) -> None:
    with pytest.raises(ConfigError) as failure:
        make_levels(D(lower), D(upper), count, mode, TICK)
    assert str(failure.value) == message


@MANY
@given(
    lower=st.decimals("0.02", "5000", places=2),
    width=st.decimals("5", "3000", places=2),
    count=st.integers(2, 200),
    mode=st.sampled_from(["arithmetic", "geometric"]),
)
def test_levels_are_exact_multiples_inside_the_bounds(
    lower: Decimal, width: Decimal, count: int, mode: str
) -> None:
    upper = lower + width
    try:
        levels = make_levels(lower, upper, count, mode, TICK)
    except ConfigError:
        return  # closer than the tick
    assert len(levels) == count
    assert (levels[0], levels[-1]) == (lower, upper)
    assert all(level % TICK == 0 for level in levels)
    assert all(low < high for low, high in pairwise(levels))
    if mode == "arithmetic":
        step = width / (count - 1)
        assert all(abs(high - low - step) <= TICK for low, high in pairwise(levels))
    else:
        ratio = float(upper / lower) ** (1 / (count - 1))
        for low, high in pairwise(levels):
            slack = float(TICK) * (1 + ratio) / 2 + 1e-6
            assert abs(float(high) - float(low) * ratio) <= slack


# what a grid wants


def test_neutral_leaves_the_nearest_level_out() -> None:
    assert placed(five(2), "121") == [
        "L3 sell 1 @ 130",
        "L1 buy 1 @ 110",
        "L4 sell 1 @ 140",
        "L0 buy 1 @ 100",
    ]


def test_long_only_buys_until_it_holds_something() -> None:
    assert placed(five(4), "121") == ["L1 buy 1 @ 110", "L0 buy 1 @ 100"]


def test_short_only_sells_until_it_has_sold_something() -> None:
    assert placed(five(0), "121") == ["L3 sell 1 @ 130", "L4 sell 1 @ 140"]


def test_a_bought_cell_sells_one_level_up() -> None:
    assert placed(five(2), "110", {1: D(1)}) == [
        "L2 sell 1 @ 120",
        "L0 buy 1 @ 100",
        "L3 sell 1 @ 130",
        "L4 sell 1 @ 140",
    ]


def test_a_sold_cell_buys_one_level_down() -> None:
    assert placed(five(2), "131", {2: D(-1)})[0] == "L2 buy 1 @ 120"


def test_a_partly_bought_cell_sells_what_it_has() -> None:
    assert placed(five(4), "110", {1: D("0.4")})[0] == "L2 sell 0.4 @ 120"


BOTH_HOLD = {1: D(1), 2: D(-1)}


@pytest.mark.parametrize(
    ("price", "resting", "wanted"),
    [
        ("95", 1, ["cancel L2 sell 1 @ 120"]),
        ("95", None, ["L2 buy 1 @ 120"]),
        ("95", 2, []),
        ("135", 2, ["cancel L2 buy 1 @ 120"]),
        ("135", None, ["L2 sell 1 @ 120"]),
        ("120", 1, []),
        ("120", 2, []),
    ],
)
def test_of_two_exits_at_one_level_the_one_that_would_trade_comes_first(
    price: str, resting: int | None, wanted: list[str]
) -> None:
    """Both cells hold something when fills are listed late: one sells there, and the other one buys."""
    exits = {
        1: order_of(OrderRequest("L2", Side.SELL, D(120), D(1), 1), 1),
        2: order_of(OrderRequest("L2", Side.BUY, D(120), D(1), 2), 2),
    }
    live = () if resting is None else (exits[resting],)
    plan = grid.plan(five(2), PERP, BOTH_HOLD, live, D(price), ZERO)
    assert [line for line in told(plan) if "120" in line] == wanted
    assert plan.quiet is None, "the other one waits for the price, or for an order"
    told_id = {order.client_id for order in live}
    assert grid.plan(five(2), PERP, BOTH_HOLD, live, D(price), ZERO, (), told_id).cancel == ()
    # Without room for it, as beside other cells' orders, nothing is cancelled in turn for ever.
    full = grid.plan(five(2, "1"), PERP, BOTH_HOLD, live, D(price), D(1) if D(price) < 120 else D(-1))
    assert full.cancel == ()


def entry_of(cell: int, filled: str, qty: str = "10", number: int = 1) -> Order:
    """Return a long cell's entry at its lower level, filled in part."""
    want = OrderRequest(f"L{cell}", Side.BUY, D(100 + 10 * cell), D(qty), cell, post_only=True)
    return replace(order_of(want, number), filled=D(filled))


def exit_of(cell: int, qty: str, number: int = 2) -> Order:
    return order_of(OrderRequest(f"L{cell + 1}", Side.SELL, D(110 + 10 * cell), D(qty), cell), number)


def of_cell(cell: int, price: str, held: str, *live: Order) -> list[str]:
    """Return what a long grid of 10 a level does about one cell."""
    mesh = replace(five(4, "100"), qty=D(10))
    plan = grid.plan(mesh, PERP, {cell: D(held)}, live, D(price), D(held))
    cancels = tuple(order for order in plan.cancel if order.cell == cell)
    return told(grid.Plan(cancels, tuple(want for want in plan.place if want.cell == cell)))


def test_the_filled_part_of_an_entry_is_offered_at_once() -> None:
    assert of_cell(1, "110", "9.9", entry_of(1, "9.9")) == ["L2 sell 9.9 @ 120"]
    # Four levels further up it would be sold at the market's better price.
    assert of_cell(0, "140", "9.9", entry_of(0, "9.9")) == ["L1 sell 9.9 @ 110"]


def test_an_exit_beside_its_entry_grows_when_more_would_be_left_than_it_has() -> None:
    assert of_cell(1, "110", "3", entry_of(1, "3"), exit_of(1, "2")) == []
    assert of_cell(1, "110", "5", entry_of(1, "5"), exit_of(1, "2")) == ["cancel L2 sell 2 @ 120"]
    assert of_cell(1, "110", "10", exit_of(1, "9.9")) == ["cancel L2 sell 9.9 @ 120"]
    assert of_cell(1, "110", "10") == ["L2 sell 10 @ 120"]


def test_an_entry_whose_parts_were_sold_again_is_renewed() -> None:
    assert of_cell(1, "120", "0", entry_of(1, "9.9")) == ["cancel L1 buy 0.1 @ 110"]
    assert of_cell(1, "120", "0") == ["L1 buy 10 @ 110"]
    # Near the level a cancelled entry could not be placed again, and one that holds something is not done.
    assert of_cell(1, "112", "0", entry_of(1, "9.9")) == []
    assert of_cell(1, "120", "4", entry_of(1, "9.9"), exit_of(1, "4")) == []


def test_a_part_too_small_to_sell_waits_for_more() -> None:
    assert of_cell(1, "110", "0.005", entry_of(1, "0.005")) == []


def test_a_price_that_turns_after_a_partial_fill_leaves_nothing_held() -> None:
    """A fill of 9.9 out of 10, and a rise of four levels: all of it is sold, and the entry is whole again."""
    mesh = replace(five(4, "100"), qty=D(10))

    def decide(held: dict[int, Decimal], live: object, now: Decimal, position: Decimal) -> grid.Plan:
        return grid.plan(mesh, PERP, held, world.live, now, position)

    world = World(PERP, D(121), decide)
    world.act()
    world.move(D(110), D("0.99"))
    world.act()
    assert world.ledger.position == D("9.9")
    for price in (D(121), D(131), D(141), D(141)):
        world.move(price)
        world.act()
    assert world.ledger.position == 0
    assert [order.remaining for order in world.live if order.cell == 1] == [D(10)]


def test_dust_does_not_block_a_cell() -> None:
    assert placed(five(4), "121", {1: D("0.001")})[0] == "L1 buy 1 @ 110"


def test_nothing_is_placed_where_an_order_stands() -> None:
    first = grid.plan(five(2), PERP, {}, (), D(121), ZERO)
    live = tuple(order_of(want, i, "new" if i % 2 else "open") for i, want in enumerate(first.place))
    assert placed(five(2), "121", live=live) == []


def test_max_position_keeps_the_nearest_orders() -> None:
    assert placed(five(4, "2"), "141") == ["L3 buy 1 @ 130", "L2 buy 1 @ 120"]


def test_a_far_order_makes_room_first() -> None:
    first = grid.plan(five(4, "2"), PERP, {}, (), D(121), ZERO)
    live = tuple(order_of(want, i) for i, want in enumerate(first.place))
    assert placed(five(4, "2"), "141", live=live) == ["cancel L0 buy 1 @ 100"]
    assert placed(five(4, "2"), "141", live=live[:1]) == ["L3 buy 1 @ 130"]


def test_a_carried_position_is_closed_beyond_the_price() -> None:
    levels = five(0).levels
    mesh, cells = grid.start_grid(levels, "neutral", D(111), D(1), D(10), position=D("1.5"))
    assert mesh.anchor == 3
    assert cells == {1: D(1), 2: D("0.5")}
    mesh, cells = grid.start_grid(levels, "neutral", D(129), D(1), D(10), position=D(-2))
    assert mesh.anchor == 1
    assert cells == {2: D(-1), 1: D(-1)}


@MANY
@given(
    kind=st.sampled_from(["neutral", "long", "short"]),
    price=st.decimals("60", "180", places=2),
    position=st.decimals("-6", "6", places=2),
)
def test_a_beginning_accounts_for_all_that_is_held(kind: str, price: Decimal, position: Decimal) -> None:
    mesh, cells = grid.start_grid(five(0).levels, kind, price, D(1), D(10), position)
    assert sum(cells.values(), ZERO) == position
    assert all(0 <= cell < 4 for cell in cells)
    assert 0 <= mesh.anchor <= 4


# walks


@cases(short=200, long=10_000)
@given(
    kind=st.sampled_from(["neutral", "long", "short"]),
    mode=st.sampled_from(["arithmetic", "geometric"]),
    count=st.integers(2, 9),
    most=st.integers(1, 9),
    start=st.integers(-20, 120),
    moves=st.lists(st.tuples(st.integers(-45, 45), st.sampled_from([D(1), D("0.3"), D("0.5")])), max_size=30),
    fee_currency=st.sampled_from(["USDC", "USDC", "SOL"]),
)
def test_walks(
    kind: str,
    mode: str,
    count: int,
    most: int,
    start: int,
    moves: list[tuple[int, Decimal]],
    fee_currency: str,
) -> None:
    """Check sides, bounds, one order a level, max_position in the worst case, conservation.

    Nothing is to be done anywhere in a range that is called quiet.
    """
    lower, upper = D(100), D(200)
    levels = make_levels(lower, upper, count, mode, TICK)
    price = D(100) + start
    mesh, cells = grid.start_grid(levels, kind, price, D(1), D(most))

    def decide(held: dict[int, Decimal], live: object, now: Decimal, position: Decimal) -> grid.Plan:
        return grid.plan(mesh, PERP, held, world.live, now, position)

    world = World(PERP, price, decide, cells, fee_currency=fee_currency)
    slack = ZERO if fee_currency == "USDC" else D("0.01")  # a fee in the base currency is a little more sold
    for change, share in [(0, D(1)), *moves]:
        price = min(max(price + change, D(50)), D(250))
        world.move(price, share)
        world.act()
        ledger, position = world.ledger, world.ledger.position
        quiet = decide(world.cells, world.live, price, position).quiet
        if quiet is not None:
            low, high = max(quiet[0], D(50)), min(quiet[1], D(250))
            for part in (D("0.0001"), D("0.3"), D("0.7"), D("0.9999")):
                between = low + (high - low) * part
                assert told(decide(world.cells, world.live, between, position)) == [], (quiet, between)
        assert len({order.slot for order in world.live}) == len(world.live)
        assert len({order.price for order in world.live}) == len(world.live)
        for side in (True, False):
            cells_of = [order.cell for order in world.live if order.post_only is side]
            assert len(set(cells_of)) == len(cells_of), "one entry and one exit a cell"
        for order in world.live:
            assert lower <= order.price <= upper
            assert order.price in levels
            assert order.qty % PERP.lot == 0
            assert order.cell is not None
            if order.post_only:
                assert order.side is (Side.BUY if mesh.is_long(order.cell) else Side.SELL)
                assert order.side.sign * (price - order.price) >= 0
        assert position + world.open(Side.BUY) <= most + slack
        assert position - world.open(Side.SELL) >= -most - slack
        if kind == "long":
            assert position - world.open(Side.SELL) >= 0
        if kind == "short":
            assert position + world.open(Side.BUY) <= 0 or fee_currency == "SOL"
        assert position == sum(world.cells.values(), ZERO)
        bought = sum((f.qty * f.price * -f.side.sign for f in world.fills), ZERO)
        assert ledger.cash == bought - sum((f.fee for f in world.fills if f.fee_currency == "USDC"), ZERO)
        assert ledger.cash + ledger.cost == ledger.realized - ledger.fees
        assert ledger.equity(price) == ledger.pnl(price)


def test_a_round_trip_earns_one_spacing_less_fees() -> None:
    mesh = five(2)
    world = World(
        PERP, D(121), lambda cells, live, price, position: grid.plan(mesh, PERP, cells, live, price, position)
    )
    world.act()
    for price in (D(110), D(120)):
        world.move(price)
        world.act()
    assert world.ledger.position == 0
    assert world.ledger.realized == D(10)
    assert world.ledger.pnl(D(120)) == D(10) - D("0.022") - D("0.024")


def test_a_level_still_taken_in_the_record_is_waited_for() -> None:
    taken = order_of(grid.plan(five(4), PERP, {}, (), D(131), ZERO).place[0], 1)
    assert (taken.slot, taken.side) == ("L2", Side.BUY)
    actions = placed(five(4), "115", {1: D(1)}, live=(taken,))
    assert "L2 sell" not in " ".join(actions)
    assert actions[0] == "cancel L2 buy 1 @ 120", "an exit comes before another cell's entry"


# what is decided at the very edge


def test_of_two_levels_at_one_distance_the_lower_one_is_nearest() -> None:
    assert grid.nearest_level((D(100), D(110), D(120)), D(105)) == 0


@pytest.mark.parametrize(
    ("anchor", "places"),
    [(4, ["L0 buy 1 @ 100", "L1 buy 1 @ 110"]), (0, ["L3 sell 1 @ 130", "L4 sell 1 @ 140"])],
)
def test_a_price_in_the_middle_of_a_cell_opens_it(anchor: int, places: list[str]) -> None:
    """So does a plan that is quiet up to this price: it would wait for the next one for nothing."""
    price = D(115) if anchor else D(125)
    assert sorted(placed(five(anchor), str(price))) == places
    live = tuple(
        order_of(want, number)
        for number, want in enumerate(grid.plan(five(anchor), PERP, {}, (), price, ZERO).place)
    )
    quiet = grid.plan(five(anchor), PERP, {}, live, price, ZERO).quiet
    assert quiet == ((D(0), D(125)) if anchor else (D(115), D("Infinity")))


def test_at_the_middle_itself_nothing_is_quiet_beyond_it() -> None:
    """A cell without room is opened by a price on one side of its middle, and not on the other."""
    live = (order_of(OrderRequest("L2", Side.BUY, D(120), D(1), 2, post_only=True), 1),)
    plan = grid.plan(five(4, "1"), PERP, {}, live, D(115), ZERO)
    assert (plan.cancel, plan.place) == ((), ())
    assert plan.quiet is not None
    assert plan.quiet[1] == D(115)


def test_of_two_exits_none_is_replaced() -> None:
    """Together they may be all that the cell holds; a third one would sell what is sold already."""
    assert of_cell(1, "110", "9", exit_of(1, "3", 1), exit_of(1, "3", 2)) == []


def test_an_entry_is_not_renewed_for_a_part_too_small_to_trade() -> None:
    assert of_cell(1, "120", "0", entry_of(1, "0.005")) == []


def test_nothing_is_quiet_while_an_exit_has_no_room() -> None:
    """It is placed as soon as there is room, at whatever price."""
    live = tuple(
        order_of(OrderRequest(f"L{level}", Side.SELL, D(100 + 10 * level), D(1), None), level)
        for level in (3, 4)
    )
    plan = grid.plan(five(0, "1"), PERP, {0: D(1)}, live, D(105), D(1))
    assert (plan.place, plan.quiet) == ((), None)
