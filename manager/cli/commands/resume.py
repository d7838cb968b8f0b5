"""`resume`: starts exactly what ran when the fleet was halted."""

from __future__ import annotations

from manager.errors import OK, ConfigError
from manager.fleet.session import Context
from manager.i18n import Text, _
from manager.ops import action, apply, plan
from manager.util import console


def resume(context: Context) -> int:
    """Starts exactly what ran when the fleet was halted."""
    project = context.project()
    if project.memory.faults:
        raise ConfigError(project.memory.faults)
    if project.select(context.args.ids, context.args.config) is None:
        context.args.ids = [each for each in project.memory.halted if each in project.specs]
        if not context.args.ids:
            if context.as_json:
                console.say_json([])
            else:
                console.say(_("nothing is halted; `manager up` starts what should run"))
            return OK
        for each in sorted(set(project.memory.halted).difference(project.specs)):
            console.warning(
                Text("{id} was halted and has no usable config any more: it is not started", id=each)
            )
    return apply.perform(
        context,
        action.Change("resume", lambda survey, named: plan.resume(survey.situation, named or [])),
    )
