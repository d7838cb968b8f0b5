"""See what this machine has of an instance: a bot that is up, a container of an earlier stay, its files."""

from __future__ import annotations

import json
import os
from pathlib import Path

from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.fleet import supervisor_state
from manager.fleet.observe import FleetSnapshot
from manager.fleet.session import Session


def require_down(snapshot: FleetSnapshot, instance: str) -> None:
    """Raise ManagerError if its bot may run."""
    if is_in_use(snapshot, instance):
        raise ManagerError("{id} runs; nothing was done", id=instance)


def remove_leftover(session: Session, snapshot: FleetSnapshot, instance: str) -> None:
    """Remove the container of an earlier stay: it has the image and the variables of that time."""
    if (container := snapshot.observed.containers.get(instance)) is not None:
        session.engine().remove(container.id)


def is_to_go_on(snapshot: FleetSnapshot, instance: str) -> bool:
    """Return whether it is up, and has neither completed nor failed for good."""
    status = snapshot.plan_input.statuses.get(instance)
    return snapshot.plan_input.is_up(instance) and not (status is not None and status.is_final)


def is_in_use(snapshot: FleetSnapshot, instance: str) -> bool:
    """Return whether a container of the instance is up, or a supervisor of it holds its lock."""
    containers = (*snapshot.observed.containers.values(), *snapshot.observed.strays)
    is_up = any(container.instance == instance and container.is_up for container in containers)
    return is_up or supervisor_state.is_locked(snapshot.project.fleet.instance_state_dir(instance))


def config_file(snapshot: FleetSnapshot, instance: str) -> str | None:
    """Return the instance's config, also one that is pinned to another machine or invalid.

    Of an invalid one the id is not known; the container tells its file, or the file's name is the id.
    """
    loaded, container = snapshot.project.loaded, snapshot.observed.containers.get(instance)
    if (spec := snapshot.project.specs.get(instance)) is not None:
        return spec.config_file
    if (pinned := loaded.elsewhere.get(instance)) is not None:
        return pinned.file
    places = (container.config_file if container else "", f"config/active/{instance}.json")
    return next((file for file in places if file in loaded.broken_files), None)


def pin(fleet: Fleet, file: str) -> str | None:
    """Return the machine that the config names."""
    try:
        content = json.loads((fleet.project_dir / file).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    pin = content.get("host") if isinstance(content, dict) else None
    return pin if isinstance(pin, str) and pin else None


def size(folder: Path) -> int:
    """Return the bytes of all files, as far as they can be read."""
    total = 0
    for root, _folders, files in os.walk(folder):
        for name in files:
            try:
                total += Path(root, name).lstat().st_size
            except OSError:
                continue
    return total


def room(folder: Path) -> dict[str, int | None]:
    """Return how many bytes and inodes are free on the folder's disk; None where it does not tell."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return {"free": None, "inodes": None}
    return {"free": disk.f_bavail * disk.f_frsize, "inodes": disk.f_favail if disk.f_files else None}
