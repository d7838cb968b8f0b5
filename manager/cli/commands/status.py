"""Run `status`: print instances as JSON, with an exit code for scripts."""

from __future__ import annotations

from manager.cli.notices import say_foreign
from manager.errors import BAD_CONFIG, FAILED, OK, UsageError
from manager.fleet import display, doing, instances_json, instances_json_refresh
from manager.fleet.selection import Selection, selected
from manager.fleet.session import Session
from manager.fleet.status_json import status_object
from manager.typed import TYPE_CHECKING
from manager.util import console

if TYPE_CHECKING:
    from argparse import Namespace


def status(session: Session, args: Namespace) -> int:
    """Print one instance as the old system's JSON; several as an object of them.

    Returns 0 if all of them run and none needs attention (`severity` is not `bad`), else 1.
    """
    snapshot = session.observe(() if args.config else args.ids)
    is_ours = say_foreign(snapshot)
    views = doing.with_reports(snapshot.project.fleet, selected(Selection(args.ids, args.config), snapshot))
    if not views:
        raise UsageError("there are no instances")
    pids = instances_json.find_pids(snapshot)
    objects = {view.id: status_object(view, snapshot, pids.bots.get(view.id, 0)) for view in views}
    is_single = bool(args.ids or args.config) or len(objects) == 1
    console.say_json(next(iter(objects.values())) if is_single and len(objects) == 1 else objects)
    instances_json_refresh.refresh(session, snapshot, pids, console.warning)
    if not is_ours:
        return BAD_CONFIG
    return OK if all(map(display.is_well, views)) else FAILED
