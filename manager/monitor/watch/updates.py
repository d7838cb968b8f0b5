"""Say what `docker update` has changed of a container, when the engine tells that somebody ran it.

Only root may read the engine's own files: a restart policy that was changed is in no `ps` of another user.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress

from manager.engine.client import Engine
from manager.errors import NotFound
from manager.fleet import definition_drift
from manager.fleet.definition_drift import UPDATED, Definition
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text, _, listed


def texts(engine: Engine, snapshot: FleetSnapshot, updated: Collection[str]) -> Iterator[Text]:
    """Yield a line for each of these containers (ids) that is not as its config says. Costs a call for each.

    What the manager itself has put back is as it says. Raises EngineError.
    """
    for view in snapshot.views.values():
        container, spec = view.container, view.spec
        if container is None or spec is None or container.id not in updated or "config" in view.drift:
            continue
        with suppress(NotFound):  # removed meanwhile
            inspected = engine.inspect(container.id)
            definition = Definition(inspected.get("HostConfig") or {}, inspected.get("Config"))
            drifts = definition_drift.updated(definition, container, spec, snapshot.project.fleet)
            if parts := [_(drift) for drift in drifts if drift in UPDATED]:
                yield Text(
                    "{id}: changed by `docker update`: {what}; `manager up {id}` puts it back",
                    id=view.id,
                    what=listed(parts),
                )
