"""Tell what a restart or an upgrade would change of an instance: its config old → new, its image."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from manager.errors import EngineError
from manager.fleet.snapshot import Drift
from manager.i18n import _, mark
from manager.monitor.stats.instance_stats import InstanceStats
from manager.ops import definition_diff
from manager.web.engine_side.desk import Desk

WORDS: Mapping[Drift, str] = {
    "config": mark("config changed"),
    "image": mark("new image"),
    "environment": mark("environment changed"),
    "network": mark("not on its network"),
}
"""The causes that `plan` names."""


def of_instance(desk: Desk, row: InstanceStats) -> list[str]:
    """Return one line for each difference, at one call to the engine where its config has changed."""
    found = [_(WORDS[what]) for what in WORDS if what in row.view.drift and what != "config"]
    if "config" in row.view.drift:
        found += _of_config(desk, row) or [_(WORDS["config"])]
    return found


def _of_config(desk: Desk, row: InstanceStats) -> list[str]:
    view = row.view
    if view.spec is None or view.container is None:
        return []
    with suppress(EngineError):  # removed meanwhile; or an engine that is away, which the page says anyway
        before = desk.session.engine().inspect(view.container.id)
        return [str(line) for line in definition_diff.changes(before, view.spec, desk.lookout.latest.fleet)]
    return []
