"""Read what `manager history` shows: from the fleet's file, and from the bots' databases where that has
nothing.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from manager.config.fleet import Fleet
from manager.fleet import bot_report, supervisor_state
from manager.fleet import exits as kept_exits
from manager.fleet.selection import no_instance
from manager.i18n import Text
from manager.monitor.history import curve, database, fill, queries, sampling, spool_reader
from manager.monitor.history import run_ends as run_ends_of
from manager.monitor.history.database import NotOurs
from manager.monitor.history.model import Event, Run, Sample, Span, Trade
from manager.ops.backup import databases
from manager.typed import NamedTuple
from manager.util import scratch

UNWATCHED_S = 180.0

_Query = Callable[..., list[Sample]]


class InstanceHistory(NamedTuple):
    """Hold all that is known of one instance, oldest first. `why`: why its database could not be read.

    `run_ends`: the last sample of each run, the newest first. `present_run`: when the run began that was
    sampled last. `seen`: when runs without an end were last sampled, by their begin. `running_since`: when
    the present bot was started, as its supervisor has it.
    """

    instance: str
    samples: Sequence[Sample] = ()
    covered: Sequence[Span] = ()
    events: Sequence[Event] = ()
    runs: Sequence[Run] = ()
    trades: Sequence[Trade] = ()
    run_ends: Sequence[Sample] = ()
    why: Text | None = None
    present_run: float | None = None
    seen: Mapping[float, float] = MappingProxyType({})
    running_since: float | None = None


class FleetHistory(NamedTuple):
    """Hold what is known of the fleet. `notes`: what is missing in all of it, and why."""

    instances: Sequence[InstanceHistory]
    notes: Sequence[Text]
    now: float


class _Stored(NamedTuple):
    histories: dict[str, InstanceHistory]
    watched: Sequence[Span]
    spool: object
    note: Text | None


def read(
    fleet: Fleet,
    configured: Iterable[str],
    chosen: Sequence[str],
    since: float,
    *,
    trades: bool = False,
    run_ends: bool = False,
    every: float | None = None,
    moments: Callable[[float], Sequence[float]] | None = None,
) -> FleetHistory:
    """Read the history of the chosen instances, of all for none. Writes nothing.

    What a restore has moved aside is read if it is chosen: else its trades would be told twice.
    `trades`: read every bot's database for them, whatever is stored. `run_ends`: also what each run has ended
    with. `every`: only one sample in so many seconds. `moments`: only the samples that count at those that it
    returns for now. Raises UsageError for an unknown instance, HistoryTooNew.
    """
    now = time.time()
    samples: _Query = queries.samples if chosen else queries.pnl_samples
    if every is not None:
        samples = partial(queries.pnl_samples_every, seconds=every)
    elif moments is not None:
        samples = partial(queries.pnl_samples_at, moments=moments(now))
    stored = _stored(fleet, chosen, since, now, samples, trades=trades, run_ends=run_ends)
    known = sorted({*stored.histories, *configured, *_with_database(fleet)})
    for instance in chosen:
        if instance not in known:
            raise no_instance(instance, known)
    spooled = spool_reader.read(fleet.event_spool_file, stored.spool).events
    is_stale = not stored.watched or now - stored.watched[-1].end > UNWATCHED_S
    read = []
    for instance in chosen or [name for name in known if not databases.MOVED_ASIDE.fullmatch(name)]:
        history = stored.histories.get(instance, InstanceHistory(instance))
        events = [event for event in spooled if event.instance == instance and event.at >= since]
        history = history._replace(events=[*history.events, *events])
        history = _with_exits(fleet, history, since)
        if is_stale:
            history = _with_last_report(fleet, history, now)
        if not fill.has_database(fleet, instance):
            history = history._replace(why=None)
        elif is_stale or trades:
            history = _filled(fleet, history, since, now)
        read.append(_with_run_ends(fleet, history))
    return FleetHistory(read, [stored.note] if stored.note else [], now)


def began(fleet: Fleet) -> float | None:
    """Return when the oldest sample was taken; None for none, and for a file that cannot be read."""
    try:
        with database.reading(fleet.history_file) as db:
            return queries.first_at(db)
    except (sqlite3.Error, OSError, NotOurs):
        return None


def _stored(
    fleet: Fleet,
    chosen: Sequence[str],
    since: float,
    now: float,
    samples: _Query,
    *,
    trades: bool,
    run_ends: bool,
) -> _Stored:
    """Read what is shown of the chosen instances, of all for none; of the others only that they are known."""
    nothing = Text(
        "nothing has been sampled, because `manager watch` has never run here: what follows is from the"
        " bots' own databases;"
        " `manager watch` samples while it runs, `manager install-service` makes it run from boot on"
    )
    path = fleet.history_file
    try:
        with database.reading(path) as db:
            histories = {
                instance: InstanceHistory(
                    instance,
                    samples(db, instance, since, now),
                    queries.covered(db, instance),
                    queries.events(db, instance, since),
                    trades=queries.trades(db, [instance], since) if trades else [],
                    run_ends=queries.run_ends(db, instance, now) if run_ends else [],
                    why=queries.why_not_filled(db, instance),
                    **_known_of_runs(fleet, db, instance),
                )
                if not chosen or instance in chosen
                else InstanceHistory(instance)
                for instance in queries.instances(db)
            }
            return _Stored(histories, queries.watched(db), queries.fact(db, "spool"), None)
    except FileNotFoundError:
        return _Stored({}, [], None, nothing)
    except NotOurs:
        note = Text(
            "{path} is damaged, or not a history: `manager watch` puts it aside and begins a new one",
            path=path,
        )
    except (sqlite3.Error, OSError) as error:
        note = Text("cannot read {path}: {why}", path=path, why=error)
    return _Stored({}, [], None, note)


def _known_of_runs(fleet: Fleet, db: sqlite3.Connection, instance: str) -> Mapping[str, Any]:
    """Return the runs, and what tells when those have ended whose databases are gone."""
    runs = queries.runs(db, instance)
    if not (unended := run_ends_of.open_runs(runs)):
        return {"runs": runs}
    present = queries.present_run(db, instance) if fill.has_database(fleet, instance) else None
    others = [run for run in unended if present is None or not run_ends_of.is_present(run, present)]
    seen = {run.began: at for run in others if (at := queries.last_seen(db, instance, run)) is not None}
    return {"runs": runs, "present_run": present, "seen": seen}


def _with_run_ends(fleet: Fleet, history: InstanceHistory) -> InstanceHistory:
    """Give an end to each run that does not go on, which the present one does while its database is there."""
    if not (unended := run_ends_of.open_runs(history.runs)):
        return history
    present = history.present_run
    if present is None and fill.has_database(fleet, history.instance):
        present = max(run.began for run in unended)  # nothing was sampled: a database alone tells of it
    return history._replace(runs=run_ends_of.with_ends(history.runs, present, history.seen))


def _with_database(fleet: Fleet) -> list[str]:
    folder = fleet.data_dir / "database"
    try:
        return [
            entry.name
            for entry in folder.iterdir()
            if entry.is_dir() and not entry.is_symlink() and entry.name[0] != "."
        ]
    except OSError:
        return []


def _with_exits(fleet: Fleet, history: InstanceHistory, since: float) -> InstanceHistory:
    """Add the exits that no `watch` has seen yet, and return the events in the order of time."""
    folder = fleet.instance_state_dir(history.instance)
    known = {event.at for event in history.events if event.what == "exit"}
    kept = kept_exits.read(folder)
    exits = sampling.exits(supervisor_state.read(folder), kept.exits)
    new = [exit_ for exit_ in exits if exit_.at >= since and exit_.at not in known]
    events = [*history.events, *sampling.exit_events(history.instance, new)]
    events.sort(key=lambda event: event.at)
    return history._replace(events=events, running_since=kept.running_since)


def _with_last_report(fleet: Fleet, history: InstanceHistory, now: float) -> InstanceHistory:
    """Add what the bot's last report says, if it is newer than every sample."""
    folder = fleet.instance_state_dir(history.instance)
    kept_report, supervisor = bot_report.read_kept(folder), supervisor_state.read(folder)
    if (
        kept_report is None
        or kept_report.at is None
        or kept_report.at > now
        or (history.samples and history.samples[-1].at >= kept_report.at)
    ):
        return history
    report = kept_report.report
    state = supervisor.state if supervisor is not None else "missing"
    kind = report.market if report.is_artificial else report.mode
    sample = Sample(
        kept_report.at,
        state,
        None,
        kind or "",
        report.run_began,
        supervisor.bot_started_at if supervisor else None,
        report.quote,
        report.base,
        report.pnl,
        report.realized,
        report.fees,
        report.position,
        report.price,
        report.trades,
    )
    return history._replace(samples=[*history.samples, sample])


