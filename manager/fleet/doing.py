"""Determine what an instance's bot is doing, beside its process's state, and how urgent both are. Pure.

Colours, sorting, alerts and exit codes all follow the two tables of severities here.
"""

import time
from collections.abc import Iterable, Mapping

from manager.fleet import condition_messages, leftovers
from manager.fleet.bot_report import KeptReport, read_for_mode
from manager.fleet.instance import Instance
from manager.fleet.status import IN_OTHER_CONTAINER, PAUSED, STOPPING, State
from manager.fleet.supervisor_state import Condition, SupervisorState
from manager.i18n import Text, mark, quoted
from manager.typed import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from manager.config.fleet import Fleet

Doing = Literal[
    "trading",
    "paused",
    "out of range",
    "exchange away",
    "orders refused",
    "ledger differs",
    "stopped out",
    "finished",
    "unknown",
]
Severity = Literal["bad", "warn", "note", "calm", "off"]

BY_CODE: Mapping[str, Doing] = {
    "trading": "trading",
    "paused": "paused",
    "out_of_range": "out of range",
    "exchange_away": "exchange away",
    "orders_refused": "orders refused",
    "ledger_differs": "ledger differs",
    "stopped_out": "stopped out",
    "finished": "finished",
}
"""The codes of the contract. Any other is unknown, and shown with the bot's own reason."""

DOING_WORDS: Mapping[Doing, str] = {
    "trading": mark("trading"),
    "paused": mark("paused"),
    "out of range": mark("out of range"),
    "exchange away": mark("exchange away"),
    "orders refused": mark("orders refused"),
    "ledger differs": mark("ledger differs"),
    "stopped out": mark("stopped out"),
    "finished": mark("finished"),
    "unknown": mark("unknown"),
}

STATE_SEVERITY: Mapping[State, Severity] = {
    "failed": "bad",
    "unhealthy": "bad",
    "restarting": "warn",
    "orphan": "note",
    "starting": "note",
    "running": "calm",
    "completed": "calm",
    "stopped": "off",
    "missing": "off",
}
DOING_SEVERITY: Mapping[Doing, Severity] = {
    "orders refused": "bad",
    "ledger differs": "bad",
    "stopped out": "warn",
    "exchange away": "warn",
    "paused": "note",
    "out of range": "note",
    "unknown": "calm",
    "trading": "calm",
    "finished": "calm",
}
"""For a running bot, or one without a position; `severity` also considers a position that is left, and real
money that waits out of its range.
"""

URGENCY: Mapping[Severity, int] = {"bad": 0, "warn": 1, "note": 2, "calm": 3, "off": 4}

ENDS: frozenset[Doing] = frozenset({"stopped out", "finished"})
"""What a bot may have done last."""

REPORT_EVERY_S = 60.0
"""A bot writes its report at least this often; the supervisor copies it at each probe."""
LATE_S = 60.0
OLD_PRICE_S = 60.0
"""A bot reads a price before each report; what it says of an older one is no longer so."""


class Activity(NamedTuple):
    """Hold what a bot is doing. `doing` is None if no bot runs, and the last one did not end its run.

    `reason`: the bot's own sentence, for a condition whose code is unknown here.
    """

    doing: Doing | None
    condition: Condition | None = None
    reason: str | None = None

    def message(self, now: float) -> Text | None:
        """Return why it is doing that; None if there is nothing to add."""
        if self.condition is None:
            return quoted(self.reason) if self.reason else None
        if self.doing == "trading":
            count = self.condition.params.get("refused_orders")
            return (
                Text("{count} orders are refused", count=count) if isinstance(count, int) and count else None
            )
        return condition_messages.message(self.condition, self.reason, now)


NOTHING = Activity(None)
UNKNOWN = Activity("unknown")


def with_reports(fleet: "Fleet", views: Iterable[Instance]) -> list[Instance]:
    """Return the instances with their bots' last reports, at one small read each."""
    return [
        view._replace(report=read_for_mode(fleet.instance_state_dir(view.id), view.mode)) for view in views
    ]


