"""Decide what is wrong with the fleet at one moment: instances and facts → conditions.

Pure: no clock, no network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType

from manager.config.fleet import Alerts
from manager.fleet import causes, doing, leftovers
from manager.fleet.doing import Activity
from manager.fleet.instance import Instance
from manager.fleet.status import State
from manager.i18n import Text, mark
from manager.monitor.stats.senders import Group
from manager.monitor.watch import alert_cases
from manager.monitor.watch.history import History
from manager.monitor.watch.kinds import ENDED, Kind
from manager.typed import NamedTuple
from manager.util.formatting import elapsed, mebibytes

MACHINE = ""
"""The subject of conditions that concern no single instance."""

NONE_REPORTED: Mapping[str, int | None] = MappingProxyType({})

UNKNOWN = "?"
"""An amount that is left."""

OOM_REMEMBERED_S = 3600.0
"""A bot that ran out of memory is likely to do so again: within this time it is the same condition."""

CANCEL_TRIES = 2
"""After one failed try the next follows within seconds."""

LAST_LINES = 5
"""Lines of a stopped bot's standard error: what a phone shows without scrolling."""

WELL: frozenset[doing.Severity] = frozenset({"calm", "note"})


class Condition(NamedTuple):
    """Hold one thing that is wrong. `after`: seconds that it must last before an alert.

    `left`: the amount that the text says is left, or UNKNOWN; it may turn out to be another. `case`: which
    of a kind's cases it is, None where all are the same.
    """

    subject: str
    kind: Kind
    text: Text
    details: tuple[str, ...] = ()
    after: float = 0.0
    left: str | None = None
    case: str | None = None


class Progress(NamedTuple):
    """Hold what is known of an instance's trading. Ages in seconds; None if its bot does not report it.

    `pnl` is in its currency.
    """

    tick_age: float | None = None
    trade_age: float | None = None
    log_age: float | None = None
    is_paused: bool = False
    pnl: Decimal | None = None
    quote: str = ""
    market: str | None = None


def of_instances(
    views: Mapping[str, Instance],
    history: History,
    progress: Mapping[str, Progress],
    rules: Alerts,
    now: float,
    reported: Mapping[str, int | None] = NONE_REPORTED,
) -> list[Condition]:
    """Return the conditions of all instances.

    `reported`: open orders that each bot reported when it ended.
    """
    return [
        _with_orders(condition, view, reported.get(view.id)) if condition.kind in ENDED else condition
        for view in views.values()
        for condition in _of_instance(view, history, progress.get(view.id, Progress()), rules, now)
    ]


def _with_orders(condition: Condition, view: Instance, left: int | None) -> Condition:
    """Add which orders may still be open, because they need attention first."""
    cancel = view.supervisor.cancel if view.supervisor is not None else None
    if view.mode != "live" or view.status.own_state == "running":
        return condition
    # the copy of the report has that none is left a moment before the program's end is told
    if cancel is not None and condition.kind == "failed" and (left != 0 or cancel.state != "failing"):
        text = Text("{what}; {orders}", what=condition.text, orders=causes.cancel_text(cancel))
        return condition._replace(text=text)
    if left == 0:
        return condition
    known = {"what": condition.text, "exchange": view.exchange or "?", "symbol": view.symbol or "?"}
    if left is None:
        text = Text("{what}; it did not report its orders: check {exchange}, {symbol}", **known)
    else:
        text = Text(
            "{what}; it reported {count} open orders left: check {exchange}, {symbol}", count=left, **known
        )
    return condition._replace(text=text)


def _of_instance(
    view: Instance, history: History, progress: Progress, rules: Alerts, now: float
) -> Iterator[Condition]:
    state = view.status.own_state
    activity = doing.activity(view, now)
    for condition in _conditions_of(view, activity, state, history, progress, rules, now):
        case = alert_cases.of_instance(view, condition.kind, activity)
        yield condition if case is None else condition._replace(case=case)


def _conditions_of(
    view: Instance,
    activity: Activity,
    state: State,
    history: History,
    progress: Progress,
    rules: Alerts,
    now: float,
) -> Iterator[Condition]:
    why = view.status.why or Text(state)
    match state:
        case "stopped" | "missing":
            if condition := down(view, history, rules):
                yield condition
            return
        case "failed":
            text = Text("{id} failed: {why}", id=view.id, why=causes.cause(view) if view.report else why)
            if leftovers.has_left_money(view) or (
                _is_cancelled(view) and leftovers.position_left(view) is not None
            ):
                text = Text("{what}; {left}", what=text, left=leftovers.ending(view))
            yield Condition(view.id, "failed", text, _last_lines(view), left=_left(view))
            yield from _cancelling(view)
        case "completed":
            yield _ended(view, activity, why, now)
        case "unhealthy":
            text = Text("{id} is unhealthy: {why}", id=view.id, why=why)
            yield Condition(view.id, "unhealthy", text, causes.unpausing(view), after=rules.unhealthy_after)
        case "starting" if view.status.why is not None and view.is_bot_up:  # it does not wait its turn
            text = Text("{id} has not become healthy yet: {why}", id=view.id, why=why)
            yield Condition(view.id, "unhealthy", text, after=rules.unhealthy_after)
        case "starting" | "running" | "restarting" | "orphan":
            pass
    if state in {"starting", "running", "restarting", "unhealthy"}:
        yield from _restarts(view, history, rules, now)
    if state == "running":
        conditions = list(_doing(view, activity, rules, now))
        yield from conditions or _progress(view.id, progress, rules)
    yield from _oom(view, now)
    yield from _logs(view)


