"""Select instances, and report unknown ones and those that do not run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from manager.errors import ConfigError, ManagerError, Problem, UnknownInstance, UsageError
from manager.i18n import Text, _
from manager.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from manager.fleet.instance import Instance
    from manager.fleet.observe import FleetSnapshot
    from manager.fleet.project import Project


class Selection:
    """Hold the instances that a user named, by id and by config file; empty for the whole fleet."""

    __slots__ = ("files", "ids")

    def __init__(self, ids: Sequence[str] = (), files: Sequence[str] = ()) -> None:
        self.ids, self.files = ids, files

    def named(self, project: Project) -> list[str] | None:
        """Return the named ids in order; None if nothing was named.

        Raises UsageError or ConfigError for a file.
        """
        return project.select(self.ids, self.files)


EVERYTHING = Selection()

SUGGESTIONS = 3
"""Ids differ in a digit, so the most similar one is often not the one that was meant."""


def selected(selection: Selection, snapshot: FleetSnapshot) -> list[Instance]:
    """Return the named instances, else all. Raises UsageError for an unknown one."""
    named = selection.named(snapshot.project)
    if named is None:
        return list(snapshot.views.values())
    for instance in named:
        require_known(instance, snapshot)
    return [snapshot.views[instance] for instance in named]


def require_known(instance: str, snapshot: FleetSnapshot) -> None:
    """Raise for an id without config and container: UsageError, which suggests a similar one, or ConfigError
    if the file of its name cannot be loaded.
    """
    if instance not in snapshot.views and instance in snapshot.project.loaded.elsewhere:
        raise pinned(instance, snapshot.project)
    if instance not in snapshot.views:
        _require_own_file(instance, snapshot.project)
        raise no_instance(instance, snapshot.views)


def require_config(instance: str, project: Project) -> None:
    """Raise UsageError for an id that no config of this machine has.

    Raises ConfigError where configs cannot be loaded: then the id may be that of one of them.
    """
    if instance in project.loaded.elsewhere:
        raise pinned(instance, project)
    if instance not in project.specs:
        require_loaded(instance, project, project.specs)
        raise no_instance(instance, project.specs)


def require_loaded(instance: str, project: Project, known: Iterable[str]) -> None:
    """Raise ConfigError with the faults of the files that cannot be loaded, if this id may be that of one.

    Not for an id that resembles a known one: it is a mistyped one.
    """
    _require_own_file(instance, project)
    if (files := project.unloaded(instance)) and not _similar(instance, list(known)):
        raise ConfigError(_of(files, project))


def _require_own_file(instance: str, project: Project) -> None:
    """Raise ConfigError with the faults of the file of this name, if it cannot be loaded."""
    files = project.unloaded(instance)
    if any(Path(file).stem == instance for file in files):
        raise ConfigError(_of(files, project))


def _of(files: Sequence[str], project: Project) -> list[Problem]:
    return [problem for problem in project.problems if problem.concerns(files)]


def pinned(instance: str, project: Project) -> UsageError:
    """Return the error for an instance that belongs to another machine."""
    config = project.loaded.elsewhere[instance]
    return UsageError(
        "{id} belongs to host {host} ({file}: host), and this is {here}; run the command there:"
        " `manager --host {host} …`",
        id=instance,
        host=config.elsewhere,
        file=config.file,
        here=project.fleet.host_name,
    )


def no_instance(instance: str, known: Iterable[str], place: object = None) -> UnknownInstance:
    """Return the error for an unknown id, suggesting the most similar ones.

    `place`: whose instances were meant, where they are not those that `ps` lists.
    """
    ids = list(known)
    if near := _similar(instance, ids):
        return UnknownInstance(
            "there is no instance {id}; did you mean {near}?", id=instance, near=" / ".join(near)
        )
    if place is not None:
        return UnknownInstance(
            "{place} has no instance {id}; it has: {known}",
            place=place,
            id=instance,
            known=", ".join(sorted(ids)) or _("none"),
        )
    return UnknownInstance("there is no instance {id}; `manager ps` lists them", id=instance)


def _similar(instance: str, ids: Sequence[str]) -> list[str]:
    """Return the ids that may be meant."""
    import difflib

    same = [other for other in ids if _with_plain_numbers(other) == _with_plain_numbers(instance)]
    return same or difflib.get_close_matches(instance, ids, n=SUGGESTIONS)


def _with_plain_numbers(instance: str) -> str:
    """Return the id as a hurried person types it: `bp_eth_3` for `BP_ETH_03`."""
    return re.sub(r"0+(?=[0-9])", "", instance.lower())


def require_running(instance: Instance) -> None:
    """Raise ManagerError for an instance without a running container."""
    container = instance.container
    if container is not None and container.engine_state == "paused":
        raise ManagerError(
            "{id} is paused; `docker unpause {name}` resumes it", id=instance.id, name=container.name
        )
    if container is None or container.engine_state != "running":
        state = Text(instance.status.state)
        raise ManagerError(
            "{id} is not running ({state}); start it with `manager start {id}`", id=instance.id, state=state
        )
