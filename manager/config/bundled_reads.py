"""Determine which variables of a config's own the bundled bot is given: those that it reads. Pure.

The names that steer some interpreter, library or program are without end; the bundled bot reads few.
"""

from __future__ import annotations

from collections.abc import Iterable

from manager.config.exchanges import EXCHANGES
from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.config.steering import belongs_to
from manager.util import wildcard

OWN = ("TZ", "BASE_URL", "OTHER_BOTS_POSITION", "GRIDBOT_*", "BOT_WEB_*")
"""What it reads beside the variables of the exchanges (docker/bot/README.md)."""


def is_read(name: str) -> bool:
    """Return whether the bundled bot reads a variable of this name, on whichever exchange."""
    return any(wildcard.matches(name, pattern) for pattern in OWN) or any(
        belongs_to(name, exchange) or name == f"{exchange.upper()}_WS_URL" for exchange in EXCHANGES
    )


def reaching(spec: InstanceSpec, fleet: Fleet) -> InstanceSpec:
    """Return the spec without the variables of its config that the bundled bot does not read."""
    if not (unread := unread_names(spec.literals, fleet)):
        return spec
    return spec._replace(literals={name: text for name, text in spec.literals.items() if name not in unread})


def unread_names(names: Iterable[str], fleet: Fleet) -> tuple[str, ...]:
    """Return which of the names in a config's `environment` the bundled bot does not read.

    What config/fleet.toml names is given all the same: a person has said so there. None of another bot's.
    """
    if not fleet.is_bundled_bot:
        return ()
    patterns = (*fleet.variables, *fleet.config_variables)
    return tuple(
        name
        for name in names
        if not is_read(name) and not any(wildcard.matches(name, pattern) for pattern in patterns)
    )
