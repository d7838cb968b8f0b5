"""`restart`: stops and starts instances."""

from __future__ import annotations

from manager.fleet.session import Context
from manager.ops import plan
from manager.ops.action import Change
from manager.ops.apply import perform


def restart(context: Context) -> int:
    """Stops and starts instances."""
    return perform(
        context, Change("restart", lambda survey, named: plan.restart(survey.situation, named), "run")
    )
