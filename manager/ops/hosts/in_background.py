"""Ask hosts what runs there, each in a thread of its own: one that hangs delays the rows of no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Thread

from manager.config.fleet import Fleet
from manager.ops.hosts import account_looks, everywhere
from manager.ops.hosts.everywhere import Answer
from manager.ops.hosts.registry import Host


class BackgroundJobs:
    """Run each job in a thread that the process does not wait for, unless the one of its name still runs."""

    def __init__(self) -> None:
        self._threads: dict[str, Thread] = {}

    def begin(self, name: str, job: Callable[[], object]) -> Thread:
        """Begin the job; return its thread, or that of the one before where it has not ended."""
        thread = self._threads.get(name)
        if thread is None or not thread.is_alive():
            thread = self._threads[name] = Thread(target=job, name=name, daemon=True)
            thread.start()
        return thread


def rows_of(fleet: Fleet, host: Host) -> Answer:
    """Ask one host for its instances; one that never told who it is, is asked for that first."""
    [told] = account_looks.remembered(fleet, [host])
    if told.look is None:
        account_looks.ask(fleet, account_looks.key_of(fleet), [host])
    return everywhere.ask_one(host, ["ps", "--json"], everywhere.READING_S)


def repeated(fleet: Fleet, hosts: Iterable[Host]) -> set[str]:
    """Return the names of those that are shown under another name already, as far as they have told."""
    return {told.host.name for told in account_looks.last_told(fleet, hosts) if told.is_repeated}
