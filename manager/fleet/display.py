"""Instances as they are shown: the table and the objects of `ps`, the old system's list, and why one is as it is. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from manager.fleet.instance import Instance
from manager.fleet.status import State
from manager.fleet.supervisor_state import SupervisorState
from manager.i18n import Text, _, mark
from manager.util import formatting, text_table
from manager.util.console import has_colour
from manager.util.text_table import Column, Table

WELL = frozenset({"running", "starting", "completed"})
"""States whose note may be cut short: it says nothing that is wrong now."""

LAST_WORDS = 80
"""Characters of a dead bot's last line that `ps` has room for; `manager logs ID` has all."""

LIST_RULE = "-" * 116


def ps_table(views: Sequence[Instance], width: int | None = None) -> Table:
    """Return the table of `manager ps`; with a terminal's width, without the columns it has no room for."""
    if width is None:
        rows = [text_table.cells(PS_COLUMNS, view) for view in views]
        return text_table.plain(text_table.headings(PS_COLUMNS), rows)
    keep = [view.verdict.state not in WELL for view in views]
    return text_table.fitted(PS_COLUMNS, views, width, keep)


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
    parts = []
    if view.verdict.word:
        parts.append(f"({_(view.verdict.word)})")
    is_down = view.verdict.state in {"stopped", "missing"}
    if is_down and view.remembered.halted:
        parts.append(_("halted"))
    elif is_down and view.remembered.wish == "stopped":
        parts.append(_("stopped by a person"))
    elif view.verdict.why is not None:
        parts.append(cause(view))
    elif view.supervision is not None and view.supervision.last_exit and view.supervision.restarts_total:
        parts.append(str(Text("last exit: {why}", why=view.supervision.last_exit.message)))
    if (
        view.verdict.state == "restarting"
        and view.supervision is not None
        and view.supervision.next_restart_at
    ):
        parts.append(str(_next_restart(view.supervision, view.supervision.next_restart_at)))
    if view.drift:
        parts.append(str(Text("drifted: {what}", what=", ".join(_(each) for each in view.drift))))
    if view.is_rolled_back:
        parts.append(_("rolled back"))
    return "; ".join(parts).replace("); ", ") ")


def cause(view: Instance) -> str:
    """Why it is as it is, and what a bot that failed said last; empty where there is nothing to say."""
    said, why = view.supervision, str(view.verdict.why or "")
    if view.verdict.state not in {"failed", "restarting"} or said is None or said.last_exit is None:
        return why
    last = next((line.strip() for line in reversed(said.last_exit.stderr_tail) if line.strip()), "")
    return f"{why}: {last[:LAST_WORDS]}" if last else why


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
    Column("state", mark("STATE"), lambda view: coloured(view.verdict.state, _(view.verdict.state))),
    Column("mode", mark("MODE"), lambda view: _(view.mode) if view.mode else "", priority=1),
    Column("exchange", mark("EXCHANGE"), lambda view: view.exchange or "", priority=6),
    Column("symbol", mark("SYMBOL"), lambda view: view.symbol or "", priority=4),
    Column("strategy", mark("STRATEGY"), lambda view: view.strategy or "", priority=7),
    Column("web", mark("WEB"), lambda view: str(view.web_port or ""), priority=5),
    Column(
        "restarts",
        mark("RESTARTS"),
        lambda view: str(view.supervision.restarts_total if view.supervision else 0),
        priority=3,
    ),
    Column("since", mark("SINCE"), _since_text, priority=2),
    Column("note", mark("NOTE"), lambda view: note(view)),
)
"""Columns of `ps`. A narrow terminal does without the strategy first, and without the mode last."""


def _ps_object(view: Instance) -> dict[str, Any]:
    said, container, began = view.supervision, view.container, since(view)
    return {
        "id": view.id,
        "state": view.verdict.state,
        "word": view.verdict.word or None,
        "why": str(view.verdict.why) if view.verdict.why else None,
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


def health(view: Instance) -> str | None:
    """Healthy, unhealthy or starting; None for what does not run."""
    return {
        "running": "healthy",
        "unhealthy": "unhealthy",
        "failed": "unhealthy",
        "starting": "starting",
    }.get(view.verdict.state)


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
    light = "🟢" if row[0].verdict.is_running else "🔴"
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
)
"""Words of programs, which stay English in JSON, and are translated where a person reads them."""

COLOURS: Mapping[State, str] = {
    "running": "32",
    "completed": "32",
    "starting": "33",
    "restarting": "33",
    "unhealthy": "31",
    "failed": "31",
    "stopped": "2",
    "missing": "2",
    "orphan": "35",
}


def coloured(state: State, text: str) -> str:
    """The text in the state's colour, where colours are shown."""
    return f"\x1b[{COLOURS[state]}m{text}\x1b[0m" if has_colour() else text
