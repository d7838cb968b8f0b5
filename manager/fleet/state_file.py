"""Read and write state/fleet.json: what labels cannot hold, such as desired states and assigned ports.

It outlives `down`. A container's label takes precedence over it.
"""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

from manager.config.fleet import Fleet
from manager.errors import ManagerError, Problem, writing_to
from manager.i18n import mark
from manager.typed import Any, Literal, NamedTuple, get_args
from manager.util import atomic_file, moment, ownership, strict_json
from manager.util.kept_content import KeptContent
from manager.util.lock_file import open_lock, wait_for_lock
from manager.util.moment import Moment

SCHEMA = 1
LOCK = ".fleet.json.lock"
WAIT_S = 2.0
"""A change of the file takes milliseconds, on a busy disk some hundred."""
FIRST_PORT = 5001
LAST_PORT = 65535

Wish = Literal["run", "stopped"]
CalledOffBy = Literal["stop", "down"]
Halted = Literal["ran", "down"]
"""What an instance did when it was halted:

`resume` starts those that ran. Nothing else starts either kind.
"""

NOT_OURS = mark(
    "is not a botfleet state file; move it away, and check `manager plan` before `manager up`: without it,"
    " instances that a user stopped are started again"
)
NOTHING: Mapping[str, Any] = MappingProxyType({})


class RejectedRevision(NamedTuple):
    """Hold a config and image that a roll-out rolled back, and why.

    With another hash or image, it is tried again.
    """

    config_hash: str
    image_id: str
    why: str


class CalledOff(NamedTuple):
    """Hold a `manager stop` or `manager down`: no command that was given before it starts the instance."""

    by: CalledOffBy
    at: Moment


class InstanceState(NamedTuple):
    """Hold what is saved of an instance: desired state, assigned port, first registration (ISO, local).

    `halted` overrides the desired state until `resume`, or until a user addresses this very instance.
    `taken_down_at`: when `manager down` last removed its container, in Unix time, for the watch, which also
    looks back to before the last boot. `called_off`: the last `stop` or `down` of it. `stopped_because`,
    `halted_because`: who did that and why, as `kept_text` keeps a message; None for a person.
    `left_unknown_at`: when its exchange was asked what it has left, until there is an answer. `settled_at`:
    when a person took down by its name what had no container any more, and so has looked at its exchange.
    """

    wish: Wish = "run"
    web_port: int | None = None
    registered_at: str | None = None
    halted: Halted | None = None
    refused: RejectedRevision | None = None
    taken_down_at: float | None = None
    called_off: CalledOff | None = None
    stopped_because: object = None
    halted_because: object = None
    left_unknown_at: float | None = None
    settled_at: float | None = None


