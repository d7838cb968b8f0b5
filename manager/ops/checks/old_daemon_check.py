"""Refuse what a daemon of the old system still runs: two bots would trade on one account."""

from __future__ import annotations

from collections.abc import Sequence

from manager.fleet import old_daemon_guard
from manager.fleet.observe import FleetSnapshot
from manager.ops.actions.action import Action, Outcome
from manager.ops.actions.events import ActionDone, OnEvent


def refused(snapshot: FleetSnapshot, actions: Sequence[Action], on_event: OnEvent) -> list[Outcome[Action]]:
    """Report and return the outcomes of the actions that are refused; what is removed starts nothing."""
    in_use = old_daemon_guard.still_running(
        snapshot, [action.instance for action in actions if action.kind != "remove"]
    )
    outcomes = [
        Outcome(action, error=in_use[action.instance]) for action in actions if action.instance in in_use
    ]
    for outcome in outcomes:
        on_event(ActionDone(outcome))
    return outcomes
