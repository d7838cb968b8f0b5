"""Summarise an instance's history, for a table and as JSON. Pure."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

from manager.config.fleet import Sums
from manager.fleet import doing, supervisor_messages
from manager.fleet.amounts import money
from manager.i18n import Text, _, bracketed, labelled, listed, mark
from manager.monitor.history import bot_database, curve, sampling
from manager.monitor.history import money as rates
from manager.monitor.history.curve import Currency, Day, Drawdown, Point
from manager.monitor.history.model import COMMAND_CODE, STATE_CODE, Event
from manager.monitor.history.reader import FleetHistory, InstanceHistory
from manager.typed import NamedTuple
from manager.util import kept_text
from manager.util.formatting import iso_with_offset

ZERO = Decimal(0)
MOST_POINTS = 1000
ENDED_RUN = frozenset(
    {
        "exit_code",
        "signal",
        "out_of_memory",
        "killed",
        "container_ended",
        "unhealthy",
        "auto_restart_off",
        "never_completes",
        "no_duration",
        "before_duration",
    }
)
"""Why a bot ended that had been started; of the others it is not said whether one was."""


class Line(NamedTuple):
    """Hold one instance's figures of one kind and currency, from `since` on. `gaps`: seconds without
    observation.

    `is_uncertain`: a part of the P&L is missing, or earned before.
    """

    instance: str
    kind: str = ""
    quote: str | None = None
    pnl: Decimal | None = None
    today: Decimal | None = None
    drawdown: Drawdown | None = None
    points: tuple[Point, ...] = ()
    gaps: float = 0.0
    is_uncertain: bool = False
    starts: int = 0
    exits: int = 0
    as_of: float | None = None


def days(history: InstanceHistory, fleet: FleetHistory, since: float) -> list[Day]:
    """Return the instance's P&L per day, from that day on."""
    first = curve.day_of(since) if since else ""
    return [day for day in curve.days(history.samples, history.covered, fleet.now) if day.day >= first]


def lines(history: InstanceHistory, fleet: FleetHistory, since: float) -> list[Line]:
    """Return the instance's figures: one line for each kind and currency, one without amounts where none
    is known.
    """
    exits = sum(event.what == "exit" for event in history.events)
    starts = _starts(history, since)
    lines = []
    for (kind, quote), samples in curve.by_currency(history.samples).items():
        every = list(curve.steps(samples, history.covered))
        steps = [step for step in every if step.end > since]
        points = tuple(curve.points(samples, every))
        of_today = [day.pnl for day in curve.days_of_steps((kind, quote), every, fleet.now) if day.is_open]
        lines.append(
            Line(
                history.instance,
                kind,
                quote,
                sum((step.amount or ZERO for step in steps), ZERO),
                of_today[0] if of_today else None,
                curve.drawdown(points),
                points,
                sum(step.end - step.begin for step in steps if step.is_gap),
                any(step.amount is None for step in steps) or any(_crosses(step, since) for step in steps),
                starts,
                exits,
                samples[-1].at,
            )
        )
    return lines or [Line(history.instance, starts=starts, exits=exits)]


def _starts(history: InstanceHistory, since: float) -> int:
    """Return how often the bot was started: as sampled, and as its supervisor has kept it.

    An earlier version's keeps no begins: there was one between two ends without a sample of what ran between.
    """
    exits = [event for event in history.events if event.what == "exit"]
    known = {sample.start for sample in history.samples} | set(map(sampling.began, exits))
    ordered = sorted(start for start in {*known, history.running_since} if start is not None)
    ends = [event.at for event in exits if _is_of_a_run(event)]
    missed = sum(bisect(ordered, end) == bisect(ordered, before) for before, end in pairwise(ends))
    return sum(start >= since for start in ordered) + missed


def _is_of_a_run(event: Event) -> bool:
    """Return whether a bot had been started that ended then."""
    return isinstance(event.reason, Mapping) and event.reason.get("code") in ENDED_RUN


def _crosses(step: curve.Step, since: float) -> bool:
    return step.is_gap and step.begin < since


def totals(all_lines: Iterable[Line]) -> dict[Currency, Decimal]:
    """Return the sums, by kind and currency: none of which can be added to another."""
    totals: dict[Currency, Decimal] = {}
    for line in all_lines:
        if line.pnl is not None and line.quote is not None:
            key = (line.kind, line.quote)
            totals[key] = totals.get(key, ZERO) + line.pnl
    return dict(sorted(totals.items()))


def total_texts(all_lines: Iterable[Line], sums: Sums) -> list[str]:
    """Return the sums as text: of each kind by currency, and in the currency of `[sums]` where that is
    set.
    """
    amounts = totals(all_lines)
    parts = [listed(f"{_(kind)} {money(amount, quote)}" for (kind, quote), amount in amounts.items())]
    texts = [str(Text("total: P&L {amounts}", amounts=parts[0]))] if amounts else []
    for kind in sorted({kind for kind, _quote in amounts} & {"live", "paper"}):
        total = rates.total(((quote, amount) for (of, quote), amount in amounts.items() if of == kind), sums)
        if total is None:
            continue
        text = Text(
            "{kind} in {currency}, by the rates of config/fleet.toml: {amount}",
            kind=_(kind),
            currency=total.currency,
            amount=money(total.amount, total.currency),
        )
        if total.missing:
            text = Text(
                "{what}; without {currencies}: no rate is stated",
                what=text,
                currencies=", ".join(total.missing),
            )
        texts.append(str(text))
    return texts


