"""Keep a live bot from starting on an account that a bot of another machine trades on, or may trade on."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from manager.config import bot_environment
from manager.config.bot_environment import Account, LiveContainer
from manager.config.fleet import Fleet
from manager.fleet import tombstone
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text
from manager.ops.actions.action import Action
from manager.ops.actions.events import OnEvent, Warned
from manager.ops.checks import generation_check, moved_account
from manager.ops.hosts import account_looks, accounts, generations, registry
from manager.ops.hosts.account_looks import HostAnswer
from manager.ops.hosts.accounts import HostAccounts, Trading
from manager.ops.hosts.registry import Host
from manager.util import formatting

RECENT_S = 60.0
COUNTS_S = 900.0
"""How long a last look without the credentials counts: since then they may have been written there."""


def settle(
    snapshot: FleetSnapshot, actions: Sequence[Action], dead_hosts: Sequence[str], on_event: OnEvent
) -> list[Action]:
    """Leave the live instances that may not start. Other machines are asked only if one would start.

    For one that runs already, what they told last of its generation counts.
    """
    starting = {
        action.instance: account
        for action in actions
        if (account := _begins_on(snapshot, action)) is not None
    }
    going_on = [action.instance for action in actions if _goes_on_live(snapshot, action)]
    fleet = snapshot.project.fleet
    refused = _refused(snapshot, starting, dead_hosts, on_event)
    going_on = [instance for instance in going_on if instance not in starting]
    if going_on:
        answers = account_looks.last_told(fleet, registry.load(fleet.project_dir).values())
        refused |= _older_of(fleet, going_on, answers, dead_hosts)
    return [
        Action("leave", action.instance, refused[action.instance], is_refused=True)
        if action.instance in refused
        else action
        for action in actions
    ]


def of_rollbacks(
    snapshot: FleetSnapshot,
    olds: Iterable[LiveContainer],
    dead_hosts: Sequence[str],
    on_event: OnEvent,
    *,
    just_ran: bool = False,
) -> dict[str, Text]:
    """Return instance → why its old container may not start again.

    Nothing is asked for an account that its instance trades on now, or, with `just_ran`, is upgraded on: the
    old container was stopped for that a moment ago.
    """
    starting = {}
    for old in olds:
        account = bot_environment.account_in(old)
        if old.values is None or not _goes_on(snapshot, old.instance, account, just_ran=just_ran):
            starting[old.instance] = account
    return _refused(snapshot, starting, dead_hosts, on_event)


def _goes_on(snapshot: FleetSnapshot, instance: str, account: Account, *, just_ran: bool) -> bool:
    project, plan_input = snapshot.project, snapshot.plan_input
    spec, container = project.specs.get(instance), plan_input.containers.get(instance)
    if just_ran:
        configured = (
            bot_environment.account_of(spec, project.fleet, project.variables)
            if spec is not None and spec.mode == "live"
            else None
        )
        return configured is not None and bot_environment.is_same(account, configured)
    runs = container is not None and container.mode == "live" and plan_input.is_up(instance)
    return runs and container is not None and _is_unchanged(account, snapshot.trading_of(container))


def _refused(
    snapshot: FleetSnapshot, starting: Mapping[str, Account], dead_hosts: Sequence[str], on_event: OnEvent
) -> dict[str, Text]:
    """Ask other machines, if anything would start; return instance → why it may not."""
    fleet = snapshot.project.fleet
    hosts = list(registry.load(fleet.project_dir).values()) if starting else []
    moved = [] if fleet.allow_shared_credentials else list(moved_account.of(snapshot))
    reasons: dict[str, Text] = {}
    answers: list[HostAnswer] = []
    if hosts:
        reasons, answers = _told(fleet, starting, hosts, dead_hosts, on_event)
    else:  # this machine's own record counts always
        reasons = _older_of(fleet, starting, (), dead_hosts)
    for instance, account in starting.items():
        if instance not in reasons and (
            why := moved_account.why_not(instance, account, moved, answers, dead_hosts)
        ):
            reasons[instance] = why
    return reasons


def _told(
    fleet: Fleet,
    starting: Mapping[str, Account],
    hosts: Sequence[Host],
    dead_hosts: Sequence[str],
    on_event: OnEvent,
) -> tuple[dict[str, Text], list[HostAnswer]]:
    """Return why an instance may not start, by what other machines answer, and the answers."""
    key = account_looks.key_of(fleet)
    answers = [
        answer for answer in account_looks.ask(fleet, key, hosts, tries_login=True) if not answer.is_here
    ]
    now = time.time()
    for line in _warnings(answers, dead_hosts, now):
        on_event(Warned(line))
    reasons: dict[str, Text] = {}
    for instance, account in starting.items():
        why = _older(fleet, instance, answers, dead_hosts)
        if why is None and not fleet.allow_shared_credentials:
            why = _why_not(accounts.as_fingerprints(key, account), answers, dead_hosts, now)
        if why is not None:
            reasons[instance] = why
    return reasons, answers


def older_copies(fleet: Fleet, instances: Iterable[str]) -> dict[str, Text]:
    """Return instance → why it is an older copy, by what other machines tell, or told a moment ago."""
    hosts = list(registry.load(fleet.project_dir).values())
    return _older_of(fleet, instances, account_looks.recent(fleet, hosts, RECENT_S), ())


def _older_of(
    fleet: Fleet, instances: Iterable[str], answers: Sequence[HostAnswer], dead_hosts: Sequence[str]
) -> dict[str, Text]:
    reasons = {instance: _older(fleet, instance, answers, dead_hosts) for instance in instances}
    return {instance: why for instance, why in reasons.items() if why is not None}


def _older(
    fleet: Fleet, instance: str, answers: Iterable[HostAnswer], dead_hosts: Sequence[str]
) -> Text | None:
    """Return why it is not the newest; of what a command moved away, its tombstone tells it."""
    if stone := tombstone.find_all(fleet, [instance]).get(instance):
        return stone.why
    return generation_check.why_not(generations.held(fleet, instance), instance, answers, dead_hosts)


def _why_not(
    mine: Account, answers: Iterable[HostAnswer], dead_hosts: Sequence[str], now: float
) -> Text | None:
    """Return why a live bot may not start on this account; None if it may."""
    for answer in answers:
        host, seen = answer.host, answer.look
        if answer.why is None:
            if (other := _same(mine, seen)) is not None:
                return _in_use(mine, host, other)
        elif (answer.is_reached or host.name not in dead_hosts) and (
            doubt := _may_trade(mine, seen, now)
        ) is not None:
            return _silent(answer, doubt)
    return None


def _in_use(mine: Account, host: Host, other: Trading) -> Text:
    if other.is_up:
        return Text(
            "{other} of host {host} trades {symbol} live, apparently with the same credentials; run"
            " `manager --host {host} down {other}` first",
            other=other.instance,
            host=host.name,
            symbol=mine.symbol,
        )
    return Text(
        "{other} of host {host} is down now, but may start again by itself and trade {symbol} live,"
        " apparently with the same credentials; run `manager --host {host} down {other}` first",
        other=other.instance,
        host=host.name,
        symbol=mine.symbol,
    )


def _may_trade(mine: Account, seen: HostAccounts | None, now: float) -> Text | None:
    """Return why a host that does not tell may trade on this account; None if it most likely does not."""
    if seen is None:
        return Text("and was never seen: it may trade on the same account")
    age = formatting.elapsed(abs(now - seen.at))
    if (other := _same(mine, seen)) is not None:
        return Text(
            "and {age} ago its {other} traded {symbol} live, apparently with the same credentials",
            age=age,
            other=other.instance,
            symbol=mine.symbol,
        )
    if accounts.may_be_known(mine, seen):
        return Text("and {age} ago it had the same credentials: it may trade with them", age=age)
    if abs(now - seen.at) > COUNTS_S:  # a clock that was set back makes no look newer
        return Text(
            "and its last report, {age} ago, is too old to count: it may trade on the same account", age=age
        )
    return None


def _silent(answer: HostAnswer, doubt: Text) -> Text:
    """Return what to do about a host that does not tell what it trades on."""
    if answer.is_reached:
        return Text(
            "host {host} runs, but its manager does not report its accounts ({why}), {what}. "
            "`manager host check {host}` shows what to fix there, `manager host deploy {host}` "
            "updates its manager, `manager host remove {host}` removes a host without bots; "
            "--host-is-dead is ignored for one that runs",
            host=answer.host.name,
            why=answer.why,
            what=doubt,
        )
    return Text(
        "host {host} does not answer ({why}), {what}. If nothing trades there any more, add"
        " --host-is-dead {host}",
        host=answer.host.name,
        why=answer.why,
        what=doubt,
    )


def _same(mine: Account, seen: HostAccounts | None) -> Trading | None:
    live = seen.live if seen else ()
    return next((other for other in live if bot_environment.is_same(mine, other.account)), None)


def _warnings(answers: Iterable[HostAnswer], dead_hosts: Sequence[str], now: float) -> Iterable[Text]:
    """Yield what a person should know of each host that does not answer."""
    for answer in answers:
        host, seen, is_dead = answer.host, answer.look, answer.host.name in dead_hosts
        if answer.why is None and seen is not None and seen.generations is None:
            yield Text(
                "host {host} has an earlier manager, which does not report moved instances: `manager host"
                " deploy {host}` updates it",
                host=host.name,
            )
        else:
            yield from account_looks.other_versions([answer])
        if answer.why is None and is_dead:
            yield Text("host {host} answers: --host-is-dead {host} is ignored", host=host.name)
        elif answer.is_reached and is_dead:
            yield Text(
                "ssh reaches host {host}: --host-is-dead {host} is ignored ({why})",
                host=host.name,
                why=answer.why,
            )
        elif answer.why is not None and not is_dead and seen is not None and abs(now - seen.at) <= COUNTS_S:
            yield Text(
                "host {host} does not answer; what it reported {age} ago counts",
                host=host.name,
                age=formatting.elapsed(abs(now - seen.at)),
            )


def _goes_on_live(snapshot: FleetSnapshot, action: Action) -> bool:
    """Return whether the action starts a live container's bot again: set to paper, its trading ends."""
    container = snapshot.plan_input.containers.get(action.instance)
    spec = snapshot.project.specs.get(action.instance)
    becomes_paper = spec is not None and spec.mode != "live" and not action.as_it_was
    return bool(action.starts) and container is not None and container.mode == "live" and not becomes_paper


def _begins_on(snapshot: FleetSnapshot, action: Action) -> Account | None:
    """Return the account that a live bot would begin to trade on by this action.

    None for what runs on it already: nothing is asked for that, because a host that is away must not keep
    a bot from being restarted.
    """
    if not action.starts:
        return None
    project, plan_input, instance = snapshot.project, snapshot.plan_input, action.instance
    spec, container = project.specs.get(instance), plan_input.containers.get(instance)
    runs = container is not None and container.mode == "live" and plan_input.is_up(instance)
    if action.as_it_was and container is not None:
        is_idle = container.mode == "live" and not runs
        return bot_environment.account_in(snapshot.trading_of(container)) if is_idle else None
    if spec is None or spec.mode != "live":
        return None
    mine = bot_environment.account_of(spec, project.fleet, project.variables)
    if runs and container is not None and _is_unchanged(mine, snapshot.trading_of(container)):
        return None
    return mine


def _is_unchanged(mine: Account, present: LiveContainer) -> bool:
    return present.values is not None and bot_environment.is_same(mine, bot_environment.account_in(present))