class FleetState(NamedTuple):
    """Hold the whole file. `ids`: config file → the id that `--instance-id` gave it."""

    fleet: str
    instances: Mapping[str, InstanceState] = NOTHING
    ids: Mapping[str, str] = NOTHING
    faults: tuple[Problem, ...] = ()
    """Why the file cannot be used; it is then left unchanged. Bots can be stopped all the same."""

    def of(self, instance: str) -> InstanceState:
        """Return the state of an instance; the defaults for an unknown one."""
        return self.instances.get(instance, InstanceState())

    @property
    def halted(self) -> list[str]:
        """Return the halted instances."""
        return [instance for instance, state in self.instances.items() if state.halted]

    def with_halted(self, ran: Iterable[str], down: Iterable[str], because: object = None) -> "FleetState":
        """Return the state after a halt. After a second halt, the first one's list of what ran is kept, and
        its reason.
        """
        halts: dict[str, Halted] = {instance: self.of(instance).halted or "down" for instance in down}
        halts |= dict.fromkeys(ran, "ran")
        changed = {}
        for instance, halted in halts.items():
            before = self.of(instance)
            why = because if before.halted is None else before.halted_because
            changed[instance] = before._replace(halted=halted, halted_because=why)
        return self._replace(instances={**self.instances, **changed})

    def with_left_unknown(self, since: Mapping[str, float]) -> "FleetState":
        """Return the state in which nobody knows, since then, what these have left at their exchanges."""
        changed = {instance: self.of(instance)._replace(left_unknown_at=at) for instance, at in since.items()}
        return self._replace(instances={**self.instances, **changed})

    def with_left_known(self, instances: Iterable[str]) -> "FleetState":
        """Return the state after the exchanges have said what these have left there."""
        changed = {
            instance: self.of(instance)._replace(left_unknown_at=None)
            for instance in instances
            if self.of(instance).left_unknown_at is not None
        }
        return self._replace(instances={**self.instances, **changed}) if changed else self

    def with_settled(self, instances: Iterable[str], now: float) -> "FleetState":
        """Return the state after a person has said, by `down` and its name, that nothing is left of each."""
        changed = {instance: self.of(instance)._replace(settled_at=now) for instance in instances}
        return self._replace(instances={**self.instances, **changed})

    def with_resumed(self, instances: Iterable[str]) -> "FleetState":
        """Return the state after `resume`: those that ran should run, the others are as before the halt."""
        changed = {}
        for instance in instances:
            before = self.of(instance)
            wish: Wish = "run" if before.halted == "ran" else before.wish
            changed[instance] = before._replace(wish=wish, halted=None, halted_because=None)
        return self._replace(instances={**self.instances, **changed})

    def with_wish(self, instances: Iterable[str], wish: Wish) -> "FleetState":
        """Return the state after a user requested this of these instances."""
        nobody: dict[str, Any] = {"halted": None, "stopped_because": None, "halted_because": None}
        changed = {instance: self.of(instance)._replace(wish=wish, **nobody) for instance in instances}
        return self._replace(instances={**self.instances, **changed})

    def with_refused(self, refused: Mapping[str, RejectedRevision | None]) -> "FleetState":
        """Return the state after a roll-out or a rollback; None for an instance that is upgraded again."""
        changed = {instance: self.of(instance)._replace(refused=why) for instance, why in refused.items()}
        return self._replace(instances={**self.instances, **changed})

    def with_registered(self, instances: Iterable[str], now: str) -> "FleetState":
        """Return the state with a first registration for those that had none."""
        new = {
            instance: self.of(instance)._replace(registered_at=now)
            for instance in instances
            if self.of(instance).registered_at is None
        }
        return self._replace(instances={**self.instances, **new})

    def called_off_since(self, before: "FleetState", given_at: Moment) -> dict[str, CalledOffBy]:
        """Return what `manager down` or `manager stop` has ended since the earlier state was read, or since a
        command was given.
        """
        return {
            instance: state.called_off.by
            for instance, state in self.instances.items()
            if state.called_off is not None
            and (state.called_off != before.of(instance).called_off or state.called_off.at.is_after(given_at))
        }

    def with_stopped(self, instances: Iterable[str], at: Moment, because: object = None) -> "FleetState":
        """Return the state after `manager stop` of these."""
        after = self.with_wish(instances, "stopped")
        ended = CalledOff("stop", at)
        changed = {
            instance: after.of(instance)._replace(called_off=ended, stopped_because=because)
            for instance in instances
        }
        return after._replace(instances={**after.instances, **changed})

    def with_removed(self, instances: Iterable[str], now: float, at: Moment) -> "FleetState":
        """Return the state after `manager down` of these instances: no alert is sent."""
        ended = CalledOff("down", at)
        changed = {
            instance: self.of(instance)._replace(taken_down_at=now, called_off=ended)
            for instance in instances
        }
        return self._replace(instances={**self.instances, **changed})

    def with_ports(self, ports: Mapping[str, int]) -> "FleetState":
        """Return the state with these assigned ports."""
        changed = {instance: self.of(instance)._replace(web_port=port) for instance, port in ports.items()}
        return self._replace(instances={**self.instances, **changed})

    def with_id(self, file: str, instance: str) -> "FleetState":
        """Return the state after `--instance-id` named the instance of a config file."""
        return self._replace(ids={**self.ids, file: instance})


