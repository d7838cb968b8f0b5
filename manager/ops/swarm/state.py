"""Tell what a Swarm's services do, from its answers. Pure.

A Swarm knows only what its nodes have told it. What a node that does not answer runs is unknown, and never
shown as stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from manager.engine import labels
from manager.engine.swarm_stack import MACHINE, NODE, YES, halted_label
from manager.i18n import Text, mark
from manager.typed import NamedTuple

State = Literal["running", "starting", "stopping", "stopped", "halted", "waiting", "failing", "unreachable"]
STATES: Mapping[State, str] = {
    "running": mark("running"),
    "starting": mark("starting"),
    "stopping": mark("stopping"),
    "stopped": mark("stopped"),
    "halted": mark("halted"),
    "waiting": mark("waiting"),
    "failing": mark("failing"),
    "unreachable": mark("unreachable"),
}
"""Words for programs, and for users."""

NOWHERE = frozenset({"new", "pending", "allocated"})
"""A task that no node has been told of."""
ENDED = frozenset({"complete", "shutdown", "failed", "rejected", "remove"})
"""What a node says of a task that has ended. `orphaned` is not among them: the Swarm has given up asking."""
READY = "ready"


class Task(NamedTuple):
    """Hold one task. `state`: what its node said last. `wanted`: what the Swarm wants of it."""

    id: str
    node: str
    state: str
    wanted: str
    why: str
    at: float
    exit_code: int | None

    @property
    def may_run(self) -> bool:
        """Return whether it may have a process, as far as its node has told."""
        return bool(self.node) and self.state not in NOWHERE and self.state not in ENDED


class Node(NamedTuple):
    """Hold one node. `state`: ready, down, disconnected or unknown."""

    id: str
    name: str
    state: str
    labels: Mapping[str, str]
    availability: str = "active"

    @property
    def answers(self) -> bool:
        """Return whether the Swarm hears from it."""
        return self.state == READY


class Service(NamedTuple):
    """Hold one instance as the Swarm knows it. `machine`: the name of its node's machine.

    `node` is None for one that is not in the Swarm any more.
    """

    instance: str
    id: str
    name: str
    node_id: str
    machine: str
    node: Node | None
    replicas: int
    is_halted: bool
    mode: str
    stop_timeout: int
    tasks: tuple[Task, ...]
    is_published: bool = False

    @property
    def answers(self) -> bool:
        """Return whether its node does."""
        return self.node is not None and self.node.answers

    @property
    def running(self) -> tuple[Task, ...]:
        """Return the tasks that may have a process."""
        return tuple(task for task in self.tasks if task.may_run)

    @property
    def newest(self) -> Task | None:
        """Return the task that changed last."""
        return max(self.tasks, key=lambda task: task.at, default=None)

    @property
    def may_run(self) -> bool:
        """Return whether a bot of it may run, also where nobody can know.

        A node that is gone takes the Swarm's memory of its tasks along.
        """
        return bool(self.running) or self.node is None

    @property
    def state(self) -> State:
        """Return the one word for it."""
        if not self.answers and (self.may_run or self.replicas):
            return "unreachable"
        tasks = self.running
        if any(task.state == "running" for task in tasks):
            return "running" if any(task.wanted == "running" for task in tasks) else "stopping"
        if tasks:
            return "starting"
        if self.is_halted:
            return "halted"
        if not self.replicas:
            return "stopped"
        newest = self.newest
        return "failing" if newest is not None and newest.state in {"failed", "rejected"} else "waiting"

    @property
    def note(self) -> Text | None:
        """Return what else there is to know."""
        if self.is_published:
            return Text("IT HAS A PUBLISHED PORT, which everybody may reach")
        if self.node is None:
            return Text("its node is not in the Swarm any more; its bot may run on there")
        if not self.answers:
            seen = self.running[0].state if self.running else "-"
            return Text(
                "the node does not answer; its bot was last seen: {state}. It may trade, and gets no"
                " command until the node answers",
                state=seen,
            )
        if len(self.running) > 1:
            return Text("{count} tasks; only one of them has the bot", count=len(self.running))
        newest = self.newest
        if newest is not None and newest.why and self.state in {"failing", "waiting", "starting"}:
            return Text("{why}", why=newest.why)
        if self.node.availability != "active":
            return Text("its node takes no tasks: {availability}", availability=self.node.availability)
        return None


def services(
    fleet: str, rows: Iterable[Mapping[str, Any]], tasks: Iterable[Mapping[str, Any]], nodes: Iterable[Node]
) -> list[Service]:
    """Return the fleet's instances, sorted by id."""
    by_node = {node.id: node for node in nodes}
    by_service: dict[str, list[Task]] = {}
    for row in tasks:
        by_service.setdefault(str(row.get("ServiceID")), []).append(_task(row))
    return sorted(_service(fleet, row, by_service.get(str(row["ID"]), []), by_node) for row in rows)


def nodes(rows: Iterable[Mapping[str, Any]]) -> list[Node]:
    """Return the Swarm's nodes."""
    return [
        Node(
            str(row["ID"]),
            str((row.get("Description") or {}).get("Hostname") or row["ID"]),
            str((row.get("Status") or {}).get("State") or "unknown"),
            dict((row.get("Spec") or {}).get("Labels") or {}),
            str((row.get("Spec") or {}).get("Availability") or "active"),
        )
        for row in rows
    ]


def _service(
    fleet: str, row: Mapping[str, Any], tasks: Iterable[Task], by_node: Mapping[str, Node]
) -> Service:
    spec = row.get("Spec") or {}
    own = spec.get("Labels") or {}
    instance = str(own.get(labels.INSTANCE, ""))
    node_id = str(own.get(NODE, ""))
    node = by_node.get(node_id)
    replicated = (spec.get("Mode") or {}).get("Replicated") or {}
    timeout = str(own.get(labels.STOP_TIMEOUT, ""))
    ports = (row.get("Endpoint") or {}).get("Ports") or (spec.get("EndpointSpec") or {}).get("Ports")
    return Service(
        instance,
        str(row["ID"]),
        str(spec.get("Name", "")),
        node_id,
        str(own.get(MACHINE) or (node.name if node is not None else node_id)),
        node,
        int(replicated.get("Replicas") or 0),
        node is not None and node.labels.get(halted_label(fleet, instance)) == YES,
        str(own.get(labels.MODE, "")),
        int(timeout) if timeout.isascii() and timeout.isdigit() else 50,
        tuple(tasks),
        bool(ports),
    )


def _task(row: Mapping[str, Any]) -> Task:
    status = row.get("Status") or {}
    container = status.get("ContainerStatus") or {}
    code = container.get("ExitCode")
    return Task(
        str(row.get("ID", "")),
        str(row.get("NodeID") or ""),
        str(status.get("State") or "new"),
        str(row.get("DesiredState") or ""),
        str(status.get("Err") or ""),
        moment(str(status.get("Timestamp") or "")),
        code if isinstance(code, int) else None,
    )


def moment(text: str) -> float:
    """Return the Unix time of the engine's timestamp, which may have nanoseconds; 0 for none."""
    head, dot, rest = text.rstrip("Z").partition(".")
    try:
        at = datetime.fromisoformat(head).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0
    return at + (float(f"0.{rest}") if dot and rest.isdigit() else 0.0)
