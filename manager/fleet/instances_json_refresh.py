"""Keeps the export true: after a change, and after a look that found it stale."""

from __future__ import annotations

from collections.abc import Mapping

from manager.errors import ManagerError
from manager.fleet import instances_json, lock
from manager.fleet.observe import Survey
from manager.fleet.session import Context
from manager.util import console


def write(survey: Survey) -> None:
    """Writes instances.json and the pid files; what keeps them from being written is a warning."""
    try:
        if remark := instances_json.write(survey, instances_json.bot_pids(survey)):
            console.warning(remark)
    except ManagerError as error:
        console.warning(error)


def refresh(context: Context, survey: Survey, pids: Mapping[str, int]) -> None:
    """Brings a stale export up to date, if nobody is changing the fleet. A reader never waits, and never fails for it."""
    if survey.foreign() or not instances_json.is_stale(survey, pids):
        return
    with lock.held_if_free(survey.project.fleet.lock_file) as is_ours:
        if not is_ours:
            return
        try:
            now = context.survey()  # what was seen without the lock may be history
            now.require_ours()
        except ManagerError as error:
            console.warning(error)
        else:
            write(now)
