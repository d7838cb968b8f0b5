"""Run `stats`: print once what each instance uses, and what its bot reports."""

from __future__ import annotations

import shutil
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence

from manager.cli.notices import after_showing, one_output, say_foreign
from manager.errors import BAD_CONFIG
from manager.fleet import display, doing
from manager.fleet.selection import Selection, selected
from manager.fleet.session import Session
from manager.i18n import _
from manager.monitor.stats import columns, figure_columns, instance_stats
from manager.monitor.stats.collect import collect, mode_mismatch
from manager.monitor.stats.instance_stats import InstanceStats
from manager.monitor.stats.sampler import Sampler
from manager.util import console, text_table
from manager.util.text_table import Column


def stats(session: Session, args: Namespace) -> int:
    """Print a table with the fleet's sums, or a JSON array."""
    one_output(args)
    snapshot = session.observe()
    is_ours = say_foreign(snapshot)
    views = selected(Selection(args.ids, args.config), snapshot)
    rows = collect(snapshot, views, Sampler(session.engine().statistics))
    if args.sort == "worst":
        rows.sort(key=lambda row: doing.by_urgency(row.view))
    if args.json:
        console.say_json([instance_stats.stats_object(row) for row in rows])
    elif args.format:
        console.say(console.table(figure_columns.named(args.columns), rows, args.format))
    elif rows:
        console.say(_table(rows, args.columns))
        total, room = columns.total_line(instance_stats.sum_up(rows)), console.terminal_width()
        console.say(total if room is None else "\n".join(text_table.wrapped(total, room)))
    else:
        console.say(_("no instances"))
    for row in rows:
        if row.has_mode_mismatch:
            console.warning(mode_mismatch(row))
    return after_showing(snapshot, Selection(args.ids, args.config)) if is_ours else BAD_CONFIG


def _table(rows: list[InstanceStats], names: Sequence[str] | None) -> str:
    """Return the table with the columns that were named, else with those that fit the terminal."""
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() and not names else None
    wanted = figure_columns.named(names)
    written = columns.cells(rows, wanted)
    widths = columns.widths(written, wanted)
    shown = text_table.fitting(wanted, widths, room)
    if len(shown) < len(wanted):
        written = columns.cells(rows, wanted, shown)
        widths = columns.widths(written, wanted)
    cells = {row.id: texts for row, texts in zip(rows, written, strict=True)}
    heads = text_table.headings(shown)
    lines = [_line([*zip(shown, heads, strict=True)], widths)]
    for row in rows:
        texts = [(column, cells[row.id][column.name]) for column in shown]
        lines.append(_line(texts, widths, row))
    return "\n".join(lines)


def _line(
    texts: Sequence[tuple[Column[InstanceStats], str]],
    widths: Mapping[str, int],
    row: InstanceStats | None = None,
) -> str:
    pieces = []
    for column, text in texts:
        piece = text_table.padded(text, widths[column.name], column.align)
        pieces.append(_painted(row, column.name, piece) if row is not None else piece)
    return (" " * text_table.GAP).join(pieces).rstrip()


def _painted(row: InstanceStats, key: str, piece: str) -> str:
    is_old = row.figures_at is not None
    match key:
        case "state" | "doing":
            return display.painted(doing.severity(row.view), piece)
        case "mode" if row.view.mode == "live":
            return display.painted("live", piece)
        case "pnl" if not is_old and row.report.pnl:
            return display.painted("calm" if row.report.pnl > 0 else "bad", piece)
        case "pnl" | "position" | "as_of" if is_old:
            return display.painted("off", piece)
        case _:
            return piece
