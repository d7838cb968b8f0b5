"""state/fleet.json: what labels cannot keep — a person's last wish, assigned ports, the day of first registration.

It outlives `down`. A container's label wins over what is remembered here.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, get_args

from manager.config.fleet import Fleet
from manager.errors import ManagerError, Problem, writing_to
from manager.i18n import mark
from manager.util import atomic_file, ownership, strict_json
from manager.util.polling import wait_until

SCHEMA = 1
LOCK = ".fleet.json.lock"
WAIT_S = 2.0
"""A change of the file takes milliseconds, on a busy disk some hundred."""
POLL_S = 0.01
FIRST_PORT = 5001
LAST_PORT = 65535

Wish = Literal["run", "stopped"]
Halted = Literal["ran", "down"]
"""What an instance did when it was halted: `resume` starts those that ran. None of them is started by anything else."""

NOT_OURS = mark(
    "is not a botfleet state file; move it away, and look at `manager plan` before `manager up`:"
    " what a person stopped is forgotten with it"
)
NOTHING: Mapping[str, Any] = MappingProxyType({})


class RejectedRevision(NamedTuple):
    """A config and image together that a roll-out took back, and why. Another hash or another image is another try."""

    config_hash: str
    image_id: str
    why: str


class InstanceState(NamedTuple):
    """One instance: what a person last asked of it, the port we gave it, when it was first seen (ISO, local).

    `halted` lies over the wish until `resume`, or until a person asks something of this very instance.
    `taken_down_at`: when `manager down` last removed its container, in seconds since the epoch.
    """

    wish: Wish = "run"
    web_port: int | None = None
    registered_at: str | None = None
    halted: Halted | None = None
    refused: RejectedRevision | None = None
    taken_down_at: float | None = None


class FleetState(NamedTuple):
    """The whole file. `ids`: config file → the id that `--instance-id` gave it."""

    fleet: str
    instances: Mapping[str, InstanceState] = NOTHING
    ids: Mapping[str, str] = NOTHING
    faults: tuple[Problem, ...] = ()
    """Why the file cannot be used; it is then left as it is. Bots can be stopped all the same."""

    def of(self, instance: str) -> InstanceState:
        """What is remembered of an instance; the defaults for one never seen."""
        return self.instances.get(instance, InstanceState())

    @property
    def halted(self) -> list[str]:
        """The instances that were halted and not asked anything since."""
        return [each for each, remembered in self.instances.items() if remembered.halted]

    def with_halted(self, ran: Iterable[str], down: Iterable[str]) -> FleetState:
        """The memory after a halt. What was down by an earlier one keeps what that one found: it may be said twice."""
        found: dict[str, Halted] = {each: self.of(each).halted or "down" for each in down}
        found |= dict.fromkeys(ran, "ran")
        changed = {each: self.of(each)._replace(halted=halted) for each, halted in found.items()}
        return self._replace(instances={**self.instances, **changed})

    def with_resumed(self, instances: Iterable[str]) -> FleetState:
        """The memory after `resume`: those that ran are to run, the others are what they were."""
        changed = {}
        for each in instances:
            was = self.of(each)
            wish: Wish = "run" if was.halted == "ran" else was.wish
            changed[each] = was._replace(wish=wish, halted=None)
        return self._replace(instances={**self.instances, **changed})

    def with_wish(self, instances: Iterable[str], wish: Wish) -> FleetState:
        """The memory after a person asked this of these instances."""
        changed = {each: self.of(each)._replace(wish=wish, halted=None) for each in instances}
        return self._replace(instances={**self.instances, **changed})

    def with_refused(self, refused: Mapping[str, RejectedRevision | None]) -> FleetState:
        """The memory after a roll-out or a rollback; None for an instance that runs what it should again."""
        changed = {each: self.of(each)._replace(refused=why) for each, why in refused.items()}
        return self._replace(instances={**self.instances, **changed})

    def with_registered(self, instances: Iterable[str], now: str) -> FleetState:
        """The memory with a first registration for those that had none."""
        new = {
            each: self.of(each)._replace(registered_at=now)
            for each in instances
            if self.of(each).registered_at is None
        }
        return self._replace(instances={**self.instances, **new})

    def with_taken_down(self, instances: Iterable[str], now: float) -> FleetState:
        """The memory after `manager down` of these instances: that they are missing is a person's word."""
        changed = {each: self.of(each)._replace(taken_down_at=now) for each in instances}
        return self._replace(instances={**self.instances, **changed})

    def with_ports(self, ports: Mapping[str, int]) -> FleetState:
        """The memory with the ports that were assigned."""
        changed = {each: self.of(each)._replace(web_port=port) for each, port in ports.items()}
        return self._replace(instances={**self.instances, **changed})

    def with_id(self, file: str, instance: str) -> FleetState:
        """The memory after `--instance-id` named the instance of a config file."""
        return self._replace(ids={**self.ids, file: instance})


