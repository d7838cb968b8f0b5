"""Tell what a restart or an upgrade would change of an instance: config old → new, image and the like."""

from __future__ import annotations

from contextlib import suppress

from manager.errors import EngineError
from manager.monitor.stats.instance_stats import InstanceStats
from manager.ops.planning import definition_diff, plan
from manager.web.engine_side.backend import Backend


def of_instance(backend: Backend, row: InstanceStats) -> list[str]:
    """Return one line for each difference, at one call to the engine where its config has changed."""
    drift = row.view.drift
    changes = [
        str(cause)
        for drift_kind, cause in plan.CAUSES.items()
        if drift_kind in drift and drift_kind != "config"
    ]
    if "config" in drift:
        changes += _of_config(backend, row) or [str(plan.CAUSES["config"])]
    return changes


def _of_config(backend: Backend, row: InstanceStats) -> list[str]:
    view = row.view
    if view.spec is None or view.container is None:
        return []
    with suppress(EngineError):  # removed meanwhile; or an engine that is away, which the page says anyway
        before = backend.session.engine().inspect(view.container.id)
        return [
            str(line) for line in definition_diff.changes(before, view.spec, backend.snapshots.latest.fleet)
        ]
    return []
