"""Tell the other side which account the instance trades on, and find another bot there that trades on it.

The account is told by fingerprints under the move's salt, as `host live` tells it: no credential is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from manager.config import bot_environment
from manager.config.bot_environment import Account
from manager.fleet.observe import FleetSnapshot
from manager.ops.hosts import accounts


def told(snapshot: FleetSnapshot, instance: str, salt: str) -> dict[str, Any] | None:
    """Return what a live instance trades on; None for one on paper, and for one without a config here."""
    project = snapshot.project
    spec = project.specs.get(instance)
    if spec is None or spec.mode != "live":
        return None
    own = bot_environment.account_of(spec, project.fleet, project.variables)
    return accounts.plain(salt.encode(), own)


def other_on(snapshot: FleetSnapshot, instance: str, content: Any, salt: str) -> str | None:
    """Return which other live instance of this side trades, or would trade, on the account that was told."""
    project = snapshot.project
    mine = _read(content)
    if mine is None or project.fleet.allow_shared_credentials:
        return None
    here = {
        other.instance: bot_environment.account_in(other) for other in snapshot.trading(frozenset({instance}))
    }
    here |= {
        spec.id: bot_environment.account_of(spec, project.fleet, project.variables)
        for spec in project.specs.values()
        if spec.mode == "live" and spec.id != instance
    }
    return next(
        (
            other
            for other, account in here.items()
            if bot_environment.is_same(mine, accounts.as_fingerprints(salt.encode(), account))
        ),
        None,
    )


def _read(content: Any) -> Account | None:
    """Return the account that was told; None if there is none, as of an earlier manager."""
    if not isinstance(content, Mapping):
        return None
    with suppress(KeyError, TypeError):
        return accounts.read(content)
    return None
