"""Name what a fleet asks for and Swarm cannot do safely. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.engine import swarm_stack
from manager.errors import Problem


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
