"""Puts back what was before an upgrade: for `rollback`, and for a roll-out in which something failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from manager.config import bot_environment
from manager.engine import labels
from manager.errors import Problem
from manager.fleet import lock, upgrade_records
from manager.fleet.observe import FleetSnapshot, env_of
from manager.fleet.session import Session
from manager.fleet.state_file import RejectedRevision
from manager.fleet.upgrade_records import UpgradeRecord
from manager.ops import desired_state, report
from manager.ops.action import Action
from manager.util import console

if TYPE_CHECKING:
    from manager.ops.execute import Outcome


def valid(steps: upgrade_records.Steps, snapshot: FleetSnapshot) -> dict[str, UpgradeRecord]:
    """The steps that can still be taken back."""
    return upgrade_records.valid(steps, snapshot.plan_input.containers, snapshot.views)


def put_back(
    session: Session,
    held: lock.Held,
    snapshot: FleetSnapshot,
    steps: upgrade_records.Steps,
    todo: list[Action],
    why: Mapping[str, str],
) -> tuple[FleetSnapshot, list[Outcome]]:
    """Brings the old containers back. Returns the fleet after it.

    `why`: of each instance. What is refused is remembered before the deed, lest the next `up` brings it again.
    """
    if not todo:
        return snapshot, []
    from manager.ops import execute, prepare

    refused = {
        each: RejectedRevision(steps[each].config_hash, steps[each].image_id, why[each])
        for each in (action.instance for action in todo)
    }
    desired_state.remember(snapshot, snapshot.project.memory.with_refused(refused))

    def on_done(outcome: Outcome) -> None:
        if not session.as_json:
            console.say(report.outcome_line(outcome))

    outcomes = execute.run(todo, prepare.gather(session, snapshot, todo, held, steps), on_done)
    fleet = snapshot.project.fleet
    back = {each.action.instance for each in outcomes if each.error is None}
    upgrade_records.save(
        fleet, {**upgrade_records.load(fleet), **{each: steps[each]._replace(phase="back") for each in back}}
    )
    return session.look_again(snapshot), outcomes


def purse_problem(
    instance: str,
    step: UpgradeRecord,
    snapshot: FleetSnapshot,
    together: upgrade_records.Steps = upgrade_records.NONE,
) -> Problem | None:
    """What keeps an old container from being started beside those that trade live now, and those brought back with it."""
    if not _is_live(step):
        return None
    with_it = [
        _trading(each, other, snapshot)
        for each, other in together.items()
        if each != instance and _is_live(other)
    ]
    mine = _trading(instance, step, snapshot)
    other = bot_environment.find_shared_account(
        mine.exchange,
        mine.symbol,
        mine.values,
        [*snapshot.trading([instance]), *with_it],
        snapshot.project.fleet,
    )
    if other is None:
        return None
    return Problem.at(
        instance,
        "",
        "cannot be brought back as it was: the container {container} already trades {symbol} live, as far as can be told with"
        " the same credentials",
        container=other.container, symbol=mine.symbol,
    )  # fmt: skip


def _is_live(step: UpgradeRecord) -> bool:
    return step.label(labels.MODE) == "live"


def _trading(instance: str, step: UpgradeRecord, snapshot: FleetSnapshot) -> bot_environment.LiveContainer:
    """An old container as if it traded already."""
    fleet = snapshot.project.fleet
    return bot_environment.LiveContainer(
        instance,
        fleet.container_name(instance),
        step.label(labels.EXCHANGE),
        step.label(labels.SYMBOL),
        env_of(upgrade_records.kept_env(fleet, instance)),
    )
