"""Compute how many requests a minute the bots make, and how many each may: pure.

ccxt paces each process alone, but an exchange counts by address and by account.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from manager.config import bot_environment
from manager.config.request_limits import ExchangeLimits, RequestTable
from manager.config.spec import InstanceSpec
from manager.engine import labels
from manager.engine.containers import Container
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text
from manager.ops.actions.action import Action
from manager.typed import Literal, NamedTuple
from manager.util import formatting

Scope = Literal["address", "account"]

WARN_AT = 0.8
SHARED = 0.8
"""The part of a limit that is shared out for ticks and orders; what is left is for cancels and bursts."""
FOR_CANCELS = 0.1
"""The part that is kept for cancels alone."""
AT_ONCE = 0.25
"""The share of a minute's starts that need not wait."""
LEAST_AT_ONCE = 4
"""A small fleet is started at once."""
MOST_WAIT_S = 600.0
"""As the supervisor's own limit: a larger fleet is refused some requests rather than started later."""
PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
"""Who sends its requests through a proxy has that one's address."""
MARKET = "GRIDBOT_MARKET"
NO_LIMIT = ExchangeLimits()


class Caller(NamedTuple):
    """Hold one bot as an exchange sees it. `account`: one of its members; empty on paper."""

    instance: str
    exchange: str
    is_live: bool
    a_minute: float
    account: str = ""
    address: str = ""


class Load(NamedTuple):
    """Hold the requests of all who share one limit. `instances`: they, in order of their ids."""

    exchange: str
    scope: Scope
    instances: tuple[str, ...]
    a_minute: float
    limit: float
    is_proxy: bool = False

    @property
    def used(self) -> float:
        """Return the part of the limit that is used; above 1 it is exceeded."""
        return round(self.a_minute / self.limit, 9)  # ten times 0.1 is the whole limit

    def text(self) -> Text:
        """Return the load as a sentence."""
        # what is warned of or refused is seen in the figures: less than 80 % is not 80, more than 100 not 100
        whole = math.ceil if self.used > 1 else math.floor
        params = {
            "exchange": self.exchange,
            "used": f"{whole(round(self.a_minute, 6)):,}",
            "limit": f"{self.limit:,.0f}",
            "percent": formatting.share(whole(round(self.used * 100, 7))),
            "count": len(self.instances),
            "id": self.instances[0],
        }
        if self.scope == "account":
            return Text(
                "{exchange}: the account of {id} and its bots ({count}) makes {used} requests a minute of"
                " {limit} ({percent})",
                **params,
            )
        if self.is_proxy:
            return Text(
                "{exchange}: the bots ({count}) behind the proxy of {id} make {used} requests a minute of"
                " {limit} ({percent})",
                **params,
            )
        return Text(
            "{exchange}: the bots ({count}) on this address make {used} requests a minute of {limit}"
            " ({percent})",
            **params,
        )


class Share(NamedTuple):
    """Hold what one bot may ask for, in requests a minute.

    `orders`: how many of them may place orders, where the exchange counts these by themselves; 0 is no limit.
    """

    a_minute: float
    for_cancels: float
    orders: float = 0.0


class Budgets(NamedTuple):
    """Hold what the bots that run ask of each limit, and what each of them may."""

    loads: Sequence[Load] = ()
    shares: Mapping[str, Share] = MappingProxyType({})


def callers(snapshot: FleetSnapshot, table: RequestTable) -> dict[str, Caller]:
    """Return what each instance asks for when it runs: as configured, else as its container was made."""
    project = snapshot.project
    account_of = {
        instance: members[0]
        for members in bot_environment.accounts(project.specs.values(), project.fleet, project.variables)
        for instance in members
    }
    asking = {
        instance: _as_configured(spec, snapshot.env_values.get(instance, {}), account_of, table)
        for instance, spec in project.specs.items()
    }
    for instance, container in snapshot.observed.containers.items():
        if instance not in asking:
            asking[instance] = _as_made(container, table)
    return {instance: caller for instance, caller in sorted(asking.items()) if caller.a_minute}


