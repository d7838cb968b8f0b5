"""Say before bots start beside each other on one account and market that `manager watch` has to run.

An account has one position for all of them. Only `watch` tells each what the others hold; without it each
takes the others' trades for a fault of its own record, and stops placing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from manager.config import bot_environment
from manager.config.bot_environment import Account
from manager.fleet import lock
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text
from manager.ops.actions.action import Action


def unwatched(snapshot: FleetSnapshot, actions: Sequence[Action]) -> Iterator[Text]:
    """Yield a warning for each start beside another live bot that nobody would tell of it."""
    fleet = snapshot.project.fleet
    if not fleet.allow_shared_credentials or lock.held_by(fleet.watch_lock_file) is not None:
        return
    starting = dict(_accounts(snapshot, [action.instance for action in actions if action.starts]))
    up = [instance for instance in snapshot.project.specs if snapshot.plan_input.is_up(instance)]
    accounts = starting | dict(_accounts(snapshot, [one for one in up if one not in starting]))
    for instance, mine in starting.items():
        others = sorted(
            other
            for other, theirs in accounts.items()
            if other != instance and bot_environment.is_same(mine, theirs)
        )
        if others:
            yield Text(
                "{instance} trades live on the account and market of {others}, and `manager watch` does not"
                " run: without it each takes the others' trades for a fault of its record and places no"
                " orders; run `manager watch` (`manager install-service` sets it up)",
                instance=instance,
                others=", ".join(others),
            )


def _accounts(snapshot: FleetSnapshot, instances: Sequence[str]) -> Iterator[tuple[str, Account]]:
    project = snapshot.project
    for instance in instances:
        spec = project.specs.get(instance)
        if spec is not None and spec.mode == "live":
            yield instance, bot_environment.account_of(spec, project.fleet, project.variables)
