"""What the old system still runs: an instance must never have two bots, one of its daemon's and one in a container."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from manager import export, imports
from manager.errors import ManagerError
from manager.export import OLD_PLACE
from manager.fleet import Fleet
from manager.project import Project
from manager.survey import Survey


def registries(fleet: Fleet) -> tuple[Path, ...]:
    """The files that an old daemon of this project may register itself in."""
    return tuple(dict.fromkeys((fleet.export_file, fleet.project_dir / OLD_PLACE)))


def still_running(survey: Survey, ids: Iterable[str]) -> dict[str, ManagerError]:
    """Those of the instances that a process outside of our containers runs, each with the error that says so."""
    situation, found = survey.situation, {}
    wanted = [each for each in ids if not situation.is_up(each) and not situation.runs_elsewhere(each)]
    for file in registries(survey.project.fleet) if wanted else ():
        known = export.read(file) or {}
        for each in wanted:
            if pid := export.living_pid(known.get(each)):
                found[each] = ManagerError(
                    "{id} is run by process {pid}, which is no container of ours ({file} names it): stop it there first,"
                    " or take its record out of that file",
                    id=each, pid=pid, file=survey.project.fleet.relative(file),
                )  # fmt: skip
    return {**_in_imported_folders(survey.project, wanted), **found}


def _in_imported_folders(project: Project, wanted: Iterable[str]) -> dict[str, ManagerError]:
    """The same of the folders that instances were imported from: they are whole, and their daemons can be started again."""
    taken = imports.read(project.fleet)
    sources = {each: taken[each] for each in wanted if each in taken}
    if not sources:
        return {}
    from manager import olddaemon  # psutil, 0.03 s

    systems = {folder: olddaemon.look(Path(folder)) for folder in {each.folder for each in sources.values()}}
    found = {}
    for each, source in sources.items():
        config = Path(source.folder, source.config_file)
        spec = project.specs.get(each)
        market = spec.market if spec else ()
        if pids := systems[source.folder].running(each, config, source.log_dir, market).pids:
            found[each] = ManagerError(
                "{id} is run by the old system in {folder} (processes {pids}), from where it was imported: stop it there"
                " first",
                id=each, folder=source.folder, pids=", ".join(map(str, pids)),
            )  # fmt: skip
    return found
