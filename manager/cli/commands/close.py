"""Run `close`: close what stopped instances hold; `halt --close-positions` ends with the same."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from manager.cli.report import position_object
from manager.errors import UsageError, worst_exit_code
from manager.fleet import lock
from manager.fleet.observe import FleetSnapshot
from manager.fleet.selection import Selection
from manager.fleet.session import Session
from manager.i18n import Text, _, mark
from manager.ops import close as closing
from manager.ops import halt as halting
from manager.ops.close import Closing
from manager.util import console, prompt
from manager.util.text_table import Column

NO_ANSWER = mark("nothing was closed: this trades, so it asks at a terminal; in a script, say --yes")


def close(session: Session, args: Namespace) -> int:
    """Close what the named instances hold; they must be halted or stopped."""
    if not may_ask(args):
        raise UsageError(NO_ANSWER)
    fleet = session.project().fleet
    with lock.held(fleet.lock_file, "close", args.lock_wait):
        snapshot = session.observe()
        chosen = halting.chosen_instances(Selection(args.ids, args.config), snapshot)
        found = close_positions(session, snapshot, chosen, args, "close")
    if args.json:
        console.say_json([closing_object(each) for each in found])
    return worst_exit_code([each.exit_code for each in found])


def may_ask(args: Namespace) -> bool:
    """Return whether the user has agreed, or can be asked."""
    return bool(args.yes) or prompt.is_possible()


def close_positions(
    session: Session, snapshot: FleetSnapshot, chosen: Sequence[str], args: Namespace, command: str
) -> list[Closing]:
    """Look, ask, and close. The caller holds the fleet's lock, or has halted the instances."""
    engine = session.engine()
    share = Decimal(args.price_bound) / 100

    def say(each: Closing) -> None:
        if not args.json and (line := _line(each)):
            console.say(line)

    found = closing.look(snapshot, chosen, engine, share, say)
    wanted = [each for each in found if each.is_wanted]
    if wanted and _is_agreed(wanted, args):
        found = closing.close(snapshot, found, engine, command, say)
    if not args.json:
        console.say(console.table(COLUMNS, [each for each in found if each.mode == "live"]))
    for each in found:
        if each.exit_code:
            console.error(_left_text(each))
    return found


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


def _line(each: Closing) -> Text | None:
    """Return what closing would do, or has done."""
    if each.done is not None:
        return Text(
            "{id}: closed {amount} {base} at {price}, left: {left}",
            id=each.instance,
            amount=format(each.done.closed, "f"),
            base=each.done.position.base if each.done.position else "",
            price=each.done.average_price if each.done.average_price is not None else "–",
            left=each.done.position if each.done.position is not None else Text("unknown"),
        )
    if each.look is None or not each.is_wanted:
        return None
    return Text(
        "{id}: {side} {quantity} {base} at {exchange}, {symbol} (account: {account}) at {price} {quote} or"
        " better; the market is at {market}",
        id=each.instance,
        side=_("sell") if each.look.side == "sell" else _("buy"),
        quantity=format(each.look.quantity, "f"),
        base=each.look.position.base,
        exchange=each.exchange,
        symbol=each.symbol,
        account=each.look.account or "?",
        price=format(each.look.price, "f"),
        quote=each.look.quote,
        market=format(each.look.market_price, "f"),
    )


def _left_text(each: Closing) -> Text:
    """Return why an instance's position is not closed."""
    why: object = each.why
    if each.done is not None:
        why = each.done.why or Text("unknown")
    elif each.why is None:
        why = Text("it was not agreed to")
    return Text(
        "{id}: its position is not closed ({why}); left: {left}; see {exchange}, {symbol}",
        id=each.instance,
        why=why,
        left=each.position if each.position is not None else Text("unknown"),
        exchange=each.exchange,
        symbol=each.symbol,
    )


def _done(each: Closing) -> str:
    if each.done is not None:
        return _("yes") if each.done.is_done else _("no")
    return _("nothing held") if each.exit_code == 0 else _("no")


def _position(each: Closing) -> str:
    return _("unknown") if each.position is None else str(each.position)


COLUMNS: Sequence[Column[Closing]] = (
    Column("id", "ID", lambda each: each.instance),
    Column("done", mark("CLOSED"), _done),
    Column("closed", mark("AMOUNT"), lambda each: format(each.done.closed, "f") if each.done else ""),
    Column(
        "price",
        mark("PRICE"),
        lambda each: format(each.done.average_price, "f") if each.done and each.done.average_price else "",
    ),
    Column("position", mark("POSITION LEFT"), _position),
)


def closing_object(each: Closing) -> dict[str, Any]:
    """Return one instance's part as JSON."""
    look, done = each.look, each.done
    why = each.why or (done.why if done else None)
    return {
        "id": each.instance,
        "mode": each.mode or None,
        "exchange": each.exchange,
        "symbol": each.symbol,
        "account": look.account if look else None,
        "side": look.side if look and look.quantity else None,
        "quantity": format(look.quantity, "f") if look else None,
        "price_bound": format(look.price, "f") if look else None,
        "closed": format(done.closed, "f") if done else None,
        "average_price": format(done.average_price, "f") if done and done.average_price is not None else None,
        "done": each.exit_code == 0,
        **position_object(each.position),
        "why": str(why) if why else None,
    }
