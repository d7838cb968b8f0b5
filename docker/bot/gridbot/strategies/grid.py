"""Compute a grid's levels, cells and orders. Pure functions on exact numbers, without a clock.

A grid of n levels has n-1 cells; cell j lies between level j and level j+1 and trades back and forth between
them. A *long* cell buys at its lower level and sells at its upper one; a *short* cell sells at its upper
level and buys back at its lower one. Cells below the anchor are long, those from the anchor up are short: a
long grid's anchor is the top level, a short grid's the bottom one, a neutral grid's the level the price was
nearest to when it began.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple

from gridbot.model.types import ZERO, Market, Order, OrderRequest, Side, SpotCoins, floor_to
from gridbot.strategies import doubled

# A live entry counts as this much nearer to the price than it is, so that a price that wavers between two
# levels does not make the bot cancel and place for ever when max_position allows only one of them.
KEEP_BONUS = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class Grid:
    """Hold ascending `levels`, positive multiples of the tick, and `anchor`, an index into them."""

    levels: tuple[Decimal, ...]
    anchor: int
    qty: Decimal
    max_position: Decimal
    generation: int = 0

    def is_long(self, cell: int) -> bool:
        """Tell whether the cell buys first."""
        return cell < self.anchor


@dataclass(frozen=True, slots=True)
class Plan:
    """Hold the orders to cancel and to place now, never both for one slot."""

    cancel: tuple[Order, ...] = ()
    place: tuple[OrderRequest, ...] = ()
    # Nothing is to be done, and nothing waits for an order to go: until an order or a cell changes, the same
    # holds at every price between these two.
    quiet: tuple[Decimal, Decimal] | None = None


def nearest_level(levels: Sequence[Decimal], price: Decimal) -> int:
    """Return the index of the level nearest to `price`, the lower one of two at equal distance."""
    return min(range(len(levels)), key=lambda i: (abs(levels[i] - price), i))


def start_grid(
    levels: tuple[Decimal, ...],
    kind: str,
    price: Decimal,
    qty: Decimal,
    max_position: Decimal,
    position: Decimal = ZERO,
    generation: int = 0,
) -> tuple[Grid, dict[int, Decimal]]:
    """Return a grid that starts at `price` with `position` already held, and each cell's signed inventory.

    What is held is spread over the cells beyond the price, so that each part is closed at the nearest level
    at which closing it is a step forward; what no cell is left for goes to the outermost one.
    """
    empty_level, top = nearest_level(levels, price), len(levels) - 1
    parts = int((abs(position) / qty).to_integral_value(ROUND_CEILING))
    anchor = {"long": top, "short": 0}.get(kind)
    if anchor is None:
        anchor = min(max(empty_level + (parts if position > 0 else -parts), 0), top)
    cells: dict[int, Decimal] = {}
    rest = abs(position)
    if position > 0:
        order = list(range(empty_level, anchor)) or [max(anchor - 1, 0)]
    else:
        order = list(range(empty_level - 1, anchor - 1, -1)) or [min(anchor, top - 1)]
    for cell in order:
        if rest <= 0:
            break
        part = rest if cell == order[-1] else min(qty, rest)
        cells[cell] = part if position > 0 else -part
        rest -= part
    return Grid(levels, anchor, qty, max_position, generation), cells


def slot_of(level: int) -> str:
    """Return the slot of a level. A level holds one live order, whichever cell it belongs to."""
    return f"L{level}"


def plan(
    grid: Grid,
    market: Market,
    cells: Mapping[int, Decimal],
    live: Sequence[Order],
    price: Decimal,
    position: Decimal,
    late: Sequence[Order] = (),
    told: Collection[int] = (),
) -> Plan:
    """Return what to cancel and place, given the cells' inventories, live orders, price and position.

    An exit has its level before the entry of the next cell, which is cancelled for it.

    Worst case first: position plus every live and every new buy stays at or below max_position, the same for
    sells. So an order that makes room for another one is cancelled now, and the other one placed when it is
    gone. The same for the `late`, which have ended, and of which a fill may be listed yet. No cell is traded
    twice because of it (`doubled`); `told` are client ids of live orders that answer a fill before it is
    booked.
    """
    wanted = _wanted_by_cells(grid, market, cells, live, price, told)
    cancel = wanted.cancel
    busy_slots = {order.slot for order in live}
    room = _room(grid, position, [*live, *late])
    room_if_replaced = _room(grid, position, doubled.exits_of(live))
    place: list[OrderRequest] = []
    with_room: list[tuple[OrderRequest | Order, Decimal]] = [
        (order, KEEP_BONUS) for order in live if order.post_only
    ]
    without_room: list[OrderRequest] = []
    waits = False
    for item in wanted.nearest_first:
        if isinstance(item, Order):
            if room_if_replaced[item.side] < item.remaining:
                cancel.append(item)
            else:
                room_if_replaced[item.side] -= item.remaining
            continue
        if late and doubled.may_be_filled(item, late):
            waits = True
            continue
        if room_if_replaced[item.side] < item.qty:
            without_room.append(item)
            continue
        room_if_replaced[item.side] -= item.qty
        if item.slot in busy_slots:
            with_room.append((item, Decimal(1)))
            waits = waits or not item.post_only
            if _has_passed(item, price) and room[item.side] >= item.qty:
                cancel += [one for one in live if _is_opposite(one, item) and one.client_id not in told]
            continue
        if room[item.side] >= item.qty:
            room[item.side] -= item.qty
            busy_slots.add(item.slot)
            place.append(item)
        else:
            waits = True
    if cancel or place or waits or any(not request.post_only for request in without_room):
        return Plan(tuple(cancel), tuple(place))
    return Plan(quiet=_quiet_range(grid, wanted.undecided, without_room, with_room, price))


def counter_orders(
    grid: Grid,
    market: Market,
    cells: Mapping[int, Decimal],
    live: Sequence[Order],
    position: Decimal,
    order: Order,
    filled: Decimal,
    late: Sequence[Order] = (),
    coins: SpotCoins | None = None,
) -> list[OrderRequest]:
    """Return what is to be placed at once when `order` is told, and not known, to have filled so much.

    That is what its cell wants then, and no more: nothing is cancelled for it. It has to be right whether the
    order is filled or rests. So no slot of a live order is used, its own included, and there has to be room
    beside all of them; on a spot market for a sale what this bot holds beside its sell orders, as more would
    be another's. What is told to be bought may be sold where the account would lack it without that purchase:
    there the exchange refuses what is not true. It is sold less its fee.
    """
    change = order.side.sign * (filled - order.filled)
    if coins is not None and order.side is Side.BUY:
        change *= coins.kept
    if order.cell is None:
        return []
    told = replace(order, filled=filled)
    others = [other for other in live if other.client_id != order.client_id]
    now_live = [*others, told] if told.remaining > 0 else others
    now_held = {**cells, order.cell: cells.get(order.cell, ZERO) + change}
    wanted = plan(grid, market, now_held, now_live, order.price, position + change).place
    busy, room = {other.slot for other in live}, _room(grid, position, [*live, *late])
    if not market.perp:
        room[Side.SELL] = position - _open(live, Side.SELL)
    return [
        request
        for request in wanted
        if request.cell == order.cell
        and request.slot not in busy
        and not doubled.may_be_filled(request, late)
        and (
            request.qty <= room[request.side]
            or (coins is not None and coins.cover(request, room[Side.SELL], change))
        )
    ]


def _has_passed(request: OrderRequest, price: Decimal) -> bool:
    """Tell whether this is an exit that would trade at once, as the price is beyond its level."""
    return not request.post_only and request.side.sign * (request.price - price) > 0


def _is_opposite(order: Order, request: OrderRequest) -> bool:
    """Tell whether a live exit of another cell takes the level of this one.

    One of them buys there and one sells. Both cells hold something where a fill was listed late, as after a
    jump. Then what would trade at once comes first: the price may never come back to the other one.
    """
    return order.slot == request.slot and not order.post_only and order.side is not request.side


class _Wanted(NamedTuple):
    """Hold what the cells want, whether or not there is room for it.

    `nearest_first`: exits, then entries, those that are live among them. `undecided`: cells for which the
    price decides.
    """

    cancel: list[Order]
    nearest_first: list[OrderRequest | Order]
    undecided: list[int]


def _wanted_by_cells(
    grid: Grid,
    market: Market,
    cells: Mapping[int, Decimal],
    live: Sequence[Order],
    price: Decimal,
    told: Collection[int],
) -> _Wanted:
    """Return what is to be cancelled for another order of a cell, and what the cells want to have placed."""
    by_cell: dict[int | None, list[Order]] = {}
    for order in live:
        by_cell.setdefault(order.cell, []).append(order)
    cancel: list[Order] = []
    exits: list[OrderRequest] = []
    entries: list[tuple[Decimal, OrderRequest | Order]] = []
    undecided: list[int] = []
    for cell in range(len(grid.levels) - 1):
        held = cells.get(cell, ZERO)
        own = by_cell.get(cell)
        if own and len(own) == 1 and _is_served(own[0], held):
            continue  # most cells, at most times
        if not own or any(order.filled for order in own):
            undecided.append(cell)
        if own:
            surplus = doubled.surplus(market, own, held, told)
            outdated = surplus or _outdated(grid, market, cell, held, own, price)
            if outdated is not None:
                cancel.append(outdated)
                if outdated is not surplus or not surplus.post_only:
                    continue
            request = None if doubled.exits_of(own) else _exit_of(grid, market, cell, held)
        else:
            request = _exit_of(grid, market, cell, held) or _entry_of(grid, cell, price)
        if request is None:
            continue
        if request.post_only:
            entries.append((abs(request.price - price), request))
        else:
            exits.append(request)
            cancel += [order for order in live if order.slot == request.slot and order.post_only]
    for order in live:
        if order.post_only and not any(order is other for other in cancel):
            entries.append((abs(order.price - price) * KEEP_BONUS, order))
    exits.sort(key=lambda request: (abs(request.price - price), not _has_passed(request, price)))
    entries.sort(key=lambda pair: pair[0])
    return _Wanted(cancel, [*exits, *(item for _, item in entries)], undecided)


def _room(grid: Grid, position: Decimal, live: Sequence[Order]) -> dict[Side, Decimal]:
    """Return how much more may be bought, and sold, beside these orders."""
    return {
        Side.BUY: grid.max_position - position - _open(live, Side.BUY),
        Side.SELL: grid.max_position + position - _open(live, Side.SELL),
    }


def _exit_of(grid: Grid, market: Market, cell: int, held: Decimal) -> OrderRequest | None:
    """Return the order that sells (or buys back) what the cell holds, None while that is too little."""
    if not held:
        return None
    qty, level = floor_to(abs(held), market.lot), cell + 1 if held > 0 else cell
    if not market.is_tradable(qty, grid.levels[level]):
        return None
    side = Side.SELL if held > 0 else Side.BUY
    qty = market.one_order(qty, grid.levels[level])
    return OrderRequest(slot_of(level), side, grid.levels[level], qty, cell)


def _entry_of(grid: Grid, cell: int, price: Decimal) -> OrderRequest | None:
    """Return the order that opens the cell, None while the price is too near to it."""
    if not _is_beyond(grid, cell, price):
        return None
    if grid.is_long(cell):
        return OrderRequest(slot_of(cell), Side.BUY, grid.levels[cell], grid.qty, cell, post_only=True)
    return OrderRequest(slot_of(cell + 1), Side.SELL, grid.levels[cell + 1], grid.qty, cell, post_only=True)


def _is_beyond(grid: Grid, cell: int, price: Decimal) -> bool:
    """Tell whether the price is on the exit's side of the cell's middle."""
    middle = (grid.levels[cell] + grid.levels[cell + 1]) / 2
    return price >= middle if grid.is_long(cell) else price <= middle


def _outdated(
    grid: Grid, market: Market, cell: int, held: Decimal, own: Sequence[Order], price: Decimal
) -> Order | None:
    """Return the live order of the cell that a larger one has to replace, None when there is none.

    An entry may be filled in parts, and its exit stands beside it from the first part on that is large enough
    for the exchange. That exit grows when the entry is done, or when more than it has would be left without
    an exit; with every part it would lose its place in the queue each time. An entry of which parts were
    bought and sold again is renewed when nothing is held any more.
    """
    entry = next((order for order in own if order.post_only), None)
    wanted = _exit_of(grid, market, cell, held)
    exits = doubled.exits_of(own)
    if exits:
        order = exits[0]
        if len(exits) > 1 or wanted is None or order.side is not wanted.side or order.price != wanted.price:
            return None
        more = wanted.qty - order.remaining
        if more > 0 and (entry is None or more > order.remaining):
            return order
        return None
    if entry is None or wanted is not None or not _is_beyond(grid, cell, price):
        return None
    sold = floor_to(grid.qty - entry.remaining - abs(held), market.lot)
    return entry if entry.filled and market.is_tradable(sold, entry.price) else None


def _quiet_range(
    grid: Grid,
    undecided: Sequence[int],
    without_room: Sequence[OrderRequest],
    with_room: Sequence[tuple[OrderRequest | Order, Decimal]],
    price: Decimal,
) -> tuple[Decimal, Decimal] | None:
    """Return the nearest prices around this one between which everything is decided alike; None if unknown.

    Those are the middles of the cells for which the price decides, and the prices at which an entry without
    room becomes as near as one that has it, whose distance counts by the factor beside it.
    """
    low, high = ZERO, Decimal("Infinity")
    for waiting in without_room:
        for other, factor in with_room:
            if other.side is not waiting.side:
                continue
            begin, end = _nearer_between(waiting.price, other.price, factor)
            if end <= price:
                low = max(low, end)
            elif begin >= price:
                high = min(high, begin)
            else:
                return None
    for cell in undecided:
        middle = (grid.levels[cell] + grid.levels[cell + 1]) / 2
        if middle <= price:
            low = max(low, middle)
        if middle >= price:
            high = min(high, middle)
    return low, high


def _nearer_between(waiting: Decimal, other: Decimal, factor: Decimal) -> tuple[Decimal, Decimal]:
    """Return between which prices p `waiting` is the nearer: |waiting - p| < factor * |other - p|."""
    middle = (waiting + factor * other) / (1 + factor)
    if factor == 1:
        return (ZERO, middle) if waiting < other else (middle, Decimal("Infinity"))
    outer = (waiting - factor * other) / (1 - factor)
    return min(middle, outer), max(middle, outer)


def _is_served(order: Order, held: Decimal) -> bool:
    """Tell whether a cell's only order is all it needs, at every price."""
    if order.post_only:
        return not held and not order.filled
    return bool(held) and order.remaining == abs(held)


def _open(orders: Sequence[Order], side: Side) -> Decimal:
    return sum((order.remaining for order in orders if order.side is side), ZERO)
