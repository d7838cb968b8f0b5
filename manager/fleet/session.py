"""Provide what a command works with: the project, and the engine on demand.

Knows no command line, prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from manager.config import settings_cache
from manager.config.fleet import DEFAULT_PARALLELISM, Fleet
from manager.engine import labels
from manager.errors import ConfigError
from manager.fleet import listing, project_folder
from manager.i18n import Text
from manager.typed import TYPE_CHECKING
from manager.util import moment
from manager.util.moment import Moment
from manager.util.real_path import real_path

if TYPE_CHECKING:
    from manager.engine.client import Engine
    from manager.fleet.observe import FleetSnapshot
    from manager.fleet.project import Project
    from manager.util.interrupts import Ending


class Session:
    """Hold one project and one connection to the engine.

    `chosen_dir`: the requested project folder; None for the nearest one at or above the current folder.
    """

    def __init__(self, chosen_dir: Path | None = None, given_at: Moment | None = None) -> None:
        """Open nothing yet. `given_at`: when the user gave the command; now if not given."""
        self.chosen_dir = chosen_dir
        self.given_at = moment.now() if given_at is None else given_at
        self.on_slow: Callable[[Text], None] | None = None
        """Tells whoever waits for a change that the engine is slow."""
        self.is_stop = False
        """Whether the change only stops: then a list that does not come is given up sooner."""
        self.warned: set[str] | None = None
        """What was warned of, where one command carries its change out twice; else None."""
        self._ending: Ending | None = None
        self._engine: Engine | None = None
        self._project: Project | None = None

    @property
    def ending(self) -> Ending:
        """Return what hears that somebody ends a change: `ps` loads nothing of it."""
        if self._ending is None:
            from manager.util.interrupts import Ending

            self._ending = Ending()
        return self._ending

    def project_dir(self) -> Path:
        """Return the project folder. Raises ConfigError if there is none."""
        return project_folder.chosen(self.chosen_dir)

    def project(self) -> Project:
        """Read the project folder again at each call: files change while `watch` and `top` run."""
        if self._project is not None:
            return self._project
        from manager.fleet import project  # with the configs and the state, which `logs ID` goes without

        return project.read(self.project_dir())

    def settings(self) -> Fleet:
        """Return the fleet's settings; with the rest of the project only where they are not cached.

        Without what the image of the user's own bot allows configs to reference. Raises ConfigError.
        """
        if self._project is None:
            known = settings_cache.read(real_path(self.project_dir()))
            if known is not None:
                return known
        return self.project().fleet

    def folders_to_halt(self) -> Fleet | None:
        """Return the fleet's folders, before anything else is read. None if the settings do not tell."""
        from manager.fleet import project

        return project.folders_of(self.project_dir())

    def project_to_halt(self) -> Project:
        """Return the project, by its containers if its settings are invalid: a typo must not prevent a
        stop.
        """
        from manager.fleet import project

        try:
            return self.project()
        except ConfigError as error:
            folder = real_path(self.project_dir())
            rows = self.engine().containers(labels.folder_filter(str(folder)))
            self._project = project.by_containers(folder, rows, error.problems)
            if self._project is None:
                raise
            return self._project

    def engine(self, parallelism: int = DEFAULT_PARALLELISM) -> Engine:
        """Return the engine, connected on first use."""
        if self._engine is None:
            from manager.engine.client import Engine

            self._engine = Engine(parallelism)
            if self.on_slow is not None:
                self._engine.patience.go_on(self.on_slow, is_stop=self.is_stop)
        return self._engine

    def observe(self, compared: Collection[str] = ()) -> FleetSnapshot:
        """Read the project and observe the engine.

        `compared`: whose containers alone are compared with their definitions; all if empty. All of 40 are a
        third of the work.
        """
        from manager.fleet import image_variables, observe  # `logs ID` only lists

        project = self.project()
        snapshot = observe.look(project, self.engine(project.fleet.parallelism), compared)
        is_known = snapshot.image != observe.NO_IMAGE
        if is_known and image_variables.save(project.fleet, snapshot.image.variables):
            snapshot = observe.assemble(self.project(), snapshot.observed, snapshot.image)
        return snapshot

    def look_again(
        self,
        before: FleetSnapshot,
        after_listing: Callable[[], None] = lambda: None,
        touched: Collection[str] | None = None,
    ) -> FleetSnapshot:
        """Observe the engine again, with the configs already read; of the files only the state is read again.

        `after_listing` is called between the engine's list and the supervisors' files, to wait for these.
        `touched`: the instances whose containers were started or stopped, if nothing else has changed.
        """
        from manager.fleet import observe
        from manager.fleet import project as projects

        fleet, known = before.project.fleet, {}
        if touched is None:
            observed, made = listing.observed(fleet.name, self.engine()), {}
        else:
            observed = observe.observed_again(before, self.engine(), touched)
            known = {
                instance: wanted
                for instance, wanted in before.plan_input.wanted.items()
                if instance not in touched
            }
            made = {one: before.plan_input.made.get(one, ()) for one in known}
        after_listing()
        project = before.project._replace(fleet_state=projects.load_state(fleet, before.project.specs))
        return observe.assemble(project, observed, before.image, known, made)

    def close(self) -> None:
        """Close the engine's connections."""
        if self._engine is not None:
            self._engine.close()
