"""Leave live bots that may not start now: beyond a limit, or on an account that is traded on elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from manager.config.bot_environment import LiveContainer
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text
from manager.ops.actions.action import Action
from manager.ops.actions.events import OnEvent, Warned


def settle(
    snapshot: FleetSnapshot, actions: Sequence[Action], dead_hosts: Sequence[str], on_event: OnEvent
) -> list[Action]:
    """Return the actions without the starts that may not be.

    Nothing is asked for what was moved to another machine, which nothing starts here.
    """
    from manager.ops.requests import request_plan  # a no-op does without it

    moved = snapshot.plan_input.tombstones
    here = request_plan.within_limits(
        snapshot, [action for action in actions if action.instance not in moved], on_event
    )
    settled = iter(of_accounts(snapshot, here, dead_hosts, on_event))
    actions = [action if action.instance in moved else next(settled) for action in actions]
    if snapshot.project.fleet.allow_shared_credentials:
        from manager.ops.checks import shared_market

        for warning in shared_market.unwatched(snapshot, actions):
            on_event(Warned(warning))
    return actions


def of_accounts(
    snapshot: FleetSnapshot, actions: Sequence[Action], dead_hosts: Sequence[str], on_event: OnEvent
) -> list[Action]:
    """Return the actions without starts on an account that another machine's bots may trade on."""
    if not _has_other_machines(snapshot):
        return list(actions)
    from manager.ops.checks import account_check  # with the parser of hosts.toml and more

    return account_check.settle(snapshot, actions, dead_hosts, on_event)


def older_copies(snapshot: FleetSnapshot, instances: Iterable[str]) -> dict[str, Text]:
    """Return instance → why it is an older copy of one that was moved; its record must trade nothing."""
    if not snapshot.project.fleet.hosts_file.exists():
        return {}
    from manager.ops.checks import account_check

    return account_check.older_copies(snapshot.project.fleet, instances)


def of_rollbacks(
    snapshot: FleetSnapshot,
    olds: Iterable[LiveContainer],
    dead_hosts: Sequence[str],
    on_event: OnEvent,
    *,
    just_ran: bool = False,
) -> dict[str, Text]:
    """Return instance → why its old container may not start, as `of_accounts` does for configs."""
    if not _has_other_machines(snapshot):
        return {}
    from manager.ops.checks import account_check

    return account_check.of_rollbacks(snapshot, olds, dead_hosts, on_event, just_ran=just_ran)


def _has_other_machines(snapshot: FleetSnapshot) -> bool:
    """Return whether config/hosts.toml exists, or anything was moved; else nothing of the check is loaded."""
    return bool(snapshot.project.moved) or snapshot.project.fleet.hosts_file.exists()