def load(path: Path, fleet: str) -> FleetState:
    """Return the saved state; empty without a file, empty with `faults` if it cannot be used."""
    try:
        if not path.exists():
            return FleetState(fleet)
        state = _states.of(str(path))
    except strict_json.JsonFault as fault:
        return _unusable(fleet, Problem(str(path), fault.path, fault.text))
    except OSError as error:
        return _unusable(
            fleet, Problem.at(str(path), "", "cannot be read: {why}", why=error.strerror or error)
        )
    except (TypeError, KeyError, AttributeError, ValueError):
        return _unusable(fleet, Problem.at(str(path), "", NOT_OURS))
    if state.fleet != fleet:
        other = state.fleet
        return _unusable(
            fleet,
            Problem.at(str(path), "fleet", "this data folder belongs to the fleet {other}", other=other),
        )
    return state


def _unusable(fleet: str, fault: Problem) -> FleetState:
    return FleetState(fleet, faults=(fault,))


def update(fleet: Fleet, change: Callable[[FleetState], FleetState], wait: float = WAIT_S) -> FleetState:
    """Apply a change to the present file, and return its new content. Raises ManagerError.

    The file has its own short lock and is read again, so that the holder of the fleet's lock cannot overwrite
    a halt. After `wait` seconds it continues without the lock: a halt must not wait for a disk that hangs.
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
    """Hold the lock if possible. A full disk must not prevent changes that need no new file."""
    descriptor: int | None = None
    with suppress(OSError):
        descriptor = open_lock(path)
    try:
        if descriptor is not None:
            wait_for_lock(descriptor, fcntl.LOCK_EX, wait)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def save(path: Path, state: FleetState) -> None:
    """Write the file atomically. Raises OSError."""
    atomic_file.write_atomically(
        path,
        {
            "schema": SCHEMA,
            "fleet": state.fleet,
            "instances": {
                instance: _encoded(state.instances[instance]) for instance in sorted(state.instances)
            },
            "ids": dict(state.ids),
        },
    )


def _encoded(state: InstanceState) -> dict[str, Any]:
    refused, ended, content = state.refused, state.called_off, state._asdict()
    for name in ("stopped_because", "halted_because", "left_unknown_at", "settled_at"):
        if content[name] is None:
            del content[name]
    return {
        **content,
        "refused": refused._asdict() if refused else None,
        "called_off": {"by": ended.by, **ended.at._asdict()} if ended else None,
    }


def assign_ports(
    wanting: Iterable[str],
    known: Mapping[str, int],
    taken: Iterable[int],
    is_free: Callable[[int], bool] = lambda _port: True,
) -> dict[str, int]:
    """Return a port for each instance without one in its config: the known one, else the lowest free from
    5001.

    `known`: id → port from its container's label or from this file; `taken`: ports in configs; `is_free`:
    whether no other program listens on it, checked only for new ones.
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


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _decoded(raw: Any) -> FleetState:
    if raw["schema"] != SCHEMA:
        raise ValueError(raw["schema"])
    instances = {}
    for instance, values in raw["instances"].items():
        if values["wish"] not in get_args(Wish) or values.get("halted") not in (None, *get_args(Halted)):
            raise ValueError(values["wish"])
        port = values.get("web_port")
        instances[instance] = InstanceState(
            wish=values["wish"],
            web_port=None if port is None else int(port),
            registered_at=values.get("registered_at"),
            halted=values.get("halted"),
            refused=_refused(values.get("refused")),
            taken_down_at=_number(values.get("taken_down_at")),
            called_off=_called_off(values.get("called_off")),
            stopped_because=values.get("stopped_because"),
            halted_because=values.get("halted_because"),
            left_unknown_at=_number(values.get("left_unknown_at")),
            settled_at=_number(values.get("settled_at")),
        )
    return FleetState(
        str(raw["fleet"]), instances, {str(key): str(value) for key, value in raw["ids"].items()}
    )


def _called_off(raw: Any) -> CalledOff | None:
    if raw is None:
        return None
    if raw["by"] not in get_args(CalledOffBy):
        raise ValueError(raw["by"])
    return CalledOff(raw["by"], moment.decoded(raw))


def _refused(raw: Any) -> RejectedRevision | None:
    return (
        None
        if raw is None
        else RejectedRevision(str(raw["config_hash"]), str(raw["image_id"]), str(raw["why"]))
    )


_states = KeptContent(lambda path: _decoded(strict_json.read(Path(path), max_bytes=16_000_000)))
