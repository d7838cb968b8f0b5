"""Which instances the command line means, and what to say of one that is not there or does not run."""

from __future__ import annotations

from collections.abc import Iterable

from manager.errors import ManagerError, UsageError
from manager.fleet.instance import Instance
from manager.fleet.observe import FleetSnapshot
from manager.fleet.session import Session
from manager.i18n import Text


def selected(session: Session, snapshot: FleetSnapshot) -> list[Instance]:
    """The instances that the command line names, else all. Raises UsageError for one that is not there."""
    named = snapshot.project.select(session.args.ids, session.args.config)
    if named is None:
        return list(snapshot.views.values())
    for each in named:
        require_known(each, snapshot)
    return [snapshot.views[each] for each in named]


def require_known(instance: str, snapshot: FleetSnapshot) -> None:
    """Raises UsageError for an id that neither a config nor a container has, with the nearest ones."""
    if instance not in snapshot.views:
        raise no_instance(instance, snapshot.views)


def no_instance(instance: str, known: Iterable[str]) -> UsageError:
    """What to say of an id that nothing has, with the nearest one that something has."""
    import difflib

    near = difflib.get_close_matches(instance, list(known), n=1)
    if near:
        return UsageError("there is no instance {id}; did you mean {near}?", id=instance, near=near[0])
    return UsageError("there is no instance {id}; `manager ps` shows those that are", id=instance)


def require_running(view: Instance) -> None:
    """Raises ManagerError for an instance without a running container."""
    if view.container is not None and view.container.engine_state == "paused":
        raise ManagerError(
            "{id} is paused; `docker unpause {name}` lets it go on", id=view.id, name=view.container.name
        )
    if view.container is None or view.container.engine_state != "running":
        state = Text(view.verdict.state)
        raise ManagerError(
            "{id} is not running ({state}); start it: `manager start {id}`", id=view.id, state=state
        )
