"""`stop`: stops instances and keeps them stopped."""

from __future__ import annotations

from manager.fleet.session import Context
from manager.ops import plan
from manager.ops.action import Change
from manager.ops.apply import perform


def stop(context: Context) -> int:
    """Stops instances and keeps them stopped."""
    change = Change(
        "stop", lambda survey, named: plan.stop(survey.situation, named), "stopped", needs_sound_configs=False
    )
    return perform(context, change)
