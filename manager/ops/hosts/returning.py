"""Find the live bots that are down at this moment, but may start again without being asked for."""

from __future__ import annotations

from collections.abc import Iterator

from manager.config import markets
from manager.config.bot_environment import LiveContainer
from manager.fleet import halt_mark, lock
from manager.fleet.observe import FleetSnapshot

STOPPING = frozenset({"stop", "down", "halt"})


def returning(snapshot: FleetSnapshot) -> Iterator[LiveContainer]:
    """Yield what the engine, `watch` or a running command may start at any moment.

    That is a container that fell with its engine, one between stop and start, and, while a command holds the
    fleet's lock, an instance whose container that command removed or gives other credentials.
    """
    plan_input, project = snapshot.plan_input, snapshot.project
    for instance, container in plan_input.containers.items():
        if container.mode == "live" and not container.is_up and not _is_off(snapshot, instance):
            yield snapshot.trading_of(container)
    if not _is_being_changed(snapshot):
        return
    for instance, spec in project.specs.items():
        was_here = plan_input.fleet_state.of(instance).registered_at is not None
        if spec.mode == "live" and was_here and not _is_off(snapshot, instance):
            yield LiveContainer(
                instance,
                project.fleet.container_name(instance),
                spec.exchange,
                spec.symbol,
                snapshot.env_values.get(instance),
                markets.kind_traded(spec.market_type, spec.strategy),
            )


def _is_off(snapshot: FleetSnapshot, instance: str) -> bool:
    """Return whether a person has stopped, halted or moved it."""
    return (
        snapshot.plan_input.is_stopped_by_wish(instance)
        or instance in snapshot.plan_input.tombstones
        or halt_mark.find(snapshot.project.fleet, instance) is not None
    )


def _is_being_changed(snapshot: FleetSnapshot) -> bool:
    note = lock.held_by(snapshot.project.fleet.lock_file)
    return bool(note) and (note or {}).get("command") not in STOPPING