def currencies_of_trades(history: InstanceHistory) -> dict[str, str]:
    """Return symbol → the currency of its trades' prices and values; empty where it is not known.

    The bot says it of the market that it trades now, some symbols say it themselves.
    """
    reported = {sample.quote for sample in history.samples if sample.quote}
    present = history.trades[-1].symbol if history.trades else None
    result = {}
    for symbol in {trade.symbol for trade in history.trades}:
        named = bot_database.currencies(symbol)[1] or ""
        result[symbol] = named
        if symbol == present and len(reported) == 1 and (quote := reported.copy().pop()).startswith(named):
            result[symbol] = quote
    return result


def event_text(event: Event) -> str:
    """Return what happened, in the reader's language where it is known by a code."""
    reason = event.reason if isinstance(event.reason, dict) else {}
    params = reason.get("params")
    if reason.get("code") == STATE_CODE and isinstance(params, dict):
        return _state_text(params) or event.text
    if reason.get("code") == COMMAND_CODE and isinstance(params, dict):
        return _command_text(params) or event.text
    if event.reason is not None:
        return str(supervisor_messages.message(event.reason, event.text) or event.text)
    return event.text


ACTION_WORDS: Mapping[str, str] = {
    "rollback": mark("roll back"),
    "upgrade": mark("upgrade"),
    "rolled back": mark("rolled back"),
    "not reached": mark("not reached"),
    "halt": mark("halt"),
    "resume": mark("resume"),
    "close": mark("close"),
}
"""Words of actions; others are words of the catalogue themselves."""
PAGE = mark("page")
"""Where the commands stand that were given on the page."""


def _command_text(params: Mapping[str, Any]) -> str:
    """Return what a command did, and why; empty where that is not what this version writes."""
    command, (what, why) = (
        params.get("command"),
        map(kept_text.unkept, (params.get("what"), params.get("why"))),
    )
    if not isinstance(command, str) or not what or why is None:
        return ""
    action = _(ACTION_WORDS.get(what, what)) if isinstance(what, str) else str(what)
    return labelled(_(PAGE) if command == PAGE else command, f"{action}{bracketed(why) if why else ''}")


def _state_text(params: Mapping[str, Any]) -> str:
    """Return a state and what the bot is doing in it; empty where a later version has written it."""
    words = [str(params[name]) for name in ("state", "doing") if params.get(name)]
    if not all(word in doing.STATE_SEVERITY or word in doing.DOING_WORDS for word in words):
        return ""
    why, last = (value if isinstance(value := params.get(name), str) else "" for name in ("why", "last"))
    reported = kept_text.unkept(params.get("reported"))
    sentence = reported or supervisor_messages.message(params.get("cause"), why)
    parts = [listed(_(word) for word in words), str(sentence or ""), last]
    return labelled(*filter(None, parts))


def as_object(history: InstanceHistory, fleet: FleetHistory, since: float) -> Mapping[str, Any]:
    """Return an object of `manager history --json`: times in seconds, amounts as exact decimal strings,
    null for unknown.
    """
    return {
        "id": history.instance,
        "why_not_complete": None if history.why is None else str(history.why),
        "pnl": [_line_object(line) for line in lines(history, fleet, since) if line.quote is not None],
        "days": [
            {
                "day": day.day,
                "kind": day.kind,
                "quote": day.quote,
                "pnl": format(day.pnl, "f"),
                "gap_s": round(day.gaps),
                "uncertain": day.is_uncertain,
                "open": day.is_open,
            }
            for day in days(history, fleet, since)
        ],
        "runs": [
            {"began": run.began, "ended": run.ended, "why": run.why or None, "kind": run.kind}
            for run in history.runs
            if run.ended is None or run.ended >= since
        ],
        "events": [
            {
                "at": event.at,
                "time": iso_with_offset(event.at),
                "what": event.what,
                "text": event.text,
                "reason": event.reason,
            }
            for event in history.events
        ],
    }


def _line_object(line: Line) -> Mapping[str, Any]:
    fall = line.drawdown
    return {
        "kind": line.kind,
        "quote": line.quote,
        "pnl": None if line.pnl is None else format(line.pnl, "f"),
        "today": None if line.today is None else format(line.today, "f"),
        "drawdown": None if fall is None else format(fall.amount, "f"),
        "drawdown_from": None if fall is None else fall.high_at,
        "drawdown_to": None if fall is None else fall.low_at,
        "gap_s": round(line.gaps),
        "uncertain": line.is_uncertain,
        "starts": line.starts,
        "exits": line.exits,
        "as_of": line.as_of,
        "points": points_object(line.points),
    }


def points_object(points: Sequence[Point]) -> list[list[Any]]:
    """Return points, or a selection of them: time, amount, whether what was before is not known."""
    return [[point.at, format(point.pnl, "f"), point.after_gap] for point in _few(points)]


def _few(points: Sequence[Point]) -> list[Point]:
    """Return the points, or a selection of them that has every gap."""
    step = -(-len(points) // MOST_POINTS)
    if step <= 1:
        return list(points)
    last = len(points) - 1
    return [
        point
        for number, point in enumerate(points)
        if number % step == 0 or number == last or point.after_gap
    ]
