"""Write the daily report: the fleet's state in one message. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from manager.fleet import doing
from manager.fleet.amounts import money
from manager.fleet.instance import Instance
from manager.i18n import Text, _, labelled, listed
from manager.monitor.watch.alert_rules import Progress
from manager.monitor.watch.history import REMEMBERED_S, History
from manager.monitor.watch.machine_rules import Disk
from manager.monitor.watch.messages import Message
from manager.util.formatting import file_size

MOST_NAMED = 10
HALF_A_DAY_S = 43200.0
"""A clock that is set back by more has shown a wrong day; by less, it may just have passed midnight."""


def is_due(at: str, now: datetime, last: str) -> bool:
    """Return whether today's report must still be sent.

    `at`: `08:00`, local, or empty; `last`: day of the last one, ISO. One of tomorrow was sent before the
    clock was set back over midnight.
    """
    sent = {now.date().isoformat(), (now.date() + timedelta(days=1)).isoformat()}
    return bool(at) and now.strftime("%H:%M") >= at and last not in sent


def by(now: datetime, last: str) -> str:
    """Return the day of the last report for a clock that was set back: one of a day to come counts for today.

    Else there would be none on that day.
    """
    return min(last, now.date().isoformat())


def text(
    fleet: str,
    views: Mapping[str, Instance],
    history: History,
    progress: Mapping[str, Progress],
    disk: Disk | None,
    now: float,
) -> Message:
    """Return the report. The first line has the states, the others what needs attention."""
    states = Counter(view.status.state for view in views.values())
    summary = listed(f"{count} {_(state)}" for state, count in states.most_common()) or _("no instances")
    restarts = {
        instance: count
        for instance in views
        if (count := history.restarts_within(instance, REMEMBERED_S, now))
    }
    lines = []
    for word in ("failed", "unhealthy", "restarting", "stopped", "missing", "completed"):
        if named := [instance for instance, view in views.items() if view.status.state == word]:
            lines.append(labelled(_(word), _names(named)))
    now_doing = {instance: doing.activity(view, now).doing for instance, view in views.items()}
    for activity, severity in doing.DOING_SEVERITY.items():
        named = [instance for instance, activity_now in now_doing.items() if activity_now == activity]
        if severity != "calm" and named:
            lines.append(labelled(_(doing.DOING_WORDS[activity]), _names(named)))
    worst = sorted(restarts, key=lambda instance: -restarts[instance])
    named = [f"{instance} {restarts[instance]}" for instance in worst]
    lines.append(str(Text("restarts of the last 24 h: {what}", what=_names(named) if named else _("none"))))
    lines += [
        str(Text("P&L: {amounts}", amounts=amounts)) for amounts in [_profit(progress, views)] if amounts
    ]
    if disk is not None:
        lines.append(
            str(Text("disk: {free} free of {size}", free=file_size(disk.free), size=file_size(disk.size)))
        )
    title = str(Text("botfleet {fleet}: daily report: {states}", fleet=fleet, states=summary))
    return Message(title, "\n".join(lines), "news")


def _names(names: list[str]) -> str:
    more = f", … ({len(names)})" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _profit(progress: Mapping[str, Progress], views: Mapping[str, Instance]) -> str:
    """Return the reported sums by mode and currency, with the number of bots, because not all may report."""
    by_kind: dict[tuple[str, str], list[Decimal]] = defaultdict(list)
    for instance, report in progress.items():
        if report.pnl is not None and instance in views:
            kind = report.market if report.market not in (None, "live") else views[instance].mode
            by_kind[kind or "", report.quote].append(report.pnl)
    return ", ".join(
        str(
            Text(
                "{amount} ({mode}, {count} bots)",
                amount=money(sum(amounts, Decimal()), quote),
                mode=_(mode),
                count=len(amounts),
            )
        )
        for (mode, quote), amounts in sorted(by_kind.items())
    )
