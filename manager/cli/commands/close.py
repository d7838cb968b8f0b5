"""Run `close`: close what stopped instances hold; `halt --close-positions` ends with the same."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from manager.cli.halt_interrupted import Interrupted
from manager.cli.left_behind import position_object
from manager.errors import ManagerError, UsageError, worst_exit_code
from manager.fleet import lock
from manager.fleet.observe import FleetSnapshot
from manager.fleet.selection import Selection
from manager.fleet.session import Session
from manager.i18n import Text, _, mark
from manager.ops.exchange import close as ops_close
from manager.ops.exchange.close import Closing
from manager.ops.halt.chosen import chosen_instances, named_by
from manager.util import console, prompt
from manager.util.interrupts import Interruption
from manager.util.text_table import Column

NO_ANSWER = mark(
    "nothing was closed: closing trades, and needs confirmation at a terminal; in a script, use --yes"
)

NOTHING_CLOSED = mark("interrupted before anything was closed")
CUT_OFF = mark(
    "interrupted in the middle of {ids}: what was closed there is unknown; `manager close` looks, and closes"
    " what is left"
)


def close(session: Session, args: Namespace) -> int:
    """Close what the named instances hold; they must be halted or stopped."""
    if not may_ask(args):
        raise UsageError(NO_ANSWER)
    fleet = session.project().fleet
    with lock.held(fleet.lock_file, "close", args.lock_wait, on_wait=console.warning):
        snapshot = session.observe()
        named = named_by(Selection(args.ids, args.config), snapshot.project)
        chosen = chosen_instances(named, snapshot).required()
        closings = close_positions(session, snapshot, chosen, args, "close")
    if args.json:
        console.say_json([closing_object(closing) for closing in closings])
    return worst_exit_code([closing.exit_code for closing in closings])


def may_ask(args: Namespace) -> bool:
    """Return whether the user has agreed, or can be asked."""
    return bool(args.yes) or prompt.is_possible()


def close_positions(
    session: Session, snapshot: FleetSnapshot, chosen: Sequence[str], args: Namespace, command: str
) -> list[Closing]:
    """Look, ask, and close. The caller holds the fleet's lock, or has halted the instances.

    One that is interrupted says whether anything was closed. Where nothing can be printed, as on a full disk,
    a halt closes all the same, and `close` what it has begun with: this is raised at the end.
    """
    engine = session.engine()
    share = Decimal(args.price_bound) / 100
    unsaid: list[ManagerError] = []
    goes_on = command == "halt"

    def say(closing: Closing) -> None:
        if args.json or unsaid or not (line := _line(closing)):
            return
        try:
            console.say(line)
        except ManagerError as error:
            if not goes_on:
                raise
            unsaid.append(error)

    try:
        closings = ops_close.look(snapshot, chosen, engine, share, say)
        wanted = [closing for closing in closings if closing.is_wanted]
        is_agreed = bool(wanted) and _is_agreed(wanted, args)
    except KeyboardInterrupt as interruption:
        raise Interrupted(interruption, NOTHING_CLOSED) from None
    if is_agreed:
        goes_on = True
        try:
            closings = ops_close.close(snapshot, closings, engine, command, say, session.ending)
        except Interruption as interruption:
            raise Interrupted(interruption, CUT_OFF, ids=", ".join(interruption.left)) from None
    if not args.json and not unsaid:
        live = [closing for closing in closings if closing.mode == "live"]
        console.say(console.table(COLUMNS, live) if live else _("nothing to close"))
    for closing in closings:
        if closing.exit_code:
            console.error(_left_text(closing))
    if unsaid:
        raise unsaid[0]
    return closings


def _is_agreed(wanted: Sequence[Closing], args: Namespace) -> bool:
    if args.yes:
        return True
    if not prompt.is_possible():
        console.error(Text(NO_ANSWER))
        return False
    return prompt.confirm(
        Text("close these {count} positions?", count=len(wanted))
        if len(wanted) > 1
        else Text("close this position?")
    )


def _line(closing: Closing) -> Text | None:
    """Return what closing would do, or has done."""
    if closing.result is not None:
        return Text(
            "{id}: closed {amount} {base} at {price}, left: {left}",
            id=closing.instance,
            amount=format(closing.result.closed, "f"),
            base=closing.result.position.base if closing.result.position else "",
            price=closing.result.average_price if closing.result.average_price is not None else "–",
            left=closing.result.position if closing.result.position is not None else Text("unknown"),
        )
    if closing.look is None or not closing.is_wanted:
        return None
    return Text(
        "{id}: {side} {quantity} {base} at {exchange}, {symbol} (account: {account}) at {price} {quote} or"
        " better; the market is at {market}",
        id=closing.instance,
        side=_("sell") if closing.look.side == "sell" else _("buy"),
        quantity=format(closing.look.quantity, "f"),
        base=closing.look.position.base,
        exchange=closing.exchange,
        symbol=closing.symbol,
        account=closing.look.account or "?",
        price=format(closing.look.price, "f"),
        quote=closing.look.quote,
        market=format(closing.look.market_price, "f"),
    )


def _left_text(closing: Closing) -> Text:
    """Return why an instance's position is not closed."""
    why: object = closing.why
    if closing.is_unsure:
        return Text(
            "{id}: how much of its position was closed is unknown ({why}); `manager close {id}` asks the"
            " exchange, and closes what is left; see {exchange}, {symbol}",
            id=closing.instance,
            why=why,
            exchange=closing.exchange,
            symbol=closing.symbol,
        )
    if closing.result is not None:
        why = closing.result.why or Text("unknown")
    elif closing.why is None:
        why = Text("it was not confirmed")
    return Text(
        "{id}: its position is not closed ({why}); left: {left}; see {exchange}, {symbol}",
        id=closing.instance,
        why=why,
        left=closing.position if closing.position is not None else Text("unknown"),
        exchange=closing.exchange,
        symbol=closing.symbol,
    )


def _done(closing: Closing) -> str:
    if closing.result is not None:
        return _("yes") if closing.result.is_done else _("no")
    return _("nothing held") if closing.exit_code == 0 else _("no")


def _position(closing: Closing) -> str:
    return _("unknown") if closing.position is None else str(closing.position)


COLUMNS: Sequence[Column[Closing]] = (
    Column("id", "ID", lambda closing: closing.instance),
    Column("done", mark("CLOSED"), _done),
    Column(
        "closed", mark("AMOUNT"), lambda closing: format(closing.result.closed, "f") if closing.result else ""
    ),
    Column(
        "price",
        mark("PRICE"),
        lambda closing: (
            format(closing.result.average_price, "f")
            if closing.result and closing.result.average_price
            else ""
        ),
    ),
    Column("position", mark("POSITION LEFT"), _position),
)


def closing_object(closing: Closing) -> dict[str, Any]:
    """Return one instance's part as JSON."""
    look, result = closing.look, closing.result
    why = closing.why or (result.why if result else None)
    return {
        "id": closing.instance,
        "mode": closing.mode or None,
        "exchange": closing.exchange,
        "symbol": closing.symbol,
        "account": look.account if look else None,
        "side": look.side if look and look.quantity else None,
        "quantity": format(look.quantity, "f") if look else None,
        "price_bound": format(look.price, "f") if look else None,
        "closed": format(result.closed, "f") if result else None,
        "average_price": format(result.average_price, "f")
        if result and result.average_price is not None
        else None,
        "done": closing.exit_code == 0,
        **position_object(closing.position),
        "why": str(why) if why else None,
    }
