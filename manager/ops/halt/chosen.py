"""Choose what a halt stops: whatever is known of what was named. A mistyped name must keep no bot up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from manager.config.fleet import Fleet
from manager.errors import ConfigError, ManagerError, UsageError
from manager.fleet import supervisor_state
from manager.fleet.observe import FleetSnapshot
from manager.fleet.project import Project
from manager.fleet.selection import Selection, no_instance, pinned, require_loaded
from manager.typed import NamedTuple
from manager.util.real_path import real_path


class Named(NamedTuple):
    """Hold the instances that were named, by id or file; None for all. `files`: those that cannot be
    loaded, with why.
    """

    instances: list[str] | None
    files: tuple[tuple[str, ManagerError], ...] = ()


class Unknown(NamedTuple):
    """Hold what was named, and nothing here has. `instance`: None for a file that does not say whose."""

    instance: str | None
    error: ManagerError


class Chosen(NamedTuple):
    """Hold the instances to halt. `unknown`: what else was named."""

    instances: list[str]
    unknown: tuple[Unknown, ...] = ()

    def required(self) -> list[str]:
        """Return the instances. Raises ManagerError if anything else was named."""
        if self.unknown:
            raise self.unknown[0].error
        return self.instances


def named_by(selection: Selection, project: Project) -> Named:
    """Return what was named, without the files that do not say whose they are."""
    if not (selection.ids or selection.files):
        return Named(None)
    instances, files = list(selection.ids), []
    for file in selection.files:
        try:
            instances.append(project.instance_of(file))
        except (ConfigError, UsageError) as error:
            files.append((file, error))
    return Named(list(dict.fromkeys(instances)), tuple(files))


def chosen_instances(named: Named, snapshot: FleetSnapshot) -> Chosen:
    """Return the named instances, or all that have a config, a container, an unexpected container or a bot.

    A bot in a container that this engine does not list shows by the lock it holds. Those of another folder
    are excluded: they run on.
    """
    others = {
        container.instance
        for container in snapshot.observed.containers.values()
        if snapshot.foreign_folder(container)
    }
    strays = (container.instance for container in snapshot.observed.strays)
    known = sorted({*snapshot.views, *strays, *alive(snapshot.project.fleet)} - others)
    if named.instances is None:
        return Chosen(known)
    chosen, unknown = list[str](), list[Unknown]()
    for instance in named.instances:
        if instance in known:
            chosen.append(instance)
        else:
            error = _why_unknown(instance, snapshot, known, is_elsewhere=instance in others)
            unknown.append(Unknown(instance, error))
    for file, error in named.files:
        if made_from := _made_from(file, snapshot, known):
            chosen += made_from
        else:
            unknown.append(Unknown(None, error))
    return Chosen(list(dict.fromkeys(chosen)), tuple(unknown))


def _why_unknown(
    instance: str, snapshot: FleetSnapshot, known: Sequence[str], *, is_elsewhere: bool
) -> ManagerError:
    try:
        if is_elsewhere:
            snapshot.require_ours()
        if instance in snapshot.project.loaded.elsewhere:
            return pinned(instance, snapshot.project)
        require_loaded(instance, snapshot.project, known)
    except ManagerError as error:
        return error
    return no_instance(instance, known)


def _made_from(file: str, snapshot: FleetSnapshot, known: Sequence[str]) -> list[str]:
    """Return the instances whose containers were made from a file that cannot be loaded now."""
    fleet = snapshot.project.fleet
    try:
        path = str(fleet.relative(real_path(Path(file))))
    except (OSError, ValueError, RuntimeError):  # no path at all
        return []
    return [
        instance
        for instance, container in snapshot.observed.containers.items()
        if container.config_file == path and instance in known
    ]


def alive(fleet: Fleet) -> list[str]:
    """Return the instances whose bots run, from the locks they hold, which needs no engine."""
    try:
        folders = sorted(folder for folder in fleet.state_dir.iterdir() if folder.is_dir())
    except OSError:
        return []
    return [folder.name for folder in folders if supervisor_state.has_bot(folder)]