def _logs(view: Instance) -> Iterator[Condition]:
    """Yield the condition of an instance whose dated logs have reached the day's limit."""
    if view.supervisor is not None and view.supervisor.lines_over_limit:
        text = Text(
            "{id}: its log files of today have reached their limit; further lines are dropped and counted",
            id=view.id,
        )
        yield Condition(view.id, "logs", text)


def _doing(view: Instance, activity: Activity, rules: Alerts, now: float) -> Iterator[Condition]:
    """Yield what a running bot cannot do, or is about to stop doing."""
    message = activity.message(now) or Text("cause unknown")
    match activity.doing:
        case "exchange away":
            if rules.exchange_away_after:
                text = Text("{id} cannot reach its exchange: {what}", id=view.id, what=message)
                yield Condition(view.id, "exchange_away", text, after=rules.exchange_away_after)
        case "out of range":
            if rules.out_of_range_after and view.mode == "live":
                text = Text("{id} is out of its range, where nothing fills: {what}", id=view.id, what=message)
                yield Condition(view.id, "out_of_range", text, after=rules.out_of_range_after)
        case "orders refused":
            text = Text("{id} cannot trade: {what}", id=view.id, what=message)
            yield Condition(view.id, "orders_refused", text, after=rules.unhealthy_after)
            yield from _held_up(view, activity, message)
        case "ledger differs":
            text = Text("{id} has stopped placing orders: {what}", id=view.id, what=message)
            yield Condition(view.id, "ledger_differs", text)
            yield from _held_up(view, activity, message)
        case "stopped out":
            yield Condition(view.id, "stopped_out", Text("{id} stops out: {what}", id=view.id, what=message))
        case _:
            return


def _held_up(view: Instance, activity: Activity, message: Text) -> Iterator[Condition]:
    """Yield that a bot cannot close its position: of what keeps it from that an alert may be long ago."""
    if activity.condition is not None and activity.condition.params.get("closing"):
        yield Condition(view.id, "stopped_out", Text("{id} stops out: {what}", id=view.id, what=message))


def _ended(view: Instance, activity: Activity, why: Text, now: float) -> Condition:
    """Return the condition of a bot that ended by itself: as planned, by a limit, or for an unknown
    reason.
    """
    message = activity.message(now) or why
    match activity.doing:
        case "stopped out":
            text = Text(
                "{id} has stopped out: {what}; {left}", id=view.id, what=message, left=leftovers.ending(view)
            )
            return Condition(view.id, "stopped_out", text, left=_left(view))
        case "finished":
            text = Text(
                "{id} has finished as planned: {what}; {left}",
                id=view.id,
                what=message,
                left=leftovers.ending(view),
            )
            return Condition(view.id, "completed", text, left=_left(view))
        case _:
            text = Text("{id} has ended by itself, for an unknown reason ({what})", id=view.id, what=why)
            left = _left(view) if leftovers.has_left_money(view) else None
            return Condition(view.id, "completed", _with_money(text, view), _last_lines(view), left=left)


def _left(view: Instance) -> str | None:
    """Return the amount of real money's position that is left; None for paper."""
    position = leftovers.position_left(view)
    if view.mode != "live":
        return None
    return UNKNOWN if position is None else format(position.normalize(), "f")


def _is_cancelled(view: Instance) -> bool:
    """Return whether the exchange has confirmed that a failed bot's orders are cancelled."""
    cancel = view.supervisor.cancel if view.supervisor is not None else None
    return cancel is not None and cancel.state == "confirmed"


def cancelled(views: Iterable[Instance]) -> frozenset[str]:
    """Return the failed instances whose orders the exchange has confirmed to be cancelled."""
    return frozenset(view.id for view in views if view.status.own_state == "failed" and _is_cancelled(view))


def _cancelling(view: Instance) -> Iterator[Condition]:
    """Yield the condition of a failed live bot whose orders are still open, also while a further try runs."""
    cancel = view.supervisor.cancel if view.supervisor is not None else None
    if cancel is None or cancel.state == "confirmed":
        return
    if cancel.tries - (cancel.state == "running") >= CANCEL_TRIES:
        text = Text("{id}: {orders}", id=view.id, orders=causes.cancel_text(cancel))
        yield Condition(view.id, "cancel", text)


