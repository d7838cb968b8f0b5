"""Keep a live bot from starting on an account that a bot of another machine trades on, or may trade on."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from manager.config import bot_environment
from manager.config.bot_environment import Account, LiveContainer
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text
from manager.ops.action import Action
from manager.ops.events import OnEvent, Warned
from manager.ops.hosts import account_looks, accounts, registry
from manager.ops.hosts.account_looks import Found
from manager.ops.hosts.accounts import Look, Trading
from manager.util import formatting


def settle(
    snapshot: FleetSnapshot, actions: Sequence[Action], dead_hosts: Sequence[str], on_event: OnEvent
) -> list[Action]:
    """Leave the live instances that may not start. Other machines are asked only if one would start."""
    fleet = snapshot.project.fleet
    starting = {
        action.instance: account
        for action in actions
        if (account := _begins_on(snapshot, action)) is not None
    }
    if not starting or fleet.allow_shared_credentials:
        return list(actions)
    hosts = [host for host in registry.load(fleet.project_dir).values() if host.name != fleet.host_name]
    if not hosts:
        return list(actions)
    key = account_looks.key_of(fleet)
    found = account_looks.ask(fleet, key, hosts)
    mine = {instance: accounts.as_fingerprints(key, account) for instance, account in starting.items()}
    now = time.time()
    for line in _warnings(found, dead_hosts, now):
        on_event(Warned(line))
    return [
        Action("leave", action.instance, why, is_refused=True)
        if action.instance in mine and (why := _why_not(mine[action.instance], found, dead_hosts, now))
        else action
        for action in actions
    ]


def _why_not(mine: Account, found: Iterable[Found], dead_hosts: Sequence[str], now: float) -> Text | None:
    """Return why a live bot may not start on this account; None if it may."""
    for host, seen, why in found:
        other = _same(mine, seen)
        if why is None:
            if other is not None:
                return Text(
                    "{other} of host {host} trades {symbol} live, apparently with the same credentials; run"
                    " `manager --host {host} down {other}` first",
                    other=other.instance,
                    host=host.name,
                    symbol=mine.symbol,
                )
        elif host.name in dead_hosts:
            continue
        elif seen is None:
            return Text(
                "host {host} does not answer and was never seen: it may trade on the same account ({why})."
                " If nothing trades there any more, add --host-is-dead {host}",
                host=host.name,
                why=why,
            )
        elif other is not None:
            return Text(
                "host {host} does not answer ({why}), and {age} ago its {other} traded {symbol} live,"
                " apparently with the same credentials. If nothing trades there any more, add"
                " --host-is-dead {host}",
                host=host.name,
                why=why,
                age=formatting.age(now - seen.at),
                other=other.instance,
                symbol=mine.symbol,
            )
        elif accounts.may_be_known(mine, seen):
            return Text(
                "host {host} does not answer ({why}), and {age} ago it had the same credentials: it may trade"
                " with them. If nothing trades there any more, add --host-is-dead {host}",
                host=host.name,
                why=why,
                age=formatting.age(now - seen.at),
            )
    return None


def _same(mine: Account, seen: Look | None) -> Trading | None:
    live = seen.live if seen else ()
    return next((other for other in live if bot_environment.is_same(mine, other.account)), None)


def _warnings(found: Iterable[Found], dead_hosts: Sequence[str], now: float) -> Iterable[Text]:
    """Yield what a person should know of each host that does not answer."""
    for host, seen, why in found:
        if why is None and host.name in dead_hosts:
            yield Text("host {host} answers: --host-is-dead {host} counts for nothing", host=host.name)
        elif why is not None and host.name not in dead_hosts and seen is not None:
            yield Text(
                "host {host} does not answer; what it had {age} ago counts",
                host=host.name,
                age=formatting.age(now - seen.at),
            )


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
