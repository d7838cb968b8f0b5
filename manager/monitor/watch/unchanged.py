"""Tell whether the project's files are as they were, and renew what changes without a change of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from manager.config import cache
from manager.engine.client import Engine
from manager.engine.containers import Container, Observed
from manager.errors import NotFound
from manager.fleet import bot_report, listing, observe
from manager.fleet.bot_report import KeptReport
from manager.fleet.instance import Instance
from manager.fleet.observe import NO_IMAGE, FleetSnapshot
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
    """Return the snapshot with the supervisors' states as last read. Of what is not up, it has the last one
    itself: when a container was killed, its supervisor's last beat is its end.
    """
    newer = {
        instance: view._replace(supervisor=states[instance])
        for instance, view in before.views.items()
        if instance in states
        and view.supervisor is not states[instance]
        and view.container is not None
        and view.container.is_up
    }
    return before._replace(views={**before.views, **newer}) if newer else before


def with_reports(
    views: Mapping[str, Instance], reports: Mapping[str, KeptReport | None]
) -> Mapping[str, Instance]:
    """Return the instances with their bots' reports as last read; the same ones where none is another."""
    newer = {}
    for instance, kept_report in reports.items():
        view = views.get(instance)
        if view is None or view.report is kept_report:
            continue
        shown = bot_report.kept_for_mode(kept_report, view.mode)
        if shown is not view.report:
            newer[instance] = view._replace(report=shown)
    return {**views, **newer} if newer else views


def is_as_listed(snapshot: FleetSnapshot, engine: Engine) -> bool:
    """Return whether the engine tells of the containers and the image what it told for this snapshot, but for
    how long they are up. Raises EngineError.
    """
    try:
        image = observe.image_of(snapshot.project.fleet, engine)
    except NotFound:
        image = NO_IMAGE
    if image != snapshot.image:
        return False
    return _timeless(listing.observed(snapshot.project.fleet.name, engine)) == _timeless(snapshot.observed)


def _timeless(observed: Observed) -> tuple[object, ...]:
    containers = {one: _without_time(container) for one, container in observed.containers.items()}
    return (containers, [_without_time(stray) for stray in observed.strays], *observed[2:])


def _without_time(container: Container) -> Container:
    """Return a container with what the engine's words for its state mean in their place: they tell an age."""
    words = container.health, container.exit_code, container.up_seconds, container.down_seconds
    return container._replace(status=f"{words}")


def has_no_clock(snapshot: FleetSnapshot) -> bool:
    """Return whether no time that passes makes anything of it another: all that is up runs as it should."""
    return all(
        view.status.own_state == "running" and view.status.why is None
        for view in snapshot.views.values()
        if view.container is not None and view.container.is_up
    )


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
