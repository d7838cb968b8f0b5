"""List the fleet's containers, and tell what their labels alone tell: `logs ID` needs no more of it."""

from __future__ import annotations

from collections.abc import Iterable

from manager.engine import containers, labels
from manager.engine.containers import Container, Observed
from manager.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from manager.config.spec import InstanceSpec
    from manager.engine.client import Engine


def observed(name: str, engine: Engine, ids: Iterable[str] = ()) -> Observed:
    """Return the containers of the fleet of this name as the engine lists them; with `ids`, only these."""
    return containers.observe(engine.containers(labels.fleet_filter(name), ids), name)


def log_dir_of(instance: str, container: Container | None, spec: InstanceSpec | None) -> str:
    """Return an instance's log folder: as its container was made, else by its config."""
    return labelled_log_dir(container) or (spec.log_dir if spec else None) or f"logs/{instance}"


def labelled_log_dir(container: Container | None) -> str | None:
    """Return the log folder that a container was made with; None where no label tells."""
    return container.labels.get(labels.LOG_DIR) or None if container else None
