"""`list`, `status`, `export`: looking, without changing anything but the export."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from manager.engine.containers import Container
from manager.errors import BAD_CONFIG, FAILED, OK, UsageError
from manager.fleet import display, instances_json, instances_json_refresh, lock
from manager.fleet.instance import InstanceView
from manager.fleet.observe import Survey
from manager.fleet.session import Context, show_problems
from manager.i18n import Text
from manager.util import console


def list_(context: Context) -> int:
    """The old system's table."""
    survey = context.survey()
    is_ours = say_foreign(survey)
    pids = instances_json.bot_pids(survey)
    views = selected(context, survey)
    if context.as_json:
        console.say_json([{**each, "pid": pids.get(each["id"], 0)} for each in display.ps_objects(views)])
    else:
        console.say(display.list_table(views, pids))
    say_strays(survey)
    instances_json_refresh.refresh(context, survey, pids)
    return after_showing(survey) if is_ours else BAD_CONFIG


def status(context: Context) -> int:
    """One instance as the old system's JSON; several as an object of them. 0 when all of them run, else 1."""
    survey = context.survey()
    is_ours = say_foreign(survey)
    views = selected(context, survey)
    if not views:
        raise UsageError("there is no instance to show the status of")
    pids = instances_json.bot_pids(survey)
    found = {view.id: status_object(view, survey, pids.get(view.id, 0)) for view in views}
    is_single = bool(context.args.ids or context.args.config) or len(found) == 1
    console.say_json(next(iter(found.values())) if is_single and len(found) == 1 else found)
    instances_json_refresh.refresh(context, survey, pids)
    if not is_ours:
        return BAD_CONFIG
    return OK if all(each["running"] for each in found.values()) else FAILED


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


def selected(context: Context, survey: Survey) -> list[InstanceView]:
    """The instances that the command line names, else all. Raises UsageError for one that is not there."""
    named = survey.project.select(context.args.ids, context.args.config)
    if named is None:
        return list(survey.views.values())
    for each in named:
        require_known(each, survey)
    return [survey.views[each] for each in named]


def require_known(instance: str, survey: Survey) -> None:
    """Raises UsageError for an id that neither a config nor a container has, with the nearest ones."""
    if instance not in survey.views:
        raise no_instance(instance, survey.views)


def no_instance(instance: str, known: Iterable[str]) -> UsageError:
    """What to say of an id that nothing has, with the nearest one that something has."""
    import difflib

    near = difflib.get_close_matches(instance, list(known), n=1)
    if near:
        return UsageError("there is no instance {id}; did you mean {near}?", id=instance, near=near[0])
    return UsageError("there is no instance {id}; `manager ps` shows those that are", id=instance)


def say_foreign(survey: Survey) -> bool:
    """Says it when containers of this fleet's name are another folder's; whether all are ours."""
    found = survey.foreign()
    for problem in found:
        console.error(problem)
    return not found


def say_strays(survey: Survey) -> None:
    """Says which containers bear our labels and must not be there."""
    for each in survey.observed.strays:
        console.warning(stray_text(each))


def stray_text(stray: Container) -> Text:
    """What to say of a container that bears an instance's labels and is not its container."""
    return Text(
        "{name} ({status}) bears the labels of {id} but is not its container; `docker rm -f {name}` removes it",
        name=stray.name, status=stray.status, id=stray.instance,
    )  # fmt: skip


def after_showing(survey: Survey) -> int:
    """Says which configs cannot be used. Returns the exit code."""
    show_problems(survey.project)
    return BAD_CONFIG if survey.project.problems else OK


def status_object(view: InstanceView, survey: Survey, pid: int) -> dict[str, Any]:
    """What `status` says of one instance."""
    why = view.verdict.why
    return {
        "running": view.verdict.is_running,
        "timestamp": datetime.now().isoformat(timespec="microseconds"),
        "pid": pid or None,
        "process_info": process_info(pid) if pid else None,
        "config": _config(view, survey),
        "instance_id": view.id,
        "state": view.verdict.state,
        "why": str(why) if why else None,
    }


def _config(view: InstanceView, survey: Survey) -> dict[str, Any]:
    """The daemon_config as the file has it, with the port that is really in use. Never holds a credential."""
    daemon: dict[str, Any] = survey.project.loaded.described(view.id).get("daemon_config", {})
    paths = {"log_dir": view.spec.log_dir, "db_path": view.spec.db_path} if view.spec else {}
    return {**daemon, **paths, "web_port": view.web_port}


def process_info(pid: int) -> dict[str, Any] | None:
    """A process of the host in the old system's words; None when it is gone."""
    import psutil  # 0.03 s that only `status` costs

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            memory, times, created = process.memory_info(), process.cpu_times(), process.create_time()
            elapsed = max(time.time() - created, 0.01)
            return {
                "name": process.name(),
                "cmdline": process.cmdline(),
                "create_time": datetime.fromtimestamp(created).isoformat(timespec="microseconds"),
                "cpu_percent": round(100 * (times.user + times.system) / elapsed, 1),
                "memory_info": {
                    "rss": memory.rss,
                    "vms": memory.vms,
                    "rss_mb": round(memory.rss / (1 << 20), 1),
                },
                "status": process.status(),
                "num_threads": process.num_threads(),
            }
    except psutil.Error:
        return None
