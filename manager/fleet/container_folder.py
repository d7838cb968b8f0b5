"""Tell which project folder a container belongs to: ours, ours before it was moved, or another one."""

from collections.abc import Mapping
from pathlib import Path

from manager.config.fleet import Fleet
from manager.engine.containers import Container
from manager.fleet import mounted_folder, supervisor_state
from manager.fleet.definition_drift import is_same_file
from manager.fleet.supervisor_state import SupervisorState
from manager.typed import NamedTuple


class ForeignFolder(NamedTuple):
    """Hold the folder that a container belongs to, and our folder that it should belong to."""

    there: str
    here: str


def foreign_folder(
    container: Container, supervisor: SupervisorState | None, fleet: Fleet
) -> ForeignFolder | None:
    """Return the other folder that a container belongs to; None if its database folder is ours.

    A path may be a symlink, and the folder may have been moved since, and another one made in its old place.
    Then our supervisor's file decides, which a copy of our folder has too: for a running container also the
    lock, which that one does not hold, and for one that is down what the folder in the old place knows. If
    ours is the folder in the old place, or nothing is there any more, what a running container has mounted
    decides.
    """
    source, database = container.data_source, fleet.database_dir(container.instance)
    if not source:
        there = container.project_dir
        if not there or there == str(fleet.project_dir) or is_same_file(Path(there), fleet.project_dir):
            return None
        return ForeignFolder(there, str(fleet.project_dir))
    if says_ours(container, supervisor, fleet):
        return None
    if source == str(database):
        return _mounted_foreign(container, fleet)
    is_named = supervisor is not None and supervisor.container == container.id
    is_same = is_same_file(Path(source), database)
    if is_same:
        return None
    if is_named and is_same is None:
        return _mounted_foreign(container, fleet)
    if is_named and (
        (container.is_up and _is_locked(container, fleet))
        or (not container.is_up and _is_unknown_at(Path(source).parent.parent, container, fleet))
    ):
        return None
    is_labelled = container.project_dir not in ("", str(fleet.project_dir))
    return (
        ForeignFolder(container.project_dir, str(fleet.project_dir))
        if is_labelled
        else ForeignFolder(source, str(database))
    )


def says_ours(container: Container, supervisor: SupervisorState | None, fleet: Fleet) -> bool:
    """Return whether the engine and the supervisor's file both say that a container is ours."""
    is_named = supervisor is not None and supervisor.container == container.id
    return is_named and container.data_source == str(fleet.database_dir(container.instance))


def _mounted_foreign(container: Container, fleet: Fleet) -> ForeignFolder | None:
    """Return the folder that a running container has mounted, if it can be seen to be another than ours."""
    if not container.is_up or _is_locked(container, fleet):
        return None
    database = fleet.database_dir(container.instance)
    present = mounted_folder.other_folder(container.id, database)
    return None if present is None else ForeignFolder(present, str(database))


def _is_locked(container: Container, fleet: Fleet) -> bool:
    return supervisor_state.is_locked(fleet.instance_state_dir(container.instance))


def _is_unknown_at(data_dir: Path, container: Container, fleet: Fleet) -> bool:
    """Return whether no supervisor of this container has ever run with this data folder.

    A file that is there and cannot be read may name it.
    """
    state_dir = fleet._replace(data_dir=data_dir).instance_state_dir(container.instance)
    try:
        (state_dir / supervisor_state.STATE_FILE).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    theirs = supervisor_state.read(state_dir)
    return theirs is not None and theirs.container != container.id


def moved(
    fleet: Fleet, containers: Mapping[str, Container], supervisors: Mapping[str, SupervisorState | None]
) -> frozenset[str]:
    """Return the instances whose containers mount the place where this folder was before."""
    return frozenset(
        instance
        for instance, container in containers.items()
        if container.data_source
        and container.data_source != str(fleet.database_dir(instance))
        and not is_same_file(Path(container.data_source), fleet.database_dir(instance))
        and foreign_folder(container, supervisors.get(instance), fleet) is None
    )
