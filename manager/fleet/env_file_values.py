"""Keep what each spec's env file should have, for those who look every few seconds."""

from __future__ import annotations

from collections.abc import Mapping

from manager.config import bot_environment
from manager.config.spec import InstanceSpec
from manager.fleet.project import Project


class _EnvValues:
    """Hold the values of the last project, good as long as nothing that they are made of has changed."""

    def __init__(self) -> None:
        self._kept: tuple[object, Mapping[str, tuple[InstanceSpec, dict[str, str]]]] = (None, {})

    def of(self, project: Project, for_all: Mapping[str, str]) -> dict[str, dict[str, str]]:
        given = (project.fleet, dict(for_all), dict(project.variables))
        kept_given, kept = self._kept
        kept = kept if kept_given == given else {}
        now = {
            instance: (spec, before[1])
            if (before := kept.get(instance)) is not None and (before[0] is spec or before[0] == spec)
            else (spec, bot_environment.env_file_values(spec, project.fleet, for_all, project.variables))
            for instance, spec in project.specs.items()
        }
        self._kept = (given, now)
        return {instance: values for instance, (_spec, values) in now.items()}


of_project = _EnvValues().of
