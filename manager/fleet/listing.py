"""List the fleet's containers, and tell what their labels alone tell: `logs ID` needs no more of it."""

from __future__ import annotations

from collections.abc import Iterable

from manager.config.spec import InstanceSpec
from manager.engine import containers, labels
from manager.engine.containers import Container, Observed
from manager.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from manager.engine.client import Engine


def observed(name: str, engine: Engine, ids: Iterable[str] = ()) -> Observed:
    """Return the containers of the fleet of this name as the engine lists them; with `ids`, only these."""
    return containers.observe(engine.containers(labels.fleet_filter(name), ids), name)


def log_dir_of(instance: str, container: Container | None, spec: InstanceSpec | None) -> str:
    """Return an instance's log folder: as its container was made, else by its config."""
    made_with = container.labels.get(labels.LOG_DIR) if container else None
    return made_with or (spec.log_dir if spec else None) or f"logs/{instance}"
