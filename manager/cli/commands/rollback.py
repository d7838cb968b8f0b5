"""`rollback`: brings back what was before the last upgrade."""

from __future__ import annotations

from manager.errors import ConfigError
from manager.fleet import instances_json_refresh, lock, upgrade_records
from manager.fleet.observe import FleetSnapshot
from manager.fleet.selection import require_known
from manager.fleet.session import Session, show_problems
from manager.i18n import Text
from manager.ops import plan, report, rollout_plan, wait
from manager.ops.action import Action
from manager.ops.rollback import purse_problem, put_back, valid
from manager.util import console


def rollback(session: Session) -> int:
    """Brings back what was before the last upgrade."""
    fleet = session.project().fleet
    if session.args.dry_run:
        snapshot = session.observe()
        return report.say_plan(session, snapshot, _rollbacks(session, snapshot, upgrade_records.load(fleet)))
    with lock.held(fleet.lock_file, "rollback", session.args.lock_wait) as held:
        held.settle()
        snapshot = session.observe()
        snapshot.require_ours()
        steps = upgrade_records.load(fleet)
        actions = _rollbacks(session, snapshot, steps)
        todo = plan.effective(actions)
        together = {each.instance: steps[each.instance] for each in todo if each.starts}
        problems = [purse_problem(each, step, snapshot, together) for each, step in together.items()]
        if found := [each for each in problems if each is not None]:
            raise ConfigError(found)
        for action in actions:
            if action.kind == "leave" and not session.as_json:
                console.say(report.action_line(action))
        after, outcomes = put_back(
            session, held, snapshot, steps, todo, dict.fromkeys(steps, str(Text("by a person")))
        )
        instances_json_refresh.write(after)
    started = [each.action.instance for each in outcomes if each.has_started]
    after, late = wait.until_healthy(
        session, after, started, session.args.wait_timeout, quiet=session.as_json
    )
    code = report.say_outcomes(session, after, actions, outcomes, late)
    show_problems(after.project)
    return code


def _rollbacks(session: Session, snapshot: FleetSnapshot, steps: upgrade_records.Steps) -> list[Action]:
    named = snapshot.project.select(session.args.ids, session.args.config)
    for each in named or ():
        require_known(each, snapshot)
    return rollout_plan.rollbacks(snapshot.plan_input, valid(steps, snapshot), named)
