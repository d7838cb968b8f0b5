"""Refuse what would not be whole on this machine, or would replace what belongs to another instance of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from manager.config import bot_environment, handover
from manager.config.spec import InstanceSpec
from manager.errors import ManagerError
from manager.fleet import tombstone
from manager.fleet.project import Project
from manager.i18n import Text
from manager.ops.backup import scan
from manager.ops.backup.manifest import Manifest, is_allowed

UNKNOWN_OWNER = "?"
"""Owns a file that is there and is no valid config of any instance."""


def other_owner(project: Project, instance: str, file: str) -> str | None:
    """Return which other instance a config file of this name belongs to here; None if it may be written.

    `--instance-id` has given some files their instance, whether they are there or not.
    """
    if PurePosixPath(file).parent != PurePosixPath("config/active") or not is_allowed(file):
        return UNKNOWN_OWNER
    own = {loaded.file: loaded.spec.id for loaded in project.loaded.files if loaded.spec is not None}
    if file in own:
        return None if own[file] == instance else own[file]
    path = project.fleet.project_dir / file
    if path.exists() or path.is_symlink():
        return UNKNOWN_OWNER
    given = project.fleet_state.ids.get(file, instance)
    return None if given == instance else given


def require_fitting(project: Project, instance: str, manifest: Manifest) -> None:
    """Raise ManagerError unless the backup is of this instance alone, whole, and has a place of its own."""
    file = manifest.instances[instance]["config_file"] if set(manifest.instances) == {instance} else None
    if file is None or file not in manifest.files:
        raise ManagerError("the backup that arrived is not of {id}, or lacks its config", id=instance)
    if other := other_owner(project, instance, file):
        raise ManagerError(
            "{file} belongs to another instance here ({other}); nothing was replaced: rename it here, and run"
            " the move again",
            file=file,
            other=other,
        )
    if not manifest.has_database(instance) and has_database(project, instance):
        raise ManagerError(
            "the backup of {id} has no database, and an older one is in {folder}; nothing was replaced",
            id=instance,
            folder=project.fleet.relative(project.fleet.database_dir(instance)),
        )


def require_room(project: Project, instance: str, port: int | None) -> None:
    """Raise ManagerError if this side has an instance of that id by now, or its port belongs to another."""
    has_own = instance in project.specs or has_database(project, instance)
    if has_own and tombstone.find(project.fleet, instance) is None:
        raise ManagerError("{id}: this machine has an instance of this id of its own", id=instance)
    for other in project.specs.values():
        if port is not None and other.web_port == port and other.id != instance:
            raise ManagerError("port {port} belongs to {other}", port=port, other=other.id)


def has_database(project: Project, instance: str) -> bool:
    """Return whether a database is in the instance's folder; also if the folder cannot be searched."""
    try:
        return bool(scan.scan(instance, project.fleet.database_dir(instance), ()).databases)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def database_bytes(project: Project, instance: str) -> int:
    """Return how large the databases are that a backup copies; 0 if the folder cannot be searched."""
    try:
        databases = scan.scan(instance, project.fleet.database_dir(instance), ()).databases
    except OSError:
        return 0
    return sum(file.total_size for file in databases)


def needs_database(project: Project, instance: str) -> bool:
    """Return whether the instance trades live and has run here: it has a database, or its disk is missing."""
    spec = project.specs.get(instance)
    has_run = project.fleet_state.of(instance).registered_at is not None
    has_run = has_run or tombstone.generation(project.fleet, instance).number > 0
    return spec is not None and spec.mode == "live" and has_run


def no_database(project: Project, instance: str) -> Text:
    """Return what to do about a database that is missing."""
    return Text(
        "it trades live and has run, and {folder} has no database of it; is the disk mounted?",
        folder=project.fleet.relative(project.fleet.database_dir(instance)),
    )


def require_own_keys(
    project: Project, instance: str, values: Mapping[str, object], present: Mapping[str, str]
) -> dict[str, str]:
    """Return what of the other machine's variables is written to .env. Raises ManagerError.

    Only what the instance's config, which is here already, names and may hand over: other programs read .env
    as well, and the other machine may be in foreign hands.
    """
    spec = project.specs.get(instance)
    if spec is None:
        raise ManagerError(
            "the config of {id} that arrived cannot be used here: {why}",
            id=instance,
            why="; ".join(str(problem) for problem in project.problems),
        )
    missing = {name: value for name, value in values.items() if not present.get(name)}
    for name, value in missing.items():
        if why := _why_not_written(name, value, spec, project):
            raise ManagerError(
                "{name} is not written to .env: {why}; if you trust it, write it there yourself, and run the"
                " move again",
                name=repr(name[:100]),
                why=why,
            )
    return {name: str(value) for name, value in missing.items()}


def _why_not_written(name: str, value: object, spec: InstanceSpec, project: Project) -> Text | None:
    if not isinstance(value, str) or value.splitlines() != [value]:
        return Text("its value is not one line of text")
    if name not in bot_environment.named_variables(spec, {name: value}):
        return Text("the config that arrived does not name it")
    return handover.why_not_taken(name, value, spec.exchange, project.fleet)
