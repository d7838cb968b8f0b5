"""Format instances for users and programs: table and JSON of `ps`, the old system's list, causes. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from manager.fleet import amounts, causes, doing, leftovers
from manager.fleet.bot_report import KeptReport, Report
from manager.fleet.instance import Instance
from manager.fleet.status import State
from manager.i18n import Text, _, mark
from manager.typed import Any, Literal
from manager.util import formatting, text_table
from manager.util.console import has_colour
from manager.util.text_table import Column, Table


def ps_table(views: Sequence[Instance], width: int | None = None) -> Table:
    """Return the table of `manager ps`; for a terminal's width, without the columns that do not fit."""
    columns = aligned(PS_COLUMNS, views)
    if width is None:
        rows = [text_table.cells(columns, view) for view in views]
        return text_table.plain(text_table.headings(columns), rows)
    keep = [doing.severity(view) != "calm" for view in views]
    return text_table.fitted(columns, views, width, keep)


def aligned(columns: Sequence[Column[Instance]], views: Sequence[Instance]) -> list[Column[Instance]]:
    """Return the columns with the decimal points of P&L and position aligned."""
    texts = {
        "pnl": amounts.aligned([pnl_text(view.report.report) if view.report else "" for view in views]),
        "position": amounts.aligned(
            [position_text(view.report.report) if view.report else "" for view in views]
        ),
    }
    return [_with_texts(column, views, texts.get(column.name)) for column in columns]


def _with_texts(
    column: Column[Instance], views: Sequence[Instance], texts: Sequence[str] | None
) -> Column[Instance]:
    if texts is None:
        return column
    by_id = {view.id: text for view, text in zip(views, texts, strict=True)}
    return column.with_cell(lambda view: _painted_amount(column.name, view, by_id[view.id]))


def _painted_amount(name: str, view: Instance, text: str) -> str:
    if name == "pnl":
        return painted_pnl(view.report, text, is_old=doing.figures_at(view) is not None)
    return painted("off", text) if doing.figures_at(view) is not None else text


def ps_objects(views: Iterable[Instance]) -> list[dict[str, Any]]:
    """Return the array of `manager ps --json`. Times are ISO 8601 with offset."""
    return [ps_object(view, doing_object(view)) for view in views]


def since(view: Instance) -> float | None:
    """Return when the present state began, if known: the bot's start or end, else the container's
    creation.
    """
    supervisor = view.supervisor
    if view.container is None:
        return None
    if supervisor is not None and supervisor.container == view.container.id:
        if view.is_bot_up and supervisor.bot_started_at:
            return supervisor.bot_started_at
        if supervisor.bot_started_at:
            return supervisor.updated_at  # it was killed together with its bot: its last sign of life
        if supervisor.last_exit is not None:
            return supervisor.last_exit.at
    return float(view.container.created)


def started_at(view: Instance) -> float:
    """Return when its bot was last started, also if it has ended since; its container's creation, if none
    was.
    """
    supervisor, container = view.supervisor, view.container
    assert container is not None
    if supervisor is not None and supervisor.container == container.id:
        if supervisor.bot_started_at:
            return supervisor.bot_started_at
        if (last := supervisor.last_exit) is not None and last.ran_s is not None:
            return last.at - last.ran_s
    return float(container.created)


def pnl_text(report: Report) -> str:
    """Return the P&L, marked if its prices are not a market's, because then it is no trading result."""
    if report.pnl is None:
        return ""
    text = amounts.money(report.pnl, report.quote)
    return f"{text} {_(report.market or '')}" if report.is_artificial else text


def position_text(report: Report) -> str:
    """Return the position in the base currency."""
    return "" if report.position is None else amounts.amount(report.position, report.base)


def mode_text(mode: str | None) -> str:
    """Return the mode, with real money in capitals."""
    return _("LIVE") if mode == "live" else _(mode) if mode else ""


def _since_text(view: Instance) -> str:
    began = since(view)
    return "" if began is None else formatting.age(time.time() - began)


