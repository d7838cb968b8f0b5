"""What the old system still runs: an instance must never have two bots, one of its daemon's and one in a container."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from manager import export
from manager.errors import ManagerError
from manager.fleet import Fleet
from manager.survey import Survey

OLD_PLACE = Path("logs", "instances.json")


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
    return found
