"""`stats`: what each instance uses, and what its bot reports, once."""

from __future__ import annotations

import shutil
import sys
from argparse import Namespace
from collections.abc import Sequence

from manager.cli.notices import after_showing, one_output, say_foreign
from manager.errors import BAD_CONFIG
from manager.fleet import display
from manager.fleet.selection import Selection, selected
from manager.fleet.session import Session
from manager.i18n import _
from manager.monitor.stats import columns, instance_stats
from manager.monitor.stats.collect import collect, mode_mismatch
from manager.monitor.stats.instance_stats import InstanceStats
from manager.monitor.stats.sampler import Sampler
from manager.util import console, text_table
from manager.util.text_table import Column


def stats(session: Session, args: Namespace) -> int:
    """The figures as a table with the fleet's sums, or as an array of objects."""
    one_output(args)
    snapshot = session.observe()
    is_ours = say_foreign(snapshot)
    views = selected(Selection(args.ids, args.config), snapshot)
    rows = collect(snapshot, views, Sampler(session.engine().statistics))
    if args.json:
        console.say_json([instance_stats.stats_object(row) for row in rows])
    elif args.format:
        console.say(_drawn(rows, args.format))
    elif rows:
        console.say(_table(rows))
        console.say(columns.total_line(instance_stats.sum_up(rows)))
    else:
        console.say(_("no instances"))
    for row in rows:
        if row.has_mode_mismatch:
            console.warning(mode_mismatch(row))
    return after_showing(snapshot) if is_ours else BAD_CONFIG


def _table(rows: list[InstanceStats]) -> str:
    """Return the table with the columns that the terminal has room for."""
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    widths = columns.widths([columns.cells(row) for row in rows])
    return _drawn(rows, None, text_table.fitting(columns.COLUMNS, widths, room))


def _drawn(
    rows: list[InstanceStats], style: str | None, shown: Sequence[Column[InstanceStats]] = columns.COLUMNS
) -> str:
    return console.table(
        [_coloured(column) if column.name == "state" else column for column in shown], rows, style
    )


def _coloured(column: Column[InstanceStats]) -> Column[InstanceStats]:
    return column._replace(cell=lambda row: display.coloured(row.view.verdict.state, column.cell(row)))
