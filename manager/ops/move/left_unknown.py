"""Carry over that nobody knows what an instance has left at its exchange: a move answers no question."""

from __future__ import annotations

from manager.config.fleet import Fleet
from manager.fleet import bot_report, leftovers, state_file, supervisor_state
from manager.ops.exchange import unknown_rest
from manager.ops.execution import desired_state
from manager.ops.move import staging


def is_unknown(fleet: Fleet, instance: str) -> bool:
    """Return whether the exchange was asked in vain here, and nothing here has told it since.

    The files that tell do not come along.
    """
    state_dir, saved = fleet.instance_state_dir(instance), state_file.load(fleet.state_file, fleet.name)
    told = bot_report.read_kept(state_dir), supervisor_state.read(state_dir)
    return not leftovers.is_left_known(saved.of(instance).left_unknown_at, *told)


def keep(fleet: Fleet, instance: str) -> None:
    """Save what the source has said of it, in place of what was so in an earlier stay. Raises ManagerError.

    The time is this machine's own: with the source's clock, which may be ahead, an answer would come before
    the question.
    """
    is_left_unknown = staging.is_left_unknown(fleet, instance)
    if is_left_unknown is None:
        return
    since = {instance: unknown_rest.from_now(fleet, instance)} if is_left_unknown else {}
    desired_state.save_state(fleet, lambda state: state.with_left_known([instance]).with_left_unknown(since))
