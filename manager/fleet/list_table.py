"""Format the old system's `list`: its table to the byte, and its columns for other formats. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from manager.fleet.display import is_well, started_at
from manager.fleet.instance import Instance
from manager.i18n import _, mark
from manager.util import formatting, text_table
from manager.util.text_table import Column

LIST_RULE = "-" * 116


Listed = tuple[Instance, int]
"""An instance that has a container, and its bot's pid; 0 if it has none."""


def list_table(views: Iterable[Instance], pids: Mapping[str, int]) -> str:
    """Return the old system's `list`, byte-identical in Chinese."""
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


def _config_file(row: Listed) -> str:
    return row[0].container.config_file if row[0].container else ""


LIST_COLUMNS: Sequence[Column[Listed]] = (
    Column("id", mark("Instance ID"), lambda row: row[0].id),
    Column("state", mark("State"), lambda row: _(row[0].status.state)),
    Column("pid", "PID", lambda row: str(row[1] or "")),
    Column("web", mark("Web port"), lambda row: str(row[0].web_port or "")),
    Column("config", mark("Config file"), _config_file),
    Column("started", mark("Started"), lambda row: formatting.date_and_time(started_at(row[0]))),
)
"""Columns of `list`. The old system's own table has a light instead of the state."""


LIST_WIDTHS: Mapping[str, int] = {"id": 20, "pid": 10, "web": 10, "config": 40}


def _list_row(columns: Sequence[Column[Listed]], row: Listed) -> str:
    light = "🟢" if is_well(row[0]) else "🔴"
    instance, *texts, started = text_table.cells(columns, row)
    _instance, *widths = LIST_WIDTHS.values()
    middle = " ".join(f"{text or '-':<{width}}" for text, width in zip(texts, widths, strict=True))
    return f"{light} {instance:<18} {middle} {started}"
