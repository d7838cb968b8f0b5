"""Run `restore`: restore a backup. Prints what it does, and moves present files aside."""

from __future__ import annotations

import os
import time
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manager.engine.containers import Container, observe
from manager.engine.labels import fleet_filter
from manager.errors import OK, EngineError
from manager.fleet import lock
from manager.fleet import project as projects
from manager.fleet.project import Project
from manager.fleet.selection import no_instance
from manager.fleet.session import Session
from manager.i18n import Text, _, bracketed, joined, labelled, mark
from manager.ops.actions.action import Outcome
from manager.ops.backup import instance_locks, verify
from manager.ops.backup import restore as restoring
from manager.ops.backup.manifest import describe
from manager.ops.backup.restore import Kind, Plan, RestoreAction
from manager.ops.folders import bot_user
from manager.util import console, formatting

WORDS: Mapping[Kind, str] = {
    "new": mark("new"),
    "replace": mark("replaced"),
    "same": mark("unchanged"),
    "aside": mark("moved aside"),
}


def restore(session: Session, args: Namespace) -> int:
    """Read the backup, print the plan, and carry it out."""
    project = _project(session)
    path = Path(args.file)
    with verify.workspace(path) as work:
        backup = restoring.open_backup(path, work)
        for instance in args.ids:
            if instance not in backup.manifest.instances:
                raise no_instance(instance, backup.manifest.instances, path)
        plan = restoring.plan_restore(
            backup, project, list(dict.fromkeys(args.ids)) or None, formatting.stamp(time.time())
        )
        restoring.require_not_older(plan)
        actions = plan.actions()
        if not args.json:
            console.say(Text("{file}: {what}", file=path, what=describe(backup.manifest)))
        if args.dry_run:
            return _say_plan(plan, actions, as_json=args.json)
        restored = _carry_out(session, plan, actions, args)
    if args.json:
        console.say_json([_action_object(action, project) for action in restored])
    _say_what_is_left(session, plan, as_json=args.json)
    return OK


def _project(session: Session) -> Project:
    """Return the project. If it is named, its folder may be empty, as on a new machine."""
    chosen = session.chosen_dir
    return projects.read(chosen) if chosen is not None and chosen.is_dir() else session.project()


def _say_plan(plan: Plan, actions: list[RestoreAction], *, as_json: bool) -> int:
    if as_json:
        console.say_json([_action_object(action, plan.project) for action in actions])
        return OK
    for action in actions:
        console.say(_action_line(action, plan.project))
    return OK


def _carry_out(
    session: Session, plan: Plan, actions: list[RestoreAction], args: Namespace
) -> list[RestoreAction]:
    restored: list[RestoreAction] = []

    def on_done(outcome: Outcome[RestoreAction]) -> None:
        restored.append(outcome.action)
        if not args.json:
            console.say(_action_line(outcome.action, plan.project))

    fleet = plan.fleet
    with lock.held(fleet.lock_file, "restore", args.lock_wait, on_wait=console.warning) as held:
        held.wait_for_engine()
        ids = [action.instance for action in actions if action.instance]
        with instance_locks.hold_instance_locks(fleet, dict.fromkeys(ids), _up(session, plan, ids)):
            restoring.perform(plan, actions, _owner(plan), on_done)
            restoring.settle_generations(plan)
    return restored


def _up(session: Session, plan: Plan, ids: list[str]) -> list[str]:
    """Return the instances whose containers are up; all of the fleet's if its settings are about to
    change.
    """
    names = {plan.project.fleet.name, plan.fleet.name}
    containers: dict[str, Container] = {}
    try:
        for name in names:
            containers |= observe(session.engine().containers(fleet_filter(name)), name).containers
    except EngineError as error:
        console.warning(
            Text(
                "cannot ask the engine what is running; checking locks and open files only: {why}", why=error
            )
        )
    is_all = plan.fleet != plan.project.fleet
    return [
        instance
        for instance, container in containers.items()
        if container.is_up and (is_all or instance in ids)
    ]


def _owner(plan: Plan) -> tuple[int, int]:
    """Return (uid, gid) of the bots on the host. Only root can change owners, and no engine is needed."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    plan.fleet.data_dir.mkdir(parents=True, exist_ok=True)
    return bot_user.configured_user(plan.fleet, plan.project.variables).owner


def _say_what_is_left(session: Session, plan: Plan, *, as_json: bool) -> None:
    manifest, fleet = plan.backup.manifest, plan.fleet
    for instance, facts in manifest.instances.items():
        if facts["faults"] and (plan.named is None or instance in plan.named):
            console.warning(
                Text("{id} is incomplete in this backup: {why}", id=instance, why=joined(facts["faults"]))
            )
    if plan.named is None:
        known = {facts["config_file"] for facts in manifest.instances.values()}
        for spec in plan.project.specs.values():
            if spec.config_file not in known and spec.id not in manifest.instances:
                console.warning(
                    Text(
                        "{file} is not in the backup and was kept; `manager up` will start it",
                        file=spec.config_file,
                    )
                )
    if (image := manifest.image) and image["id"] != _image_id(session, fleet.image_name):
        text = Text(
            "the backup's bots ran image {image} ({id}), but {name} is a different image here; run"
            " `manager "
            "build`",
            image=image["name"],
            id=str(image["id"])[:19],
            name=fleet.image_name,
        )
        console.warning(text)
    if plan.named is None and not as_json:
        console.say(
            _(
                "next: write the keys in .env, check `manager plan`, and make sure that no other machine "
                "runs these bots"
            )
        )


def _image_id(session: Session, name: str) -> str:
    try:
        return str(session.engine().image(name)["Id"])
    except EngineError:
        return ""


def _action_line(action: RestoreAction, project: Project) -> str:
    name = project.fleet.relative(action.target)
    text = labelled(name, _(WORDS[action.kind]))
    if action.is_database:
        size = formatting.file_size(action.size)
        text += bracketed(Text("{count} files, {size}", count=action.files, size=size))
    if action.kind in {"replace", "aside"} and action.aside is not None:
        text = joined([text, Text("current one moved to {aside}", aside=action.aside.name)])
    return text


def _action_object(action: RestoreAction, project: Project) -> dict[str, Any]:
    is_moved = action.kind in {"replace", "aside"} and action.aside is not None
    return {
        "path": project.fleet.relative(action.target),
        "change": action.kind,
        "instance": action.instance or None,
        "files": action.files,
        "bytes": action.size,
        "aside": project.fleet.relative(action.aside) if is_moved and action.aside else None,
    }