def down(view: Instance, history: History, rules: Alerts) -> Condition | None:
    """Return the condition of a bot that does not run, although no user stopped or removed it through the
    manager.
    """
    if view.saved.wish == "stopped" or view.saved.halted:
        return None
    if view.container is not None:
        text = Text("{id} was stopped, but not by the manager", id=view.id)
        if view.container.engine_state == "created":
            text = Text("{id} does not run: {why}", id=view.id, why=view.status.why)
        elif view.status.why is not None:
            text = Text("{id} was stopped, but not by the manager: {why}", id=view.id, why=view.status.why)
        hint = Text(
            "`manager start {id}` starts it, `manager stop {id}` confirms that it is to stay stopped",
            id=view.id,
        )
        return Condition(view.id, "down", _with_money(text, view), (str(hint),), after=rules.down_after)
    if history.is_taken_down(view.id, view.saved.taken_down_at):
        return None
    if view.spec is None:
        text = Text("{id} has neither a container nor a config any more", id=view.id)
        return Condition(view.id, "down", text, after=rules.down_after)
    if view.saved.registered_at is None:  # a new config that nobody has started yet
        return None
    text, details = Text("{id} has no container any more", id=view.id), (str(causes.creating(view)),)
    return Condition(view.id, "down", _with_money(text, view), details, after=rules.down_after)


def _with_money(text: Text, view: Instance) -> Text:
    """Add the position of real money that is, or may be, left."""
    if not leftovers.has_left_money(view):
        return text
    return Text("{what}; {left}", what=text, left=leftovers.ending(view))


def _restarts(view: Instance, history: History, rules: Alerts, now: float) -> Iterator[Condition]:
    count = history.restarts_within(view.id, rules.crash_loop_window, now)
    supervisor, minutes = view.supervisor, max(1, rules.crash_loop_window // 60)
    if supervisor is None:  # it has just been started, by somebody who may have put it right
        return
    count = min(count, supervisor.restarts_total)  # not those before that
    why = causes.of_last_exit(view) or Text("cause unknown")
    if count < rules.crash_loop_restarts:
        endless = supervisor.restarts_since_healthy
        if rules.endless_restarts and endless >= rules.endless_restarts:
            text = Text(
                "{id} does not become healthy: {count} restarts since it last was: {why}",
                id=view.id,
                count=endless,
                why=why,
            )
            yield Condition(view.id, "restart_loop", text, _last_lines(view))
        return
    text = Text(
        "{id} keeps crashing: {count} restarts within {minutes} min: {why}",
        id=view.id,
        count=count,
        minutes=minutes,
        why=why,
    )
    yield Condition(view.id, "restarting", text, _last_lines(view))


def _oom(view: Instance, now: float) -> Iterator[Condition]:
    supervisor = view.supervisor
    if supervisor is None or supervisor.last_exit is None or not supervisor.last_exit.oom:
        return
    if abs(now - supervisor.last_exit.at) > OOM_REMEMBERED_S:
        return
    limit = mebibytes(view.spec.memory) if view.spec else "?"
    text = Text("{id} was killed: it exceeded its memory limit ({limit})", id=view.id, limit=limit)
    yield Condition(view.id, "oom", text)


def _progress(instance: str, progress: Progress, rules: Alerts) -> Iterator[Condition]:
    """Yield the condition of a healthy bot that does not trade.

    A quiet market is none, unless rules say so.
    """
    for case, quiet, most, why in (
        ("tick", progress.tick_age, rules.no_tick_after, mark("its loop has not run for {time}")),
        ("trade", progress.trade_age, rules.no_trade_after, mark("no trade for {time}")),
        ("log", progress.log_age, rules.no_log_after, mark("it has logged nothing for {time}")),
    ):
        if most and quiet is not None and quiet > most and not progress.is_paused:
            text = Text(
                "{id} is healthy, but has stopped trading: {why}",
                id=instance,
                why=Text(why, time=elapsed(quiet)),
            )
            yield Condition(instance, "no_progress", text, case=case)
            return


def with_senders(condition: Condition, group: Group | None) -> Condition:
    """Return the condition of a bot whose address is refused with who sends most from there.

    Whoever stands out only later makes it another case, which is said then.
    """
    if group is None:
        return condition
    text = Text("{what}; {why}", what=condition.text, why=group.text())
    case = f"{condition.case} {group.culprit.instance}" if group.culprit else condition.case
    return condition._replace(text=text, details=tuple(map(str, group.lines())), case=case)


def well(views: Iterable[Instance], now: float | None = None) -> frozenset[str]:
    """Return the instances that work as they should: only these can recover from a condition."""
    return frozenset(
        view.id
        for view in views
        if view.status.own_state == "running"
        and doing.DOING_SEVERITY[doing.activity(view, now).doing or "unknown"] in WELL
        and not doing.is_silent(view, now)
    )


def away(views: Mapping[str, Instance], instances: Iterable[str]) -> frozenset[str]:
    """Return those of the instances that are stopped or missing.

    If that is no condition, a user wanted it.
    """
    return frozenset(
        instance
        for instance in instances
        if instance not in views or views[instance].status.own_state in {"stopped", "missing"}
    )


def _last_lines(view: Instance) -> tuple[str, ...]:
    supervisor = view.supervisor
    if supervisor is None or supervisor.last_exit is None:
        return ()
    return tuple(line for line in supervisor.last_exit.stderr_tail if line.strip())[-LAST_LINES:]
