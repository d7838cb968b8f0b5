"""Run `export`: write instances.json and the pid files now."""

from __future__ import annotations

from argparse import Namespace

from manager.errors import OK
from manager.fleet import instances_json, lock
from manager.fleet.session import Session
from manager.util import console


def export_(session: Session, args: Namespace) -> int:
    """Write instances.json and the pid files now."""
    project = session.project()
    with lock.held(project.fleet.lock_file, "export", args.lock_wait, on_wait=console.warning):
        snapshot = session.observe()
        snapshot.require_ours()
        if remark := instances_json.write(snapshot, instances_json.find_pids(snapshot)):
            console.warn(remark)
    path = project.fleet.relative(project.fleet.export_file)
    if args.json:
        console.say_json({"file": path})
    else:
        console.say(path)
    return OK
