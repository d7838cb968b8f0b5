"""Hold what the verbs need: the session, the threads that observe, a feed for each language."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from manager import i18n
from manager.config.bot_environment import LiveContainer
from manager.errors import TimedOut, UsageError
from manager.fleet import env_file
from manager.fleet.session import Session
from manager.monitor.stats.instance_stats import InstanceStats
from manager.monitor.watch.shared_look import SharedLook
from manager.web.engine_side.actions import Actions
from manager.web.engine_side.exposition import Exposition
from manager.web.engine_side.feed import Feed, Object
from manager.web.engine_side.figures import FigureReader, Ranges
from manager.web.engine_side.kept import KeptAnswers
from manager.web.engine_side.log_tails import Tails
from manager.web.engine_side.machines import MachineReader
from manager.web.engine_side.observer import READ_WITHIN_S, Observer, PageSnapshot, Readers, SnapshotHolder

FIRST_LOOK_WITHIN_S = 20.0
NEW_LOOK_WITHIN_S = 2.0
"""An old look, which says how old it is, is better than an empty page while the engine is slow."""
END_WITHIN_S = 10.0
"""How long a look may take that is under way at the end."""
FRESH_S = 15.0
"""A look that is older is not given to a reader who has just come, if a new one can be had."""


class Backend:
    """Serve the engine side. `redeem` says whether a link's secret signs in, and consumes it."""

    def __init__(
        self,
        session: Session,
        redeem: Callable[[str], bool],
        look: Callable[[], PageSnapshot] | None = None,
    ) -> None:
        """Raise ManagerError: a project that cannot be read. `look`: observes the fleet."""
        self.session = session
        self.readers = Readers()
        first, self.share = PageSnapshot(session.project().fleet), SharedLook()
        look = look or Observer(session, self.share, lambda: self.exposition.usage_of_watch).look
        self.snapshots = SnapshotHolder(first, look, self.readers, self._publish)
        self.share.on_change = self.snapshots.thread.at_once
        self.figures = FigureReader(session, self.readers)
        self.ranges = Ranges(session)
        self.actions = Actions(session.chosen_dir, self.snapshots.thread.at_once)
        self.exposition = Exposition(lambda: self.snapshots.latest)
        self.machines = MachineReader(
            session,
            self.readers,
            self._live_here,
            lambda: [row.view for row in self.snapshots.latest.rows],
            lambda: self.snapshots.latest.fleet,
        )
        self.redeem = redeem
        self.tails = Tails(session.chosen_dir)
        self.is_ending = False
        self._looked = threading.Condition()
        self._looked_at = float("-inf")
        self._feeds: dict[str, Feed] = {}
        self._kept: dict[str, KeptAnswers] = {}
        self._read_at: dict[str, float] = {}
        self._publishing = threading.Lock()

    def begin(self) -> None:
        """Start the threads."""
        self.snapshots.thread.begin()
        self.figures.thread.begin()
        self.machines.thread.begin()

    def end(self) -> bool:
        """End the threads; return whether they have ended within some seconds, all together."""
        self.is_ending = True
        self.readers.end()
        self.tails.close()
        until = time.monotonic() + END_WITHIN_S
        for thread in (threads := (self.snapshots.thread, self.figures.thread, self.machines.thread)):
            thread.join(max(0.0, until - time.monotonic()))
        return all(thread.join(0.0) for thread in threads)

    def note_reader(self) -> None:
        """Note that the page is read now, in the present language."""
        self._read_at[i18n.language()] = time.monotonic()
        self.readers.note()

    def feed(self) -> Feed:
        """Return the feed of the language that is spoken, up to date. Waits for the first look."""
        language = i18n.language()
        self.note_reader()
        self.wait_for_look()
        with self._publishing:
            if language not in self._feeds:
                self._feeds[language] = Feed()
                self._put(language, self.snapshots.latest)
            return self._feeds[language]

    def state(self) -> tuple[Object, list[Object], str]:
        """Return fleet and instances, with what is measured as of now, and the event that they are of."""
        feed, language = self.feed(), i18n.language()
        with self._publishing:
            if language in self._kept:
                self._kept[language].measure_anew()
            return feed.state()

    def row(self, instance_id: str) -> InstanceStats | None:
        """Return the instance's row of the last look."""
        return next((row for row in self.snapshots.latest.rows if row.id == instance_id), None)

    def known_row(self, instance_id: str) -> InstanceStats:
        """Return the instance's row of a look that is not old. Raises UsageError for an unknown one."""
        self.readers.note()
        self.wait_for_look()
        row = self.row(instance_id)
        if row is None:
            raise UsageError("no instance {id}", id=instance_id)
        return row

    def is_fresh(self) -> bool:
        """Return whether the last look can be relied on: it succeeded, and was just now."""
        return self.snapshots.latest.error is None and time.monotonic() - self._looked_at < FRESH_S

    def wait_for_look(self) -> None:
        """Wait a moment for a look that is not old. Raises TimedOut if there is none at all."""
        if time.monotonic() - self._looked_at < FRESH_S:
            return
        self.snapshots.thread.at_once()
        within = FIRST_LOOK_WITHIN_S if self._looked_at == float("-inf") else NEW_LOOK_WITHIN_S
        with self._looked:
            self._looked.wait_for(lambda: time.monotonic() - self._looked_at < FRESH_S, within)
        if self._looked_at == float("-inf"):
            raise TimedOut("the fleet could not be observed within {seconds} s", seconds=FIRST_LOOK_WITHIN_S)

    def _live_here(self) -> list[LiveContainer]:
        look = self.snapshots.latest
        return [
            LiveContainer(
                row.id,
                look.fleet.container_name(row.id),
                row.view.exchange or "",
                row.view.symbol or "",
                env_file.read(look.fleet.secrets_dir(row.id) / env_file.ENV_FILE),
            )
            for row in look.rows
            if row.is_live and row.view.is_bot_up
        ]

    def _publish(self, look: PageSnapshot) -> None:
        with self._publishing:
            for language in list(self._feeds):
                if time.monotonic() - self._read_at[language] > READ_WITHIN_S:
                    del self._feeds[language]
                    self._kept.pop(language, None)
                else:
                    self._put(language, look)
        with self._looked:
            self._looked_at = time.monotonic()
            self._looked.notify_all()

    def _put(self, language: str, look: PageSnapshot) -> None:
        with i18n.speaking(language):
            figures = self.figures.latest
            kept = self._kept.setdefault(language, KeptAnswers())
            told = kept.instances(look, figures)
            self._feeds[language].put(kept.fleet(look, figures, told), told)
