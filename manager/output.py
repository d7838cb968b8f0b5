"""How things are shown: tables, the old list, JSON, colours. Pure but for `print`."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TextIO

from manager import table as tables
from manager.errors import ManagerError
from manager.i18n import Text, _, mark
from manager.reasons import reason
from manager.states import State
from manager.supervision import Supervision
from manager.survey import InstanceView
from manager.table import Table

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

WELL = frozenset({"running", "starting", "completed"})
"""States whose note may be cut short: it says nothing that is wrong now."""

PS_FIRST_TO_GO = (5, 3, 6, 4, 7, 8, 2)
"""Columns of `ps` that a narrow terminal does without: strategy, exchange, web port, symbol, restarts, since, mode."""

LAST_WORDS = 80
"""Characters of a dead bot's last line that `ps` has room for; `manager logs ID` has all."""

LIST_WIDTHS = (20, 10, 10, 40)
LIST_RULE = "-" * 116


@contextmanager
def writing() -> Iterator[None]:
    """Around every write to standard output: a full disk behind it is the user's to know. Raises ManagerError."""
    try:
        yield
    except BrokenPipeError:  # nobody reads any more, which is no error
        raise
    except OSError as error:
        raise ManagerError("cannot write to standard output: {why}", why=error.strerror or error) from error


def say(text: object = "", end: str = "\n") -> None:
    """A line for a person, on standard output. Where nobody reads any more, `| head -1`, the work goes on unseen."""
    try:
        with writing():
            print(text, end=end, flush=True)
    except BrokenPipeError:
        nobody_reads(sys.stdout)


def warn(text: object) -> None:
    """A line for a person, on standard error: it must not end up in what a script reads."""
    try:
        print(text, file=sys.stderr, flush=True)
    except BrokenPipeError:
        nobody_reads(sys.stderr)


def nobody_reads(stream: TextIO) -> None:
    """What is written there from now on, and what still waits to be, is dropped."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, stream.fileno())
    os.close(descriptor)


def error(text: object) -> None:
    """What went wrong, on standard error."""
    warn(f"{_('error')}: {text}")


def warning(text: object) -> None:
    """What is odd but allowed, on standard error."""
    warn(f"{_('warning')}: {text}")


def say_json(value: object) -> None:
    """JSON on standard output."""
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    say(json.dumps(value, indent=2, ensure_ascii=not is_unicode))


def has_colour() -> bool:
    """Whether standard output is a terminal whose user has not declined colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def coloured(state: State, text: str) -> str:
    """The text in the state's colour, where colours are shown."""
    return f"\x1b[{COLOURS[state]}m{text}\x1b[0m" if has_colour() else text


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns with heads, as wide as they must be; wide characters count double."""
    return tables.plain(heads, [list(map(str, row)) for row in rows]).text


def terminal_width() -> int | None:
    """The columns of the terminal that standard output is; None where it is none."""
    if not sys.stdout.isatty():
        return None
    import shutil  # with three compressors

    return shutil.get_terminal_size().columns


def ps_table(views: Sequence[InstanceView], width: int | None = None) -> Table:
    """The table of `manager ps`; with a terminal's width, without the columns it has no room for."""
    heads = [
        "ID", _("STATE"), _("MODE"), _("EXCHANGE"), _("SYMBOL"), _("STRATEGY"), _("WEB"), _("RESTARTS"),
        _("SINCE"), _("NOTE"),
    ]  # fmt: skip
    rows = [_ps_row(view) for view in views]
    if width is None:
        return tables.plain(heads, rows)
    keep = [view.verdict.state not in WELL for view in views]
    return tables.fitted(heads, rows, width, PS_FIRST_TO_GO, keep)


def ps_objects(views: Iterable[InstanceView]) -> list[dict[str, Any]]:
    """The array of `manager ps --json`. Times are ISO 8601 with offset."""
    return [_ps_object(view) for view in views]


def list_table(views: Iterable[InstanceView], pids: Mapping[str, int]) -> str:
    """The old system's `list`, byte for byte in Chinese."""
    rows = [view for view in views if view.container is not None]
    if not rows:
        return _("no running instances")
    heads = [_("Instance ID"), "PID", _("Web port"), _("Config file"), _("Started")]
    lines = [
        "".join(f"{head:<{width}} " for head, width in zip(heads, LIST_WIDTHS, strict=False)) + heads[-1],
        LIST_RULE,
    ]
    return "\n".join([*lines, *(_list_row(view, pids.get(view.id, 0)) for view in rows)])


def age(seconds: float) -> str:
    """`42s`, `7m`, `3h05m`, `12d`: short, for a column."""
    seconds = max(0, int(seconds))
    if seconds < 60:
        return f"{seconds}s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes}m"
    if minutes < 48 * 60:
        return f"{minutes // 60}h{minutes % 60:02}m"
    return f"{minutes // 1440}d"


def size(count: float) -> str:
    """`812 B`, `3.4 MB`, `12 GB`: bytes, short."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def since(view: InstanceView) -> float | None:
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


def note(view: InstanceView) -> str:
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
        parts.append(str(Text("last exit: {why}", why=reason(view.supervision.last_exit.why))))
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


def cause(view: InstanceView) -> str:
    """Why it is as it is, and what a bot that failed said last; empty where there is nothing to say."""
    said, why = view.supervision, str(view.verdict.why or "")
    if view.verdict.state not in {"failed", "restarting"} or said is None or said.last_exit is None:
        return why
    last = next((line.strip() for line in reversed(said.last_exit.stderr_tail) if line.strip()), "")
    return f"{why}: {last[:LAST_WORDS]}" if last else why


def _next_restart(said: Supervision, at: float) -> Text:
    seconds = max(0, round(at - time.time()))
    return Text(
        "restart {count} of {most} in {seconds} s",
        count=said.restarts_in_a_row,
        most=said.restarts_max,
        seconds=seconds,
    )


def _ps_row(view: InstanceView) -> list[str]:
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
        "" if began is None else age(time.time() - began),
        note(view),
    ]


def _ps_object(view: InstanceView) -> dict[str, Any]:
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
        "since": None
        if began is None
        else datetime.fromtimestamp(began).astimezone().isoformat(timespec="seconds"),
        "last_exit": None
        if said is None or said.last_exit is None
        else {
            "code": said.last_exit.code,
            "signal": said.last_exit.signal,
            "oom": said.last_exit.oom,
            "why": said.last_exit.why,
            "stderr_tail": list(said.last_exit.stderr_tail),
            "at": datetime.fromtimestamp(said.last_exit.at).astimezone().isoformat(timespec="seconds"),
        },
        "wish": view.remembered.wish,
        "halted": view.remembered.halted is not None,
        "config_file": container.config_file if container else (view.spec.config_file if view.spec else None),
        "container": container.name if container else None,
        "container_id": container.id if container else None,
    }


def health(view: InstanceView) -> str | None:
    """Healthy, unhealthy or starting; None for what does not run."""
    return {
        "running": "healthy",
        "unhealthy": "unhealthy",
        "failed": "unhealthy",
        "starting": "starting",
    }.get(view.verdict.state)


def _list_row(view: InstanceView, pid: int) -> str:
    assert view.container is not None
    light = "🟢" if view.verdict.is_running else "🔴"
    began = since(view) or 0.0
    started = datetime.fromtimestamp(began).strftime("%Y-%m-%d %H:%M:%S")
    return f"{light} {view.id:<18} {pid or '-':<10} {view.web_port or '-':<10} {view.container.config_file:<40} {started}"
