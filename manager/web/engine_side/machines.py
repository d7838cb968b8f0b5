"""Ask the trader's other machines what runs there, in a thread, while somebody reads the page.

One that does not answer delays no other and no look: its instances stay as they were last seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from manager.config.bot_environment import LiveContainer
from manager.config.fleet import Fleet
from manager.errors import ConfigError, ManagerError
from manager.fleet.session import Session
from manager.i18n import Text, _
from manager.util.sanitize import replace_unprintable
from manager.web.engine_side.observer import Readers, Repeated, as_error

EVERY_S = 30.0
"""Within the minute for which ssh keeps a connection."""
MOST_ROWS = 1000
MOST_TEXT = 300
TEXTS = {
    "mode": "mode",
    "doing": "doing",
    "pnl": "last_pnl",
    "position": "last_position",
    "quote": "quote",
    "base": "base",
    "market": "market",
    "symbol": "symbol",
    "exchange": "exchange",
}
"""Key of a row → key of `ps --json`."""


class Machine(NamedTuple):
    """Hold what one machine answered. `seen_at`: when it did last, Unix time. `why`: it does not now."""

    name: str
    why: ManagerError | None
    seen_at: float | None
    rows: tuple[Mapping[str, Any], ...] = ()


class Machines(NamedTuple):
    """Hold the last answers; `at`: None before the first. `why`: some could not be asked, or none."""

    at: float | None = None
    machines: tuple[Machine, ...] = ()
    twins: tuple[Text, ...] = ()
    shared_accounts: tuple[Text, ...] = ()
    why: ManagerError | None = None


class MachineReader:
    """Keep the latest answers. Without config/hosts.toml nothing is asked, or loaded.

    `live_here`: which live instances of this machine are up.
    """

    def __init__(
        self, session: Session, readers: Readers, live_here: Callable[[], list[LiveContainer]]
    ) -> None:
        self._session, self._live_here = session, live_here
        self.latest = Machines()
        self.thread = Repeated("machines", EVERY_S, readers, self.look)

    def look(self) -> None:
        """Ask all of them now."""
        try:
            fleet = self._session.project().fleet
            self.latest = (
                ask(fleet, self._live_here()) if fleet.hosts_file.exists() else Machines(time.time())
            )
        except Exception as problem:  # noqa: BLE001 - a bug must not end the looks, and is said on the page
            self.latest = self.latest._replace(at=time.time(), why=as_error(problem))


def ask(fleet: Fleet, live_here: Sequence[LiveContainer]) -> Machines:
    """Ask all other machines at once, but those of invalid lines of hosts.toml. Raises ManagerError."""
    from manager.ops.hosts import account_looks, everywhere, last_seen, registry

    known, problems = registry.readable(fleet.project_dir)
    looks = account_looks.recent(fleet, list(known.values()), EVERY_S)
    twins = account_looks.twins(fleet, [container.instance for container in live_here], looks)
    shared = account_looks.shared(fleet, live_here, looks, twins)
    if shared:  # what was told at different moments may look so, as around a move
        looks = account_looks.ask(fleet, account_looks.key_of(fleet), list(known.values()))
        shared = account_looks.shared(fleet, live_here, looks, twins)
    now, machines = time.time(), []
    hosts = [look.host for look in looks if not look.is_repeated]
    for answer in everywhere.ask(hosts, ["ps", "--json"], everywhere.READING_S):
        rows = everywhere.rows(fleet, [answer], now)
        seen = last_seen.load(fleet, answer.host, answer.url)
        is_away = any(row.values.get("state") == everywhere.UNREACHABLE for row in rows)
        why = answer.error
        if is_away and why is None:
            why = everywhere.tells_nothing(answer)
        kept = tuple(row.values for row in rows[:MOST_ROWS] if not is_away or seen is not None)
        machines.append(Machine(answer.host, why if is_away else None, seen.at if seen else None, kept))
    return Machines(
        now,
        tuple(machines),
        tuple(twin.text for twin in twins),
        tuple(account.text for account in shared),
        ConfigError(problems) if problems else None,
    )


def as_object(machines: Machines) -> dict[str, Any]:
    """Return them as JSON, in the reader's language."""
    return {
        "asked_at": machines.at,
        "error": None if machines.why is None else str(machines.why),
        "twins": [str(twin) for twin in machines.twins],
        "shared_accounts": [str(text) for text in machines.shared_accounts],
        "hosts": [
            {
                "name": machine.name,
                "is_up": machine.why is None,
                "why": None if machine.why is None else str(machine.why),
                "seen_at": machine.seen_at,
                "instances": [_row(machine.name, row) for row in machine.rows],
            }
            for machine in machines.machines
        ],
    }


def _row(host: str, row: Mapping[str, Any]) -> dict[str, str | None]:
    last = row.get("last_state")
    state = _safe_text(row.get("state")) or "?"
    return {
        "host": host,
        "id": _safe_text(row.get("id")) or "?",
        "state": state,
        "state_text": _(state),
        "last_state_text": None if last is None else _(_safe_text(last) or "?"),
        "note": _safe_text(row.get("doing_why")) or _safe_text(row.get("why")),
        **{key: _safe_text(row.get(name)) for key, name in TEXTS.items()},
    }


def _safe_text(value: Any) -> str | None:
    """Return what another machine said as text that is safe to show; it may be in foreign hands."""
    with suppress(ValueError):
        return None if value is None else replace_unprintable(str(value)[:MOST_TEXT])
    return None
