"""What a command works with: where the project is, the engine once it is needed, how to print."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from manager.config.fleet import DEFAULT_PARALLELISM
from manager.engine import labels
from manager.errors import ConfigError
from manager.fleet import observe, state_file
from manager.fleet import project as projects
from manager.fleet.observe import FleetSnapshot
from manager.fleet.project import Project
from manager.util import console

if TYPE_CHECKING:
    from manager.engine.client import Engine


class Session:
    """One run of the command line."""

    def __init__(self, args: Namespace) -> None:
        self.args = args
        self._engine: Engine | None = None
        self._project: Project | None = None

    @property
    def as_json(self) -> bool:
        """Whether standard output is for a program."""
        return bool(getattr(self.args, "json", False))

    def project_dir(self) -> Path:
        """The project folder that is meant."""
        chosen = self.args.project_dir
        return projects.at(Path(chosen)) if chosen else projects.find(Path.cwd())

    def project(self) -> Project:
        """Reads the project folder; warnings go to standard error at once."""
        return self._project or projects.read(self.project_dir())

    def project_to_halt(self) -> Project:
        """The project, from now on by its containers where its settings cannot be used: a typo must not keep bots trading."""
        try:
            return self.project()
        except ConfigError as error:
            folder = self.project_dir().resolve()
            rows = self.engine().containers(labels.folder_filter(str(folder)))
            self._project = projects.by_containers(folder, rows, error.problems)
            if self._project is None:
                raise
            return self._project

    def engine(self, parallelism: int = DEFAULT_PARALLELISM) -> Engine:
        """The engine, connected on first use."""
        if self._engine is None:
            from manager.engine.client import Engine

            self._engine = Engine(parallelism)
        return self._engine

    def observe(self) -> FleetSnapshot:
        """Reads the project and looks at the engine."""
        project = self.project()
        return observe.look(project, self.engine(project.fleet.parallelism))

    def look_again(
        self,
        before: FleetSnapshot,
        after_listing: Callable[[], None] = lambda: None,
        touched: Collection[str] | None = None,
    ) -> FleetSnapshot:
        """Looks at the engine again, with the configs as they were read; only the memory may have changed since.

        `after_listing` is called between the engine's list and the supervisors' files: to wait for what these will say.
        `touched`: the instances whose containers have been started or stopped, where nothing else has changed.
        """
        fleet, known = before.project.fleet, {}
        if touched is None:
            observed = observe.observed(before.project, self.engine())
        else:
            observed = observe.observed_again(before, self.engine(), touched)
            known = {each: wanted for each, wanted in before.plan_input.wanted.items() if each not in touched}
        after_listing()
        project = before.project._replace(memory=state_file.load(fleet.state_file, fleet.name))
        return observe.assemble(project, observed, before.image, known)

    def close(self) -> None:
        """Gives the engine's connections back."""
        if self._engine is not None:
            self._engine.close()


def show_warnings(project: Project) -> None:
    """What is odd but allowed, each on its line of standard error: for commands that do something with the configs."""
    for warning in project.warnings:
        console.warning(warning)


def show_problems(project: Project) -> None:
    """What cannot be used, each on its line of standard error."""
    for problem in project.problems:
        console.error(problem)
