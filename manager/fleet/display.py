"""Instances as they are shown: the table and the objects of `ps`, the old system's list, and why one is as it is. Pure."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from manager.fleet import amounts, doing
from manager.fleet.bot_report import KeptReport, Report
from manager.fleet.instance import Instance
from manager.fleet.status import State
from manager.fleet.supervisor_state import Cancel, SupervisorState
from manager.i18n import Text, _, mark
from manager.util import formatting, text_table
from manager.util.console import has_colour
from manager.util.text_table import Column, Table

STAMP = re.compile(r"\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?([.,]\d+)?\s*(Z|[+-]\d\d:?\d\d)?\]?[\s:|-]*")
LEVEL = re.compile(r"[\[(]?(DEBUG|INFO|NOTICE|WARNING|WARN|ERROR|CRITICAL|FATAL)[\])]?[\s:|-]+")
"""What begins a line of a log: neither says why a bot died."""

LIST_RULE = "-" * 116


def ps_table(views: Sequence[Instance], width: int | None = None) -> Table:
    """Return the table of `manager ps`; with a terminal's width, without the columns it has no room for."""
    columns = aligned(PS_COLUMNS, views)
    if width is None:
        rows = [text_table.cells(columns, view) for view in views]
        return text_table.plain(text_table.headings(columns), rows)
    keep = [doing.severity(view) != "calm" for view in views]
    return text_table.fitted(columns, views, width, keep)


def aligned(columns: Sequence[Column[Instance]], views: Sequence[Instance]) -> list[Column[Instance]]:
    """Return the columns with the points of P&L and position below each other."""
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
        return painted_pnl(view.report, text, is_old=not view.is_bot_up)
    return text if view.is_bot_up else painted("off", text)


def ps_objects(views: Iterable[Instance]) -> list[dict[str, Any]]:
    """Return the array of `manager ps --json`. Times are ISO 8601 with offset."""
    return [_ps_object(view) for view in views]


def list_table(views: Iterable[Instance], pids: Mapping[str, int]) -> str:
    """Return the old system's `list`, byte for byte in Chinese."""
    rows = listed(views, pids)
    if not rows:
        return _("no running instances")
    columns = [column for column in LIST_COLUMNS if column.name in {*LIST_WIDTHS, "started"}]
    *heads, last = text_table.headings(columns)
    head = "".join(f"{text:<{width}} " for text, width in zip(heads, LIST_WIDTHS.values(), strict=True))
    return "\n".join([head + last, LIST_RULE, *(_list_row(columns, row) for row in rows)])


def listed(views: Iterable[Instance], pids: Mapping[str, int]) -> list[Listed]:
    """Return the rows of `manager list`: the instances that have a container, with their bots' pids."""
    return [(view, pids.get(view.id, 0)) for view in views if view.container is not None]


def since(view: Instance) -> float | None:
    """When the present state began, as far as it is known: the bot's start or end, else the container's birth."""
    said = view.supervision
    if view.container is None:
        return None
    if said is not None and said.container == view.container.id:
        if view.is_bot_up and said.bot_started_at:
            return said.bot_started_at
        if said.last_exit is not None:
            return said.last_exit.at
    return float(view.container.created)


def note(view: Instance) -> str:
    """Why it is as it is, and in what it differs from its config."""
    now, said = time.time(), view.supervision
    activity = doing.activity(view, now)
    parts = []
    if view.verdict.word:
        parts.append(f"({_(view.verdict.word)})")
    is_down = view.verdict.state in {"stopped", "missing"}
    reason = activity.message(now)
    if is_down and view.remembered.halted:
        parts.append(_("halted"))
    elif is_down and view.remembered.wish == "stopped":
        parts.append(_("stopped by a person"))
    elif reason is not None and not _says_more(view):
        parts.append(str(reason))
        if activity.doing in doing.ENDS and not is_down:
            parts.append(str(doing.ending(view)))
    elif view.verdict.why is not None:
        parts.append(cause(view))
    elif said is not None and said.last_exit and said.restarts_total:
        parts.append(str(Text("last exit: {why}", why=said.last_exit.message)))
    if view.verdict.state == "restarting" and said is not None and said.next_restart_at:
        parts.append(str(_next_restart(said, said.next_restart_at)))
    if said is not None and view.verdict.state == "failed" and said.cancel is not None:
        parts.append(str(cancel_text(said.cancel)))
    if view.drift:
        parts.append(str(Text("drifted: {what}", what=", ".join(_(each) for each in view.drift))))
    if view.is_rolled_back:
        parts.append(_("rolled back"))
    return "; ".join(parts).replace("); ", ") ")


def _says_more(view: Instance) -> bool:
    """Whether why the process is as it is matters more than what its bot was doing."""
    return view.verdict.state not in {"running", "completed", "stopped", "missing", "orphan"}


