"""Name what a fleet asks for and Swarm cannot do safely. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.engine import swarm_stack
from manager.errors import ManagerError, Problem
from manager.i18n import Text
from manager.ops.swarm.state import Service


def of(specs: Iterable[InstanceSpec], fleet: Fleet) -> list[Problem]:
    """Return every reason for which no stack is rendered."""
    return [*_of_fleet(fleet), *(problem for spec in specs for problem in _of_instance(spec, fleet))]


def _of_fleet(fleet: Fleet) -> Iterator[Problem]:
    if fleet.egress is not False:
        yield Problem.at(
            "config/fleet.toml",
            "container.egress",
            "Swarm's networks have none of the firewall rules that limit what bots reach; remove the key, and"
            " limit it on the nodes, or use a manager on each machine (docs/hosts.md)",
        )


def _of_instance(spec: InstanceSpec, fleet: Fleet) -> Iterator[Problem]:
    name = swarm_stack.service_name(fleet, spec.id)
    if not swarm_stack.is_service_name(name):
        yield Problem.at(
            spec.config_file,
            "metadata.instance_id",
            "Swarm accepts no service named {name}: at most {limit} letters, digits, - and _, the last one a"
            " letter or digit; choose another id",
            name=name,
            limit=swarm_stack.LONGEST_NAME,
        )


def require_stay(services: Iterable[Service], places: Mapping[str, tuple[str, str]]) -> None:
    """Raise ManagerError if a service would get another node: its data, and perhaps its bot, stay on the old
    one.

    The Swarm starts it on the new node at once where the old one does not answer: two bots then trade, the
    new one with an empty database. `places`: instance → node and machine, as rendered. A machine that has
    joined the Swarm anew has another node, and the old one is gone; its task is gone with it.
    """
    for service in services:
        node, machine = places.get(service.instance, (service.node_id, service.machine))
        has_joined_anew = service.node is None and service.machine == machine
        if service.node_id in ("", node) or has_joined_anew:
            continue
        raise ManagerError(
            "{id} is a service on {machine}, which has its data, and its config says {other} by now."
            " {remedy}",
            id=service.instance,
            machine=service.machine,
            other=machine,
            remedy=_remedy(service, machine),
        )


def _remedy(service: Service, machine: str) -> Text:
    if service.may_run and not service.answers:
        return Text(
            "{machine} does not answer, and its bot may trade there. Once it answers, run"
            " `manager --swarm down {id}`; if it is lost for good, make sure that nothing trades there, and"
            " run `docker service rm {name}`",
            machine=service.machine,
            id=service.instance,
            name=service.name,
        )
    return Text(
        "Run `manager --swarm down {id}` first, and bring its data to {other}",
        id=service.instance,
        other=machine,
    )
