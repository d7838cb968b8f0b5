"""Say from when on a word on an instance's orders answers what its exchange was asked in vain."""

from __future__ import annotations

import time

from manager.config.fleet import Fleet
from manager.fleet import bot_report, leftovers, supervisor_state


def from_now(fleet: Fleet, instance: str) -> float:
    """Return it for what is asked now: later than all that its files have said so far."""
    state_dir = fleet.instance_state_dir(instance)
    return leftovers.unknown_from(
        time.time(), bot_report.read_kept(state_dir), supervisor_state.read(state_dir)
    )
