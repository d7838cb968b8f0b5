"""Tell another machine which accounts live instances trade on, without a credential leaving this one. Pure.

Each value becomes a fingerprint under a key that the asking machine made and sends: it can compare, and
whoever finds a fingerprint without the key can do nothing with it.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from manager.config.bot_environment import Account, LiveContainer, account_in

KEY_BYTES = 32
DIGITS = 32


class Trading(NamedTuple):
    """Hold one live instance that runs on another machine; its account consists of fingerprints."""

    instance: str
    account: Account


class Look(NamedTuple):
    """Hold what a machine answered.

    `at`: when, seconds since the epoch. `name`: its own name. `known`: the fingerprints of all values that
    it has for its bots.
    """

    at: float
    name: str
    live: tuple[Trading, ...]
    known: frozenset[str]


def fingerprint(key: bytes, value: str) -> str:
    """Return the value's fingerprint under this key."""
    return hmac.digest(key, value.encode(), "sha256").hex()[:DIGITS]


def fingerprints(key: bytes, values: Iterable[str]) -> list[str]:
    """Return the fingerprints of these values, without those of empty ones, sorted."""
    return sorted({fingerprint(key, value) for value in values if value})


def answer(key: bytes, name: str, trading: Iterable[LiveContainer], values: Iterable[str]) -> dict[str, Any]:
    """Return the answer of this machine as JSON. `values`: all that it has for its bots."""
    return {
        "host": name,
        "live": [_plain(key, container) for container in trading],
        "known": fingerprints(key, values),
    }


def _plain(key: bytes, container: LiveContainer) -> dict[str, Any]:
    account = account_in(container)
    return {
        "id": container.instance,
        "exchange": account.exchange,
        "symbol": account.symbol,
        "credentials": None if account.credentials is None else fingerprints(key, account.credentials),
        "given": None if account.given is None else fingerprints(key, account.given),
    }


def look(content: Any, at: float) -> Look:
    """Return the answer of another machine. Raises ValueError for what is none."""
    try:
        return Look(
            at,
            str(content["host"]),
            tuple(map(_trading, content["live"])),
            frozenset(map(str, content["known"])),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(str(error)) from error


def _trading(raw: Mapping[str, Any]) -> Trading:
    credentials, given = (
        None if raw[name] is None else frozenset(map(str, raw[name])) for name in ("credentials", "given")
    )
    return Trading(str(raw["id"]), Account(str(raw["exchange"]), str(raw["symbol"]), credentials, given))


def as_fingerprints(key: bytes, account: Account) -> Account:
    """Return the account as another machine tells its own."""
    return account._replace(
        credentials=None
        if account.credentials is None
        else frozenset(fingerprints(key, account.credentials)),
        given=None if account.given is None else frozenset(fingerprints(key, account.given)),
    )


def may_be_known(mine: Account, seen: Look) -> bool:
    """Return whether a machine that was seen so had these credentials, or what could not be read."""
    has_unread = any(other.account.given is None for other in seen.live)
    return has_unread or not mine.credentials or mine.credentials <= seen.known
