"""Put a look and its figures into JSON, in the reader's language. Pure.

An instance is what `ps --json` and `stats --json` say of it, and what the page needs beyond: amounts are
exact decimal strings, null is unknown, and times beyond those of `ps` are Unix seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from manager import __version__
from manager.fleet import causes, display, doing
from manager.fleet.bot_report import Report
from manager.i18n import _
from manager.monitor.stats.collect import mode_mismatch
from manager.monitor.stats.instance_stats import InstanceStats, reported_object, uptime_s, usage_object
from manager.monitor.watch.kinds import KIND_WORDS
from manager.monitor.watch.snoozing import OpenAlert
from manager.web.engine_side import curves as curves_of
from manager.web.engine_side import exposure, sums
from manager.web.engine_side.figures import Figures, InstanceFigures
from manager.web.engine_side.marks import as_object
from manager.web.engine_side.observer import PageSnapshot
from manager.web.engine_side.since_read import up_to_date
from manager.web.engine_side.sums import Answer

NO_FIGURES = InstanceFigures()


def instances(look: PageSnapshot, figures: Figures) -> list[dict[str, Any]]:
    """Return all instances, worst first."""
    return worst_first([instance(row, look, figures.instances.get(row.id, NO_FIGURES)) for row in look.rows])


def worst_first(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the answers about instances in the order of `ps --sort worst`."""
    return sorted(
        told, key=lambda answer: (not answer["needs_person"], answer["urgency"], answer["id"].lower())
    )


def instance(row: InstanceStats, look: PageSnapshot, figures: InstanceFigures) -> dict[str, Any]:
    """Return one instance."""
    view, report, fleet, alerts = row.view, row.report, look.fleet, look.alerts_of(row.id)
    figures = up_to_date(figures, row)
    activity = doing.activity(view)
    of_doing = display.doing_object(view, activity)
    severity: doing.Severity = of_doing["severity"]
    mismatch = str(mode_mismatch(row)) if row.has_mode_mismatch else None
    # More than a note, or what `top` puts first.
    is_urgent = severity in {"bad", "warn"} or view.exited_unexpectedly or mismatch is not None
    return {
        **display.ps_object(view, of_doing),
        **usage_object(row),
        "uptime_s": uptime_s(row),
        **reported_object(row),
        "market": report.market,
        "state_text": _(view.status.state),
        "doing_text": _(doing.DOING_WORDS[of_doing["doing"]]) if of_doing["doing"] else "",
        "mode_text": display.mode_text(view.mode),
        "note": causes.note(view, activity),
        "is_live": row.is_live,
        "is_up": view.is_bot_up,
        "mode_mismatch": mismatch,
        "needs_person": is_urgent and alerts.left_until is None,
        "left_until": alerts.left_until,
        "alerts": [_alert(alert) for alert in alerts.open],
        "urgency": list(doing.by_urgency(view, severity)[:-1]),
        "price": _exact(report.price),
        "range": _range(report),
        "last_fill": report.last_fill,
        "reported_at": _reported_at(row),
        "is_artificial": report.is_artificial,
        "web_url": fleet.web_address(view.web_port) if view.web_port and view.is_bot_up else None,
        "in_all": [
            {"kind": kind, "quote": quote, "pnl": _exact(pnl)}
            for (kind, quote), pnl in sorted(figures.in_all.items())
        ],
        "today": [
            {
                "kind": line.kind,
                "quote": line.quote,
                "pnl": _exact(line.today),
                "is_uncertain": line.is_uncertain,
            }
            for line in figures.lines
            if line.today is not None
        ],
        "trend": _trend(row, figures),
    }


def _alert(alert: OpenAlert) -> dict[str, Any]:
    return {
        "kind": alert.kind,
        "text": _(KIND_WORDS[alert.kind]),
        "since": alert.since,
        "told_at": alert.said_at,
        "left_until": alert.snoozed_until,
    }


def fleet(
    look: PageSnapshot,
    figures: Figures,
    told: Sequence[Answer] | None = None,
    summary: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the fleet's summary: counts and sums. `told`: what `instances` returns, where it is known;
    `summary`: what `summed_up` returns of them.
    """
    told = instances(look, figures) if told is None else told
    return {
        "name": look.fleet.name,
        "version": __version__,
        "looked_at": look.at,
        "error": None if look.error is None else str(look.error),
        "error_since": look.error_at if look.error is not None else None,
        "problems": [*map(str, look.problems), *map(str, look.moves)],
        "watch": look.watching._asdict(),
        **(summed_up(look, figures, told) if summary is None else summary),
        "figures_at": figures.at,
        "notes": [str(note) for note in figures.notes],
    }


def summed_up(look: PageSnapshot, figures: Figures, told: Sequence[Answer]) -> dict[str, Any]:
    """Return the part of the summary that stays as long as each instance's answer does, and the figures."""
    trading = [answer for answer in told if answer["is_up"] and answer["doing"] == "trading"]
    held = list(exposure.held(look.rows))
    return {
        "counts": {
            "instances": len(told),
            "live": sum(answer["is_live"] for answer in told),
            "paper": sum(not answer["is_live"] for answer in told),
            "trading": len(trading),
            "trading_live": sum(answer["is_live"] for answer in trading),
            "need_person": sum(answer["needs_person"] for answer in told),
            "left_unknown": sum(answer["is_left_unknown"] for answer in told),
            "left": sum(answer["left_until"] is not None for answer in told),
            "states": dict(Counter(answer["state"] for answer in told)),
        },
        **sums.sums(told, figures, look.fleet),
        "exposure": exposure.by_asset(held),
        "worth": exposure.worth(held),
    }


def curves(figures: Figures) -> dict[str, Any]:
    """Return the fleet's P&L over the time of these figures, by kind and currency."""
    return {
        "begin": figures.begin,
        "end": figures.at,
        "curves": [
            {
                "kind": kind,
                "quote": quote,
                "values": [_exact(value) for value in values],
                "drawdown": _exact(curves_of.deepest_fall(values)),
                "marks": [as_object(mark) for mark in figures.marks.get((kind, quote), ())],
            }
            for (kind, quote), values in figures.curves.items()
        ],
        "notes": [str(note) for note in figures.notes],
    }


def report_object(report: Report) -> dict[str, Any]:
    """Return a bot's report: what it says of itself."""
    plain = {
        name: _exact(value) if isinstance(value, Decimal) else value
        for name, value in report._asdict().items()
    }
    condition = report.condition
    return {
        **plain,
        "condition": None
        if condition is None
        else {"code": condition.code, "params": dict(condition.params), "since": condition.since},
    }


def _range(report: Report) -> dict[str, str | None] | None:
    if report.lower is None or report.upper is None or report.lower >= report.upper:
        return None
    return {"lower": _exact(report.lower), "upper": _exact(report.upper)}


def _reported_at(row: InstanceStats) -> float | None:
    """Return when the report was made; the time of the look where the bot has just answered."""
    kept_report = row.view.report
    if row.as_of:
        return row.as_of
    return kept_report.at if kept_report is not None else None


def _trend(row: InstanceStats, figures: InstanceFigures) -> list[str | None]:
    """Return its P&L over the last day, of the kind that it trades now."""
    report = row.report
    kind = report.market if report.is_artificial else row.view.mode
    for key in ((kind or "", report.quote or ""), *figures.trends):
        if key in figures.trends:
            return list(figures.trends[key])
    return []


def _exact(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")
