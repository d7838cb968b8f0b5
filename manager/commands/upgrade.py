"""`upgrade` and `rollback`: from the command line to a plan, and who is told what."""

from __future__ import annotations

from manager import history, lock, output, plan, rollout, waiting
from manager.action import Action
from manager.commands import exporting, report, sound
from manager.commands.putback import purse_problem, put_back, valid
from manager.commands.rolling import Rolling
from manager.commands.show import require_known
from manager.context import Context, show_problems
from manager.errors import OK, ConfigError
from manager.i18n import Text, _
from manager.survey import Survey


def upgrade(context: Context) -> int:
    """Rolls out a new image or changed configs."""
    args = context.args
    if args.dry_run:
        survey = _look(context)
        planned, batches = _planned(context, survey, history.load(survey.project.fleet))
        return _say_order(context, planned, batches)
    fleet = context.project().fleet
    with lock.held(fleet.lock_file, "upgrade", args.lock_wait) as held:
        held.settle()
        survey = _look(context)
        rolling = Rolling(context, held, survey)
        planned, batches = _planned(context, survey, rolling.steps)
        rolling.run(planned, batches)
    return rolling.conclude()


def rollback(context: Context) -> int:
    """Brings back what was before the last upgrade."""
    fleet = context.project().fleet
    if context.args.dry_run:
        survey = context.survey()
        return report.say_plan(context, survey, _rollbacks(context, survey, history.load(fleet)))
    with lock.held(fleet.lock_file, "rollback", context.args.lock_wait) as held:
        held.settle()
        survey = context.survey()
        survey.require_ours()
        steps = history.load(fleet)
        actions = _rollbacks(context, survey, steps)
        todo = plan.effective(actions)
        together = {each.instance: steps[each.instance] for each in todo if each.starts}
        problems = [purse_problem(each, step, survey, together) for each, step in together.items()]
        if found := [each for each in problems if each is not None]:
            raise ConfigError(found)
        for action in actions:
            if action.kind == "leave" and not context.as_json:
                output.say(report.action_line(action))
        after, outcomes = put_back(
            context, held, survey, steps, todo, dict.fromkeys(steps, str(Text("by a person")))
        )
        exporting.write(after)
    started = [each.action.instance for each in outcomes if each.has_started]
    after, late = waiting.until_healthy(
        context, after, started, context.args.wait_timeout, quiet=context.as_json
    )
    code = report.say_outcomes(context, after, actions, outcomes, late)
    show_problems(after.project)
    return code


def _look(context: Context) -> Survey:
    survey = context.survey()
    survey.require_ours()
    sound.require_sound(context, survey)
    return survey


def _planned(
    context: Context, survey: Survey, steps: history.Steps
) -> tuple[rollout.Plan, list[list[Action]]]:
    """Who, and in which order; everything that is wrong with it is an error before the first one is touched."""
    args, situation = context.args, survey.situation
    named = survey.project.select(args.ids, args.config)
    for each in named or ():
        require_known(each, survey)
        sound.require_config(each, survey)
    planned = rollout.plan(situation, steps, named)
    going = [each for each, step in steps.items() if step.phase == "going"]
    batches = rollout.batches(planned.todo, situation, going, args.canary, args.batch)
    problems = rollout.port_problems(planned.todo, situation)
    upgraded: list[str] = []
    for batch in batches:  # the new beside the old ones: at no moment may two share a purse
        upgraded += [each.instance for each in batch]
        problems += [each for each in survey.beside(upgraded) if each not in problems]
    if problems:
        raise ConfigError(problems)
    return planned, batches


def _rollbacks(context: Context, survey: Survey, steps: history.Steps) -> list[Action]:
    named = survey.project.select(context.args.ids, context.args.config)
    for each in named or ():
        require_known(each, survey)
    return rollout.rollbacks(survey.situation, valid(steps, survey), named)


def _say_order(context: Context, planned: rollout.Plan, batches: list[list[Action]]) -> int:
    if context.as_json:
        output.say_json(
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
            output.say(f"{head}: {each.instance}: {each.cause}")
    for action in planned.left:
        output.say(report.action_line(action))
    if not batches:
        output.say(_("nothing to upgrade"))
    return OK
