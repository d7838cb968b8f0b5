"""Restore what was before an upgrade: for `rollback`, and for a roll-out in which something failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from manager.config import bot_environment, markets
from manager.engine import labels
from manager.errors import ConfigError, Problem
from manager.fleet import env_file, instances_json_refresh, lock, upgrade_records
from manager.fleet.observe import FleetSnapshot
from manager.fleet.selection import Selection, pinned, require_known
from manager.fleet.session import Session
from manager.fleet.state_file import RejectedRevision
from manager.fleet.upgrade_records import UpgradeRecord
from manager.i18n import Text
from manager.ops.actions.action import Action, Outcome, has_started
from manager.ops.actions.events import ActionDone, LeftAlone, OnEvent, Warned
from manager.ops.actions.result import Planned, Result
from manager.ops.checks import start_checks
from manager.ops.egress.egress_limiter import Limiter
from manager.ops.execution import desired_state, outcome_notes, wait
from manager.ops.planning import moved_away, plan
from manager.ops.rollout import rollout_plan


def planned(session: Session, selection: Selection) -> Planned:
    """Return what `rollback` would do now."""
    snapshot = session.observe()
    records = upgrade_records.load(snapshot.project.fleet)
    return Planned(snapshot, _rollbacks(selection, snapshot, records))


def rollback(
    session: Session,
    selection: Selection,
    on_event: OnEvent,
    *,
    lock_wait: float = 0.0,
    healthy_within: float = 120.0,
    dead_hosts: Sequence[str] = (),
) -> Result:
    """Restore what was before the last upgrade, and wait until it is healthy. Raises ManagerError."""
    fleet = session.project().fleet
    with lock.held(
        fleet.lock_file, "rollback", lock_wait, on_wait=lambda text: on_event(Warned(text))
    ) as held:
        held.wait_for_engine()
        snapshot = session.observe()
        snapshot.require_ours()
        records = upgrade_records.load(fleet)
        actions = _rollbacks(selection, snapshot, records)
        todo = plan.effective(actions)
        together = {action.instance: records[action.instance] for action in todo if action.starts}
        problems = [
            problem
            for instance, record in together.items()
            if (problem := account_problem(instance, record, snapshot, together)) is not None
        ]
        problems += elsewhere_problems(snapshot, together, dead_hosts, on_event).values()
        if problems:
            raise ConfigError(problems)
        for action in actions:
            if action.kind == "leave":
                on_event(LeftAlone(action))
        why = dict.fromkeys(records, str(Text("by a user")))
        on_end = partial(outcome_notes.note, "rollback", snapshot)
        after, outcomes = restore_old(session, held, snapshot, records, todo, why, on_event, on_end)
        instances_json_refresh.write(after, lambda why: on_event(Warned(why)))
    started = [outcome.action.instance for outcome in outcomes if has_started(outcome)]
    after, late = wait.until_healthy(session, after, started, healthy_within, on_event)
    return Result(after, actions, outcomes, late)


def _rollbacks(selection: Selection, snapshot: FleetSnapshot, records: upgrade_records.Steps) -> list[Action]:
    named, elsewhere = selection.named(snapshot.project), snapshot.project.loaded.elsewhere
    for instance in named or ():
        if instance in elsewhere:
            raise pinned(instance, snapshot.project)
        require_known(instance, snapshot)
    here = {instance: record for instance, record in records.items() if instance not in elsewhere}
    actions = rollout_plan.rollbacks(snapshot.plan_input, valid(here, snapshot), named)
    return moved_away.settle(snapshot.plan_input, actions, named or ())


def valid(records: upgrade_records.Steps, snapshot: FleetSnapshot) -> dict[str, UpgradeRecord]:
    """Return the upgrades that can still be rolled back."""
    return upgrade_records.valid(records, snapshot.plan_input.containers, snapshot.views)


def restore_old(
    session: Session,
    held: lock.HeldLock,
    snapshot: FleetSnapshot,
    records: upgrade_records.Steps,
    todo: Sequence[Action],
    why: Mapping[str, str],
    on_event: OnEvent,
    on_end: Callable[[Sequence[Outcome[Action]]], object],
    *,
    is_bound_to_finish: bool = False,
) -> tuple[FleetSnapshot, list[Outcome[Action]]]:
    """Restore the old containers. Returns the fleet afterwards, and the outcomes.

    `why`: by instance. `on_end` gets the outcomes, however it ends. `is_bound_to_finish`: also when somebody
    ends the command. The rejected revisions are saved before anything is done, so that the next `up` does not
    apply them again.
    """
    if not todo:
        return snapshot, []
    from manager.ops.execution import execute, prepare

    rejected = {
        instance: RejectedRevision(records[instance].config_hash, records[instance].image_id, why[instance])
        for instance in (action.instance for action in todo)
    }

    def warn(why: object) -> None:
        on_event(Warned(why))

    limit = Limiter(session.engine(), snapshot.project, warn, is_strict=False)
    context = prepare.gather(  # may fail: before anything is saved
        session, snapshot, todo, held, records, limit=limit, warn=warn
    )
    context = context._replace(is_bound_to_finish=is_bound_to_finish)
    desired_state.save_state(snapshot.project.fleet, lambda state: state.with_refused(rejected))
    outcomes = execute.run(todo, context, lambda outcome: on_event(ActionDone(outcome)), on_end)
    fleet = snapshot.project.fleet
    back = [outcome.action.instance for outcome in outcomes if outcome.error is None]
    changed = {instance: records[instance]._replace(phase="back") for instance in back}
    upgrade_records.save(fleet, {**upgrade_records.load(fleet), **changed})
    return session.look_again(snapshot), outcomes


def account_problem(
    instance: str,
    record: UpgradeRecord,
    snapshot: FleetSnapshot,
    together: upgrade_records.Steps = upgrade_records.NONE,
) -> Problem | None:
    """Return why an old container must not run beside live ones, or ones rolled back with it; None if it
    may.
    """
    if not is_live(record):
        return None
    with_it = [
        _trading(other, other_record, snapshot)
        for other, other_record in together.items()
        if other != instance and is_live(other_record)
    ]
    mine = _trading(instance, record, snapshot)
    other_trading = bot_environment.find_shared_account(
        mine.exchange,
        mine.symbol,
        mine.values,
        [*snapshot.trading([instance]), *with_it],
        snapshot.project.fleet,
        mine.kind,
    )
    if other_trading is None:
        return None
    return Problem.at(
        instance,
        "",
        "cannot be rolled back: the container {container} already trades {symbol} live, apparently with the"
        " same credentials",
        container=other_trading.container,
        symbol=mine.symbol,
    )


def elsewhere_problems(
    snapshot: FleetSnapshot,
    together: upgrade_records.Steps,
    dead_hosts: Sequence[str],
    on_event: OnEvent,
    *,
    just_ran: bool = False,
) -> dict[str, Problem]:
    """Return why old containers must not run, because another machine may trade on their accounts."""
    olds = [_trading(instance, record, snapshot) for instance, record in together.items() if is_live(record)]
    refused = start_checks.of_rollbacks(snapshot, olds, dead_hosts, on_event, just_ran=just_ran)
    return {
        instance: Problem.at(instance, "", "cannot be rolled back: {why}", why=why)
        for instance, why in refused.items()
    }


def is_live(record: UpgradeRecord) -> bool:
    """Return whether the old container traded live."""
    return record.label(labels.MODE) == "live"


def _trading(instance: str, record: UpgradeRecord, snapshot: FleetSnapshot) -> bot_environment.LiveContainer:
    """Return an old container as if it were trading already."""
    fleet = snapshot.project.fleet
    return bot_environment.LiveContainer(
        instance,
        fleet.container_name(instance),
        record.label(labels.EXCHANGE),
        record.label(labels.SYMBOL),
        env_file.read(upgrade_records.kept_env(fleet, instance)),
        markets.kind_traded(record.label(labels.MARKET_TYPE), record.label(labels.STRATEGY)),
    )