def _filled(fleet: Fleet, history: InstanceHistory, since: float, now: float) -> InstanceHistory:
    spans = fill.missing(history.samples, history.covered, now)
    quote = next((sample.quote for sample in reversed(history.samples) if sample.quote), None)
    result = fill.read(fleet, history.instance, spans, quote, scratch.folder())
    samples = {sample.at: sample for record in result.records for sample in record.equity}
    samples |= {sample.at: sample for sample in history.samples}
    runs = {run.began: run for run in history.runs} | {
        run.began: run for record in result.records for run in record.runs
    }
    trades = {(trade.trade_id, trade.order_id): trade for trade in history.trades}
    trades |= {
        (trade.trade_id, trade.order_id): trade
        for record in result.records
        for trade in record.trades
        if trade.at >= since
    }
    return history._replace(
        covered=curve.together(
            history.covered, *(fill.known_spans(record, now) for record in result.records)
        ),
        samples=_since([samples[at] for at in sorted(samples)], since),
        runs=[runs[began] for began in sorted(runs)],
        trades=sorted(trades.values(), key=lambda trade: (trade.at, trade.trade_id)),
        why=result.why,
    )


def _since(samples: list[Sample], since: float) -> list[Sample]:
    """Return the samples from then on, with the last one before."""
    first = next((index for index, sample in enumerate(samples) if sample.at >= since), len(samples))
    return samples[max(0, first - 1) :]
