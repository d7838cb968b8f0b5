"""Describe the answers of the API that come from the history: curves, events, runs, one instance's past."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from manager.web.web_side.models import Amount, Answer, Instance, Time


class Mark(Answer):
    """Describe what happened on a curve: a start after another, an exit, or an outage up to `until`."""

    at: float
    what: Literal["start", "exit", "outage"]
    instance: str
    text: str
    until: Time


class Curve(Answer):
    """Describe P&L since the begin, evenly spaced; null: not observed. `drawdown`: its deepest fall."""

    kind: str
    quote: str
    values: list[Amount]
    drawdown: Amount
    marks: list[Mark]


class Curves(Answer):
    """Describe the fleet's P&L over the time that was asked for."""

    begin: Time
    end: Time
    curves: list[Curve]
    notes: list[str]


class Event(Answer):
    """Describe something that happened to an instance."""

    at: float
    time: str
    what: str
    text: str
    reason: Any = None


class Detail(Answer):
    """Describe one instance with its bot's last report, last words, and exits of the last thirty days."""

    instance: Instance
    report: dict[str, Any] | None
    report_is_previous: bool = Field(description="whether the report is an earlier run's")
    last_words: str
    changes: list[str] = Field(description="what a restart would change: its config old → new, its image")
    exits: list[Event]
    events: list[Event] = Field(description="the last hundred events of any kind")


class HistoryPnl(Answer):
    """Describe an instance's figures of one kind and currency."""

    kind: str
    quote: str
    pnl: Amount
    today: Amount
    drawdown: Amount
    drawdown_from: Time
    drawdown_to: Time
    gap_s: int
    uncertain: bool
    starts: int
    exits: int
    as_of: Time
    points: list[tuple[float, str, bool]] = Field(description="time, P&L, whether it follows a gap")


class Realized(Answer):
    """Describe what was realised over time, of one kind and currency: the rest is of open positions."""

    kind: str
    quote: str
    points: list[tuple[float, str, bool]]


class Day(Answer):
    """Describe one local day."""

    day: str
    kind: str
    quote: str
    pnl: Amount
    gap_s: int
    uncertain: bool
    open: bool


class Run(Answer):
    """Describe one run of the bot."""

    began: float
    ended: Time
    why: str | None
    kind: str


class History(Answer):
    """Describe an object of `history --json`."""

    id: str
    why_not_complete: str | None
    pnl: list[HistoryPnl]
    days: list[Day]
    runs: list[Run]
    events: list[Event]
    realized: list[Realized]
    marks: list[Mark]
