"""Remember what the Swarm told last, in state/.hosts/swarm.json, for when this machine's engine is gone."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from manager.config.fleet import Fleet
from manager.fleet.project import Project
from manager.ops.hosts import identity
from manager.ops.swarm.state import Service
from manager.typed import NamedTuple
from manager.util import atomic_file, ownership, strict_json

MAX_BYTES = 16_000_000
AT_REST = frozenset({"halted", "stopped"})


class SeenService(NamedTuple):
    """Hold one instance as the Swarm knew it, or as its config has it. `state`: empty where unknown."""

    instance: str
    machine: str
    mode: str
    state: str = ""

    @property
    def may_run(self) -> bool:
        """Return whether its bot may run, by what was known."""
        return self.state not in AT_REST


class Seen(NamedTuple):
    """Hold the instances. `at`: when they were seen, in Unix time; None: by their configs alone."""

    at: float | None
    services: tuple[SeenService, ...]


def save(fleet: Fleet, services: Iterable[Service]) -> None:
    """Save them. A full disk only loses the memory."""
    path = _file(fleet)
    rows = [
        SeenService(service.instance, service.machine, service.mode, service.state)._asdict()
        for service in services
    ]
    with suppress(OSError):
        ownership.make_folder(path.parent)
        atomic_file.write_atomically(path, {"at": time.time(), "services": rows}, 0o600)
        ownership.give_to_folder_owner(path)


def load(fleet: Fleet) -> Seen | None:
    """Return them; None if there are none, or the file is damaged."""
    try:
        content: Any = strict_json.read(_file(fleet), MAX_BYTES)
        rows = tuple(
            SeenService(*(str(row[name]) for name in SeenService._fields)) for row in content["services"]
        )
        return Seen(float(content["at"]), rows)
    except (strict_json.JsonFault, OSError, TypeError, KeyError, ValueError):
        return None


def known(project: Project) -> Seen:
    """Return what the Swarm told last; else where each instance belongs by its config."""
    if (seen := load(project.fleet)) is not None:
        return seen
    here = [SeenService(spec.id, project.fleet.host_name, spec.mode) for spec in project.specs.values()]
    away = [
        SeenService(instance, loaded.elsewhere, loaded.spec.mode if loaded.spec is not None else "")
        for instance, loaded in project.loaded.elsewhere.items()
    ]
    return Seen(None, tuple(sorted([*here, *away])))


def _file(fleet: Fleet) -> Path:
    """Return where it is; no host's file there has this name."""
    return identity.folder(fleet) / "swarm.json"
