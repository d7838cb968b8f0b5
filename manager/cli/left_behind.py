"""Say what a bot that is down has left at its exchange: orders and a position."""

from __future__ import annotations

import time

from manager.fleet.bot_report import Position
from manager.i18n import Text, _, bracketed, joined, listed
from manager.typed import TYPE_CHECKING, Any
from manager.util import console, formatting

if TYPE_CHECKING:
    from manager.ops.actions.action import Action, Outcome
    from manager.ops.actions.answer import Answer

OLD_S = 60.0
"""A bot that runs reports at least this often."""


def say_answer(outcome: Outcome[Action], answer: Answer) -> None:
    """Print what the user must do about what the exchange says is left, or does not say."""
    instance = outcome.action.instance
    if answer.left:
        console.error(orders_left_text(instance, answer))
    elif outcome.is_rest_unknown:
        console.error(unknown_orders_text(instance, answer, answer.why))
    elif answer.left is None and outcome.open_orders_left is None:
        console.warning(unknown_orders_text(instance, answer, answer.why))
    elif answer.left is None:
        say_reported(outcome)
        console.warning(
            Text(
                "{id}: {exchange} could not be asked, its bot has reported what is left ({why})",
                id=instance,
                exchange=answer.exchange,
                why=answer.why,
            )
        )


def say_reported(outcome: Outcome[Action]) -> None:
    """Print the orders that a bot says it has left, where the exchange says nothing.

    One that was killed has a message of its own.
    """
    if outcome.open_orders_left and not outcome.was_killed:
        console.error(
            Text(
                "{id} has stopped and reported {count} open orders left: check the exchange",
                id=outcome.action.instance,
                count=outcome.open_orders_left,
            )
        )


def orders_left_text(instance: str, answer: Answer) -> Text:
    """Return the message for orders that the exchange says are open."""
    orders = ", ".join(answer.orders)
    return Text(
        "{id}: {count} ORDERS ARE STILL OPEN at {exchange}, {symbol}: cancel them there {orders}",
        id=instance,
        count=answer.left,
        exchange=answer.exchange,
        symbol=answer.symbol,
        orders=bracketed(orders).strip() if orders else "",
    )


def unknown_orders_text(instance: str, answer: Answer, why: Text | None) -> Text:
    """Return the message for orders of which the exchange says nothing."""
    if answer.exchange == "?":  # neither a container nor a config is left to name it
        return Text(
            "{id}: whether orders are left is unknown ({why}): check its exchange", id=instance, why=why
        )
    return Text(
        "{id}: whether orders are left is unknown ({why}): check {exchange}, {symbol}",
        id=instance,
        why=why,
        exchange=answer.exchange,
        symbol=answer.symbol,
    )


def killed_text(outcome: Outcome[Action]) -> Text:
    """Return the message for a bot that was killed in its stop, with what is known of its orders."""
    killed = how_killed(outcome)
    if outcome.answer is not None and outcome.answer.left is not None:
        return Text("{why}", why=joined([killed, outcome.answer.text]))
    if outcome.open_orders_left is None:
        return Text("{killed}; it did not report its orders: check the exchange", killed=killed)
    return Text(
        "{killed}; it reported {count} open orders left", killed=killed, count=outcome.open_orders_left
    )


def how_killed(outcome: Outcome[Action]) -> Text:
    """Return why a bot was killed in its stop."""
    if outcome.exceeded_memory:
        return Text(
            "{id} needed more memory than its limit while it stopped, and was killed",
            id=outcome.action.instance,
        )
    return Text("{id} did not stop in time and was killed", id=outcome.action.instance)


def position_text(position: Position | None) -> str:
    """Return `, position -0.6 SOL`, because a stop cancels orders and keeps the position.

    Empty if unknown.
    """
    if position is None:
        return ""
    return listed(["", Text("position {amount}", amount=position) if position.amount else _("no position")])


def reported_amount(position: Position) -> Text:
    """Return a position of which only the bot's report tells, with the age of one that may be outdated."""
    age = 0.0 if position.reported_at is None else time.time() - position.reported_at
    if age < OLD_S:
        return Text("{amount} as last reported", amount=position)
    return Text("{amount} as last reported {age} ago", amount=position, age=formatting.elapsed(age))


def position_object(position: Position | None) -> dict[str, str | bool | None]:
    """Return the keys of `--json` that tell of a position left behind."""
    if position is None:
        return {"position": None, "base": None, "position_from": None}
    told: dict[str, str | bool | None] = {
        "position": format(position.amount, "f"),
        "base": position.base or None,
        "position_from": "exchange" if position.is_of_exchange else "report",
    }
    return {**told, "position_is_dust": True} if position.is_dust else told


def answer_object(answer: Answer | None) -> dict[str, Any]:
    """Return what the exchange said, for programs; nothing where it was not asked."""
    if answer is None:
        return {}
    return {
        "open_orders_at_exchange": answer.left,
        "orders_of_others": answer.others if answer.left is not None else None,
        "orders": list(answer.orders),
        "why": None if answer.why is None else str(answer.why),
    }
