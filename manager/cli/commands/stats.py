"""`stats`: what each instance uses, and what its bot reports, once."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable, Mapping

from manager.cli.commands.show import after_showing, say_foreign, selected
from manager.errors import BAD_CONFIG
from manager.fleet.instance import InstanceView
from manager.fleet.observe import Survey
from manager.fleet.session import Context
from manager.fleet.status import State
from manager.i18n import Text, _
from manager.monitor.stats import columns, instance_stats, reports
from manager.monitor.stats.columns import Column
from manager.monitor.stats.instance_stats import SILENT, Figures
from manager.monitor.stats.sampler import Meter
from manager.util import console
from manager.util.text_table import GAP

BETWEEN_SAMPLES_S = 0.5
"""CPU is what was used between two samples. A bot that ticks twice a second is seen to; `docker stats` takes 1 s."""


def stats(context: Context) -> int:
    """The figures as a table with the fleet's sums, or as an array of objects."""
    survey = context.survey()
    is_ours = say_foreign(survey)
    views = selected(context, survey)
    rows = gather(survey, views, Meter(context.engine().statistics))
    if context.as_json:
        console.say_json([instance_stats.as_object(row) for row in rows])
    elif rows:
        console.say(_table(rows))
        console.say(columns.total_line(instance_stats.totals(rows)))
    else:
        console.say(_("no instances"))
    for row in rows:
        if row.is_misled:
            console.warning(misled(row))
    return after_showing(survey) if is_ours else BAD_CONFIG


def gather(survey: Survey, views: Iterable[InstanceView], meter: Meter) -> list[Figures]:
    """Samples all, waits once, samples all again; the bots are asked only then, for that is work which they would not do else."""
    chosen = list(views)
    running = [view.container.id for view in chosen if view.container and view.container.is_up]
    meter.measure(running)
    time.sleep(BETWEEN_SAMPLES_S if running else 0)
    used = meter.measure(running)
    said = reports.read(addresses(survey, chosen))
    return [
        Figures(view, used.get(view.container.id) if view.container else None, said.get(view.id, SILENT))
        for view in chosen
    ]


def addresses(survey: Survey, views: Iterable[InstanceView]) -> dict[str, tuple[str, int]]:
    """Where the bots that are up can be asked."""
    host = survey.project.fleet.web_host
    return {view.id: (host, view.web_port) for view in views if view.is_bot_up and view.web_port}


def misled(row: Figures) -> Text:
    """What to say of a bot that trades otherwise than its container was made for."""
    return Text(
        "{id}: its bot says that it trades {said}, but its container was made for {mode}",
        id=row.id, said=_(row.report.mode or ""), mode=_(row.view.mode or ""),
    )  # fmt: skip


def _table(rows: list[Figures]) -> str:
    written = [columns.cells(row) for row in rows]
    widths = columns.widths(written)
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    shown = columns.fitting(widths, room)
    lines = [_line({each.key: _(each.head) for each in shown}, shown, widths)]
    for row, texts in zip(rows, written, strict=True):
        lines.append(_line(texts, shown, widths, row.view.verdict.state))
    return "\n".join(lines)


def _line(
    texts: Mapping[str, str], shown: list[Column], widths: Mapping[str, int], state: State | None = None
) -> str:
    pieces = []
    for each in shown:
        piece = columns.padded(texts[each.key], widths[each.key], is_number=each.is_number)
        pieces.append(console.coloured(state, piece) if state and each.key == "state" else piece)
    return (" " * GAP).join(pieces).rstrip()
