"""Run `resume`: start exactly what ran when the fleet was halted."""

from __future__ import annotations

from argparse import Namespace

from manager.cli.carry_out import carry_out
from manager.errors import OK, writing_to
from manager.fleet import halt_mark
from manager.fleet.selection import Selection
from manager.fleet.session import Session
from manager.i18n import _
from manager.ops.planning import changes
from manager.util import console


def resume(session: Session, args: Namespace) -> int:
    """Start exactly what ran when the fleet was halted."""
    project = session.project()
    change = changes.resume(project, Selection(args.ids, args.config), console.warning)
    if change is not None:
        return carry_out(session, change, args)
    mark = halt_mark.of_fleet(project.fleet)
    if mark is not None and not args.dry_run and not mark.at.is_after(session.given_at):
        with writing_to(project.fleet.all_secrets_dir):
            halt_mark.lift_of_fleet(project.fleet, mark)
    if args.json:
        console.say_json([])
    else:
        console.say(_("nothing is halted; `manager up` starts what should run"))
    return OK
