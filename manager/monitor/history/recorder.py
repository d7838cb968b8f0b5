"""Write the history in a separate thread, so that a slow disk or a large database delays no alert.

Only `manager watch` writes it. An error is reported once, and the write is tried again.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.fleet import causes
from manager.fleet import exits as kept_exits
from manager.fleet.bot_report import Report
from manager.fleet.exits import Exit
from manager.fleet.instance import Instance
from manager.fleet.status import STOPPING
from manager.i18n import Text
from manager.monitor.history import (
    curve,
    database,
    fill,
    queries,
    sampling,
    schema_marks,
    spool_reader,
    turning,
    writing,
)
from manager.monitor.history.curve import Day
from manager.monitor.history.model import Sample, Span
from manager.typed import NamedTuple
from manager.util import kept_text

FILL_EVERY_S = 86400.0
"""Between two readings of a bot's database while nothing was missed: its trades are to outlive it."""
NEW_RUN_S = 120.0
"""At least between two readings because a run has begun or ended: its database says when, and why."""
SCHEMAS_EVERY_S = 15.0
"""Between two looks at the heads of the bots' databases: some ten files in a millisecond."""
TIDY_EVERY_S = 86400.0
EVEN_FOR_S = 600.0
EVEN_WITHIN_S = 5.0
"""A clock that is corrected gradually is off by less than this after a look."""
AGAIN_S = 60.0
"""To the next try after a failed write."""
HUNG_S = 300.0
"""A turn takes seconds, also on a slow disk: one that takes longer waits for a disk that does not answer."""
UNWATCHED_S = 180.0
"""A `watch` that was stopped for longer has not watched meanwhile."""
DAY_S = 86400


class Observation(NamedTuple):
    """Hold what `watch` sees at one moment. `asks_for_today`: whether anybody needs this day's P&L."""

    views: Mapping[str, Instance]
    answers: Mapping[str, Report]
    now: float
    asks_for_today: bool = True


class Written(NamedTuple):
    """Hold the result of one turn.

    `why`: why nothing could be written, empty where it could. `aside`: where a file was put.
    """

    today: Mapping[str, list[Day]]
    day: str
    why: str = ""
    aside: str = ""


class Recorder:
    """Record what `watch` sees. `today`: the P&L of this day, by instance, as of the last turn, if asked for.

    `say` gets a line about what cannot be written.
    """

    def __init__(self, fleet: Fleet, say: Callable[[object], object]) -> None:
        self._fleet, self._say = fleet, say
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="history")
        self._turn: Future[Written] | None = None
        self._began_at = 0.0
        self._seen: Observation | None = None
        self._why = ""
        self._writer = Writer(fleet)
        self.today: Mapping[str, list[Day]] = {}
        self.day = ""

    def record(
        self,
        views: Mapping[str, Instance],
        answers: Mapping[str, Report],
        now: float,
        *,
        asks_for_today: bool = True,
    ) -> None:
        """Write what is seen as soon as the turn before is over. Never waits."""
        self._seen = Observation(dict(views), answers, now, asks_for_today)
        self.go_on()

    def go_on(self) -> None:
        """Take up the result of the last turn, and begin the next one, if there is anything to do.

        Never waits.
        """
        if self._turn is not None:
            if not self._turn.done():
                if time.monotonic() - self._began_at >= HUNG_S:
                    self._tell(str(Text("the disk does not answer")))
                return
            self._note(self._turn.result())
            self._turn = None
        if self._seen is not None:
            seen, self._seen = self._seen, None
            self._turn = self._pool.submit(self._writer.write, seen)
        elif self._writer.has_work:
            self._turn = self._pool.submit(self._writer.work)
        self._began_at = time.monotonic()

    @property
    def why(self) -> str:
        """Return why the history is not written; empty while it is."""
        return self._why

    def close(self) -> None:
        """Begin nothing more.

        A turn that is under way may be cut: what it has not committed is as if it had not begun.
        """
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _note(self, written: Written) -> None:
        self.today, self.day = written.today, written.day
        path = self._fleet.history_file
        if written.aside:
            self._say(
                Text(
                    "{path} was damaged or not a history: it was moved to {aside}, and a new history was "
                    "begun",
                    path=path,
                    aside=written.aside,
                )
            )
        self._tell(written.why)

    def _tell(self, why: str) -> None:
        if bool(why) != bool(self._why):
            self._say(
                Text("the history is not written: {why}", why=why)
                if why
                else Text("the history is written again")
            )
        self._why = why


