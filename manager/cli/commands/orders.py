"""Run `orders`: ask the exchange now for the open orders and the position of live instances."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from manager.cli.left_behind import position_object
from manager.errors import FAILED, OK
from manager.fleet.selection import Selection, selected
from manager.fleet.session import Session
from manager.i18n import Text, _, mark
from manager.ops.exchange import ask_now
from manager.ops.exchange.ask_now import OrdersRow
from manager.util import console
from manager.util.text_table import Column


def orders(session: Session, args: Namespace) -> int:
    """Ask for the named live instances, else for all; their bots go on."""
    snapshot = session.observe()
    views = selected(Selection(args.ids, args.config), snapshot)

    def say(asked: OrdersRow) -> None:
        if not args.json:
            _say_orders(asked)

    rows = ask_now.ask(snapshot, views, session.engine(), say if len(views) == 1 else lambda _asked: None)
    if args.json:
        console.say_json([_asked_object(asked) for asked in rows])
    else:
        console.say(console.table(COLUMNS, rows) if rows else _("none of these is live: nothing to ask"))
        for asked in rows:
            if asked.answer.left is None:
                console.error(
                    Text("{id}: the exchange did not say: {why}", id=asked.instance, why=asked.answer.why)
                )
            elif asked.differs:
                console.warning(
                    Text(
                        "{id}: its bot last reported something else; after a fill that is so for seconds",
                        id=asked.instance,
                    )
                )
    return OK if all(asked.answer.left is not None for asked in rows) else FAILED


def _say_orders(asked: OrdersRow) -> None:
    """Print the orders of the only instance that is asked for."""
    answer = asked.answer
    for order in answer.orders:
        console.say(order)
    if more := (answer.left or 0) - len(answer.orders):
        console.say(Text("and {count} more", count=more))


def _count(number: int | None) -> str:
    return "?" if number is None else str(number)


def _held(asked: OrdersRow) -> str:
    return "?" if asked.answer.position is None else str(asked.answer.position)


COLUMNS: Sequence[Column[OrdersRow]] = (
    Column("id", "ID", lambda asked: asked.instance),
    Column("exchange", mark("EXCHANGE"), lambda asked: asked.exchange),
    Column("symbol", mark("SYMBOL"), lambda asked: asked.symbol),
    Column("orders", mark("ORDERS"), lambda asked: _count(asked.answer.left)),
    Column("bot_orders", mark("ITS BOT SAYS"), lambda asked: _count(asked.reported_orders)),
    Column("others", mark("ORDERS OF OTHERS"), lambda asked: _count(asked.answer.others)),
    Column("position", mark("POSITION"), _held),
    Column(
        "bot_position",
        mark("ITS BOT SAYS"),
        lambda asked: "?" if asked.reported_position is None else format(asked.reported_position, "f"),
    ),
)


def _asked_object(asked: OrdersRow) -> dict[str, Any]:
    answer = asked.answer
    return {
        "id": asked.instance,
        "exchange": asked.exchange,
        "symbol": asked.symbol,
        "open_orders": answer.left,
        "orders_of_others": answer.others if answer.left is not None else None,
        "orders": list(answer.orders),
        **position_object(answer.position),
        "reported_open_orders": asked.reported_orders,
        "reported_position": None
        if asked.reported_position is None
        else format(asked.reported_position, "f"),
        "differs": asked.differs,
        "why": str(answer.why) if answer.why else None,
    }
