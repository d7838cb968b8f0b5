"""Determine what each spec's env file should have, and how a running bot's may differ from it."""

from __future__ import annotations

from collections.abc import Mapping

from manager.config import bot_environment, bundled_reads
from manager.config.spec import InstanceSpec
from manager.fleet import env_file, time_zone
from manager.fleet.project import Project


class _EnvValues:
    """Hold the values of the last project, good as long as nothing that they are made of has changed.

    Some look every few seconds.
    """

    def __init__(self) -> None:
        self._kept: tuple[object, Mapping[str, tuple[InstanceSpec, dict[str, str]]]] = (None, {})

    def of(
        self, project: Project, for_all: Mapping[str, str], *, is_bundled_bot: bool
    ) -> dict[str, dict[str, str]]:
        given = (project.fleet, dict(for_all), dict(project.variables), is_bundled_bot)
        kept_given, kept = self._kept
        kept = kept if kept_given == given else {}
        now = {
            instance: (spec, before[1])
            if (before := kept.get(instance)) is not None and (before[0] is spec or before[0] == spec)
            else (spec, of_spec(spec, project, for_all, is_bundled_bot=is_bundled_bot))
            for instance, spec in project.specs.items()
        }
        self._kept = (given, now)
        return {instance: values for instance, (_spec, values) in now.items()}


def of_spec(
    spec: InstanceSpec, project: Project, for_all: Mapping[str, str], *, is_bundled_bot: bool
) -> dict[str, str]:
    """Return what the env file of one spec should have."""
    read = bundled_reads.reaching(spec, project.fleet) if is_bundled_bot else spec
    return bot_environment.env_file_values(read, project.fleet, for_all, project.variables)


of_project = _EnvValues().of


def differ(
    project: Project, spec: InstanceSpec, for_all: Mapping[str, str], values: Mapping[str, str]
) -> bool:
    """Return whether the env file of a bot that may run differs from `values`, which it should have.

    What only earlier versions wrote is no difference: a former time zone, and what of the config the bundled
    bot does not read. It goes with the next start.
    """
    if not env_file.env_differs(spec, project.fleet, values):
        return False
    zone, earlier_zone = time_zone.time_zone(), time_zone.earlier_time_zone()
    as_before = bot_environment.env_file_values(spec, project.fleet, for_all, project.variables)
    earlier = [as_before]
    if zone != earlier_zone:
        earlier += [{**one, "TZ": earlier_zone} for one in (values, as_before)]
    return all(env_file.env_differs(spec, project.fleet, one) for one in earlier)


def reread(
    project: Project, spec: InstanceSpec, for_all: Mapping[str, str], values: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the variables of a live bot that its env file has as earlier versions read or named them."""
    is_renamed = any(variable.read_as for variable in spec.variables)
    if not (project.reread or is_renamed) or spec.mode != "live":
        return ()
    given = env_file.read(project.fleet.secrets_dir(spec.id) / env_file.ENV_FILE) or {}
    for_all = {name: project.reread.get(name, value) for name, value in for_all.items()}
    spec = spec._replace(
        variables=tuple(variable._replace(read_as=None) for variable in spec.variables),
        literals={name: text for name, text in spec.literals.items() if name in values},
    )
    before = bot_environment.env_file_values(
        spec, project.fleet, for_all, {**project.variables, **project.reread}
    )
    return tuple(
        name
        for name in sorted({*before, *values})
        if before.get(name) != values.get(name) and given.get(name) == before.get(name)
    )
