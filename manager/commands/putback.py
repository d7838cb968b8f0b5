"""Puts back what was before an upgrade: for `rollback`, and for a roll-out in which something failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from manager import botenv, history, labels, lock, output
from manager.action import Action
from manager.commands import remembering, report
from manager.context import Context
from manager.errors import Problem
from manager.history import Step
from manager.memory import Refused
from manager.survey import Survey, env_of

if TYPE_CHECKING:
    from manager.execute import Outcome


def valid(steps: history.Steps, survey: Survey) -> dict[str, Step]:
    """The steps that can still be taken back."""
    return history.valid(steps, survey.situation.containers, survey.views)


def put_back(
    context: Context,
    held: lock.Held,
    survey: Survey,
    steps: history.Steps,
    todo: list[Action],
    why: Mapping[str, str],
) -> tuple[Survey, list[Outcome]]:
    """Brings the old containers back. Returns the fleet after it.

    `why`: of each instance. What is refused is remembered before the deed, lest the next `up` brings it again.
    """
    if not todo:
        return survey, []
    from manager import execute
    from manager.commands import means

    refused = {
        each: Refused(steps[each].config_hash, steps[each].image_id, why[each])
        for each in (action.instance for action in todo)
    }
    remembering.remember(survey, survey.project.memory.with_refused(refused))

    def on_done(outcome: Outcome) -> None:
        if not context.as_json:
            output.say(report.outcome_line(outcome))

    outcomes = execute.run(todo, means.gather(context, survey, todo, held, steps), on_done)
    fleet = survey.project.fleet
    back = {each.action.instance for each in outcomes if each.error is None}
    history.save(
        fleet, {**history.load(fleet), **{each: steps[each]._replace(phase="back") for each in back}}
    )
    return context.look_again(survey), outcomes


def purse_problem(
    instance: str, step: Step, survey: Survey, together: history.Steps = history.NONE
) -> Problem | None:
    """What keeps an old container from being started beside those that trade live now, and those brought back with it."""
    if not _is_live(step):
        return None
    with_it = [
        _trading(each, other, survey)
        for each, other in together.items()
        if each != instance and _is_live(other)
    ]
    mine = _trading(instance, step, survey)
    other = botenv.beside_as_it_was(
        mine.exchange, mine.symbol, mine.values, [*survey.trading([instance]), *with_it], survey.project.fleet
    )
    if other is None:
        return None
    return Problem.at(
        instance,
        "",
        "cannot be brought back as it was: the container {container} already trades {symbol} live, as far as can be told with"
        " the same credentials",
        container=other.container, symbol=mine.symbol,
    )  # fmt: skip


def _is_live(step: Step) -> bool:
    return step.label(labels.MODE) == "live"


def _trading(instance: str, step: Step, survey: Survey) -> botenv.Trading:
    """An old container as if it traded already."""
    fleet = survey.project.fleet
    return botenv.Trading(
        instance,
        fleet.container_name(instance),
        step.label(labels.EXCHANGE),
        step.label(labels.SYMBOL),
        env_of(history.kept_env(fleet, instance)),
    )
