"""Say before bots start beside each other on one account and market that `manager watch` has to run.

An account has one position for all of them. Only `watch` tells each what the others hold; without it none
can tell the others' trades from a fault of its own record, and none compares.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from manager.config import bot_environment
from manager.config.bot_environment import Account
from manager.fleet import lock, supervisor_state
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text
from manager.ops.actions.action import Action
from manager.ops.folders import others_file


def unwatched(snapshot: FleetSnapshot, actions: Sequence[Action]) -> Iterator[Text]:
    """Yield a warning for each start beside another live bot that nobody would tell of it."""
    if _is_told(snapshot):
        return
    starting = {action.instance for action in actions if action.starts}
    for instance, others in _neighbours(snapshot, _up(snapshot, starting)).items():
        if others and instance in starting:
            yield Text(
                "{instance} trades live on the account and market of {others}, and `manager watch` does not"
                " run: without it the account's position is compared with no bot's trades, and a fault of a"
                " record goes unnoticed; run `manager watch` (`manager install-service` sets it up)",
                instance=instance,
                others=", ".join(others),
            )


def tell(snapshot: FleetSnapshot, actions: Collection[Action]) -> Callable[[str], None]:
    """Leave bots that run on the word that others trade beside them, as far as nobody tells more.

    Without any word they would take others' trades for a fault of their record. Returns what does the same
    for one that starts, once it has a folder. Neither raises anything.
    """
    fleet = snapshot.project.fleet
    if lock.held_by(fleet.watch_lock_file) is not None:
        return lambda _instance: None
    starting = {action.instance for action in actions if action.starts}
    beside: set[str] = set()
    if fleet.allow_shared_credentials:
        # What a bot holds stays in the account when it is down.
        known = {one for one in snapshot.project.specs if _may_hold(snapshot, one)} | starting
        beside = {one for one, others in _neighbours(snapshot, known).items() if others}
    for instance in (beside & _up(snapshot, ())) - starting:
        others_file.write_unknown(fleet, instance)

    def tell_one(instance: str) -> None:
        if instance in beside:
            others_file.write_unknown(fleet, instance)
        else:
            others_file.remove(fleet, instance)

    return tell_one


def _is_told(snapshot: FleetSnapshot) -> bool:
    """Tell whether nobody trades beside another, or `watch` says what they hold."""
    fleet = snapshot.project.fleet
    return not fleet.allow_shared_credentials or lock.held_by(fleet.watch_lock_file) is not None


def _up(snapshot: FleetSnapshot, starting: Collection[str]) -> set[str]:
    return {one for one in snapshot.project.specs if one in starting or snapshot.plan_input.is_up(one)}


def _may_hold(snapshot: FleetSnapshot, instance: str) -> bool:
    state_dir = snapshot.project.fleet.instance_state_dir(instance)
    return instance in snapshot.plan_input.containers or (state_dir / supervisor_state.REPORT_FILE).exists()


def _neighbours(snapshot: FleetSnapshot, among: Collection[str]) -> dict[str, list[str]]:
    """Return each live instance of these -> which others of them trade its market on its account."""
    accounts = dict(_accounts(snapshot, among))
    return {
        instance: sorted(
            other
            for other, theirs in accounts.items()
            if other != instance and bot_environment.is_same(mine, theirs)
        )
        for instance, mine in accounts.items()
    }


def _accounts(snapshot: FleetSnapshot, instances: Collection[str]) -> Iterator[tuple[str, Account]]:
    project = snapshot.project
    for instance in instances:
        spec = project.specs.get(instance)
        if spec is not None and spec.mode == "live":
            yield instance, bot_environment.account_of(spec, project.fleet, project.variables)
