"""`resume`: starts exactly what ran when the fleet was halted."""

from __future__ import annotations

from manager.errors import OK, ConfigError
from manager.fleet.session import Session
from manager.i18n import Text, _
from manager.ops import action, apply, plan
from manager.util import console


def resume(session: Session) -> int:
    """Starts exactly what ran when the fleet was halted."""
    project = session.project()
    if project.memory.faults:
        raise ConfigError(project.memory.faults)
    if project.select(session.args.ids, session.args.config) is None:
        session.args.ids = [each for each in project.memory.halted if each in project.specs]
        if not session.args.ids:
            if session.as_json:
                console.say_json([])
            else:
                console.say(_("nothing is halted; `manager up` starts what should run"))
            return OK
        for each in sorted(set(project.memory.halted).difference(project.specs)):
            console.warning(
                Text("{id} was halted and has no usable config any more: it is not started", id=each)
            )
    return apply.perform(
        session,
        action.Change("resume", lambda snapshot, named: plan.resume(snapshot.plan_input, named or [])),
    )
