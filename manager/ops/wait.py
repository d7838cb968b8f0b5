"""Waits for instances to become healthy, by reading what their supervisors write."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from manager.fleet import supervisor_state
from manager.ops.events import Healthy, OnEvent

if TYPE_CHECKING:
    from manager.config.fleet import Fleet
    from manager.fleet.observe import FleetSnapshot
    from manager.fleet.session import Session

POLL_S = 0.25
HEARD_WITHIN_S = 3.0
"""A supervisor starts its bot within 0.2 s, on a busy machine within a few."""
FEW = 10
MANY_HEARD_WITHIN_S = 0.5
"""A fleet that starts takes the CPUs for longer than anybody should wait for its last supervisors."""
HEARD_POLL_S = 0.002
"""For each that is still to be heard: to look for a hundred again and again would take the CPU that they need."""
SETTLED = frozenset({"running", "failed", "completed", "stopped", "missing"})


def until_healthy(
    session: Session, snapshot: FleetSnapshot, ids: list[str], timeout: float, on_event: OnEvent
) -> tuple[FleetSnapshot, list[str]]:
    """Wait until every instance is running, or can no longer become so. Returns the last look, and those that are not running."""
    deadline = time.monotonic() + timeout
    settled: set[str] = set()
    while True:
        snapshot = session.look_again(snapshot)
        for instance in ids:
            view = snapshot.views[instance]
            if instance not in settled and view.verdict.state in SETTLED:
                settled.add(instance)
                if view.verdict.state == "running":
                    fleet = snapshot.project.fleet
                    on_event(Healthy(instance, fleet.web_address(view.web_port) if view.web_port else ""))
        if settled.issuperset(ids) or time.monotonic() > deadline:
            return snapshot, [
                instance
                for instance in ids
                if snapshot.views[instance].verdict.state not in {"running", "completed"}
            ]
        time.sleep(POLL_S)


def until_heard(fleet: Fleet, ids: list[str]) -> None:
    """Waits a moment until the supervisors of instances just started have said which process the bot is.

    Readers of the export decide by its pid who is alive, and nobody may look at the fleet again for hours.
    """
    deadline = time.monotonic() + (HEARD_WITHIN_S if len(ids) <= FEW else MANY_HEARD_WITHIN_S)
    pending = set(ids)
    while pending and time.monotonic() < deadline:
        pending = {each for each in pending if not _is_heard(fleet, each)}
        if pending:
            time.sleep(HEARD_POLL_S * len(pending))


def _is_heard(fleet: Fleet, instance: str) -> bool:
    said = supervisor_state.read(fleet.instance_state_dir(instance))
    return said is not None and (
        said.bot_pid is not None or said.state in {"restarting", "failed", "completed"}
    )
