"""Ask the exchange, from a one-off container, for the open orders of an instance whose bot is down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from manager.config.fleet import Fleet
from manager.engine import labels
from manager.engine.client import Engine
from manager.engine.containers import Container
from manager.errors import ManagerError
from manager.fleet import asking_messages, bot_report
from manager.fleet.instance import market_of
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text
from manager.ops.actions.answer import Answer
from manager.ops.exchange import account_parts, oneoff
from manager.util.sanitize import replace_unprintable

ANSWER_WITHIN_S = 45
"""Loading ccxt takes seconds on a busy machine, a lost answer 8 s, and each of two calls up to 3 × 4 s."""
MOST_NAMED = 20


def ask(container: Container, snapshot: FleetSnapshot, engine: Engine, purpose: str = "orders") -> Answer:
    """Ask once. Never raises ManagerError: a failure is returned as an answer.

    `purpose` names the one-off: of two commands that ask at once, neither removes the other's. What the
    account holds is this instance's only as far as it is known what the fleet's other bots hold there.
    """
    fleet = snapshot.project.fleet
    others = account_parts.of_others(snapshot, container) if fleet.allow_shared_credentials else None
    is_known = others is None or isinstance(others, Decimal)
    variables = {account_parts.VARIABLE: format(others, "f")} if isinstance(others, Decimal) else {}
    answer = _ask(container, fleet, engine, purpose, variables)
    exchange, symbol = market_of(container)
    return answer._replace(exchange=exchange, symbol=symbol, position=answer.position if is_known else None)


def _ask(
    container: Container, fleet: Fleet, engine: Engine, purpose: str, variables: Mapping[str, str]
) -> Answer:
    program = container.labels.get(labels.OPEN_ORDERS, "")
    if not program:
        why = Text("its image has no program for this (docker/README.md: {label})", label=labels.OPEN_ORDERS)
        return Answer(None, why=why, can_be_asked=False)
    try:
        ended = oneoff.run(container, fleet, engine, program, purpose, ANSWER_WITHIN_S, variables)
    except ManagerError as error:
        return Answer(None, why=Text("{why}", why=error))
    if ended.code == 0:
        return decoded(ended.answer)
    if told := asking_messages.why_not(ended.answer):
        return Answer(None, why=told)
    no_words = Text("the query exited with code {code}", code=ended.code)
    return Answer(None, why=ended.in_its_words(no_words))


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
