"""`rollback`: brings back what was before the last upgrade."""

from __future__ import annotations

from manager.errors import ConfigError
from manager.fleet import instances_json_refresh, lock, upgrade_records
from manager.fleet.observe import Survey
from manager.fleet.selection import require_known
from manager.fleet.session import Context, show_problems
from manager.i18n import Text
from manager.ops import plan, report, rollout_plan, wait
from manager.ops.action import Action
from manager.ops.rollback import purse_problem, put_back, valid
from manager.util import console


def rollback(context: Context) -> int:
    """Brings back what was before the last upgrade."""
    fleet = context.project().fleet
    if context.args.dry_run:
        survey = context.survey()
        return report.say_plan(context, survey, _rollbacks(context, survey, upgrade_records.load(fleet)))
    with lock.held(fleet.lock_file, "rollback", context.args.lock_wait) as held:
        held.settle()
        survey = context.survey()
        survey.require_ours()
        steps = upgrade_records.load(fleet)
        actions = _rollbacks(context, survey, steps)
        todo = plan.effective(actions)
        together = {each.instance: steps[each.instance] for each in todo if each.starts}
        problems = [purse_problem(each, step, survey, together) for each, step in together.items()]
        if found := [each for each in problems if each is not None]:
            raise ConfigError(found)
        for action in actions:
            if action.kind == "leave" and not context.as_json:
                console.say(report.action_line(action))
        after, outcomes = put_back(
            context, held, survey, steps, todo, dict.fromkeys(steps, str(Text("by a person")))
        )
        instances_json_refresh.write(after)
    started = [each.action.instance for each in outcomes if each.has_started]
    after, late = wait.until_healthy(
        context, after, started, context.args.wait_timeout, quiet=context.as_json
    )
    code = report.say_outcomes(context, after, actions, outcomes, late)
    show_problems(after.project)
    return code


def _rollbacks(context: Context, survey: Survey, steps: upgrade_records.Steps) -> list[Action]:
    named = survey.project.select(context.args.ids, context.args.config)
    for each in named or ():
        require_known(each, survey)
    return rollout_plan.rollbacks(survey.situation, valid(steps, survey), named)
