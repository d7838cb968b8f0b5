"""Leave live bots that may not start now: beyond a limit, or on an account that is traded on elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from manager.fleet.observe import FleetSnapshot
from manager.ops.action import Action
from manager.ops.events import OnEvent


def settle(
    snapshot: FleetSnapshot, actions: Sequence[Action], dead_hosts: Sequence[str], on_event: OnEvent
) -> list[Action]:
    """Return the actions without the starts that may not be."""
    from manager.ops import request_plan  # a no-op does without it

    return of_accounts(
        snapshot, request_plan.within_limits(snapshot, actions, on_event), dead_hosts, on_event
    )


def of_accounts(
    snapshot: FleetSnapshot, actions: Sequence[Action], dead_hosts: Sequence[str], on_event: OnEvent
) -> list[Action]:
    """Return the actions without starts on an account that another machine's bots may trade on.

    Without other machines nothing of this is loaded.
    """
    if not snapshot.project.fleet.hosts_file.exists():
        return list(actions)
    from manager.ops import account_check  # with the parser of hosts.toml and more

    return account_check.settle(snapshot, actions, dead_hosts, on_event)