PS_COLUMNS: Sequence[Column[Instance]] = (
    Column("id", "ID", lambda view: view.id),
    Column("mode", mark("MODE"), lambda view: _painted_mode(view)),
    Column("state", mark("STATE"), lambda view: _painted_state(view), priority=4),
    Column(
        "doing",
        mark("DOING"),
        lambda view: painted(doing.severity(view), doing_text(view)),
        alone=("state", lambda view: painted(doing.severity(view), state_or_doing(view))),
    ),
    Column("pnl", mark("P&L"), lambda view: pnl_text(view.report.report) if view.report else "", priority=1),
    Column(
        "position",
        mark("POSITION"),
        lambda view: position_text(view.report.report) if view.report else "",
        priority=2,
    ),
    Column("exchange", mark("EXCHANGE"), lambda view: view.exchange or "", priority=9),
    Column("symbol", mark("SYMBOL"), lambda view: view.symbol or "", priority=5),
    Column("strategy", mark("STRATEGY"), lambda view: view.strategy or "", priority=10),
    Column("web", mark("WEB"), lambda view: str(view.web_port or ""), priority=8),
    Column(
        "restarts",
        mark("RESTARTS"),
        lambda view: str(view.supervisor.restarts_total if view.supervisor else 0),
        priority=7,
    ),
    Column("since", mark("SINCE"), _since_text, priority=6),
    Column("note", mark("NOTE"), lambda view: causes.note(view), priority=3),
)
"""Columns of `ps`. On a narrow terminal the strategy is dropped first; mode, doing, P&L and position stay
longest, longer than the state, and the note gives way to them: it is then below its row.
"""


def _painted_mode(view: Instance) -> str:
    text = mode_text(view.mode)
    return painted("live", text) if view.mode == "live" else text


def _painted_state(view: Instance) -> str:
    urgency, state = doing.severity(view), view.status.state
    return painted(doing.STATE_SEVERITY[state] if urgency == "calm" else urgency, _(state))


def doing_text(view: Instance) -> str:
    """Return what its bot is doing, translated."""
    activity = doing.activity(view).doing
    return _(doing.DOING_WORDS[activity]) if activity else ""


def state_or_doing(view: Instance) -> str:
    """Return what its bot is doing, or the state where no bot works: for a table without room for both."""
    text = doing_text(view)
    return text if text and view.status.state in {"running", "completed"} else _(view.status.state)


def painted_pnl(kept_report: KeptReport | None, text: str, *, is_old: bool) -> str:
    """Return a profit in green, a loss in red, and in grey what is no longer, or not yet, a running bot's."""
    pnl = kept_report.report.pnl if kept_report is not None else None
    if is_old or not pnl:
        return painted("off", text) if is_old else text
    return painted("calm" if pnl > 0 else "bad", text)


def left_text(of_ps: Mapping[str, Any]) -> str:
    """Return that an instance has left orders, or that nobody knows what it has left, by what `ps_object`
    says of it; else "".
    """
    if of_ps.get("is_left_unknown") is True:
        return _("unknown what is left at the exchange")
    count = of_ps.get("open_orders_left")
    return str(Text("{count} open orders left", count=count)) if type(count) is int and count > 0 else ""