def cancel_text(cancel: Cancel) -> Text:
    """How far the orders of a failed live bot are cancelled."""
    match cancel.state:
        case "confirmed":
            return Text("its orders are cancelled")
        case "running":
            return Text("its orders are being cancelled")
        case _:
            why = cancel.message or Text("no cause is known")
            return Text("its orders are NOT cancelled yet: {why} (try {count})", why=why, count=cancel.tries)


def cause(view: Instance) -> str:
    """Why it is as it is, and what a bot that failed said last; empty where there is nothing to say."""
    said, why = view.supervision, str(view.verdict.why or "")
    if view.verdict.state not in {"failed", "restarting"} or said is None or said.last_exit is None:
        return why
    last = last_words(view)
    return f"{why}: {last}" if last else why


def last_words(view: Instance) -> str:
    """Why the bot ended, in its own words: its final report's reason, else its last line, without time stamp and level."""
    kept, said = view.report, view.supervision
    if (
        kept is not None
        and kept.has_ended
        and not kept.is_previous
        and kept.report.is_final
        and kept.report.reason
    ):
        return kept.report.reason
    lines = said.last_exit.stderr_tail if said is not None and said.last_exit is not None else ()
    return next((words for line in reversed(lines) if (words := without_stamp(line))), "")


def without_stamp(line: str) -> str:
    """A line of a log without its time stamp and level; the whole line where nothing else is in it."""
    text = line.strip()
    rest = STAMP.match(text)
    words = text[rest.end() :] if rest else text
    level = LEVEL.match(words)
    return (words[level.end() :] if level else words) or text


def pnl_text(report: Report) -> str:
    """The P&L; with the word for prices that are no market's, because it is no trading result then."""
    if report.pnl is None:
        return ""
    text = amounts.money(report.pnl, report.quote)
    return f"{text} {_(report.market or '')}" if report.is_artificial else text


def position_text(report: Report) -> str:
    """The position in the base currency."""
    return "" if report.position is None else amounts.amount(report.position, report.base)


def mode_text(mode: str | None) -> str:
    """The mode; real money in capitals."""
    return _("LIVE") if mode == "live" else _(mode) if mode else ""


def _next_restart(said: SupervisorState, at: float) -> Text:
    seconds = max(0, round(at - time.time()))
    return Text(
        "restart {count} of {most} in {seconds} s",
        count=said.restarts_in_a_row,
        most=said.restarts_max,
        seconds=seconds,
    )


def _since_text(view: Instance) -> str:
    began = since(view)
    return "" if began is None else formatting.age(time.time() - began)


PS_COLUMNS: Sequence[Column[Instance]] = (
    Column("id", "ID", lambda view: view.id),
    Column("mode", mark("MODE"), lambda view: _painted_mode(view)),
    Column("state", mark("STATE"), lambda view: _painted_state(view)),
    Column("doing", mark("DOING"), lambda view: painted(doing.severity(view), doing_text(view))),
    Column("pnl", mark("P&L"), lambda view: pnl_text(view.report.report) if view.report else "", priority=1),
    Column(
        "position",
        mark("POSITION"),
        lambda view: position_text(view.report.report) if view.report else "",
        priority=2,
    ),
    Column("exchange", mark("EXCHANGE"), lambda view: view.exchange or "", priority=8),
    Column("symbol", mark("SYMBOL"), lambda view: view.symbol or "", priority=3),
    Column("strategy", mark("STRATEGY"), lambda view: view.strategy or "", priority=9),
    Column("web", mark("WEB"), lambda view: str(view.web_port or ""), priority=7),
    Column(
        "restarts",
        mark("RESTARTS"),
        lambda view: str(view.supervision.restarts_total if view.supervision else 0),
        priority=6,
    ),
    Column("since", mark("SINCE"), _since_text, priority=5),
    Column("note", mark("NOTE"), lambda view: note(view)),
)
"""Columns of `ps`. A narrow terminal does without the strategy first; mode, state and doing stay."""


def _painted_mode(view: Instance) -> str:
    text = mode_text(view.mode)
    return painted("live", text) if view.mode == "live" else text


def _painted_state(view: Instance) -> str:
    urgency, state = doing.severity(view), view.verdict.state
    return painted(doing.STATE_SEVERITY[state] if urgency == "calm" else urgency, _(state))


def doing_text(view: Instance) -> str:
    """What its bot is doing, in the reader's language."""
    found = doing.activity(view).doing
    return _(doing.DOING_WORDS[found]) if found else ""


def painted_pnl(kept: KeptReport | None, text: str, *, is_old: bool) -> str:
    """A gain green, a loss red; grey what was so when the bot ended."""
    pnl = kept.report.pnl if kept is not None else None
    if is_old or not pnl:
        return painted("off", text) if is_old else text
    return painted("calm" if pnl > 0 else "bad", text)