class Writer:
    """Hold the thread's own: the connection and what it remembers.

    Every method raises nothing that a disk or a file can cause.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._db: sqlite3.Connection | None = None
        self._inode = 0
        self._last: dict[str, Sample | None] = {}
        self._exits: dict[str, tuple[Exit, ...]] = {}
        self._watched: Span | None = None
        self._to_fill: deque[str] = deque()
        self._filled_at: dict[str, float] = {}
        self._has_new_run: set[str] = set()
        self._schemas: dict[str, frozenset[schema_marks.Mark]] = {}
        self._schemas_at = 0.0
        self._marks = schema_marks.SchemaMarks()
        self._tidied_at = 0.0
        self._even_since: tuple[float, float] | None = None
        """Since when, and how far, the clock has been ahead of the time that has passed."""
        self._today: Mapping[str, list[Day]] = {}
        self._day = ""
        self._retry_at = 0.0
        self._why = ""
        for left in fleet.state_dir.glob(".history.*"):  # by a `watch` that was killed
            shutil.rmtree(left, ignore_errors=True)

    @property
    def has_work(self) -> bool:
        """Return whether databases are to be read, which is done one a turn."""
        return bool(self._to_fill) and self._db is not None

    def write(self, seen: Observation) -> Written:
        """Write one look."""
        return self._guarded(lambda db: self._write(db, seen))

    def work(self) -> Written:
        """Read one bot's database."""
        return self._guarded(self._fill_next)

    def _guarded(self, work: Callable[[sqlite3.Connection], object]) -> Written:
        if time.monotonic() < self._retry_at:
            return Written(self._today, self._day, self._why)
        aside = ""
        try:
            db, put = self._connection()
            aside = str(put or "")
            work(db)
        except (sqlite3.Error, OSError, ManagerError) as error:
            self._forget()
            self._retry_at = time.monotonic() + AGAIN_S
            self._why = str(getattr(error, "strerror", None) or error)
            return Written(self._today, self._day, self._why, aside)
        self._why = ""
        return Written(self._today, self._day, aside=aside)

    def _connection(self) -> tuple[sqlite3.Connection, object]:
        """Return the connection, a new one if the file was removed."""
        path, aside = self._fleet.history_file, None
        if self._db is not None and (not path.exists() or path.stat().st_ino != self._inode):
            self._forget()
        if self._db is None:
            self._db, aside = database.open_for_writing(path)
            self._inode = path.stat().st_ino
        return self._db, aside

    def _forget(self) -> None:
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
        self._db = None
        self._last, self._exits, self._filled_at = {}, {}, {}

    def _write(self, db: sqlite3.Connection, seen: Observation) -> None:
        now = seen.now
        intake = spool_reader.read(self._fleet.event_spool_file, queries.fact(db, "spool"))
        added: dict[str, Sample] = {}
        exits: dict[str, tuple[Exit, ...]] = {}
        with database.transaction(db):
            for instance, view in seen.views.items():
                if view.status.detail == STOPPING or causes.may_be_started_again(view, now):
                    continue  # neither unhealthy nor stopped yet, nor known by whom: a later look knows
                before = self._before(db, instance)
                sample = sampling.sample(view, seen.answers.get(instance), now)
                exits[instance] = self._add_exits(db, view, now)
                writing.add_events(db, sampling.events(view, before, sample))
                if sampling.is_other_run(before, sample):
                    self._has_new_run.add(instance)
                if sampling.is_due(before, sample):
                    writing.add_samples(db, instance, [sample])
                    added[instance] = sample
            writing.add_events(db, intake.events)
            writing.put_fact(db, "spool", intake.places)
            watched = self._watched_until(now)
            writing.put_watched(db, watched)
        self._last |= added  # after the commit
        self._exits |= exits
        self._watched = watched
        self._plan_fills(seen)
        if self._may_tidy(now) and not 0 <= now - self._tidied_at <= TIDY_EVERY_S:
            self._tidy(db, now)
        self._today, self._day = {}, ""
        if seen.asks_for_today:  # it is half of all this
            self._today, self._day = self._days_of_today(db, seen.now), curve.day_of(seen.now)

    def _before(self, db: sqlite3.Connection, instance: str) -> Sample | None:
        if instance not in self._last:
            self._last[instance] = queries.last_sample(db, instance)
        return self._last[instance]

    def _add_exits(self, db: sqlite3.Connection, view: Instance, now: float) -> tuple[Exit, ...]:
        """Add those exits that are not in the history, whichever time the clock has shown since."""
        exits = sampling.exits(
            view.supervisor, kept_exits.read(self._fleet.instance_state_dir(view.id)).exits
        )
        if exits and exits != self._exits.get(view.id):
            oldest = max(now - self._fleet.history.keep_days * DAY_S, 0.0)
            known = queries.exits_since(db, view.id, min(exit_.at for exit_ in exits))
            new = [exit_ for exit_ in exits if exit_.at not in known and exit_.at >= oldest]
            writing.add_events(db, sampling.exit_events(view.id, new))
        return exits

    def _watched_until(self, now: float) -> Span:
        before = self._watched
        if before is None or not before.end <= now <= before.end + UNWATCHED_S:
            return Span(now, now)
        return Span(before.begin, now)

    def _plan_fills(self, seen: Observation) -> None:
        changed = self._with_other_tables(seen)
        due = [
            instance
            for instance in seen.views
            if instance not in self._to_fill
            and (
                instance in changed
                or abs(seen.now - self._filled_at.get(instance, 0.0))
                > (NEW_RUN_S if instance in self._has_new_run else FILL_EVERY_S)
            )
        ]
        self._to_fill.extend(instance for instance in due if fill.has_database(self._fleet, instance))

    def _with_other_tables(self, seen: Observation) -> set[str]:
        """Return the instances whose databases have other tables than before: those that nobody knows are to
        be said soon, not when something is read out of them anyway.
        """
        if 0 <= time.monotonic() - self._schemas_at < SCHEMAS_EVERY_S:
            return set()
        self._schemas_at = time.monotonic()
        marks = {one: self._marks.of_folder(self._fleet.database_dir(one)) for one in seen.views}
        before, self._schemas = self._schemas, marks
        return {one for one, now in self._schemas.items() if one in before and now != before[one]}

    def _fill_next(self, db: sqlite3.Connection) -> None:
        instance, now = self._to_fill.popleft(), time.time()
        self._filled_at[instance] = now
        self._has_new_run.discard(instance)
        samples = queries.samples(db, instance)
        quote = next((sample.quote for sample in reversed(samples) if sample.quote), None)
        spans = fill.missing(samples, queries.covered(db, instance), now)
        filled = fill.read(self._fleet, instance, spans, quote, self._fleet.state_dir)
        with database.transaction(db):
            for record in filled.records:
                writing.add_samples(db, instance, record.equity)
                writing.put_filled(db, instance, fill.known_spans(record, now))
                writing.add_trades(db, record.trades)
                writing.put_runs(db, instance, record.runs)
            why = None if filled.why is None else kept_text.kept(filled.why)
            writing.put_fact(db, queries.FILL.format(instance), {"at": now, "why": why})

    def _may_tidy(self, now: float) -> bool:
        """Return whether the clock has gone evenly for a while.

        What is old by a clock that was wrong, as of a machine that has just booted, must not be removed.
        """
        passed = now - time.monotonic()
        if self._even_since is None or abs(passed - self._even_since[1]) > EVEN_WITHIN_S:
            self._even_since = now, passed
        return now - self._even_since[0] >= EVEN_FOR_S

    def _tidy(self, db: sqlite3.Connection, now: float) -> None:
        rules = self._fleet.history
        with database.transaction(db):
            for instance in queries.instances(db):
                dropped = sampling.superfluous(queries.samples(db, instance), now)
                writing.drop_samples(db, instance, dropped)
        writing.prune(db, now - rules.keep_days * DAY_S, rules.max_mb << 20)
        self._tidied_at = now

    def _days_of_today(self, db: sqlite3.Connection, now: float) -> Mapping[str, list[Day]]:
        """Return this day's P&L of all that were sampled today, removed ones too."""
        begin, today = curve.day_start(now), curve.day_of(now)
        today_of, moments = {}, [turning.just_before(begin)]
        for instance in queries.instances(db, begin):
            samples = queries.pnl_samples_at(db, instance, begin, now, moments=moments)
            covered = queries.covered(db, instance)
            today_of[instance] = [day for day in curve.days(samples, covered, now) if day.day == today]
        return today_of