def with_last_words(fleet: "Fleet", view: Instance) -> Instance:
    """Return the instance with its bot's last report where its bot has ended: what it wrote last on standard
    error need not be why. The report of one that starts is of an earlier run.
    """
    return view if view.status.state in {"starting", "running"} else with_reports(fleet, [view])[0]


def activity(view: Instance, now: float | None = None) -> Activity:
    """Return what the instance's bot is doing, or did last."""
    now = time.time() if now is None else now
    status, state = view.status, view.status.own_state
    if status.detail in {IN_OTHER_CONTAINER, PAUSED}:
        return UNKNOWN
    if state in leftovers.ENDED:
        return last(view.report, must_say=state == "completed")
    supervisor = view.supervisor
    if supervisor is not None and supervisor.health_condition is not None and state == "running":
        return _degraded(supervisor.health_condition, view.report)
    return _now(state, view.report, supervisor, now)


def has_old_report(view: Instance, now: float | None = None) -> bool:
    """Return whether the figures of its report are no longer, or not yet, those of a running bot.

    It is down, or has been started again and has not reported yet, or reports no more.
    """
    kept_report = view.report
    if kept_report is None or kept_report.at is None:
        return not view.is_bot_up
    is_late = kept_report.report.contract is not None and _is_late(
        kept_report.at, view.supervisor, now or time.time()
    )
    return not view.is_bot_up or kept_report.is_previous or kept_report.has_ended or is_late


def old_price_at(view: Instance, now: float | None = None) -> float | None:
    """Return of when the price is from which a running bot's figures are, where it is old; else None.

    While the exchange does not answer, the bot knows no other price, and none of its fills. 0.0: not known.
    """
    kept_report = view.report
    if kept_report is None or has_old_report(view, now):
        return None
    condition, price_at, made_at = kept_report.report.condition, kept_report.report.price_at, kept_report.at
    if price_at is not None and made_at is not None:
        if made_at - price_at > OLD_PRICE_S:
            return price_at
        if price_at > made_at:  # by another clock: of when it is, is not known
            price_at = None
    of_health = view.supervisor.health_condition if view.supervisor is not None else None
    if not any(told is not None and told.code == "exchange_away" for told in (condition, of_health)):
        return None  # without asking what it is doing, which costs more
    if activity(view, now).doing != "exchange away":
        return None
    if price_at is not None:
        return price_at
    began = condition_messages.since(condition) if condition is not None else None
    return 0.0 if began is None else began if made_at is None else min(began, made_at)


def figures_at(view: Instance, now: float | None = None) -> float | None:
    """Return of when P&L and position are, where they are not of now; 0.0 where nobody knows; else None."""
    if has_old_report(view, now):
        return (view.report.at if view.report is not None else None) or 0.0
    return old_price_at(view, now)


def _is_late(made_at: float, supervisor: SupervisorState | None, now: float) -> bool:
    """Return whether the next report should have been there by now."""
    return now > late_at(made_at, supervisor)


def late_at(made_at: float, supervisor: SupervisorState | None) -> float:
    """Return from when on a report of that time is too old to tell what its bot is doing."""
    interval = supervisor.health_interval if supervisor is not None else REPORT_EVERY_S
    return made_at + REPORT_EVERY_S + 2 * interval + LATE_S


def last(kept_report: KeptReport | None, *, must_say: bool) -> Activity:
    """Return how the bot's run ended; an end without an explanation is unknown if the bot should have
    finished.
    """
    if (
        kept_report is not None
        and kept_report.has_ended
        and not kept_report.is_previous
        and kept_report.report.is_final
    ):
        reported = _reported(kept_report)
        if reported.doing in ENDS:
            return reported
    return UNKNOWN if must_say else NOTHING


def _degraded(condition: Condition, kept_report: KeptReport | None) -> Activity:
    """Return what `/health` says, with sentence and parameters of the report if it says the same."""
    own = kept_report.report.condition if kept_report is not None and not kept_report.is_previous else None
    if kept_report is not None and own is not None and own.code == condition.code:
        return Activity(BY_CODE.get(condition.code, "unknown"), condition, kept_report.report.reason)
    return Activity(BY_CODE.get(condition.code, "unknown"), condition)


