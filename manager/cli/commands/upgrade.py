"""`upgrade`: rolls out a new image or changed configs, and says in which order."""

from __future__ import annotations

from manager.errors import OK, ConfigError
from manager.fleet import lock, upgrade_records
from manager.fleet.observe import FleetSnapshot
from manager.fleet.selection import require_known
from manager.fleet.session import Session
from manager.i18n import Text, _
from manager.ops import preflight, report, rollout_plan
from manager.ops.action import Action
from manager.ops.rollout import Rolling
from manager.util import console


def upgrade(session: Session) -> int:
    """Rolls out a new image or changed configs."""
    args = session.args
    if args.dry_run:
        snapshot = _look(session)
        planned, batches = _planned(session, snapshot, upgrade_records.load(snapshot.project.fleet))
        return _say_order(session, planned, batches)
    fleet = session.project().fleet
    with lock.held(fleet.lock_file, "upgrade", args.lock_wait) as held:
        held.settle()
        snapshot = _look(session)
        rolling = Rolling(session, held, snapshot)
        planned, batches = _planned(session, snapshot, rolling.steps)
        rolling.run(planned, batches)
    return rolling.conclude()


def _look(session: Session) -> FleetSnapshot:
    snapshot = session.observe()
    snapshot.require_ours()
    preflight.require_sound(session, snapshot)
    return snapshot


def _planned(
    session: Session, snapshot: FleetSnapshot, steps: upgrade_records.Steps
) -> tuple[rollout_plan.Plan, list[list[Action]]]:
    """Who, and in which order; everything that is wrong with it is an error before the first one is touched."""
    args, plan_input = session.args, snapshot.plan_input
    named = snapshot.project.select(args.ids, args.config)
    for each in named or ():
        require_known(each, snapshot)
        preflight.require_config(each, snapshot)
    planned = rollout_plan.plan(plan_input, steps, named)
    going = [each for each, step in steps.items() if step.phase == "going"]
    batches = rollout_plan.batches(planned.todo, plan_input, going, args.canary, args.batch)
    problems = rollout_plan.port_problems(planned.todo, plan_input)
    upgraded: list[str] = []
    for batch in batches:  # the new beside the old ones: at no moment may two share a purse
        upgraded += [each.instance for each in batch]
        problems += [each for each in snapshot.beside(upgraded, is_upgrade=True) if each not in problems]
    if problems:
        raise ConfigError(problems)
    return planned, batches


def _say_order(session: Session, planned: rollout_plan.Plan, batches: list[list[Action]]) -> int:
    if session.as_json:
        console.say_json(
            [
                {"id": each.instance, "batch": number, "action": each.kind, "cause": str(each.cause)}
                for number, batch in enumerate(batches, start=1)
                for each in batch
            ]
            + [
                {"id": each.instance, "batch": None, "action": "leave", "cause": str(each.cause)}
                for each in planned.left
            ]
        )
        return OK
    for number, batch in enumerate(batches, start=1):
        head = _("canary") if number == 1 else str(Text("batch {number}", number=number))
        for each in batch:
            console.say(f"{head}: {each.instance}: {each.cause}")
    for action in planned.left:
        console.say(report.action_line(action))
    if not batches:
        console.say(_("nothing to upgrade"))
    return OK