def _as_configured(
    spec: InstanceSpec, values: Mapping[str, str], account_of: Mapping[str, str], table: RequestTable
) -> Caller:
    exchange, is_live = spec.exchange.lower(), spec.mode == "live"
    tick = table.exchanges.get(exchange, NO_LIMIT).tick if is_live else table.paper_tick
    if not is_live and values.get(MARKET) in {"synthetic", "replay"}:
        tick = 0.0
    return Caller(
        spec.id,
        exchange,
        is_live,
        tick * 60 / interval_of(spec.command, table.interval),
        account_of.get(spec.id, ""),
        address_of(values),
    )


def address_of(values: Mapping[str, str]) -> str:
    """Return what tells apart the addresses that exchanges see; empty for this machine's own."""
    return next((values[name] for name in PROXIES if values.get(name)), "")


def _as_made(container: Container, table: RequestTable) -> Caller:
    exchange, is_live = container.shown(labels.EXCHANGE).lower(), container.mode == "live"
    tick = table.exchanges.get(exchange, NO_LIMIT).tick if is_live else table.paper_tick
    account = container.instance if is_live else ""
    return Caller(container.instance, exchange, is_live, tick * 60 / table.interval, account)


def interval_of(command: Sequence[str], default: float) -> float:
    """Return the seconds between two ticks, from the bot's arguments."""
    for index, word in enumerate(command):
        name, equals, value = word.partition("=")
        if name == "--interval":
            text = value if equals else command[index + 1] if index + 1 < len(command) else ""
            try:
                return max(float(text), 0.1)
            except ValueError:
                return default
    return default


def loads(asking: Iterable[Caller], table: RequestTable) -> list[Load]:
    """Return the load on every limit that some of these share, the most used one first."""
    groups: dict[tuple[str, Scope, str], list[Caller]] = {}
    for caller in asking:
        for key in _limits_of(caller, table):
            groups.setdefault(key, []).append(caller)
    result = [
        Load(
            exchange,
            scope,
            tuple(caller.instance for caller in members),
            sum(caller.a_minute for caller in members),
            _limit(table, exchange, scope),
            is_proxy=scope == "address" and bool(of),
        )
        for (exchange, scope, of), members in groups.items()
    ]
    return sorted(result, key=lambda load: (-load.used, load.exchange, load.instances))


def _limits_of(caller: Caller, table: RequestTable) -> Iterator[tuple[str, Scope, str]]:
    if _limit(table, caller.exchange, "address"):
        yield caller.exchange, "address", caller.address
    if caller.is_live and _limit(table, caller.exchange, "account"):
        yield caller.exchange, "account", caller.account


def _limit(table: RequestTable, exchange: str, scope: Scope) -> float:
    limits = table.exchanges.get(exchange, NO_LIMIT)
    return limits.address if scope == "address" else limits.account


def refuse(
    asking: Mapping[str, Caller], up: Collection[str], actions: Iterable[Action], table: RequestTable
) -> list[Action]:
    """Return the actions, without the starts of live bots that would exceed a limit.

    What is up goes on, and is started again when it has to be: it counts first. Then the starts count, in
    their order, bots on paper last: these are never refused. Nor is a bot that is alone with its limits: its
    share slows it down, and it keeps no other bot from trading.
    """
    counted = [caller for instance, caller in asking.items() if instance in up]
    settled: list[Action] = []
    for action in actions:
        caller = asking.get(action.instance)
        if caller is None or not caller.is_live or not action.starts or action.instance in up:
            settled.append(action)
            continue
        too_much = [
            load
            for load in loads([*counted, caller], table)
            if load.used > 1 and action.instance in load.instances and len(load.instances) > 1
        ]
        if not too_much:
            counted.append(caller)
            settled.append(action)
            continue
        cause = Text(
            "it would exceed the request limit, {load}; raise its interval, use another address, or correct"
            " the limit in config/fleet.toml under [requests.{exchange}]",
            load=too_much[0].text(),
            exchange=caller.exchange,
        )
        settled.append(Action("leave", action.instance, cause, is_refused=True))
    return settled


