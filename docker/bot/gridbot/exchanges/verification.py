"""Refuse live trading where an exchange's answers are not known well enough, or are read wrongly here.

`verification.toml` says what is known of each. That its kit is green was seen with the ccxt of the lock
file: `answer_check` and `told_check` try the one that is installed.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from gridbot.config.settings import Settings
from gridbot.model.errors import ConfigError

FILE = Path(__file__).with_suffix(".toml")
CONSENT = "GRIDBOT_ACCEPT_UNVERIFIED"


@cache
def table() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """Return what is known, by exchange and kind of market."""
    with FILE.open("rb") as file:
        return tomllib.load(file)


def require_verified(
    settings: Settings, env: Mapping[str, str] = os.environ, *, listens: bool = True
) -> None:
    """Check that a live run may begin. Raises ConfigError saying why not and what to do.

    `listens`: whether it is to be told of fills by websocket.
    """
    if not settings.live:
        return
    kind = "perp" if settings.perp else "spot"
    known = table().get(settings.exchange, {}).get(kind)
    if known is None or not known["kit"]:
        raise ConfigError(
            f"live trading on {settings.exchange} {kind} is refused: its conformance kit is not green;"
            " trade it on paper",
            "kit_not_green",
            exchange=settings.exchange,
            kind=kind,
        )
    if known["unverified"] and not is_accepted(settings.exchange, env):
        names = ", ".join(known["unverified"])
        accepted = ",".join([*_accepted(env), settings.exchange])
        raise ConfigError(
            f"live trading on {settings.exchange} {kind} is refused: {names} unverified; if you accept that,"
            f" set {CONSENT}={accepted} (in a fleet: accept_unverified in config/fleet.toml)",
            "unverified",
            exchange=settings.exchange,
            kind=kind,
            what=names,
        )
    from gridbot.exchanges import answer_check, told_check  # with ccxt, which a run on paper may do without

    what = answer_check.difference(settings)
    if what is None and listens:
        what = told_check.difference(settings, env)
    if what:
        version = answer_check.installed_version()
        raise ConfigError(
            f"live trading on {settings.exchange} {kind} is refused:"
            f" with ccxt {version} this bot reads a known answer wrongly: {what};"
            " build the image with the ccxt of docker/bot/requirements.lock (manager build),"
            " or trade it on paper",
            "read_wrongly",
            exchange=settings.exchange,
            kind=kind,
            version=version,
            what=what,
        )


def is_accepted(exchange: str, env: Mapping[str, str]) -> bool:
    """Tell whether the environment accepts what is unverified of `exchange`: by its name, or 1 for all."""
    return not {exchange, "1", "true"}.isdisjoint(_accepted(env))


def _accepted(env: Mapping[str, str]) -> list[str]:
    return [word.strip() for word in env.get(CONSENT, "").split(",") if word.strip()]
