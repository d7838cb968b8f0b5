"""`upgrade`: rolls out a new image or changed configs, and says in which order."""

from __future__ import annotations

from manager.errors import OK, ConfigError
from manager.fleet import lock, upgrade_records
from manager.fleet.observe import Survey
from manager.fleet.selection import require_known
from manager.fleet.session import Context
from manager.i18n import Text, _
from manager.ops import preflight, report, rollout_plan
from manager.ops.action import Action
from manager.ops.rollout import Rolling
from manager.util import console


def upgrade(context: Context) -> int:
    """Rolls out a new image or changed configs."""
    args = context.args
    if args.dry_run:
        survey = _look(context)
        planned, batches = _planned(context, survey, upgrade_records.load(survey.project.fleet))
        return _say_order(context, planned, batches)
    fleet = context.project().fleet
    with lock.held(fleet.lock_file, "upgrade", args.lock_wait) as held:
        held.settle()
        survey = _look(context)
        rolling = Rolling(context, held, survey)
        planned, batches = _planned(context, survey, rolling.steps)
        rolling.run(planned, batches)
    return rolling.conclude()


def _look(context: Context) -> Survey:
    survey = context.survey()
    survey.require_ours()
    preflight.require_sound(context, survey)
    return survey


def _planned(
    context: Context, survey: Survey, steps: upgrade_records.Steps
) -> tuple[rollout_plan.Plan, list[list[Action]]]:
    """Who, and in which order; everything that is wrong with it is an error before the first one is touched."""
    args, situation = context.args, survey.situation
    named = survey.project.select(args.ids, args.config)
    for each in named or ():
        require_known(each, survey)
        preflight.require_config(each, survey)
    planned = rollout_plan.plan(situation, steps, named)
    going = [each for each, step in steps.items() if step.phase == "going"]
    batches = rollout_plan.batches(planned.todo, situation, going, args.canary, args.batch)
    problems = rollout_plan.port_problems(planned.todo, situation)
    upgraded: list[str] = []
    for batch in batches:  # the new beside the old ones: at no moment may two share a purse
        upgraded += [each.instance for each in batch]
        problems += [each for each in survey.beside(upgraded, is_upgrade=True) if each not in problems]
    if problems:
        raise ConfigError(problems)
    return planned, batches


def _say_order(context: Context, planned: rollout_plan.Plan, batches: list[list[Action]]) -> int:
    if context.as_json:
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
