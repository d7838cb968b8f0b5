"""Find what a start would not mend, and recreate it instead: its network is gone, its user is another.

Asked of the engine only where something is to be started: one call for the network, and one for each
container whose supervisor has never written to its folder, or whose folder somebody's `chown` gave away.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from manager.engine import fleet_network
from manager.errors import NotFound
from manager.fleet.observe import FleetSnapshot
from manager.fleet.session import Session
from manager.fleet.supervisor_state import STATE_FILE
from manager.ops.actions.action import Action
from manager.ops.folders import bot_user
from manager.ops.planning import plan

GIVEN_AWAY_S = 0.2
"""The supervisor replaces its file whole, which sets both times. `chown` and `chmod` set one of them."""


def settle(session: Session, snapshot: FleetSnapshot, actions: Sequence[Action]) -> list[Action]:
    """Return the actions, with `recreate` where a start would not do. Raises ManagerError."""
    return _as_users(session, snapshot, _on_networks(session, snapshot, actions))


def _on_networks(session: Session, snapshot: FleetSnapshot, actions: Sequence[Action]) -> list[Action]:
    """Recreate what cannot be started because the network it ran in was removed, one engine call for all.

    The engine knows a container's network by its id: a new one of the same name is another one to it.
    """
    starts = [action for action in actions if action.kind == "start" and not action.as_it_was]
    if not starts:
        return list(actions)
    fleet = snapshot.project.fleet
    present = fleet_network.find(session.engine(), fleet)
    stale = {
        action.instance
        for action in starts
        if (networks := snapshot.plan_input.containers[action.instance].networks) is not None
        and (known := networks.get(fleet.network, ""))
        and known != present
    }
    return [
        plan.off_network(action.instance)._replace(is_fresh=action.is_fresh)
        if action.instance in stale and action.instance in snapshot.plan_input.wanted
        else action
        for action in actions
    ]


def _as_users(session: Session, snapshot: FleetSnapshot, actions: Sequence[Action]) -> list[Action]:
    """Recreate what was made for another user, who cannot even write what would show it."""
    silent = {
        action.instance
        for action in actions
        if action.kind in {"start", "restart"} and not action.as_it_was and _may_not_write(snapshot, action)
    }
    if not silent:
        return list(actions)
    engine, project = session.engine(), snapshot.project
    user = bot_user.bot_user(project.fleet, project.variables, engine.info())
    others = set()
    for instance in silent:
        with suppress(NotFound):
            inspected = engine.inspect(snapshot.plan_input.containers[instance].id)
            made_for = str((inspected.get("Config") or {}).get("User") or "0").partition(":")[0]
            if made_for.isdigit() and int(made_for) != user.uid:
                others.add(instance)
    return [
        plan.as_another_user(action.instance)._replace(is_fresh=action.is_fresh)
        if action.instance in others
        else action
        for action in actions
    ]


def _may_not_write(snapshot: FleetSnapshot, action: Action) -> bool:
    """Return whether its supervisor has never written, or its folder was given to another owner since."""
    container = snapshot.plan_input.containers.get(action.instance)
    supervisor = snapshot.views[action.instance].supervisor
    if container is None or action.instance not in snapshot.plan_input.wanted:
        return False
    if supervisor is None or supervisor.container != container.id:
        return True
    state = snapshot.project.fleet.instance_state_dir(action.instance) / STATE_FILE
    try:
        status = state.stat()
    except OSError:
        return False
    return status.st_ctime - status.st_mtime > GIVEN_AWAY_S
