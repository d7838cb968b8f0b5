"""Select and sort the rows, and place the cursor. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from manager.fleet import doing
from manager.i18n import _
from manager.monitor.stats import columns
from manager.monitor.stats.instance_stats import InstanceStats
from manager.typed import NamedTuple
from manager.util.text_table import Column

BY_NAME: Mapping[str, Column[InstanceStats]] = {column.name: column for column in columns.COLUMNS}

DESCENDING = frozenset({"cpu", "memory", "share", "pids", "network", "disk", "restarts", "pnl"})
"""Columns whose largest values come first."""


class Order(NamedTuple):
    """Hold the column to sort by, and whether its usual direction is reversed."""

    key: str = "state"
    is_turned: bool = False

    @property
    def is_descending(self) -> bool:
        """Return whether the largest comes first."""
        return (self.key in DESCENDING) != self.is_turned

    def moved(self, shown: Sequence[Column[InstanceStats]], step: int) -> Order:
        """Return the order by the shown column so many steps to the right."""
        keys = [column.name for column in shown]
        at = keys.index(self.key) if self.key in keys else 0
        return Order(keys[(at + step) % len(keys)])


def matching(rows: Sequence[InstanceStats], words: str) -> list[InstanceStats]:
    """Return the rows that contain every one of these words."""
    wanted = words.lower().split()
    return [row for row in rows if all(word in _facts(row) for word in wanted)]


def arranged(rows: Sequence[InstanceStats], words: str, order: Order) -> list[InstanceStats]:
    """Return the rows to show, sorted."""
    column = BY_NAME[order.key]
    return columns.ordered(matching(rows, words), column, is_reverse=order.is_descending)


def held(rows: Sequence[InstanceStats], before: Sequence[str]) -> list[InstanceStats]:
    """Return the rows in their previous order, so that they do not move while a key is pressed; new ones at
    the end.
    """
    places = {instance: index for index, instance in enumerate(before)}
    return sorted(rows, key=lambda row: places.get(row.id, len(places)))


def cursor_after(ids: Sequence[str], before: Sequence[str], cursor: str | None) -> str | None:
    """Return the cursor's new instance: the same one, or what took its place."""
    if cursor in ids or not ids:
        return cursor if cursor in ids else None
    at = before.index(cursor) if cursor in before else 0
    return ids[min(at, len(ids) - 1)]


def _facts(row: InstanceStats) -> str:
    view = row.view
    state, mode = view.status.state, view.mode or ""
    activity = doing.activity(view).doing or ""
    words = (
        view.id,
        state,
        _(state),
        activity,
        _(activity),
        mode,
        _(mode),
        view.exchange,
        view.symbol,
        view.strategy,
    )
    return " ".join(word for word in words if word).lower()
