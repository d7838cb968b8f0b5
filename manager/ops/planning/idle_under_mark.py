"""Tell which containers have no bot because they were started under a halt mark, where nothing says so.

A supervisor writes that it idles; on a full disk it cannot. Its container then looks as if its bot ran, and
who lifts the mark would leave it without one.
"""

from __future__ import annotations

from contextlib import suppress

from manager.errors import NotFound
from manager.fleet import halt_mark
from manager.fleet.observe import FleetSnapshot
from manager.fleet.session import Session
from manager.fleet.status import Status
from manager.util import moment

COMMANDS = frozenset({"up", "start", "restart", "resume"})
"""Those that lift the marks of the instances that are named."""


def seen(session: Session, snapshot: FleetSnapshot, command: str, named: list[str] | None) -> FleetSnapshot:
    """Return the snapshot in which these idle. Raises EngineError."""
    if command not in COMMANDS or named is None:
        return snapshot
    plan_input = snapshot.plan_input
    idle = {
        instance: Status("stopped")
        for instance in named
        if plan_input.is_up(instance) and _was_started_under_mark(session, snapshot, instance)
    }
    if not idle:
        return snapshot
    changed = plan_input._replace(
        idle=plan_input.idle | idle.keys(), statuses={**plan_input.statuses, **idle}
    )
    return snapshot._replace(plan_input=changed)


def _was_started_under_mark(session: Session, snapshot: FleetSnapshot, instance: str) -> bool:
    """Return whether the mark that its supervisor looks for is older than its container's process.

    A mark without content, which a full disk leaves, has no time: under it a supervisor ends its bot anyway.
    """
    mark = halt_mark.own(snapshot.project.fleet, instance)
    if mark is None or not mark.at.boot:
        return mark is not None
    with suppress(NotFound):
        state = session.engine().inspect(snapshot.plan_input.containers[instance].id).get("State") or {}
        pid = state.get("Pid")
        return isinstance(pid, int) and pid > 0 and moment.of_process(pid).is_after(mark.at)
    return False
