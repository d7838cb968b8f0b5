"""Run one changing command and print its result: for the command line and the old API."""

from __future__ import annotations

import contextlib

from manager.cli import confirm, report
from manager.errors import NotFound
from manager.fleet.session import Session
from manager.i18n import Text
from manager.ops import apply
from manager.ops.actions.action import Change
from manager.ops.actions.result import Planned
from manager.ops.planning import definition_diff
from manager.typed import TYPE_CHECKING
from manager.util import console
from manager.util.moment import Moment

if TYPE_CHECKING:
    from argparse import Namespace

    from manager.ops.exchange.live_checks import LiveCheck


def carry_out(session: Session, change: Change, args: Namespace) -> int:
    """Run the change with the options of the command line, or with `--dry-run` print its plan.

    Returns the exit code.
    """
    change = change._replace(dead_hosts=confirm.dead_hosts(session, args))
    if args.dry_run:
        return show_plan(session, change, as_json=args.json)
    return run(
        session,
        change,
        as_json=args.json,
        lock_wait=args.lock_wait,
        force=getattr(args, "force", False),
        new_id=args.instance_id if args.config else None,
        healthy_within=args.wait_timeout if getattr(args, "wait", False) else None,
        given_at=session.given_at,
    )


def run(
    session: Session,
    change: Change,
    *,
    as_json: bool = False,
    lock_wait: float = 0.0,
    force: bool = False,
    new_id: str | None = None,
    healthy_within: float | None = None,
    given_at: Moment | None = None,
) -> int:
    """Run the change and print its result (ops/apply.py has the options). Returns the exit code."""
    with report.Reporter(as_json=as_json, goes_on=True, warned=session.warned) as reporter:
        result = apply.apply(
            session,
            change,
            reporter,
            lock_wait=lock_wait,
            force=force,
            new_id=new_id,
            healthy_within=healthy_within,
            given_at=given_at,
        )
    code = report.say_result(
        result,
        as_json=as_json,
        with_problems=not change.needs_sound_configs,
        selection=change.selection,
    )
    return reporter.code(code)


def show_plan(session: Session, change: Change, *, as_json: bool, asks_exchanges: bool = False) -> int:
    """Print what the change would do; with `asks_exchanges` also what live instances that it starts would
    fail by.

    Returns the exit code.
    """
    with report.Reporter(as_json=as_json) as reporter:
        planned = apply.planned(session, change, reporter)
        checks = _live_checks(session, planned) if asks_exchanges else []
        code = report.say_plan(
            planned,
            _changes(session, planned),
            checks,
            as_json=as_json,
            selection=change.selection,
        )
        if not as_json:
            _say_requests(planned)
        return code


def _live_checks(session: Session, planned: Planned) -> list[LiveCheck]:
    """Ask the exchanges of the live instances whose bots would start: with other keys, too."""
    from manager.ops.exchange import live_checks

    starting = [action.instance for action in planned.actions if action.starts and action.is_for_bot]
    return live_checks.check(planned.snapshot, session.engine(), starting)


def _say_requests(planned: Planned) -> None:
    """Print what the exchanges are asked for afterwards; what is nearly too much was warned of."""
    from manager.ops.requests import request_budget, request_plan

    for load in request_plan.loads_after(planned.snapshot, planned.actions):
        if load.used < request_budget.WARN_AT:
            console.say(load.text())


def _changes(session: Session, planned: Planned) -> dict[str, list[Text]]:
    """Return what a changed config changes, by instance, at one inspect call each."""
    differences: dict[str, list[Text]] = {}
    for action in planned.actions:
        view = planned.snapshot.views.get(action.instance)
        if view is None or view.spec is None or view.container is None or "config" not in view.drift:
            continue
        with contextlib.suppress(NotFound):
            before = session.engine().inspect(view.container.id)
            differences[view.id] = definition_diff.changes(before, view.spec, planned.snapshot.project.fleet)
    return differences
