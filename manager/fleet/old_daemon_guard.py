"""Ensure that an instance never has two bots: the old daemon's and one in a container."""

from collections.abc import Iterable
from pathlib import Path

from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.fleet import import_records, instances_json
from manager.fleet.instances_json import OLD_PLACE
from manager.fleet.observe import FleetSnapshot
from manager.fleet.project import Project
from manager.typed import NamedTuple

OLD_DAEMON = Path("core", "daemon_manager.py")
"""The old system's program, if it is in the project's own folder."""


def registries(fleet: Fleet) -> tuple[Path, ...]:
    """Return the files in which an old daemon of this project may register itself."""
    return tuple(dict.fromkeys((fleet.export_file, fleet.project_dir / OLD_PLACE)))


def still_running(snapshot: FleetSnapshot, ids: Iterable[str]) -> dict[str, ManagerError]:
    """Return the instances that a process outside of our containers runs, with the error for each."""
    plan_input, errors = snapshot.plan_input, {}
    wanted = [
        instance
        for instance in ids
        if not plan_input.is_up(instance) and not plan_input.runs_in_other_container(instance)
    ]
    for file in registries(snapshot.project.fleet) if wanted else ():
        known = instances_json.read(file) or {}
        for instance in wanted:
            if pid := instances_json.living_pid(known.get(instance)):
                errors[instance] = ManagerError(
                    "{id} is run by process {pid}, which is not in a container of this fleet (see {file}):"
                    " stop it first, or remove its record from that file",
                    id=instance,
                    pid=pid,
                    file=snapshot.project.fleet.relative(file),
                )
    return {**_in_old_folders(snapshot.project, wanted), **errors}


def _in_old_folders(project: Project, wanted: Iterable[str]) -> dict[str, ManagerError]:
    """Check the old system's folders: the sources of imports, and this one if it is such a folder.

    They are complete, and their daemons can be started again.
    """
    sources = _sources(project, wanted)
    if not sources:
        return {}
    from manager.fleet import old_daemon  # psutil, 0.03 s

    systems = {folder: old_daemon.look(folder) for folder in {source.folder for source in sources.values()}}
    errors = {}
    for instance, source in sources.items():
        config, spec = source.folder / source.config_file, project.specs.get(instance)
        market = spec.market if spec else ()
        if pids := systems[source.folder].running(instance, config, source.log_dir, market).pids:
            errors[instance] = ManagerError(
                "{id} is run by the old system in {folder} (processes {pids}): stop it there first",
                id=instance,
                folder=source.folder,
                pids=", ".join(map(str, pids)),
            )
    return errors


class _Source(NamedTuple):
    """Hold where the old system may run an instance. Files are relative to the folder."""

    folder: Path
    config_file: str
    log_dir: str


def _sources(project: Project, wanted: Iterable[str]) -> dict[str, _Source]:
    imports, here = import_records.read(project.fleet), project.fleet.project_dir
    is_old_folder = (here / OLD_DAEMON).is_file()
    sources = {}
    for instance in wanted:
        spec = project.specs.get(instance)
        if instance in imports:
            sources[instance] = _Source(
                Path(imports[instance].folder), imports[instance].config_file, imports[instance].log_dir
            )
        elif is_old_folder and spec is not None:
            sources[instance] = _Source(here, spec.config_file, spec.log_dir)
    return sources
