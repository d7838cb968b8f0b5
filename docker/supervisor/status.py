"""Write the state file and the verdict."""

from _collections_abc import Callable

from supervisor import files, host, state
from supervisor.dated import DatedFile
from supervisor.journal import Journal
from supervisor.lock import Lock
from supervisor.loop import Loop
from supervisor.paths import Paths
from supervisor.reasons import Reason
from supervisor.timings import Timings


class StatusWriter:
    """Write the record at each change, and at least once per probe interval so that it never looks stale."""

    def __init__(
        self, loop: Loop, paths: Paths, timings: Timings, record: state.Record, journal: Journal
    ) -> None:
        self._loop = loop
        self._paths = paths
        self._margin = timings.verdict_margin
        self._journal = journal
        self._faults: dict[str, str] = {}
        self.record = record
        self.lock: Lock | None = None  # only who holds the lock writes into the state folder
        self.dated_files: dict[str, DatedFile] = {}

    def write(self) -> None:
        """Write both files.

        A fault is logged once, and the write is tried again at the next change or interval.
        """
        self._loop.after("write status", self.record.health_interval, self.write)
        for name, file in self.dated_files.items():
            file.check()
            self.record.dropped[name] = file.dropped
            self.record.over_limit[name] = file.over_limit
        self._try(self._paths.verdict_file, self._write_verdict)
        if self.lock is not None:
            self._try(self._paths.lock_file, self._repair_lock)
            self._try(self._paths.state_file, self._write_state)

    def close_files(self) -> None:
        """Close the dated files, so that the count of lines that a day's limit has cost is in them."""
        for file in self.dated_files.values():
            file.close()

    def enter(self, new: str, reason: Reason | None = None) -> None:
        """Set the state and write it."""
        self.record.enter(new, reason)
        self.write()

    def _write_verdict(self, path: str) -> None:
        until = host.uptime() + 3 * self.record.health_interval + self._margin
        record = self.record
        line = state.verdict(record.state, record.why, until, halted=record.is_halted)
        files.replace(path, line.encode("utf-8", "replace"), durable=False)

    def _write_state(self, path: str) -> None:
        # only a terminal state has to survive a power cut. Syncing every state would make hundreds of bots
        # that start or stop together wait for each other
        state.save(path, self.record, durable=self.record.state in state.TERMINAL)

    def _repair_lock(self, path: str) -> None:
        if self.lock is not None and self.lock.repair():
            self._journal.log(f"{path} was removed or replaced: it is put back")

    def _try(self, path: str, write: Callable[[str], None]) -> None:
        try:
            write(path)
        except OSError as err:
            text = f"cannot write {path}: {err.strerror}"
            if self._faults.get(path) != text:
                self._faults[path] = text
                self._journal.log(text)
        else:
            if self._faults.pop(path, None):
                self._journal.log(f"writing {path} works again")
