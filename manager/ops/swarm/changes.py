"""Halt, start and remove services, and wait for what the nodes say. Nothing here is a failover.

A halt is a label on the instance's node, which its service must not have: whoever deploys the stack again
starts nothing that was halted. The Swarm keeps it; no file on a node is needed.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from manager.engine.swarm_calls import SwarmCalls
from manager.engine.swarm_stack import YES, halted_label
from manager.errors import EngineError, EngineUnreachable, ManagerError, TimedOut, UsageError
from manager.i18n import Text, mark
from manager.ops.swarm import state
from manager.ops.swarm.state import Service
from manager.typed import NamedTuple
from manager.util.polling import wait_until

POLL_S = 0.5
MARGIN_S = 30.0
"""Added to a bot's stop timeout: the Swarm's managers tell a node, and it tells them."""
DEPLOYING_S = 300.0
KILLED = 137

How = Literal["stopped", "killed", "was down", "unreachable", "still runs"]
HOW: dict[How, str] = {
    "stopped": mark("stopped"),
    "killed": mark("killed"),
    "was down": mark("was down"),
    "unreachable": mark("unreachable"),
    "still runs": mark("STILL RUNS"),
}


class Stopped(NamedTuple):
    """Hold what became of one instance."""

    service: Service
    how: How
    error: ManagerError | None = None

    @property
    def is_down(self) -> bool:
        """Return whether its bot is known to be down."""
        return self.how in {"stopped", "killed", "was down"}

    @property
    def has_unknown_orders(self) -> bool:
        """Return whether it may have left orders: only the node itself can ask the exchange."""
        return self.service.mode == "live"


def look(calls: SwarmCalls, fleet: str) -> list[Service]:
    """Return the fleet's instances as the Swarm knows them. Raises EngineError."""
    return state.services(fleet, calls.services(fleet), calls.tasks(fleet), state.nodes(calls.nodes()))


def chosen(services: Sequence[Service], ids: Collection[str]) -> list[Service]:
    """Return the named ones, all without a name. Raises UsageError for one that the Swarm does not have."""
    known = {service.instance for service in services}
    if missing := [instance for instance in ids if instance not in known]:
        raise UsageError(
            "the Swarm has no service of {ids}; `manager --swarm ps` shows all", ids=", ".join(missing)
        )
    return [service for service in services if not ids or service.instance in ids]


def halt(calls: SwarmCalls, fleet: str, services: Sequence[Service]) -> list[Stopped]:
    """Stop these instances, and keep them stopped whoever deploys the stack again. Raises EngineError."""
    errors = {}
    for node_id, of_node in _by_node(services).items():
        try:
            calls.set_node_labels(
                node_id, {halted_label(fleet, service.instance): YES for service in of_node}
            )
        except EngineUnreachable:
            raise
        except EngineError as error:  # the node is gone: the services are stopped all the same
            errors.update({service.instance: error for service in of_node})
    return _ended(calls, fleet, services, errors)


def stop(calls: SwarmCalls, fleet: str, services: Sequence[Service]) -> list[Stopped]:
    """Stop these instances. Raises EngineError."""
    return _ended(calls, fleet, services, {})


def _ended(
    calls: SwarmCalls, fleet: str, services: Sequence[Service], errors: dict[str, EngineError]
) -> list[Stopped]:
    for service in services:
        try:
            calls.set_replicas(service.id, 0)
        except EngineUnreachable:
            raise
        except EngineError as error:
            errors[service.instance] = error
    ids = {service.instance for service in services}
    deadline = time.monotonic() + MARGIN_S + max((service.stop_timeout for service in services), default=0)
    now = _look_until(
        calls,
        fleet,
        lambda states: (
            not any(state.running and state.answers for state in states.values() if state.instance in ids)
        ),
        deadline,
    )
    return [_stopped(before, now.get(before.instance), errors.get(before.instance)) for before in services]


def _stopped(before: Service, after: Service | None, error: ManagerError | None) -> Stopped:
    """Return what became of an instance, by what the Swarm said before and says now. Pure."""
    if after is None:  # somebody removed the service meanwhile; what its node did is told to nobody
        after = before
        if before.may_run:
            return Stopped(before, "still runs" if before.answers else "unreachable", error)
    if after.may_run:
        return Stopped(after, "still runs" if after.answers else "unreachable", error)
    if not before.may_run:
        return Stopped(after, "was down", error)
    ran = {task.id for task in before.running}
    codes = [task.exit_code for task in after.tasks if task.id in ran]
    return Stopped(after, "killed" if KILLED in codes or 1 in codes else "stopped", error)


