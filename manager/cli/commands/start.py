"""`start`: starts instances that do not run."""

from __future__ import annotations

from manager.fleet.observe import Survey
from manager.fleet.session import Context
from manager.ops import plan
from manager.ops.action import Change
from manager.ops.apply import perform


def start(context: Context) -> int:
    """Starts instances that do not run."""
    return perform(
        context,
        Change("start", lambda survey, named: plan.start(survey.situation, _all(survey, named)), "run"),
    )


def _all(survey: Survey, named: list[str] | None) -> list[str]:
    return list(survey.situation.wanted) if named is None else named
