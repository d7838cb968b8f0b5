"""Keep compose.yaml: render it, with the services of instances whose config is invalid as they were."""

from __future__ import annotations

from manager.config.fleet import Fleet
from manager.engine import compose_file, compose_name
from manager.errors import writing_to
from manager.fleet.project import Project
from manager.util import atomic_file


def rendered(project: Project) -> str:
    """Return the file's text. What is not valid keeps the service that the present file has for it.

    Otherwise `docker compose up --remove-orphans` would remove a bot because of a typing error.
    """
    held, broken = project.held_back, project.loaded.broken_files
    other_services = {
        name: text
        for name, (config_file, text) in compose_file.services_of(_present(project.fleet)).items()
        if name in held or config_file in broken
    }
    specs = [spec for spec in project.specs.values() if spec.id not in held]
    return compose_file.render(specs, project.fleet, other_services)


def write(project: Project) -> bool:
    """Write the file if its text changes; return whether it did. Raises ManagerError."""
    path, text = project.fleet.compose_file, rendered(project)
    if _text_of(project.fleet) == text:
        return False
    with writing_to(path):
        atomic_file.replace_bytes(path, text.encode(), 0o644)
    return True


def _present(fleet: Fleet) -> str:
    """Return the present file's text; empty without one, and for one of another fleet."""
    text = _text_of(fleet)
    return text if compose_name.name_of(text) == fleet.name else ""


def _text_of(fleet: Fleet) -> str:
    try:
        return fleet.compose_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
