"""Keeps the export true: after a change, and after a look that found it stale."""

from __future__ import annotations

from collections.abc import Mapping

from manager import export, lock, output
from manager.context import Context
from manager.errors import ManagerError
from manager.survey import Survey


def write(survey: Survey) -> None:
    """Writes instances.json and the pid files; what keeps them from being written is a warning."""
    try:
        if remark := export.write(survey, export.bot_pids(survey)):
            output.warning(remark)
    except ManagerError as error:
        output.warning(error)


def refresh(context: Context, survey: Survey, pids: Mapping[str, int]) -> None:
    """Brings a stale export up to date, if nobody is changing the fleet. A reader never waits, and never fails for it."""
    if survey.foreign() or not export.is_stale(survey, pids):
        return
    with lock.held_if_free(survey.project.fleet.lock_file) as is_ours:
        if not is_ours:
            return
        try:
            now = context.survey()  # what was seen without the lock may be history
            now.require_ours()
        except ManagerError as error:
            output.warning(error)
        else:
            write(now)
