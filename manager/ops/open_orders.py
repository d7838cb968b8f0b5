"""Ask the exchange, from a one-off container, for the open orders of an instance whose bot is down.

The one-off is made from the instance's container (image, user, network, folders, argv) and not from its
config, which may be invalid or changed. It gets credentials as the bot does, in its secrets folder. It
limits its own run time, and is always removed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from manager.config.fleet import Fleet
from manager.config.spec import DATA_AT, SECRETS_AT
from manager.engine import labels
from manager.engine.client import Engine
from manager.engine.containers import Container
from manager.errors import EngineError, ManagerError, NameTaken
from manager.fleet import bot_report
from manager.fleet.bot_report import Position
from manager.i18n import Text
from manager.util.sanitize import replace_unprintable

ANSWER_WITHIN_S = 45
"""Loading ccxt takes seconds on a busy machine, a lost answer 8 s, and each of two calls up to 3 × 4 s."""
FOLDERS = (DATA_AT, SECRETS_AT)
MARGIN_S = 15
"""Time for the container to start, and for its end to be noticed."""
MOST_NAMED = 20
MOST_WORDS = 300


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
    name = f"{container.name}-orders"
    try:
        container_id = _create(
            name, body(engine.inspect(container.id), container.instance, fleet.name, program), engine
        )
        try:
            engine.start(container_id)
            code = engine.wait(container_id, ANSWER_WITHIN_S + MARGIN_S)
            if code == 0:
                return decoded(engine.output(container_id, "stdout", 1))
            message = _last_line(engine.output(container_id, "stderr", 5))
            return Answer(
                None, why=Text("{why}", why=message or Text("the query exited with code {code}", code=code))
            )
        finally:
            engine.discard(container_id)
    except ManagerError as error:
        return Answer(None, why=Text("{why}", why=error))


def sweep(fleet: Fleet, engine: Engine) -> None:
    """Remove the one-offs of a manager that was killed."""
    for row in engine.containers(labels.oneoff_filter(fleet.name)):
        with suppress(EngineError):
            engine.discard(row["Id"])


def body(inspected: Mapping[str, Any], instance: str, fleet: str, program: str) -> dict[str, Any]:
    """Return the one-off's definition: the instance's own, without port, restart and health check. Pure.

    Of its folders only two are mounted.
    """
    config, host = inspected["Config"], inspected["HostConfig"]
    own = dict(entry.partition("=")[::2] for entry in config.get("Env") or ())
    own |= {"BOTFLEET_ONCE": str(ANSWER_WITHIN_S), "BOTFLEET_BOT_COMMAND": program}
    return {
        "Image": inspected["Image"],
        "Hostname": config.get("Hostname", ""),
        "User": config.get("User", ""),
        "Cmd": config.get("Cmd"),
        "Env": [f"{name}={value}" for name, value in own.items()],
        "Labels": labels.of_oneoff(fleet, instance),
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            **host,
            "Binds": [entry for entry in host.get("Binds") or () if entry.split(":")[1] in FOLDERS],
            "Mounts": [entry for entry in host.get("Mounts") or () if entry.get("Target") in FOLDERS],
            "PortBindings": {},
            "RestartPolicy": {"Name": "no"},
        },
    }


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


def _create(name: str, definition: Mapping[str, Any], engine: Engine) -> str:
    try:
        return engine.create(name, definition)
    except NameTaken:  # by what a killed manager has left
        engine.discard(name)
        return engine.create(name, definition)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return replace_unprintable(lines[-1])[:MOST_WORDS] if lines else ""