def _now(
    state: State, kept_report: KeptReport | None, supervisor: SupervisorState | None, now: float
) -> Activity:
    """Return what the report of the present run says, unless it is outdated."""
    if (
        kept_report is None
        or kept_report.is_previous
        or kept_report.has_ended
        or kept_report.report.contract is None
    ):
        return NOTHING if state == "starting" else UNKNOWN
    if kept_report.at is None or _is_late(kept_report.at, supervisor, now):
        return UNKNOWN
    reported = _reported(kept_report)
    if state == "starting" and reported.doing == "unknown" and not kept_report.report.is_final:
        return NOTHING  # it says so as soon as it knows
    is_degraded = reported.doing in {"exchange away", "orders refused", "ledger differs"}
    checked_at = supervisor.health_checked_at if supervisor is not None else None
    if is_degraded and state == "running" and checked_at is not None and checked_at > kept_report.at:
        return Activity("trading")  # the supervisor has asked since, and the bot was well
    return reported


def _reported(kept_report: KeptReport) -> Activity:
    condition = kept_report.report.condition
    if condition is None:
        return Activity("unknown", None, kept_report.report.reason)
    return Activity(BY_CODE.get(condition.code, "unknown"), condition, kept_report.report.reason)


def severity(view: Instance, now: float | None = None, known: Activity | None = None) -> Severity:
    """Return how urgent an instance is: the worse of state and activity, which may be `known`."""
    state = view.status.own_state
    of_state = _worse(STATE_SEVERITY[view.status.state], STATE_SEVERITY[state])
    if view.status.detail == STOPPING:  # for seconds, because somebody has asked for it
        of_state = "note"
    elif leftovers.is_down_unasked(view) or leftovers.is_between_machines(view):
        # nobody answers the fills of what a live one has left at the exchange
        of_state = "bad" if view.mode == "live" else "warn"
    elif leftovers.orders_left(view) or leftovers.is_left_unknown(view):  # nor does anybody here
        of_state = "bad"
    doing = (known or activity(view, now)).doing
    if doing is None or (of_state == "off" and not (doing in ENDS and leftovers.has_left_money(view))):
        return of_state
    if doing == "unknown" and state == "running" and is_silent(view, now):
        return _worse(of_state, "warn")
    return _worse(of_state, _of_doing(view, doing, state))


def is_silent(view: Instance, now: float | None = None) -> bool:
    """Return whether its bot has reported in this run, and does not any more: whatever it does, nobody knows
    it. A bot of contract 1 never reports.
    """
    kept_report = view.report
    if kept_report is None or kept_report.report.contract is None:
        return False
    if kept_report.is_previous or kept_report.has_ended:
        return False
    return kept_report.at is None or _is_late(kept_report.at, view.supervisor, now or time.time())


def _of_doing(view: Instance, doing: Doing, state: State) -> Severity:
    if doing in ENDS and leftovers.may_have_position(view):
        return "bad" if doing == "stopped out" else "warn"
    if doing == "unknown" and state == "completed":
        return "bad" if leftovers.has_left_money(view) else "warn"
    if doing == "out of range" and view.mode == "live":
        return "warn"
    return DOING_SEVERITY[doing]


def _worse(first: Severity, second: Severity) -> Severity:
    return first if URGENCY[first] <= URGENCY[second] else second


def by_urgency(view: Instance, known: Severity | None = None) -> tuple[int, bool, int, int, str]:
    """Return the sort key for “worst first”: what needs attention, live before paper, by severity, state, id.

    Real money comes first among all that needs attention: a paper bot that has failed can wait. `known`: its
    severity.
    """
    urgency, states = URGENCY[known or severity(view)], list(STATE_SEVERITY)
    group = max(urgency, URGENCY["warn"])
    return group, view.mode != "live", urgency, states.index(view.status.state), view.id.lower()