def load(path: Path, fleet: str) -> FleetState:
    """The remembered fleet; empty where there is no file, empty with `faults` where it is not ours to read."""
    try:
        if not path.exists():
            return FleetState(fleet)
        memory = _decoded(strict_json.read(path, max_bytes=16_000_000))
    except strict_json.JsonFault as fault:
        return _unusable(fleet, Problem(str(path), fault.path, fault.text))
    except OSError as error:
        return _unusable(
            fleet, Problem.at(str(path), "", "cannot be read: {why}", why=error.strerror or error)
        )
    except (TypeError, KeyError, AttributeError, ValueError):
        return _unusable(fleet, Problem.at(str(path), "", NOT_OURS))
    if memory.fleet != fleet:
        other = memory.fleet
        return _unusable(
            fleet,
            Problem.at(str(path), "fleet", "this data folder belongs to the fleet {other}", other=other),
        )
    return memory


def _unusable(fleet: str, fault: Problem) -> FleetState:
    return FleetState(fleet, faults=(fault,))


def update(fleet: Fleet, change: Callable[[FleetState], FleetState], wait: float = WAIT_S) -> FleetState:
    """Apply one caller's own change to the file as it is at this moment, and return what it holds then. Raises ManagerError.

    A short lock of its own, and nothing that was read before: whoever holds the fleet's lock cannot write back what a halt has
    changed meanwhile. After `wait` seconds it goes on without the lock: a halt is not to wait for a disk that hangs.
    """
    path = fleet.state_file
    with suppress(OSError):
        ownership.make_folder(path.parent)
    with _locked(path.with_name(LOCK), wait):
        present = load(path, fleet.name)
        after = change(present)
        if after == present:
            return present
        if present.faults:
            raise ManagerError("cannot change the fleet's state: {fault}", fault=present.faults[0])
        with writing_to(path):
            ownership.make_folder(path.parent)
            save(path, after)
        return after


@contextmanager
def _locked(path: Path, wait: float) -> Iterator[None]:
    """Hold the lock, where there can be one. A disk that is full keeps nobody from what needs no new file."""
    descriptor: int | None = None
    with suppress(OSError):
        descriptor = os.open(
            path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600
        )
        if owner := ownership.inherited_owner(path):
            os.fchown(descriptor, *owner)
    try:
        if descriptor is not None:
            wait_until(partial(_is_taken, descriptor), time.monotonic() + wait, POLL_S)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _is_taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def save(path: Path, memory: FleetState) -> None:
    """Writes the file atomically. Raises OSError."""
    atomic_file.write_atomically(
        path,
        {
            "schema": SCHEMA,
            "fleet": memory.fleet,
            "instances": {each: _encoded(memory.instances[each]) for each in sorted(memory.instances)},
            "ids": dict(memory.ids),
        },
    )


def _encoded(remembered: InstanceState) -> dict[str, Any]:
    refused = remembered.refused
    return {**remembered._asdict(), "refused": refused._asdict() if refused else None}


def assign_ports(
    wanting: Iterable[str],
    known: Mapping[str, int],
    taken: Iterable[int],
    is_free: Callable[[int], bool] = lambda _port: True,
) -> dict[str, int]:
    """A port for each instance whose config gives none: the known one, else the lowest free from 5001 on.

    `known`: id → port from its container's label or from this file; `taken`: ports that configs claim; `is_free`: whether
    no other program listens on it, asked only for new ones.
    """
    used = set(taken)
    assigned: dict[str, int] = {}
    fresh = []
    for instance in sorted(wanting):
        port = known.get(instance)
        if port is None or port in used:
            fresh.append(instance)
        else:
            assigned[instance] = port
            used.add(port)
    candidates = (port for port in range(FIRST_PORT, LAST_PORT + 1) if port not in used and is_free(port))
    assigned.update(zip(fresh, candidates, strict=False))
    return assigned


def _decoded(raw: Any) -> FleetState:
    if raw["schema"] != SCHEMA:
        raise ValueError(raw["schema"])
    instances = {}
    for each, values in raw["instances"].items():
        if values["wish"] not in get_args(Wish) or values.get("halted") not in (None, *get_args(Halted)):
            raise ValueError(values["wish"])
        port = values.get("web_port")
        instances[each] = InstanceState(
            wish=values["wish"],
            web_port=None if port is None else int(port),
            registered_at=values.get("registered_at"),
            halted=values.get("halted"),
            refused=_refused(values.get("refused")),
            taken_down_at=None if values.get("taken_down_at") is None else float(values["taken_down_at"]),
        )
    return FleetState(
        str(raw["fleet"]), instances, {str(key): str(value) for key, value in raw["ids"].items()}
    )


def _refused(raw: Any) -> RejectedRevision | None:
    return (
        None
        if raw is None
        else RejectedRevision(str(raw["config_hash"]), str(raw["image_id"]), str(raw["why"]))
    )
