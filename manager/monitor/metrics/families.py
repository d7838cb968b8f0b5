"""Convert one look at the fleet to metric families. Pure: a scrape never looks at anything.

Names and labels are a promise to dashboards and alert rules (docs/operating/metrics.md, deploy/).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, StateSetMetricFamily

from manager.fleet import doing, leftovers
from manager.fleet.bot_report import Report
from manager.fleet.doing import Doing
from manager.fleet.status import State
from manager.monitor.metrics.other_hosts import HostStatus
from manager.monitor.stats.instance_stats import InstanceStats
from manager.ops.requests.request_budget import Budgets
from manager.typed import NamedTuple

LABELS = ("fleet", "id")
NOT_RUNNING = "none"
"""The value of `doing` of an instance whose bot does not run and has not ended its run."""
PNL_KINDS = ("total", "realized", "unrealized", "fees", "funding")


class Moves(NamedTuple):
    """Count what moves between machines have left. `lost`: live instances that are not where they went;
    `interrupted`: moves that nobody goes on with. None if it is not known.
    """

    lost: int | None = None
    interrupted: int | None = None


class FleetSample(NamedTuple):
    """Hold the fleet as it was last seen, at `at`; None before the first time. Times are Unix time.

    `why_away`: why the engine does not answer, empty while it does; the instances are then those of the last
    look. `last_ticks`: instance → when its bot's main loop last ran, as the bot itself answered.
    `last_backup`: when the newest complete backup was made; None without one. `budgets`: of requests.
    `hosts`: the other machines. `limit_stop_at`: when a limit last stopped bots, or failed to; None
    if none has since `watch` began. `moves`: between machines.
    """

    fleet: str
    version: str
    rows: Sequence[InstanceStats]
    at: float | None
    why_away: str = ""
    last_ticks: Mapping[str, float] = MappingProxyType({})
    last_backup: float | None = None
    budgets: Budgets = Budgets()
    hosts: Sequence[HostStatus] = ()
    limit_stop_at: float | None = None
    moves: Moves = Moves()


def families(look: FleetSample) -> list[Metric]:
    """Return all metric families of a look. What is unknown has no sample, and is never 0."""
    return [*_fleet(look), *_hosts(look), *_requests(look), *_processes(look), *_usage(look), *_trading(look)]


def _fleet(look: FleetSample) -> Iterable[Metric]:
    yield _gauge(
        "botfleet_info",
        "The version of the manager that looked.",
        ("fleet", "version"),
        [((look.fleet, look.version), 1)],
    )
    yield _gauge(
        "botfleet_last_look_timestamp_seconds",
        "When the fleet was last seen.",
        ("fleet",),
        [((look.fleet,), look.at)],
    )
    yield _gauge(
        "botfleet_engine_up",
        "Whether the Docker Engine answers.",
        ("fleet",),
        [((look.fleet,), float(not look.why_away))],
    )
    yield _gauge(
        "botfleet_backup_last_success_timestamp_seconds",
        "When the newest complete backup of the fleet was made.",
        ("fleet",),
        [((look.fleet,), look.last_backup)],
    )
    yield _gauge(
        "botfleet_last_stop_by_limit_timestamp_seconds",
        "When a limit on losses, or on the disk, has last stopped bots, or has failed to.",
        ("fleet",),
        [((look.fleet,), look.limit_stop_at)],
    )
    yield _gauge(
        "botfleet_moved_lost",
        "How many live instances are not where they were moved to.",
        ("fleet",),
        [((look.fleet,), look.moves.lost)],
    )
    yield _gauge(
        "botfleet_moves_interrupted",
        "How many moves between machines were begun, and are not ended.",
        ("fleet",),
        [((look.fleet,), look.moves.interrupted)],
    )


def _hosts(look: FleetSample) -> Iterable[Metric]:
    """Yield what is known of other machines; nothing for a fleet without any."""
    if not look.hosts:
        return
    keys = ("fleet", "host")
    yield _gauge(
        "botfleet_host_up",
        "Whether the other machine answered when it was asked last.",
        keys,
        [((look.fleet, host.name), float(host.is_up)) for host in look.hosts],
    )
    yield _gauge(
        "botfleet_host_last_seen_timestamp_seconds",
        "When the other machine answered last.",
        keys,
        [((look.fleet, host.name), host.at) for host in look.hosts],
    )
    yield _gauge(
        "botfleet_host_instances",
        "How many instances of the other machine were in which state when it answered last.",
        (*keys, "state"),
        [
            ((look.fleet, host.name, state), float(count))
            for host in look.hosts
            for state, count in sorted(host.states.items())
        ],
    )


def _requests(look: FleetSample) -> Iterable[Metric]:
    keys = [(look.fleet, load.exchange, load.scope, load.instances[0]) for load in look.budgets.loads]
    for name, about, values in (
        (
            "botfleet_requests_per_minute",
            "What the bots that share a limit of an exchange ask for, by their intervals.",
            [load.a_minute for load in look.budgets.loads],
        ),
        (
            "botfleet_requests_limit_per_minute",
            "What the exchange allows them together.",
            [load.limit for load in look.budgets.loads],
        ),
    ):
        yield _gauge(name, about, ("fleet", "exchange", "scope", "first_id"), zip(keys, values, strict=True))
    shares = [look.budgets.shares.get(row.id) for row in look.rows]
    yield _per_instance(
        look,
        "botfleet_instance_requests_share_per_minute",
        "What the bot may ask for, of the limits that it shares.",
        [share and share.a_minute for share in shares],
    )


def _processes(look: FleetSample) -> Iterable[Metric]:
    yield _gauge(
        "botfleet_instance_info",
        "What the instance is.",
        (*LABELS, "exchange", "symbol", "strategy", "mode"),
        [
            (
                (
                    *_labels(look, row),
                    row.view.exchange or "",
                    row.view.symbol or "",
                    row.view.strategy or "",
                    row.view.mode or "",
                ),
                1,
            )
            for row in look.rows
        ],
    )
    yield from _states(look)
    yield _per_instance(
        look,
        "botfleet_instance_wanted",
        "Whether it should run: 0 after a person has stopped or halted it.",
        [float(is_wanted(row)) for row in look.rows],
    )
    yield _per_instance(
        look,
        "botfleet_instance_severity",
        "How urgent its state is: 0 bad, 1 warning, 2 note, 3 calm, 4 off.",
        [float(doing.URGENCY[doing.severity(row.view, look.at or 0.0)]) for row in look.rows],
    )
    yield from _restarts(look)


def _states(look: FleetSample) -> Iterable[Metric]:
    """Yield what each process is, and what its bot does."""
    state = StateSetMetricFamily(
        "botfleet_instance_state", "The state of the instance's process.", labels=LABELS
    )
    activity = StateSetMetricFamily("botfleet_instance_doing", "What the instance's bot does.", labels=LABELS)
    for row in look.rows:
        current = row.view.status.state
        state.add_metric(_labels(look, row), {name: name == current for name in get_args(State)})
        doing_now = doing.activity(row.view, look.at or 0.0).doing or NOT_RUNNING
        activity.add_metric(
            _labels(look, row), {name: name == doing_now for name in (*get_args(Doing), NOT_RUNNING)}
        )
    yield state
    yield activity


def _restarts(look: FleetSample) -> Iterable[Metric]:
    """Yield how often each bot was restarted, and how often it may be before it is given up."""
    restarts = CounterMetricFamily(
        "botfleet_instance_restarts",
        "How often the supervisor has restarted the bot in this container.",
        labels=LABELS,
    )
    for row in look.rows:
        if row.view.supervisor is not None:
            restarts.add_metric(_labels(look, row), row.view.supervisor.restarts_total)
    yield restarts
    yield _per_instance(
        look,
        "botfleet_instance_restart_budget_used",
        "Restarts in a row that count against the budget.",
        [_optional(row.view.supervisor and row.view.supervisor.restarts_in_a_row) for row in look.rows],
    )
    yield _per_instance(
        look,
        "botfleet_instance_restart_budget",
        "After so many restarts in a row the instance is given up.",
        [_optional(row.view.supervisor and row.view.supervisor.restarts_max) for row in look.rows],
    )


def _usage(look: FleetSample) -> Iterable[Metric]:
    samples = [row.usage.last if row.usage else None for row in look.rows]
    yield _per_instance(
        look,
        "botfleet_instance_memory_bytes",
        "Memory in use, without file pages that can be dropped.",
        [_optional(sample and sample.memory) for sample in samples],
    )
    yield _per_instance(
        look,
        "botfleet_instance_memory_limit_bytes",
        "The memory limit.",
        [_optional(sample and sample.memory_limit) for sample in samples],
    )
    cpu = CounterMetricFamily("botfleet_instance_cpu_seconds", "CPU time used.", labels=LABELS)
    for row, sample in zip(look.rows, samples, strict=True):
        if sample is not None and sample.cpu_s is not None:
            cpu.add_metric(_labels(look, row), sample.cpu_s)
    yield cpu


def _trading(look: FleetSample) -> Iterable[Metric]:
    yield _per_instance(
        look,
        "botfleet_instance_last_tick_timestamp_seconds",
        "When the bot's main loop last ran, as far as it reports that.",
        [_last_tick(look, row) for row in look.rows],
    )
    yield _per_instance(
        look,
        "botfleet_bot_report_timestamp_seconds",
        "When the bot made the report that the figures are of.",
        [_reported_at(row) for row in look.rows],
    )
    pnl = GaugeMetricFamily(
        "botfleet_bot_pnl",
        "Profit and loss as the bot reports it; `market` tells synthetic prices from real ones.",
        labels=(*LABELS, "kind", "currency", "mode", "market"),
    )
    for row in look.rows:
        report = row.report
        if report.quote is None or row.view.moved_to is not None:  # the other machine tells it
            continue
        for kind, amount in zip(PNL_KINDS, _amounts(report), strict=True):
            if amount is not None:
                labels = (*_labels(look, row), kind, report.quote, row.view.mode or "", report.market or "")
                pnl.add_metric(labels, float(amount))
    yield pnl
    position = GaugeMetricFamily(
        "botfleet_bot_position", "The bot's position in the base asset.", labels=(*LABELS, "asset")
    )
    for row in look.rows:
        if row.report.position is not None and row.view.moved_to is None:
            position.add_metric((*_labels(look, row), row.report.base or ""), float(row.report.position))
    yield position
    yield _per_instance(
        look,
        "botfleet_bot_open_orders",
        "The bot's open orders.",
        [
            None if leftovers.is_left_unknown(row.view) else _optional(row.report.open_orders)
            for row in look.rows
        ],
    )
    yield _per_instance(
        look,
        "botfleet_bot_left_unknown",
        "Whether its exchange was asked in vain what the bot has left, and has not answered since.",
        [float(leftovers.is_left_unknown(row.view)) for row in look.rows],
    )
    yield _per_instance(
        look,
        "botfleet_bot_trades",
        "The bot's trades in its database.",
        [_optional(row.report.trades) for row in look.rows],
    )


def is_wanted(row: InstanceStats) -> bool:
    """Return whether an instance should run: it has a config, and no person has stopped or halted it."""
    saved = row.view.saved
    return row.view.spec is not None and saved.wish == "run" and saved.halted is None


def _last_tick(look: FleetSample, row: InstanceStats) -> float | None:
    """Return the later of the bot's answer and its last report, which is made by a tick."""
    ticks = [at for at in (look.last_ticks.get(row.id), row.view.report and row.view.report.report.at) if at]
    return max(ticks, default=None)


def _reported_at(row: InstanceStats) -> float | None:
    if row.as_of:
        return row.as_of
    return row.view.report.at if row.view.report else row.report.at


def _amounts(report: Report) -> tuple[Decimal | None, ...]:
    return report.pnl, report.realized, report.unrealized, report.fees, report.funding


def _labels(look: FleetSample, row: InstanceStats) -> tuple[str, str]:
    return look.fleet, row.id


def _optional(value: float | None) -> float | None:
    return None if value is None else float(value)


def _per_instance(look: FleetSample, name: str, about: str, values: Sequence[float | None]) -> Metric:
    return _gauge(
        name,
        about,
        LABELS,
        [(_labels(look, row), value) for row, value in zip(look.rows, values, strict=True)],
    )


def _gauge(
    name: str,
    about: str,
    labels: Sequence[str],
    samples: Iterable[tuple[Sequence[str], float | None]],
) -> Metric:
    family = GaugeMetricFamily(name, about, labels=labels)
    for values, value in samples:
        if value is not None:
            family.add_metric(values, value)
    return family