def ps_object(view: Instance, of_doing: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object of `manager ps --json`. `of_doing`: what `doing_object` returns."""
    supervisor, container, began = view.supervisor, view.container, since(view)
    return {
        "id": view.id,
        "state": view.status.state,
        "word": view.status.detail or None,
        "why": str(view.status.why) if view.status.why else None,
        **of_doing,
        "quote": view.report.report.quote if view.report else None,
        "base": view.report.report.base if view.report else None,
        "drifted": bool(view.drift),
        "drift": list(view.drift),
        "mode": view.mode,
        "exchange": view.exchange,
        "symbol": view.symbol,
        "strategy": view.strategy,
        "tags": list(view.spec.tags) if view.spec else [],
        "web_port": view.web_port,
        "health": health(view),
        "restarts": supervisor.restarts_total if supervisor else 0,
        "since": None if began is None else formatting.iso_with_offset(began),
        "last_exit": None
        if supervisor is None or supervisor.last_exit is None
        else {
            "code": supervisor.last_exit.code,
            "signal": supervisor.last_exit.signal,
            "oom": supervisor.last_exit.oom,
            "why": supervisor.last_exit.why,
            "stderr_tail": list(supervisor.last_exit.stderr_tail),
            "at": formatting.iso_with_offset(supervisor.last_exit.at),
        },
        "wish": view.saved.wish,
        "halted": view.saved.halted is not None,
        "is_left_unknown": leftovers.is_left_unknown(view),
        "moved_to": view.moved_to,
        "unfinished_move": str(view.tombstone.short)
        if view.tombstone and view.tombstone.is_unfinished
        else None,
        "config_file": container.config_file if container else (view.spec.config_file if view.spec else None),
        "container": container.name if container else None,
        "container_id": container.id if container else None,
    }


def doing_object(view: Instance, known: doing.Activity | None = None) -> dict[str, Any]:
    """Return what the bot is doing, which may be `known`, for programs: words are English, amounts exact
    strings, null is unknown.
    """
    now = time.time()
    activity, kept_report = known or doing.activity(view, now), view.report
    reason = activity.message(now)
    report = kept_report.report if kept_report is not None else None
    return {
        "doing": activity.doing,
        "doing_code": activity.condition.code if activity.condition else None,
        "doing_params": dict(activity.condition.params) if activity.condition else None,
        "doing_why": str(reason) if reason else None,
        "severity": doing.severity(view, now, activity),
        "open_orders_left": leftovers.known_orders_left(view),
        "market": report.market if report else None,
        "report_is_old": kept_report is not None and doing.has_old_report(view, now),
        **price_object(view, now),
        "report_age_s": None
        if kept_report is None or kept_report.at is None
        else max(0, round(now - kept_report.at)),
        **{
            f"last_{name}": None if value is None else format(value, "f")
            for name, value in (
                ("pnl", report.pnl if report else None),
                ("position", report.position if report else None),
            )
        },
        "cancel": None
        if view.supervisor is None or view.supervisor.cancel is None
        else {
            "state": view.supervisor.cancel.state,
            "open_orders_left": view.supervisor.cancel.open_orders_left,
            "tries": view.supervisor.cancel.tries,
            "why": view.supervisor.cancel.why,
        },
    }


def price_object(view: Instance, now: float) -> dict[str, Any]:
    """Return the price from which a bot's P&L is, of when it is, and whether that is too long ago."""
    report = view.report.report if view.report is not None else None
    price, at = (report.price, report.price_at) if report is not None else (None, None)
    return {
        "price": None if price is None else format(price, "f"),
        "price_at": None if at is None else formatting.iso_with_offset(at),
        "price_is_old": doing.old_price_at(view, now) is not None,
    }


def health(view: Instance) -> str | None:
    """Return healthy, unhealthy or starting; None for what does not run."""
    return {
        "running": "healthy",
        "unhealthy": "unhealthy",
        "failed": "unhealthy",
        "starting": "starting",
    }.get(view.status.state)


def is_well(view: Instance) -> bool:
    """Return whether it runs, and its bot needs no attention: the old list's light, and `status`'s exit
    code.
    """
    return view.status.is_running and doing.severity(view) != "bad"


STATE_WORDS = (
    mark("starting"),
    mark("running"),
    mark("unhealthy"),
    mark("restarting"),
    mark("failed"),
    mark("completed"),
    mark("stopped"),
    mark("missing"),
    mark("orphan"),
    # the engine's and the supervisor's own, where they say more
    mark("created"),
    mark("paused"),
    mark("removing"),
    mark("dead"),
    mark("silent"),
    mark("stopping"),
    mark("elsewhere"),
    # in what a container differs from its config
    mark("config"),
    mark("image"),
    mark("environment"),
    mark("network"),
    mark("mounts"),
    mark("user"),
    mark("other image"),
    mark("limits"),
    mark("restart policy"),
    mark("shares"),
    mark("settings"),
    mark("paper"),
    mark("live"),
    # markets whose prices are no market's
    mark("synthetic"),
    mark("replay"),
)
"""Words of programs: English in JSON, translated for users."""

COLOURS: Mapping[doing.Severity, str] = {"bad": "31", "warn": "1;33", "note": "33", "calm": "32", "off": "2"}
LIVE_COLOUR = "1;7;33"


def painted(urgency: doing.Severity | Literal["live"], text: str) -> str:
    """Return the text in the colour of its urgency, if colours are enabled."""
    if not text or not has_colour():
        return text
    return f"\x1b[{LIVE_COLOUR if urgency == 'live' else COLOURS[urgency]}m{text}\x1b[0m"


def coloured(state: State, text: str) -> str:
    """Return the text in the colour of a state."""
    return painted(doing.STATE_SEVERITY[state], text)
