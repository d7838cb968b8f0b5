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
from manager.monitor.history import money as rates
from manager.monitor.history.curve import Currency
from manager.monitor.stats.collect import mode_mismatch
from manager.monitor.stats.instance_stats import InstanceStats, stats_object, sum_up
from manager.monitor.watch.messages import KIND_WORDS
from manager.web.engine_side import curves as curves_of
from manager.web.engine_side import split
from manager.web.engine_side.exposure import exposure, worth
from manager.web.engine_side.figures import Figures, OfInstance
from manager.web.engine_side.looks import Look
from manager.web.engine_side.since_read import up_to_date

ZERO = Decimal(0)
NO_FIGURES = OfInstance()


def needs_person(row: InstanceStats) -> bool:
    """Return whether a person should look: more than a note, or what `top` puts first."""
    return row.needs_attention or doing.severity(row.view) in {"bad", "warn"}


def instances(look: Look, figures: Figures) -> list[dict[str, Any]]:
    """Return all instances, worst first."""
    return worst_first([instance(row, look, figures.instances.get(row.id, NO_FIGURES)) for row in look.rows])


def worst_first(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the answers about instances in the order of `ps --sort worst`."""
    return sorted(
        told, key=lambda answer: (not answer["needs_person"], answer["urgency"], answer["id"].lower())
    )


def instance(row: InstanceStats, look: Look, figures: OfInstance) -> dict[str, Any]:
    """Return one instance."""
    view, report, fleet, alerts = row.view, row.report, look.fleet, look.alerts_of(row.id)
    figures = up_to_date(figures, row)
    [of_ps] = display.ps_objects([view])
    return {
        **of_ps,
        **stats_object(row),
        "state_text": _(view.status.state),
        "doing_text": display.doing_text(view),
        "mode_text": display.mode_text(view.mode),
        "note": causes.note(view),
        "is_live": row.is_live,
        "is_up": view.is_bot_up,
        "mode_mismatch": str(mode_mismatch(row)) if row.has_mode_mismatch else None,
        "needs_person": needs_person(row) and alerts.left_until is None,
        "left_until": alerts.left_until,
        "alerts": [
            {
                "kind": alert.kind,
                "text": _(KIND_WORDS[alert.kind]),
                "since": alert.since,
                "told_at": alert.said_at,
                "left_until": alert.snoozed_until,
            }
            for alert in alerts.open
        ],
        "urgency": list(doing.by_urgency(view)[:-1]),
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


def fleet(look: Look, figures: Figures) -> dict[str, Any]:
    """Return the strip: counts and sums."""
    rows = look.rows
    figures = figures._replace(
        instances={
            **figures.instances,
            **{
                row.id: up_to_date(figures.instances[row.id], row)
                for row in rows
                if row.id in figures.instances
            },
        }
    )
    trading = [row for row in rows if _is_trading(row)]
    return {
        "name": look.fleet.name,
        "version": __version__,
        "looked_at": look.at,
        "error": None if look.error is None else str(look.error),
        "error_since": look.error_at if look.error is not None else None,
        "problems": [str(problem) for problem in look.problems],
        "watch": look.watching._asdict(),
        "counts": {
            "instances": len(rows),
            "live": sum(row.is_live for row in rows),
            "paper": sum(not row.is_live for row in rows),
            "trading": len(trading),
            "trading_live": sum(row.is_live for row in trading),
            "need_person": sum(
                needs_person(row) and look.alerts_of(row.id).left_until is None for row in rows
            ),
            "left": sum(look.alerts_of(row.id).left_until is not None for row in rows),
            "states": dict(Counter(row.view.status.state for row in rows)),
        },
        "pnl": _pnl(rows, figures),
        "totals": _totals(look, figures),
        "exposure": exposure(rows),
        "worth": worth(rows),
        "figures_at": figures.at,
        "notes": [str(note) for note in figures.notes],
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
                "marks": [mark._asdict() for mark in figures.marks.get((kind, quote), ())],
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


def _is_trading(row: InstanceStats) -> bool:
    return row.view.is_bot_up and doing.activity(row.view).doing == "trading"


def _pnl(rows: Sequence[InstanceStats], figures: Figures) -> list[dict[str, Any]]:
    """Return the P&L of each kind and currency: of the bots' runs, of all there were, and of today.

    None is added to another.
    """
    runs, in_all = sum_up(rows), _in_all(figures)
    today, uncertain = _today(figures)
    parts = split.split(rows)
    return [
        {
            "kind": kind,
            "quote": quote,
            "run": _exact(runs.pnl.get((kind, quote))),
            "in_all": _exact(in_all.get((kind, quote))),
            "today": _exact(today.get((kind, quote))),
            "is_uncertain": (kind, quote) in uncertain,
            **{part: _exact(parts.get((kind, quote), {}).get(part)) for part in split.PARTS},
        }
        for kind, quote in sorted(
            {*runs.pnl, *in_all, *today}, key=lambda currency: (currency[0] != "live", *currency)
        )
    ]


def _in_all(figures: Figures) -> Mapping[Currency, Decimal]:
    """Return what all runs of all instances have earned, also of those that are stopped or removed."""
    sums: dict[Currency, Decimal] = {}
    for of_instance in figures.instances.values():
        for key, pnl in of_instance.in_all.items():
            sums[key] = sums.get(key, ZERO) + pnl
    return sums


def _today(figures: Figures) -> tuple[Mapping[Currency, Decimal], set[Currency]]:
    sums: dict[Currency, Decimal] = {}
    uncertain: set[Currency] = set()
    for of_instance in figures.instances.values():
        for line in of_instance.lines:
            if line.today is None or line.quote is None:
                continue
            key = (line.kind, line.quote)
            sums[key] = sums.get(key, ZERO) + line.today
            if line.is_uncertain:
                uncertain.add(key)
    return sums, uncertain


def _totals(look: Look, figures: Figures) -> list[dict[str, Any]]:
    """Return the sums in the currency of `[sums]`, where that is set: live and paper apart."""
    runs, (today, _uncertain) = sum_up(look.rows).pnl, _today(figures)
    totals = []
    for kind in ("live", "paper"):
        of_runs, of_today = (
            rates.total(
                ((quote, amount) for (of, quote), amount in amounts.items() if of == kind), look.fleet.sums
            )
            for amounts in (runs, today)
        )
        if of_runs is None or of_today is None or not any(of == kind for of, _quote in {*runs, *today}):
            continue
        totals.append(
            {
                "kind": kind,
                "currency": of_runs.currency,
                "run": _exact(of_runs.amount),
                "today": _exact(of_today.amount) if figures.at is not None else None,
                "missing": sorted({*of_runs.missing, *of_today.missing}),
            }
        )
    return totals


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


def _trend(row: InstanceStats, figures: OfInstance) -> list[str | None]:
    """Return its P&L over the last day, of the kind that it trades now."""
    report = row.report
    kind = report.market if report.is_artificial else row.view.mode
    for key in ((kind or "", report.quote or ""), *figures.trends):
        if key in figures.trends:
            return list(figures.trends[key])
    return []


def _exact(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")
