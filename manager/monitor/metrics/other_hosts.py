"""Ask the trader's other machines from time to time what runs there, in threads that delay no look."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING

from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.typed import NamedTuple

if TYPE_CHECKING:
    from manager.ops.hosts.everywhere import Answer
    from manager.ops.hosts.in_background import BackgroundJobs
    from manager.ops.hosts.registry import Host

EVERY_S = 60.0
"""Beside this a scrape every 15 s costs the others nothing, and the connection is kept."""
LOOKS = "accounts of hosts"


class HostStatus(NamedTuple):
    """Hold what is known of one machine. `at`: when it answered last, Unix time; None for never.

    `states`: how many of its instances were in which state then.
    """

    name: str
    is_up: bool
    at: float | None
    states: Mapping[str, int]


class OtherHosts:
    """Hold what each other machine answered last. Without config/hosts.toml nothing is done, or loaded."""

    def __init__(self) -> None:
        self._seen: dict[str, HostStatus] = {}
        self._next = 0.0
        self._jobs: BackgroundJobs | None = None

    def latest(self, fleet: Fleet) -> tuple[HostStatus, ...]:
        """Return it at once, and begin to ask anew where that is due."""
        if not fleet.hosts_file.exists():
            self._seen = {}
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + EVERY_S
            self._carry_out(partial(self.begin, fleet))
        return tuple(status for _name, status in sorted(self._seen.copy().items()))

    def begin(self, fleet: Fleet) -> list[Thread]:
        """Begin to ask those that are not still being asked, also which accounts they trade on; return the
        threads. Raises ManagerError.

        Those of invalid lines of hosts.toml are left out: commands tell of them.
        """
        from manager.ops.hosts import account_looks, in_background, registry

        hosts = registry.readable(fleet.project_dir)[0]
        repeated = in_background.repeated(fleet, hosts.values())
        self._seen = {name: status for name, status in self._seen.copy().items() if name in hosts}
        jobs = self._jobs = self._jobs or in_background.BackgroundJobs()

        def look() -> None:  # it is remembered for the next start
            account_looks.ask(fleet, account_looks.key_of(fleet), list(hosts.values()))
            self._leave_out(in_background.repeated(fleet, hosts.values()))

        def ask(host: Host) -> None:
            answer = in_background.rows_of(fleet, host)
            self._seen[host.name] = status_of(fleet, answer)
            self._leave_out(in_background.repeated(fleet, hosts.values()))

        return [
            jobs.begin(LOOKS, partial(self._carry_out, look)),
            *(
                jobs.begin(f"host {host.name}", partial(self._carry_out, partial(ask, host)))
                for host in hosts.values()
                if host.name not in repeated
            ),
        ]

    def _carry_out(self, job: Callable[[], object]) -> None:
        try:
            job()
        except ManagerError:  # no key of its own: a disk that is full or read-only
            self._seen = {}

    def _leave_out(self, names: Iterable[str]) -> None:
        for name in names:
            self._seen.pop(name, None)


def status_of(fleet: Fleet, answer: Answer) -> HostStatus:
    """Return what is known of a machine after its answer."""
    from manager.ops.hosts import everywhere, last_seen

    rows = everywhere.rows(fleet, [answer], time.time())
    is_up = all(row.values.get("state") != everywhere.UNREACHABLE for row in rows)
    seen = last_seen.load(fleet, answer.host, answer.url)
    states = Counter(str(row.get("state")) for row in seen.rows) if seen else Counter[str]()
    return HostStatus(answer.host, is_up, seen.at if seen else None, states)