def carry_halts(calls: SwarmCalls, fleet: str, places: Mapping[str, str]) -> None:
    """Have a halt of an instance count on the node that it is to run on, whichever it was given for.

    `places`: instance → the id of that node. Raises EngineError.
    """
    nodes = state.nodes(calls.nodes())
    missing: dict[str, dict[str, str | None]] = {}
    for instance, node_id in places.items():
        label = halted_label(fleet, instance)
        halted_on = {node.id for node in nodes if node.labels.get(label) == YES}
        if halted_on and node_id not in halted_on:
            missing.setdefault(node_id, {})[label] = YES
    for node_id, wanted in missing.items():
        calls.set_node_labels(node_id, wanted)


def start(calls: SwarmCalls, fleet: str, services: Sequence[Service], timeout: float) -> list[Service]:
    """Lift the halt of these instances and start them; return them after the nodes have told.

    Raises EngineError.
    """
    lifted = {halted_label(fleet, service.instance) for service in services}
    for node in state.nodes(calls.nodes()):
        if here := lifted.intersection(node.labels):
            calls.set_node_labels(node.id, dict.fromkeys(here))
    for service in services:
        calls.set_replicas(service.id, 1)
    ids = {service.instance for service in services}
    now = _look_until(
        calls,
        fleet,
        lambda states: all(
            state.state in {"running", "unreachable"} for state in states.values() if state.instance in ids
        ),
        time.monotonic() + timeout,
    )
    return [now[service.instance] for service in services if service.instance in now]


def remove(calls: SwarmCalls, fleet: str, stopped: Iterable[Stopped]) -> None:
    """Remove the services of bots that are down, with their secrets and networks. Raises EngineError.

    One that may run on a node that does not answer keeps its service: without it nothing would tell of it.
    """
    for result in stopped:
        if not result.is_down:
            continue
        calls.remove_service(result.service.id)
        calls.remove_secrets(fleet, result.service.instance)
        calls.remove_network(result.service.name)


def deploy(calls: SwarmCalls, fleet: str, file: Path) -> None:
    """Run `docker stack deploy`. What was halted stays halted. Raises ManagerError."""
    command = ["docker", "--host", calls.endpoint.host, "stack", "deploy", "--resolve-image", "never"]
    try:
        done = subprocess.run(
            [*command, "--compose-file", str(file), fleet],
            capture_output=True,
            text=True,
            timeout=DEPLOYING_S,
            check=False,
            errors="replace",
            cwd=file.parent,
        )
    except FileNotFoundError as error:
        raise ManagerError("the docker command is missing, which deploys stacks") from error
    except subprocess.TimeoutExpired as error:
        raise TimedOut(
            "`docker {command}` took longer than {limit} s", command="stack deploy", limit=round(DEPLOYING_S)
        ) from error
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or ["-"])[-1]
        raise EngineError("the stack was not deployed: {why}", why=why)


def left_behind(services: Iterable[Service], wanted: Collection[str]) -> Text | None:
    """Return what to say of services that have no config any more. They go on."""
    orphans = [service.instance for service in services if service.instance not in wanted]
    if not orphans:
        return None
    return Text(
        "these services have no config any more, and go on: {ids}; `manager --swarm down ID` removes one",
        ids=", ".join(orphans),
    )


def _by_node(services: Iterable[Service]) -> dict[str, list[Service]]:
    by_node: dict[str, list[Service]] = {}
    for service in services:
        by_node.setdefault(service.node_id, []).append(service)
    return by_node


def _look_until(
    calls: SwarmCalls, fleet: str, is_done: Callable[[dict[str, Service]], bool], deadline: float
) -> dict[str, Service]:
    services: dict[str, Service] = {}

    def is_so() -> bool:
        nonlocal services
        services = {service.instance: service for service in look(calls, fleet)}
        return is_done(services)

    wait_until(is_so, deadline, POLL_S)
    return services
