"""Tell whether the project's files are as they were, and renew what changes without a change of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from manager.config import cache
from manager.fleet.observe import FleetSnapshot
from manager.fleet.supervisor_state import SupervisorState
from manager.util.folder_watch import FolderWatch

ACTIVE = "active"


class ProjectFiles:
    """Hold what is known of the configs, so that 200 of them need not be looked at every few seconds."""

    def __init__(self) -> None:
        self._watch = FolderWatch()
        self._configs: list[object] = []
        self._has_symlinks = False
        """Whether a config is elsewhere, where it is not watched."""

    def stamps(self, project_dir: Path) -> list[object]:
        """Return a value that changes with each file of the project that is read, without its state."""
        if self._watch.due({ACTIVE: f"{project_dir}/config/active"}) or self._has_symlinks:
            self._configs, self._has_symlinks = cache.of_configs(project_dir)
        return [*cache.signature(project_dir, self._configs), stamp(project_dir / ".env")]

    def all_stamps(self, project_dir: Path, state_file: Path) -> Sequence[object]:
        """Return it with that of its state."""
        return [*self.stamps(project_dir), stamp(state_file)]


def with_states(before: FleetSnapshot, states: Mapping[str, SupervisorState | None]) -> FleetSnapshot:
    """Return the snapshot with the supervisors' states as last read: they say when they were written."""
    newer = {
        instance: view._replace(supervisor=states[instance])
        for instance, view in before.views.items()
        if instance in states and view.supervisor is not states[instance]
    }
    return before._replace(views={**before.views, **newer}) if newer else before


def says_all(snapshot: FleetSnapshot) -> bool:
    """Return whether all that runs has a supervisor, whose file tells of a change: the engine's own verdict,
    which counts without one, causes no event.
    """
    return all(
        view.supervisor is not None and view.supervisor.container == view.container.id
        for view in snapshot.views.values()
        if view.container is not None and view.container.is_up
    )


def stamp(path: Path) -> tuple[int, ...]:
    """Return what changes with a file; empty without one."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
