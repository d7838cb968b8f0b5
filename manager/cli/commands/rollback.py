"""Run `rollback`: undo the last upgrade."""

from __future__ import annotations

from argparse import Namespace

from manager.cli import confirm, report
from manager.fleet.selection import Selection
from manager.fleet.session import Session
from manager.ops.rollout import rollback as rolling_back


def rollback(session: Session, args: Namespace) -> int:
    """Undo the last upgrade."""
    selection = Selection(args.ids, args.config)
    if args.dry_run:
        planned = rolling_back.planned(session, selection)
        return report.say_plan(planned, {}, as_json=args.json, selection=selection)
    dead_hosts = confirm.dead_hosts(session, args)
    with report.Reporter(as_json=args.json, goes_on=True) as reporter:
        result = rolling_back.rollback(
            session,
            selection,
            reporter,
            lock_wait=args.lock_wait,
            healthy_within=args.wait_timeout,
            dead_hosts=dead_hosts,
        )
    return reporter.code(
        report.say_result(result, as_json=args.json, with_problems=True, selection=selection)
    )