def running_after(up: Collection[str], actions: Iterable[Action]) -> set[str]:
    """Return the instances that run once these actions are done."""
    running = set(up)
    for action in actions:
        if action.starts:
            running.add(action.instance)
        elif action.kind in {"stop", "remove"}:
            running.discard(action.instance)
    return running


def shares(asking: Iterable[Caller], table: RequestTable) -> dict[str, Share]:
    """Return what each of these may ask for: its part of the tightest of its limits.

    Parts are as what each asks for. A bot whose exchange has no limit has no share.
    """
    all_of_them = list(asking)
    by_instance = {caller.instance: caller for caller in all_of_them}
    result: dict[str, Share] = {}
    for load in loads(all_of_them, table):
        for instance in load.instances:
            part = load.limit * by_instance[instance].a_minute / load.a_minute
            before = result.get(instance)
            if before is None or before.a_minute > part * SHARED:
                result[instance] = Share(part * SHARED, part * FOR_CANCELS)
    return _with_orders(all_of_them, result, table)


def _with_orders(
    asking: Iterable[Caller], shares: Mapping[str, Share], table: RequestTable
) -> dict[str, Share]:
    """Add each bot's part of the orders that its account may place: an equal one, since a grid of any size
    may have to be placed anew.
    """
    accounts: dict[tuple[str, str], list[str]] = {}
    for caller in asking:
        if caller.is_live and table.exchanges.get(caller.exchange, NO_LIMIT).orders:
            accounts.setdefault((caller.exchange, caller.account or caller.instance), []).append(
                caller.instance
            )
    orders = {
        instance: table.exchanges[exchange].orders * SHARED / len(members)
        for (exchange, _account), members in accounts.items()
        for instance in members
    }
    return {instance: share._replace(orders=orders.get(instance, 0.0)) for instance, share in shares.items()}


class Allotment(NamedTuple):
    """Hold what one bot is told: its share, and when it is its turn if all bots are started at one moment.

    `tick`: what its tick weighs. `limits`: those that its start counts towards, with the starts a minute that
    each allows.
    """

    share: Share
    phase: float
    tick: float
    weights: Mapping[str, float]
    limits: tuple[tuple[tuple[str, Scope, str], float], ...] = ()


def allot(asking: Iterable[Caller], table: RequestTable) -> dict[str, Allotment]:
    """Return what each of these is told, for them to run together.

    A bot on paper starts with one cheap request, and waits for no turn.
    """
    all_of_them = list(asking)
    allowed, before = shares(all_of_them, table), dict[tuple[str, Scope, str], int]()
    result: dict[str, Allotment] = {}
    for caller in all_of_them:
        if (share := allowed.get(caller.instance)) is None:
            continue
        limits, phase = tuple(_starts(caller, table)) if caller.is_live else (), 0.0
        for key, a_minute in limits:
            phase = max(phase, turn(before.get(key, 0), a_minute))
            before[key] = before.get(key, 0) + 1
        known = table.exchanges[caller.exchange]
        tick = known.tick if caller.is_live else table.paper_tick
        result[caller.instance] = Allotment(share, phase, tick, known.weights, limits)
    return result


def _starts(caller: Caller, table: RequestTable) -> Iterator[tuple[tuple[str, Scope, str], float]]:
    """Yield the limits that the bot's start counts towards, and how many starts a minute each allows."""
    start = table.exchanges[caller.exchange].start
    for exchange, scope, of in _limits_of(caller, table):
        if start:
            yield (exchange, scope, of), _limit(table, exchange, scope) * SHARED / start


def turn(before: int, a_minute: float) -> float:
    """Return the seconds after the first start at which one with `before` others before it has its turn."""
    at_once = max(int(a_minute * AT_ONCE), LEAST_AT_ONCE)
    return min(max(before - at_once + 1, 0) * 60 / a_minute, MOST_WAIT_S)
