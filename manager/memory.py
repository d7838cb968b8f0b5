"""state/fleet.json: what labels cannot keep — a person's last wish, assigned ports, the day of first registration.

It outlives `down`. A container's label wins over what is remembered here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from manager import jsonfile
from manager.errors import Problem
from manager.i18n import mark

SCHEMA = 1
FIRST_PORT = 5001
LAST_PORT = 65535

Wish = Literal["run", "stopped"]


NOT_OURS = mark(
    "is not a botfleet state file; move it away, and look at `manager plan` before `manager up`:"
    " what a person stopped is forgotten with it"
)
NOTHING: Mapping[str, Any] = MappingProxyType({})


class Remembered(NamedTuple):
    """One instance: what a person last asked of it, the port we gave it, when it was first seen (ISO, local).

    `taken_down_at`: when `manager down` last removed its container, in seconds since the epoch.
    """

    wish: Wish = "run"
    web_port: int | None = None
    registered_at: str | None = None
    taken_down_at: float | None = None


class Memory(NamedTuple):
    """The whole file. `ids`: config file → the id that `--instance-id` gave it."""

    fleet: str
    instances: Mapping[str, Remembered] = NOTHING
    ids: Mapping[str, str] = NOTHING
    faults: tuple[Problem, ...] = ()
    """Why the file cannot be used; it is then left as it is. Bots can be stopped all the same."""

    def of(self, instance: str) -> Remembered:
        """What is remembered of an instance; the defaults for one never seen."""
        return self.instances.get(instance, Remembered())

    def with_wish(self, instances: Iterable[str], wish: Wish) -> Memory:
        """The memory after a person asked this of these instances."""
        changed = {each: self.of(each)._replace(wish=wish) for each in instances}
        return self._replace(instances={**self.instances, **changed})

    def with_registered(self, instances: Iterable[str], now: str) -> Memory:
        """The memory with a first registration for those that had none."""
        new = {
            each: self.of(each)._replace(registered_at=now)
            for each in instances
            if self.of(each).registered_at is None
        }
        return self._replace(instances={**self.instances, **new})

    def with_taken_down(self, instances: Iterable[str], now: float) -> Memory:
        """The memory after `manager down` of these instances: that they are missing is a person's word."""
        changed = {each: self.of(each)._replace(taken_down_at=now) for each in instances}
        return self._replace(instances={**self.instances, **changed})

    def with_ports(self, ports: Mapping[str, int]) -> Memory:
        """The memory with the ports that were assigned."""
        changed = {each: self.of(each)._replace(web_port=port) for each, port in ports.items()}
        return self._replace(instances={**self.instances, **changed})

    def with_id(self, file: str, instance: str) -> Memory:
        """The memory after `--instance-id` named the instance of a config file."""
        return self._replace(ids={**self.ids, file: instance})


def load(path: Path, fleet: str) -> Memory:
    """The remembered fleet; empty where there is no file, empty with `faults` where it is not ours to read."""
    try:
        if not path.exists():
            return Memory(fleet)
        memory = _decoded(jsonfile.read(path, max_bytes=16_000_000))
    except jsonfile.JsonFault as fault:
        return _unusable(fleet, Problem.at(str(path), fault.path, fault.message, **fault.params))
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


def _unusable(fleet: str, fault: Problem) -> Memory:
    return Memory(fleet, faults=(fault,))


def save(path: Path, memory: Memory) -> None:
    """Writes the file atomically. Raises OSError."""
    jsonfile.write_atomically(
        path,
        {
            "schema": SCHEMA,
            "fleet": memory.fleet,
            "instances": {each: memory.instances[each]._asdict() for each in sorted(memory.instances)},
            "ids": dict(memory.ids),
        },
    )


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


def _decoded(raw: Any) -> Memory:
    if raw["schema"] != SCHEMA:
        raise ValueError(raw["schema"])
    instances = {}
    for each, values in raw["instances"].items():
        if values["wish"] not in ("run", "stopped"):
            raise ValueError(values["wish"])
        port = values.get("web_port")
        instances[each] = Remembered(
            wish=values["wish"],
            web_port=None if port is None else int(port),
            registered_at=values.get("registered_at"),
            taken_down_at=None if values.get("taken_down_at") is None else float(values["taken_down_at"]),
        )
    return Memory(str(raw["fleet"]), instances, {str(key): str(value) for key, value in raw["ids"].items()})
