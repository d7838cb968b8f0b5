"""Asks the exchange, from a one-off container, which orders of an instance are open: its own bot is down by
then.

The one-off is made from what the instance's container is (image, user, network, folders, argv) and not from
its config, which may be broken or changed. It gets the credentials as the bot does, in its secrets folder; it
is bounded in time from within, and removed whatever happens.
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
from manager.i18n import Text
from manager.util.sanitize import replace_unprintable

ANSWER_WITHIN_S = 45
"""A loaded machine needs some seconds for ccxt, a lost answer of the exchange 8 s to settle, each of two
calls 4 s thrice.
"""
FOLDERS = (DATA_AT, SECRETS_AT)
MARGIN_S = 15
"""Until the container has started, and is seen to have ended."""
MOST_NAMED = 20
MOST_WORDS = 300


class Answer(NamedTuple):
    """What the exchange said: orders of the instance still open there (None: unknown, `why` says why), and
    those of others.

    `orders`: the first of them, `sell 0.1 @ 151`.
    """

    left: int | None
    others: int = 0
    orders: tuple[str, ...] = ()
    why: Text | None = None


def ask(container: Container, fleet: Fleet, engine: Engine) -> Answer:
    """Asks once. Never raises ManagerError: what keeps it from knowing is the answer."""
    program = container.labels.get(labels.OPEN_ORDERS, "")
    if not program:
        return Answer(
            None, why=Text("its image cannot ask (docker/README.md: {label})", label=labels.OPEN_ORDERS)
        )
    name = f"{container.name}-orders"
    try:
        made = _create(
            name, body(engine.inspect(container.id), container.instance, fleet.name, program), engine
        )
        try:
            engine.start(made)
            code = engine.wait(made, ANSWER_WITHIN_S + MARGIN_S)
            if code == 0:
                return decoded(engine.output(made, "stdout", 1))
            said = _last_line(engine.output(made, "stderr", 5))
            return Answer(
                None, why=Text("{why}", why=said or Text("it ended with exit code {code}", code=code))
            )
        finally:
            engine.discard(made)
    except ManagerError as error:
        return Answer(None, why=Text("{why}", why=error))


def sweep(fleet: Fleet, engine: Engine) -> None:
    """Removes the one-offs of a manager that was killed."""
    for row in engine.containers(labels.oneoff_filter(fleet.name)):
        with suppress(EngineError):
            engine.discard(row["Id"])


def body(inspected: Mapping[str, Any], instance: str, fleet: str, program: str) -> dict[str, Any]:
    """The one-off's definition: the instance's own, without port, restart, health check, and all folders but
    two.

    Pure.
    """
    config, host = inspected["Config"], inspected["HostConfig"]
    own = dict(each.partition("=")[::2] for each in config.get("Env") or ())
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
            "Binds": [each for each in host.get("Binds") or () if each.split(":")[1] in FOLDERS],
            "Mounts": [each for each in host.get("Mounts") or () if each.get("Target") in FOLDERS],
            "PortBindings": {},
            "RestartPolicy": {"Name": "no"},
        },
    }


def decoded(text: str) -> Answer:
    """The program's answer, believed only where its types are right: a bot's own image may hold anything."""
    try:
        found = json.loads(text)
        left, others = found["open_orders"], found.get("others", 0)
        if type(left) is not int or type(others) is not int or left < 0 or others < 0:
            raise ValueError(left)
        orders = tuple(_order(each) for each in list(found.get("orders") or ())[:MOST_NAMED])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Answer(None, why=Text("its answer cannot be read"))
    return Answer(left, others, orders)


def _order(raw: Mapping[str, Any]) -> str:
    return replace_unprintable(f"{raw.get('side')} {raw.get('quantity')} @ {raw.get('price')}")[:80]


def _create(name: str, definition: Mapping[str, Any], engine: Engine) -> str:
    try:
        return engine.create(name, definition)
    except NameTaken:  # by what a killed manager has left
        engine.discard(name)
        return engine.create(name, definition)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return replace_unprintable(lines[-1])[:MOST_WORDS] if lines else ""
