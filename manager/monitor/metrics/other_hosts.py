"""Ask the trader's other machines from time to time what runs there, in a thread that delays no look."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from threading import Thread
from typing import NamedTuple

from manager.config.fleet import Fleet
from manager.errors import ManagerError

EVERY_S = 60.0
"""Beside this a scrape every 15 s costs the others nothing, and the connection is kept."""


class HostStatus(NamedTuple):
    """Hold what is known of one machine. `at`: when it answered last, Unix time; None for never.

    `states`: how many of its instances were in which state then.
    """

    name: str
    is_up: bool
    at: float | None
    states: Mapping[str, int]


class OtherHosts:
    """Hold what the other machines answered last. Without config/hosts.toml nothing is done, or loaded."""

    def __init__(self) -> None:
        self._seen: tuple[HostStatus, ...] = ()
        self._next = 0.0
        self._thread: Thread | None = None

    def latest(self, fleet: Fleet) -> tuple[HostStatus, ...]:
        """Return it at once, and begin to ask anew where that is due."""
        if not fleet.hosts_file.exists():
            self._seen = ()
        elif time.monotonic() >= self._next and (self._thread is None or not self._thread.is_alive()):
            self._next = time.monotonic() + EVERY_S
            self._thread = Thread(target=self._ask, args=(fleet,), daemon=True)
            self._thread.start()
        return self._seen

    def _ask(self, fleet: Fleet) -> None:
        try:
            self._seen = ask(fleet)
        except ManagerError:  # no key of its own: a disk that is full or read-only
            self._seen = ()


def ask(fleet: Fleet) -> tuple[HostStatus, ...]:
    """Ask all other machines at once, also which accounts they trade on. Raises ManagerError.

    Those of invalid lines of hosts.toml are left out: commands tell of them.
    """
    from manager.ops.hosts import account_looks, everywhere, last_seen, registry

    hosts = list(registry.readable(fleet.project_dir)[0].values())
    looks = account_looks.ask(fleet, account_looks.key_of(fleet), hosts)  # remembered for the next start
    hosts = [look.host for look in looks if not look.is_repeated]
    answers = everywhere.ask(hosts, ["ps", "--json"], everywhere.READING_S)
    now, samples = time.time(), []
    for answer in answers:
        rows = everywhere.rows(fleet, [answer], now)
        is_up = all(row.values.get("state") != everywhere.UNREACHABLE for row in rows)
        seen = last_seen.load(fleet, answer.host, answer.url)
        states = Counter(str(row.get("state")) for row in seen.rows) if seen else Counter[str]()
        samples.append(HostStatus(answer.host, is_up, seen.at if seen else None, states))
    return tuple(samples)
