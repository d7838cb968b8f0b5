"""Wait for instances to become healthy, by reading their supervisors' state files."""

from __future__ import annotations

import time

from manager.fleet import supervisor_state
from manager.i18n import Text
from manager.ops.actions.events import Healthy, OnEvent
from manager.typed import TYPE_CHECKING
from manager.util.polling import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from manager.config.fleet import Fleet
    from manager.fleet.instance import Instance
    from manager.fleet.observe import FleetSnapshot
    from manager.fleet.session import Session
    from manager.ops.actions.action import Action, Outcome

POLL_S = 0.25
HEARD_WITHIN_S = 3.0
"""A supervisor starts its bot within 0.2 s, or a few seconds on a busy machine."""
FEW = 10
MANY_HEARD_WITHIN_S = 0.5
"""A starting fleet is busy for longer than a user should wait for the last supervisors."""
HEARD_POLL_S = 0.002
"""Per pending instance: polling a hundred continuously would take the CPU that they need."""
LISTED_WITHIN_S = 1.0
LISTED_POLL_S = 0.02
SETTLED = frozenset({"running", "failed", "completed", "stopped", "missing"})


def until_healthy(
    session: Session, snapshot: FleetSnapshot, ids: list[str], timeout: float, on_event: OnEvent
) -> tuple[FleetSnapshot, list[str]]:
    """Wait until every instance is running, or can no longer become so, or somebody ends the command.

    Returns a snapshot, and those not running.
    """
    settled: set[str] = set()

    def are_settled() -> bool:
        nonlocal snapshot
        snapshot = session.look_again(snapshot)
        for instance in ids:
            view = snapshot.views[instance]
            if instance not in settled and view.status.state in SETTLED:
                settled.add(instance)
                if view.status.state == "running":
                    on_event(_healthy(snapshot.project.fleet, view))
        return settled.issuperset(ids) or bool(session.ending.number)

    wait_until(are_settled, time.monotonic() + timeout, POLL_S)
    return snapshot, [
        instance for instance in ids if snapshot.views[instance].status.state not in {"running", "completed"}
    ]


def meant_to_run(
    after: FleetSnapshot,
    actions: Sequence[Action],
    outcomes: Sequence[Outcome[Action]],
    named: list[str] | None,
) -> list[str]:
    """Return the instances that should run: not those left as they are, unless failed, nor failed starts."""
    left = {action.instance for action in actions if action.kind == "leave"}
    dead = {
        instance
        for instance in left
        if instance in after.views and after.views[instance].status.state == "failed"
    }
    failed = {outcome.action.instance for outcome in outcomes if outcome.error is not None}
    meant = after.plan_input.wanted if named is None else named
    return [instance for instance in meant if instance not in (left - dead) | failed]


def _healthy(fleet: Fleet, view: Instance) -> Healthy:
    """Return what is said of a running instance; its bot may have been told that the exchange is away."""
    url = fleet.web_address(view.web_port) if view.web_port else ""
    if view.supervisor is None or view.supervisor.health_condition is None:
        return Healthy(view.id, url)
    from manager.fleet import doing  # with decimal, which a healthy fleet does without

    activity = doing.activity(view)
    return Healthy(
        view.id, url, activity.message(time.time()) or Text(doing.DOING_WORDS[activity.doing or "unknown"])
    )


def until_listed_as_stopped(
    session: Session, snapshot: FleetSnapshot, outcomes: Sequence[Outcome[Action]]
) -> FleetSnapshot:
    """Look again, briefly, at what was stopped and is still listed as running: the engine's list lags.

    What somebody has started since is listed as running, too, and remains so.
    """
    stopped = [o.action.instance for o in outcomes if o.action.kind == "stop" and o.error is None]

    def is_listed() -> bool:
        nonlocal snapshot
        behind = [instance for instance in stopped if snapshot.plan_input.is_up(instance)]
        if behind:
            snapshot = session.look_again(snapshot, touched=behind)
        return not behind

    wait_until(is_listed, time.monotonic() + LISTED_WITHIN_S, LISTED_POLL_S)
    return snapshot


def until_heard(fleet: Fleet, ids: list[str]) -> None:
    """Wait briefly until the supervisors of just started instances have reported their bots' pids.

    Programs that read the export decide by the pid who is alive, and it may not be written again for hours.
    """
    pending = set(ids)

    def are_heard() -> bool:
        pending.difference_update([instance for instance in pending if _is_heard(fleet, instance)])
        return not pending

    within = HEARD_WITHIN_S if len(ids) <= FEW else MANY_HEARD_WITHIN_S
    wait_until(are_heard, time.monotonic() + within, lambda: HEARD_POLL_S * len(pending))


def _is_heard(fleet: Fleet, instance: str) -> bool:
    state = supervisor_state.read(fleet.instance_state_dir(instance))
    return state is not None and (
        state.bot_pid is not None or state.state in {"restarting", "failed", "completed"}
    )
