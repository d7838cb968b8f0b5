"""Tell another machine which accounts live instances trade on, without a credential leaving this one. Pure.

Each value becomes a fingerprint under a key that the asking machine made and sends: it can compare, and
a fingerprint without the key is of no use.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from typing import Any

from manager import __version__
from manager.config.bot_environment import Account, LiveContainer, account_in
from manager.ops.hosts import generations
from manager.ops.hosts.generations import GenerationRecord
from manager.ops.hosts.identity import Identity
from manager.typed import NamedTuple
from manager.util.sanitize import replace_unprintable

KEY_BYTES = 32
DIGITS = 32
MOST_VERSION = 40
NOBODY = Identity()


class Trading(NamedTuple):
    """Hold one live instance of another machine; its account consists of fingerprints.

    `is_up`: whether it runs, and is not about to.
    """

    instance: str
    account: Account
    is_up: bool = True


class HostAccounts(NamedTuple):
    """Hold what a machine answered.

    `at`: when, seconds since the epoch. `name`: its own name. `known`: the fingerprints of all values that
    it has for its bots. `identity`: fingerprints too; empty ones are of an earlier version's manager, which
    tells no `generations` either: of instances that were moved. `unwritable`: folders of its project that its
    manager may not write to. `version`: of its manager; empty if that is an earlier one, which does not tell.
    """

    at: float
    name: str
    live: tuple[Trading, ...]
    known: frozenset[str]
    identity: Identity = NOBODY
    generations: Mapping[str, GenerationRecord] | None = None
    unwritable: tuple[str, ...] = ()
    version: str = ""


def fingerprint(key: bytes, value: str) -> str:
    """Return the value's fingerprint under this key."""
    return hmac.digest(key, value.encode(), "sha256").hex()[:DIGITS]


def fingerprints(key: bytes, values: Iterable[str]) -> list[str]:
    """Return the fingerprints of these values, without those of empty ones, sorted."""
    return sorted({fingerprint(key, value) for value in values if value})


def answer(
    key: bytes,
    name: str,
    trading: Iterable[LiveContainer],
    values: Iterable[str],
    returning: Iterable[LiveContainer] = (),
    identity: Identity = NOBODY,
) -> dict[str, Any]:
    """Return the answer of this machine as JSON. `values`: all that it has for its bots.

    `returning`: what is down, and may start at any moment.
    """
    return {
        "host": name,
        "version": __version__,
        **identified(key, identity)._asdict(),
        "live": [
            *(_plain(key, container, is_up=True) for container in trading),
            *(_plain(key, container, is_up=False) for container in returning),
        ],
        "known": fingerprints(key, values),
    }


def identified(key: bytes, identity: Identity) -> Identity:
    """Return an identity as another machine tells its own."""
    return Identity(*(fingerprint(key, part) if part else "" for part in identity))


def _plain(key: bytes, container: LiveContainer, *, is_up: bool) -> dict[str, Any]:
    return {"id": container.instance, "up": is_up, **plain(key, account_in(container))}


def plain(key: bytes, account: Account) -> dict[str, Any]:
    """Return an account as another machine is told of it; `read` reads it there."""
    return {
        "exchange": account.exchange,
        "symbol": account.symbol,
        "kind": account.kind,
        "credentials": None if account.credentials is None else fingerprints(key, account.credentials),
        "given": None if account.given is None else fingerprints(key, account.given),
    }


def look(content: Any, at: float) -> HostAccounts:
    """Return the answer of another machine. Raises ValueError for what is none."""
    try:
        return HostAccounts(
            at,
            str(content["host"]),
            tuple(map(_trading, content["live"])),
            frozenset(map(str, content["known"])),
            Identity(str(content.get("own", "")), str(content.get("boot", ""))),
            generations.read(content["generations"]) if "generations" in content else None,
            tuple(map(str, content.get("unwritable", ()))),
            replace_unprintable(str(content.get("version", ""))[:MOST_VERSION]),
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(str(error)) from error


def _trading(raw: Mapping[str, Any]) -> Trading:
    return Trading(str(raw["id"]), read(raw), raw.get("up") is not False)


def read(raw: Mapping[str, Any]) -> Account:
    """Return an account that another machine has told. Raises KeyError or TypeError for what is none."""
    credentials, given = (
        None if raw[name] is None else frozenset(map(str, raw[name])) for name in ("credentials", "given")
    )
    return Account(str(raw["exchange"]), str(raw["symbol"]), credentials, given, str(raw.get("kind") or ""))


def as_fingerprints(key: bytes, account: Account) -> Account:
    """Return the account as another machine tells its own."""
    return account._replace(
        credentials=None
        if account.credentials is None
        else frozenset(fingerprints(key, account.credentials)),
        given=None if account.given is None else frozenset(fingerprints(key, account.given)),
    )


def may_be_known(mine: Account, seen: HostAccounts) -> bool:
    """Return whether a machine that was seen so had these credentials, or what could not be read."""
    has_unread = any(other.account.given is None for other in seen.live)
    return has_unread or not mine.credentials or mine.credentials <= seen.known
