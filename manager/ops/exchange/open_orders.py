"""Ask the exchange, from a one-off container, for the open orders of an instance whose bot is down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from manager.config.fleet import Fleet
from manager.engine import labels
from manager.engine.client import Engine
from manager.engine.containers import Container
from manager.errors import ManagerError
from manager.fleet import bot_report
from manager.fleet.bot_report import Position
from manager.i18n import Text
from manager.ops.exchange import oneoff
from manager.util.sanitize import replace_unprintable

ANSWER_WITHIN_S = 45
"""Loading ccxt takes seconds on a busy machine, a lost answer 8 s, and each of two calls up to 3 × 4 s."""
MOST_NAMED = 20


class Answer(NamedTuple):
    """Hold the exchange's answer: open orders of the instance (None: unknown, see `why`), and those of
    others.

    `orders`: the first of them, `sell 0.1 @ 151`. `position`: what the instance holds there, None if unknown.
    """

    left: int | None
    others: int = 0
    orders: tuple[str, ...] = ()
    why: Text | None = None
    position: Position | None = None


def ask(container: Container, fleet: Fleet, engine: Engine) -> Answer:
    """Ask once. Never raises ManagerError: a failure is returned as an answer."""
    program = container.labels.get(labels.OPEN_ORDERS, "")
    if not program:
        return Answer(
            None,
            why=Text(
                "its image has no program for this (docker/README.md: {label})", label=labels.OPEN_ORDERS
            ),
        )
    try:
        ended = oneoff.run(container, fleet, engine, program, "orders", ANSWER_WITHIN_S)
    except ManagerError as error:
        return Answer(None, why=Text("{why}", why=error))
    if ended.code == 0:
        return decoded(ended.answer)
    why = ended.message or Text("the query exited with code {code}", code=ended.code)
    return Answer(None, why=Text("{why}", why=why))


def decoded(text: str) -> Answer:
    """Parse the program's answer. Its types are checked, because it comes from the bot's image."""
    try:
        answer = json.loads(text)
        left, others = answer["open_orders"], answer.get("others", 0)
        if type(left) is not int or type(others) is not int or left < 0 or others < 0:
            raise ValueError(left)
        orders = tuple(_order(order) for order in list(answer.get("orders") or ())[:MOST_NAMED])
        position = bot_report.position_at_exchange(answer)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Answer(None, why=Text("its answer cannot be parsed"))
    return Answer(left, others, orders, position=position)


def _order(raw: Mapping[str, Any]) -> str:
    side, quantity, price = (
        "?" if raw.get(key) is None else raw[key] for key in ("side", "quantity", "price")
    )
    return replace_unprintable(f"{side} {quantity} @ {price}")[:80]
