"""Fill gaps of the history from the bots' own databases, which outlive their containers."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from manager.config.fleet import Fleet
from manager.i18n import Text
from manager.monitor.history import bot_database, curve
from manager.monitor.history.bot_database import BotRecord, UnknownSchema
from manager.monitor.history.model import Sample, Span
from manager.ops.backup import databases
from manager.ops.backup.databases import CopyError
from manager.typed import NamedTuple

BEGINNING = 1.0
OLD_S = 29 * 86400.0
OLD_GAP_S = 2 * 3600.0


class Filled(NamedTuple):
    """Hold what an instance's databases know.

    `why`: why nothing, or not all, could be read: what is missing there stays a gap.
    """

    records: Sequence[BotRecord] = ()
    why: Text | None = None


def has_database(fleet: Fleet, instance: str) -> bool:
    """Return whether the instance has a database folder."""
    return fleet.database_dir(instance).is_dir()


def _own_names(folder: Path) -> Sequence[str]:
    """Return the name that the instance's database has in its folder: one that is damaged beyond being known
    as a database is named, too. The link beside the folder has it, where the instance was ever started.
    """
    try:
        name = folder.with_name(f"{folder.name}.db").readlink().name
    except OSError:
        return ()
    file = folder / name
    try:
        return (name,) if not file.is_symlink() and file.is_file() and file.stat().st_size else ()
    except OSError:
        return ()


def missing(samples: Sequence[Sample], covered: Sequence[Span], now: float) -> list[Span]:
    """Return the times of which there are no samples: before the first, in the gaps, and after the last.

    Pure.
    """
    known = [sample for sample in samples if sample.pnl is not None]
    if not known:
        return [Span(BEGINNING, now)]
    gaps = [
        Span(before.at, after.at) for before, after in pairwise(known) if curve.is_gap(before, after, covered)
    ]
    return [Span(BEGINNING, known[0].at), *gaps, Span(known[-1].at, now)]


def known_spans(record: BotRecord, now: float) -> list[Span]:
    """Return the times of which a bot's database knows the P&L.

    It thins out what is older than a month. Pure.
    """
    moments = [sample.at for sample in record.equity]
    return curve.contiguous(moments, lambda at: OLD_GAP_S if now - at > OLD_S else curve.GAP_S)


def read(fleet: Fleet, instance: str, spans: Iterable[Span], quote: str | None, work: Path) -> Filled:
    """Read the copies of an instance's databases.

    `work`: where they are made, and removed again. Raises nothing.
    """
    wanted = list(spans)
    try:
        with tempfile.TemporaryDirectory(prefix=".history.", dir=work) as folder:
            source = fleet.database_dir(instance)
            copies = databases.copy_folder(instance, source, Path(folder), plain=False)
            faults = [Text("{name}: {why}", name=name, why=why) for name, why in copies.faults]
            seen = {*(copy.source.name for copy in copies.copied), *(name for name, _why in copies.faults)}
            faults += [
                Text("{name}: {why}", name=name, why=Text("not a SQLite database"))
                for name in _own_names(source)
                if name not in seen
            ]
            records = []
            for copy in copies.copied:
                try:
                    records.append(bot_database.read(copy.path, instance, wanted, quote=quote))
                except UnknownSchema:
                    faults.append(Text("{name}: its tables are not known", name=copy.source.name))
                except sqlite3.Error as error:
                    faults.append(Text("{name}: {why}", name=copy.source.name, why=error))
            return Filled(records, faults[0] if faults else None)
    except CopyError as error:
        return Filled(why=error.text)
    except OSError as error:
        return Filled(why=Text("{why}", why=error.strerror or error))
