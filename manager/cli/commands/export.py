"""`export`: writes instances.json and the pid files now."""

from __future__ import annotations

from manager.errors import OK
from manager.fleet import instances_json, lock
from manager.fleet.session import Context
from manager.util import console


def export_(context: Context) -> int:
    """Writes instances.json and the pid files now."""
    project = context.project()
    with lock.held(project.fleet.lock_file, "export", context.args.lock_wait):
        survey = context.survey()
        survey.require_ours()
        if remark := instances_json.write(survey, instances_json.bot_pids(survey)):
            console.warn(remark)
    path = project.fleet.relative(project.fleet.export_file)
    if context.as_json:
        console.say_json({"file": path})
    else:
        console.say(path)
    return OK
