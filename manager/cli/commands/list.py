"""Run `list`: the fleet in the old system's format."""

from __future__ import annotations

from manager.cli.notices import after_showing, one_output, say_foreign, say_interrupted_moves, say_strays
from manager.errors import BAD_CONFIG
from manager.fleet import display, doing, instances_json, instances_json_refresh, list_table
from manager.fleet.selection import Selection, selected
from manager.fleet.session import Session
from manager.typed import TYPE_CHECKING
from manager.util import console

if TYPE_CHECKING:
    from argparse import Namespace


def list_(session: Session, args: Namespace) -> int:
    """Print the old system's table."""
    one_output(args)
    snapshot = session.observe()
    is_ours = say_foreign(snapshot)
    pids = instances_json.find_pids(snapshot)
    views = doing.with_reports(snapshot.project.fleet, selected(Selection(args.ids, args.config), snapshot))
    if args.json:
        console.say_json([{**row, "pid": pids.bots.get(row["id"], 0)} for row in display.ps_objects(views)])
    elif args.format:
        console.say(console.table(list_table.LIST_COLUMNS, list_table.listed(views, pids.bots), args.format))
    else:
        console.say(list_table.list_table(views, pids.bots))
    say_strays(snapshot, Selection(args.ids, args.config))
    say_interrupted_moves(snapshot, Selection(args.ids, args.config))
    instances_json_refresh.refresh(session, snapshot, pids, console.warning)
    return after_showing(snapshot, Selection(args.ids, args.config)) if is_ours else BAD_CONFIG
