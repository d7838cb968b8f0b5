"""What the old system still runs: an instance must never have two bots, one of its daemon's and one in a
container.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.fleet import import_records, instances_json
from manager.fleet.instances_json import OLD_PLACE
from manager.fleet.observe import FleetSnapshot
from manager.fleet.project import Project

OLD_DAEMON = Path("core", "daemon_manager.py")
"""The old system's program, where it is still in the project's own folder."""


def registries(fleet: Fleet) -> tuple[Path, ...]:
    """The files that an old daemon of this project may register itself in."""
    return tuple(dict.fromkeys((fleet.export_file, fleet.project_dir / OLD_PLACE)))


def still_running(snapshot: FleetSnapshot, ids: Iterable[str]) -> dict[str, ManagerError]:
    """Those of the instances that a process outside of our containers runs, each with the error that says
    so.
    """
    plan_input, found = snapshot.plan_input, {}
    wanted = [each for each in ids if not plan_input.is_up(each) and not plan_input.runs_elsewhere(each)]
    for file in registries(snapshot.project.fleet) if wanted else ():
        known = instances_json.read(file) or {}
        for each in wanted:
            if pid := instances_json.living_pid(known.get(each)):
                found[each] = ManagerError(
                    "{id} is run by process {pid}, which is no container of ours ({file} names it): stop it"
                    " there first,"
                    " or take its record out of that file",
                    id=each,
                    pid=pid,
                    file=snapshot.project.fleet.relative(file),
                )
    return {**_in_old_folders(snapshot.project, wanted), **found}


def _in_old_folders(project: Project, wanted: Iterable[str]) -> dict[str, ManagerError]:
    """The same of the old system's folders: those that instances were imported from, and this one if it is
    such a folder.

    They are whole, and their daemons can be started again.
    """
    sources = _sources(project, wanted)
    if not sources:
        return {}
    from manager.fleet import old_daemon  # psutil, 0.03 s

    systems = {folder: old_daemon.look(folder) for folder in {each.folder for each in sources.values()}}
    found = {}
    for each, source in sources.items():
        config, spec = source.folder / source.config_file, project.specs.get(each)
        market = spec.market if spec else ()
        if pids := systems[source.folder].running(each, config, source.log_dir, market).pids:
            found[each] = ManagerError(
                "{id} is run by the old system in {folder} (processes {pids}): stop it there first",
                id=each,
                folder=source.folder,
                pids=", ".join(map(str, pids)),
            )
    return found


class _Source(NamedTuple):
    """Where the old system may run an instance. The files relative to the folder."""

    folder: Path
    config_file: str
    log_dir: str


def _sources(project: Project, wanted: Iterable[str]) -> dict[str, _Source]:
    taken, here = import_records.read(project.fleet), project.fleet.project_dir
    is_old_folder = (here / OLD_DAEMON).is_file()
    found = {}
    for each in wanted:
        spec = project.specs.get(each)
        if each in taken:
            found[each] = _Source(Path(taken[each].folder), taken[each].config_file, taken[each].log_dir)
        elif is_old_folder and spec is not None:
            found[each] = _Source(here, spec.config_file, spec.log_dir)
    return found