def _ps_object(view: Instance) -> dict[str, Any]:
    said, container, began = view.supervision, view.container, since(view)
    return {
        "id": view.id,
        "state": view.verdict.state,
        "word": view.verdict.word or None,
        "why": str(view.verdict.why) if view.verdict.why else None,
        **doing_object(view),
        "drifted": bool(view.drift),
        "drift": list(view.drift),
        "mode": view.mode,
        "exchange": view.exchange,
        "symbol": view.symbol,
        "strategy": view.strategy,
        "tags": list(view.spec.tags) if view.spec else [],
        "web_port": view.web_port,
        "health": health(view),
        "restarts": said.restarts_total if said else 0,
        "since": None if began is None else formatting.iso_with_offset(began),
        "last_exit": None
        if said is None or said.last_exit is None
        else {
            "code": said.last_exit.code,
            "signal": said.last_exit.signal,
            "oom": said.last_exit.oom,
            "why": said.last_exit.why,
            "stderr_tail": list(said.last_exit.stderr_tail),
            "at": formatting.iso_with_offset(said.last_exit.at),
        },
        "wish": view.remembered.wish,
        "halted": view.remembered.halted is not None,
        "config_file": container.config_file if container else (view.spec.config_file if view.spec else None),
        "container": container.name if container else None,
        "container_id": container.id if container else None,
    }


def doing_object(view: Instance) -> dict[str, Any]:
    """What the bot is doing, for programs: words stay English, amounts are exact decimal strings, null is unknown."""
    now = time.time()
    found, kept = doing.activity(view, now), view.report
    reason = found.message(now)
    report = kept.report if kept is not None else None
    return {
        "doing": found.doing,
        "doing_code": found.condition.code if found.condition else None,
        "doing_params": dict(found.condition.params) if found.condition else None,
        "doing_why": str(reason) if reason else None,
        "severity": doing.severity(view, now),
        "market": report.market if report else None,
        "report_age_s": None if kept is None or kept.at is None else max(0, round(now - kept.at)),
        **{
            f"last_{name}": None if value is None else format(value, "f")
            for name, value in (
                ("pnl", report.pnl if report else None),
                ("position", report.position if report else None),
            )
        },
        "cancel": None
        if view.supervision is None or view.supervision.cancel is None
        else {
            "state": view.supervision.cancel.state,
            "open_orders_left": view.supervision.cancel.open_orders_left,
            "tries": view.supervision.cancel.tries,
            "why": view.supervision.cancel.why,
        },
    }


def health(view: Instance) -> str | None:
    """Healthy, unhealthy or starting; None for what does not run."""
    return {
        "running": "healthy",
        "unhealthy": "unhealthy",
        "failed": "unhealthy",
        "starting": "starting",
    }.get(view.verdict.state)


def is_well(view: Instance) -> bool:
    """Whether it runs, and its bot does nothing that a person must look at: the old list's light, `status`'s exit code."""
    return view.verdict.is_running and doing.severity(view) != "bad"


Listed = tuple[Instance, int]
"""An instance that has a container, and its bot's pid; 0 where there is none."""


def _config_file(row: Listed) -> str:
    return row[0].container.config_file if row[0].container else ""


LIST_COLUMNS: Sequence[Column[Listed]] = (
    Column("id", mark("Instance ID"), lambda row: row[0].id),
    Column("state", mark("State"), lambda row: _(row[0].verdict.state)),
    Column("pid", "PID", lambda row: str(row[1] or "")),
    Column("web", mark("Web port"), lambda row: str(row[0].web_port or "")),
    Column("config", mark("Config file"), _config_file),
    Column("started", mark("Started"), lambda row: formatting.date_and_time(since(row[0]) or 0.0)),
)
"""Columns of `list`. The old system's own table has a light in place of the state."""

LIST_WIDTHS: Mapping[str, int] = {"id": 20, "pid": 10, "web": 10, "config": 40}


def _list_row(columns: Sequence[Column[Listed]], row: Listed) -> str:
    light = "🟢" if is_well(row[0]) else "🔴"
    instance, *texts, started = text_table.cells(columns, row)
    _instance, *widths = LIST_WIDTHS.values()
    middle = " ".join(f"{text or '-':<{width}}" for text, width in zip(texts, widths, strict=True))
    return f"{light} {instance:<18} {middle} {started}"


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
    mark("paper"),
    mark("live"),
    # markets whose prices are no market's
    mark("synthetic"),
    mark("replay"),
)
"""Words of programs, which stay English in JSON, and are translated where a person reads them."""

COLOURS: Mapping[doing.Severity, str] = {"bad": "31", "warn": "1;33", "note": "33", "calm": "32", "off": "2"}
LIVE_COLOUR = "1;7;33"


def painted(urgency: doing.Severity | Literal["live"], text: str) -> str:
    """The text in the colour of its urgency, where colours are shown."""
    if not text or not has_colour():
        return text
    return f"\x1b[{LIVE_COLOUR if urgency == 'live' else COLOURS[urgency]}m{text}\x1b[0m"


def coloured(state: State, text: str) -> str:
    """The text in the colour of a state alone."""
    return painted(doing.STATE_SEVERITY[state], text)
