"""Ask the trader's other machines what runs there, in threads, while somebody reads the page.

One that does not answer delays no other and no look: its instances stay as they were last seen.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any

from manager.config.bot_environment import LiveContainer
from manager.config.fleet import Fleet
from manager.errors import ConfigError, ManagerError
from manager.fleet import display
from manager.fleet.instance import Instance
from manager.fleet.session import Session
from manager.i18n import Text, _
from manager.typed import NamedTuple
from manager.util.sanitize import replace_unprintable
from manager.web.engine_side.observer import Readers, Repeated, as_error

if TYPE_CHECKING:
    from manager.ops.hosts.everywhere import Answer
    from manager.ops.hosts.in_background import BackgroundJobs
    from manager.ops.hosts.registry import Host

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
    """Hold what one machine answered. `seen_at`: when it did last, Unix time. `why`: it does not now.

    `is_asked`: it is being asked now.
    """

    name: str
    why: ManagerError | None
    seen_at: float | None
    rows: tuple[Mapping[str, Any], ...] = ()
    url: str = ""
    is_asked: bool = False


class Machines(NamedTuple):
    """Hold the last answers; `at`: None before the first. `why`: some could not be asked, or none."""

    at: float | None = None
    machines: tuple[Machine, ...] = ()
    twins: tuple[Text, ...] = ()
    shared_accounts: tuple[Text, ...] = ()
    lost: tuple[Text, ...] = ()
    why: ManagerError | None = None


class MachineReader:
    """Keep the latest answers. Without config/hosts.toml nothing is asked, or loaded.

    `live_here`: which live instances of this machine are up. `views`: all of its instances. `fleet`: as
    last seen.
    """

    def __init__(
        self,
        session: Session,
        readers: Readers,
        live_here: Callable[[], list[LiveContainer]],
        views: Callable[[], Iterable[Instance]],
        fleet: Callable[[], Fleet],
    ) -> None:
        self._session, self._live_here, self._views, self._fleet = session, live_here, views, fleet
        self._lock = threading.Lock()
        self._jobs: BackgroundJobs | None = None
        self.latest = Machines()
        self.thread = Repeated("machines", EVERY_S, readers, self.look)

    def look(self) -> list[Thread]:
        """Begin to ask those that are not still being asked; return the threads of all, which put each
        answer into `latest` as it comes.
        """
        try:
            if self._fleet().hosts_file.exists():  # without reading all configs
                return self._begin(self._session.project().fleet)
            with self._lock:
                self.latest = Machines(time.time())
        except Exception as problem:  # noqa: BLE001 - a bug must not end the looks, and is said on the page
            self._put_problem(problem)
        return []

    def _begin(self, fleet: Fleet) -> list[Thread]:
        from manager.ops.hosts import in_background, registry

        known, problems = registry.readable(fleet.project_dir)
        hosts, repeated = list(known.values()), in_background.repeated(fleet, known.values())
        with self._lock:
            before = {(machine.name, machine.url): machine for machine in self.latest.machines}
            shown = [before.get((host.name, host.url)) or not_yet(fleet, host) for host in hosts]
            self.latest = self.latest._replace(
                at=time.time(),
                machines=tuple(
                    machine._replace(is_asked=True) for machine in shown if machine.name not in repeated
                ),
                why=ConfigError(problems) if problems else None,
            )
        jobs = self._jobs = self._jobs or in_background.BackgroundJobs()
        return [
            jobs.begin("accounts", partial(self._carry_out, partial(self._compare, fleet, hosts))),
            *(
                jobs.begin(
                    f"host {host.name}", partial(self._carry_out, partial(self._ask, fleet, host, hosts))
                )
                for host in hosts
                if host.name not in repeated
            ),
        ]

    def _ask(self, fleet: Fleet, host: Host, hosts: Sequence[Host]) -> None:
        from manager.ops.hosts import in_background

        machine = machine_of(fleet, in_background.rows_of(fleet, host))
        self._put(in_background.repeated(fleet, hosts), machine)

    def _compare(self, fleet: Fleet, hosts: Sequence[Host]) -> None:
        """Look for older copies, and for accounts that several machines trade on."""
        from manager.ops.hosts import account_looks, generations, in_background

        live_here, gone = self._live_here(), generations.gone(fleet, self._views())
        if gone:  # only who answers now tells that something is not there
            looks = account_looks.ask(fleet, account_looks.key_of(fleet), hosts)
        else:
            looks = account_looks.recent(fleet, hosts, EVERY_S)
        twins = account_looks.twins(fleet, [container.instance for container in live_here], looks)
        shared = account_looks.shared(fleet, live_here, looks, twins)
        if shared:  # what was told at different moments may look so, as around a move
            looks = account_looks.ask(fleet, account_looks.key_of(fleet), hosts)
            shared = account_looks.shared(fleet, live_here, looks, twins)
        self._put(in_background.repeated(fleet, hosts))
        with self._lock:
            self.latest = self.latest._replace(
                twins=tuple(twin.text for twin in twins),
                shared_accounts=tuple(account.text for account in shared),
                lost=tuple(lost.text for lost in account_looks.lost(gone, looks)),
            )

    def _put(self, repeated: Container[str], answer: Machine | None = None) -> None:
        """Show a machine's answer, unless hosts.toml has it no longer, or not at this address."""
        with self._lock:
            machines = (
                answer if answer is not None and (answer.name, answer.url) == (old.name, old.url) else old
                for old in self.latest.machines
            )
            self.latest = self.latest._replace(
                machines=tuple(machine for machine in machines if machine.name not in repeated)
            )

    def _carry_out(self, job: Callable[[], object]) -> None:
        try:
            job()
        except Exception as problem:  # noqa: BLE001 - a bug must not go unsaid
            self._put_problem(problem)

    def _put_problem(self, problem: Exception) -> None:
        with self._lock:
            self.latest = self.latest._replace(at=time.time(), why=as_error(problem))


