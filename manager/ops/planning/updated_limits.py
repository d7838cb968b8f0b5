"""Ask the engine what `docker update` changed, where this user may not read the engine's own files.

Somebody in the group `docker` may ask it everything, and looks into none of its folders. An inspect is a call
for each container: it is made in commands that change the fleet or plan to, and for as many as go unnoticed.
"""

from __future__ import annotations

from contextlib import suppress

from manager.errors import NotFound
from manager.fleet import definition_drift, engine_files
from manager.fleet.definition_drift import Definition
from manager.fleet.observe import FleetSnapshot
from manager.fleet.session import Session

COMMANDS = frozenset({"up", "start", "resume"})
"""Those that put limits and restart policy back of what runs."""
NAMED_COMMANDS = COMMANDS | {"restart"}
"""Named, a restart makes a container anew that has more than limits: `up` says so."""
FEW = 50
"""Up to this many containers are inspected: 1 ms each. Of more `manager doctor` tells."""


def seen(session: Session, snapshot: FleetSnapshot, command: str, named: list[str] | None) -> FleetSnapshot:
    """Return the snapshot with what the engine says of limits and restart policies. Raises EngineError."""
    if command not in (COMMANDS if named is None else NAMED_COMMANDS):
        return snapshot
    plan_input, project = snapshot.plan_input, snapshot.project
    unread = [
        instance
        for instance in (plan_input.wanted if named is None else named)
        if (container := plan_input.containers.get(instance)) is not None
        and instance in project.specs
        and instance not in plan_input.moved
        and "config" not in plan_input.drift(instance)
        and snapshot.foreign_folder(container) is None
        and engine_files.host_config(container.id) is None
    ]
    if not 0 < len(unread) <= FEW:
        return snapshot
    made, outgrown = dict(plan_input.made), set(plan_input.outgrown)
    for instance in unread:
        container, spec = plan_input.containers[instance], project.specs[instance]
        with suppress(NotFound):  # removed meanwhile
            inspected = session.engine().inspect(container.id)
            host, config = inspected.get("HostConfig") or {}, inspected.get("Config") or {}
            definition = Definition(host, config, snapshot.image.config_of(container))
            drifts = definition_drift.updated(definition, container, spec, project.fleet)
            others = tuple(
                kind for kind in made.get(instance, ()) if kind not in definition_drift.OF_HOST_CONFIG
            )
            supervisor = snapshot.views[instance].supervisor
            if (
                "user" not in others
                and (supervisor is None or supervisor.container != container.id)
                and definition_drift.is_made_for_another(config, container, project)
            ):
                others = (*others, "user")
            made[instance] = (*others, *drifts)
            if "limits" in drifts and definition_drift.has_outgrown(host, container, spec):
                outgrown.add(instance)
    return snapshot._replace(plan_input=plan_input._replace(made=made, outgrown=frozenset(outgrown)))
