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
from manager.util.text_table import Table

WELL = frozenset({"running", "starting", "completed"})
"""States whose note may be cut short: it says nothing that is wrong now."""

PS_FIRST_TO_GO = (5, 3, 6, 4, 7, 8, 2)
"""Columns of `ps` that a narrow terminal does without: strategy, exchange, web port, symbol, restarts, since, mode."""

LAST_WORDS = 80
"""Characters of a dead bot's last line that `ps` has room for; `manager logs ID` has all."""

LIST_WIDTHS = (20, 10, 10, 40)
LIST_RULE = "-" * 116


def ps_table(views: Sequence[Instance], width: int | None = None) -> Table:
    """The table of `manager ps`; with a terminal's width, without the columns it has no room for."""
    heads, rows = ps_cells(views)
    if width is None:
        return text_table.plain(heads, rows)
    keep = [view.verdict.state not in WELL for view in views]
    return text_table.fitted(heads, rows, width, PS_FIRST_TO_GO, keep)


def ps_cells(views: Sequence[Instance]) -> tuple[list[str], list[list[str]]]:
    """Return the heads and the rows of `manager ps`."""
    heads = [
        "ID", _("STATE"), _("MODE"), _("EXCHANGE"), _("SYMBOL"), _("STRATEGY"), _("WEB"), _("RESTARTS"),
        _("SINCE"), _("NOTE"),
    ]  # fmt: skip
    return heads, [_ps_row(view) for view in views]


def ps_objects(views: Iterable[Instance]) -> list[dict[str, Any]]:
    """The array of `manager ps --json`. Times are ISO 8601 with offset."""
    return [_ps_object(view) for view in views]


def list_table(views: Iterable[Instance], pids: Mapping[str, int]) -> str:
    """The old system's `list`, byte for byte in Chinese."""
    rows = [view for view in views if view.container is not None]
    if not rows:
        return _("no running instances")
    heads = _list_heads()
    lines = [
        "".join(f"{head:<{width}} " for head, width in zip(heads, LIST_WIDTHS, strict=False)) + heads[-1],
        LIST_RULE,
    ]
    return "\n".join([*lines, *(_list_row(view, pids.get(view.id, 0)) for view in rows)])


def list_cells(views: Iterable[Instance], pids: Mapping[str, int]) -> tuple[list[str], list[list[object]]]:
    """Return the heads and the rows of `manager list --format`, with the state in words in place of the old system's lights."""
    rows: list[list[object]] = [
        [
            view.id, _(view.verdict.state), pids.get(view.id) or "", view.web_port or "",
            view.container.config_file, _started(view),
        ]
        for view in views if view.container is not None
    ]  # fmt: skip
    first, *others = _list_heads()
    return [first, _("State"), *others], rows


def _list_heads() -> list[str]:
    return [_("Instance ID"), "PID", _("Web port"), _("Config file"), _("Started")]


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


def _ps_row(view: Instance) -> list[str]:
    began = since(view)
    return [
        view.id,
        coloured(view.verdict.state, _(view.verdict.state)),
        _(view.mode) if view.mode else "",
        view.exchange or "",
        view.symbol or "",
        view.strategy or "",
        str(view.web_port or ""),
        str(view.supervision.restarts_total if view.supervision else 0),
        "" if began is None else formatting.age(time.time() - began),
        note(view),
    ]


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


def _list_row(view: Instance, pid: int) -> str:
    assert view.container is not None
    light = "🟢" if view.verdict.is_running else "🔴"
    return (
        f"{light} {view.id:<18} {pid or '-':<10} {view.web_port or '-':<10} {view.container.config_file:<40}"
        f" {_started(view)}"
    )


def _started(view: Instance) -> str:
    return formatting.date_and_time(since(view) or 0.0)


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
