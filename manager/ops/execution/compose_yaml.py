"""Keep compose.yaml: render it, with the services of instances whose config is invalid as they were."""

from __future__ import annotations

from manager.config.fleet import Fleet
from manager.engine import compose_file, compose_name
from manager.errors import ManagerError, writing_to
from manager.fleet.project import Project
from manager.typed import Any
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
    """Write the file if its text changes; return whether it did.

    Raises ManagerError, also for a file that a person wrote.
    """
    path, text, present = project.fleet.compose_file, rendered(project), _text_of(project.fleet)
    if present == text:
        return False
    if present.strip() and not compose_name.is_rendered(present):
        raise ManagerError(
            "{path} was not rendered by the manager and is left as it is; rename it, and run `manager"
            " compose` again",
            path=path,
        )
    with writing_to(path):
        atomic_file.replace_bytes(path, text.encode(), 0o644)
    return True


def outdated(project: Project) -> dict[str, bool]:
    """Map the instances that compose.yaml does not have as their configs say to whether it has them at all.

    Empty without a rendered file. What it takes is a parser: for `doctor`, and after something was made anew.
    """
    present = _present(project.fleet)
    if not present or present == (wanted := rendered(project)):
        return {}
    theirs, ours = _services(present), _services(wanted)
    names = sorted({*theirs, *ours})
    return {name: name in theirs for name in names if theirs.get(name) != ours.get(name)}


def _services(text: str) -> dict[str, Any]:
    """Return the services of a compose file, as they mean; none if it is no YAML."""
    import yaml

    try:
        content = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        return {}
    services = content.get("services") if isinstance(content, dict) else None
    return services if isinstance(services, dict) else {}


def _present(fleet: Fleet) -> str:
    """Return the present file's text; empty without one, and for one of another fleet."""
    text = _text_of(fleet)
    return text if compose_name.name_of(text) == fleet.name else ""


def _text_of(fleet: Fleet) -> str:
    try:
        return fleet.compose_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