def not_yet(fleet: Fleet, host: Host) -> Machine:
    """Return a machine of which this process has no answer so far, as it was last seen."""
    from manager.ops.hosts.everywhere import Answer

    error = ManagerError("host {name} is being asked, and has not answered yet", name=host.name)
    return machine_of(fleet, Answer(host.name, error=error, url=host.url))


def machine_of(fleet: Fleet, answer: Answer) -> Machine:
    """Return what is known of a machine after its answer."""
    from manager.ops.hosts import everywhere, last_seen

    rows = everywhere.rows(fleet, [answer], time.time())
    seen = last_seen.load(fleet, answer.host, answer.url)
    is_away = any(row.values.get("state") == everywhere.UNREACHABLE for row in rows)
    why = answer.error
    if is_away and why is None:
        why = everywhere.tells_nothing(answer)
    kept = tuple(row.values for row in rows[:MOST_ROWS] if not is_away or seen is not None)
    return Machine(answer.host, why if is_away else None, seen.at if seen else None, kept, answer.url)


def as_object(machines: Machines) -> dict[str, Any]:
    """Return them as JSON, in the reader's language."""
    return {
        "asked_at": machines.at,
        "error": None if machines.why is None else str(machines.why),
        "twins": [str(twin) for twin in machines.twins],
        "shared_accounts": [str(text) for text in machines.shared_accounts],
        "lost": [str(text) for text in machines.lost],
        "hosts": [
            {
                "name": machine.name,
                "is_up": machine.why is None,
                "why": None if machine.why is None else str(machine.why),
                "seen_at": machine.seen_at,
                "is_asked": machine.is_asked,
                "instances": [_row(machine.name, row) for row in machine.rows],
            }
            for machine in machines.machines
        ],
    }


def _row(host: str, row: Mapping[str, Any]) -> dict[str, str | bool | None]:
    last, doing = row.get("last_state"), _safe_text(row.get("doing"))
    state = _safe_text(row.get("state")) or "?"
    return {
        "host": host,
        "id": _safe_text(row.get("id")) or "?",
        "state": state,
        "state_text": _(state),
        "last_state_text": None if last is None else _(_safe_text(last) or "?"),
        "doing_text": None if doing is None else _(doing),
        "mode_text": display.mode_text(_safe_text(row.get("mode"))) or None,
        "is_left_unknown": row.get("is_left_unknown") is True,
        "note": display.left_text(row) or _safe_text(row.get("doing_why")) or _safe_text(row.get("why")),
        **{key: _safe_text(row.get(name)) for key, name in TEXTS.items()},
    }


def _safe_text(value: Any) -> str | None:
    """Return what another machine said as text that is safe to show; it may be in foreign hands."""
    with suppress(ValueError):
        return None if value is None else replace_unprintable(str(value)[:MOST_TEXT])
    return None
