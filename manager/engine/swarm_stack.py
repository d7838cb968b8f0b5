"""Render InstanceSpecs as a stack file for `docker stack deploy`: the same bots as services of a Swarm. Pure.

Each service is pinned to the node that holds its data. The file contains no credentials: the values of an
instance's env file are a secret of the Swarm, whose name changes with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import yaml

from manager.config.container_paths import SECRETS_AT, TMPFS
from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.engine import container_config, labels
from manager.typed import NamedTuple

HEADER = """\
# Rendered by `manager compose --swarm` from config/active and config/fleet.toml: change those, then render it
# again. `manager --swarm up` deploys it. What was halted stays down until `manager --swarm up ID` starts it.
"""

NAMESPACE = "com.docker.stack.namespace"
"""The label by which `docker stack` tells the services of a stack."""
NODE = "botfleet.node"
"""On a service: the id of the node that it is pinned to."""
MACHINE = "botfleet.machine"
"""On a service: the name of that node's machine, as configs and config/hosts.toml have it."""
HALTED = "botfleet-halted"
"""The first part of the label on a node that keeps an instance from running there."""
YES = "yes"
ENV_FILE = "env.json"
RESTART_DELAY_S = 5
LONGEST_NAME = 63
NAME = re.compile(r"[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*")
"""What Swarm accepts as a service's name: no dot, and no dash or underscore at its end."""


class Placement(NamedTuple):
    """Hold where an instance runs: the node's id, its machine's name, and the data folder and user there.

    `secret`: the name of its env file in the Swarm. `secret_file`: its content, a path beside the stack file.
    """

    node: str
    machine: str
    data_dir: str
    uid: int
    gid: int
    secret: str
    secret_file: str


def service_name(fleet: Fleet, instance: str) -> str:
    """Return the name that `docker stack deploy` gives the service."""
    return f"{fleet.name}_{instance}"


def halted_label(fleet: str, instance: str) -> str:
    """Return the label that keeps an instance from running on the node that has it."""
    return f"{HALTED}.{fleet}.{instance}"


def is_service_name(name: str) -> bool:
    """Return whether Swarm accepts this name for a service."""
    return len(name) <= LONGEST_NAME and NAME.fullmatch(name) is not None


def render(placed: Iterable[tuple[InstanceSpec, Placement]], fleet: Fleet, image_id: str) -> str:
    """Return the whole file."""
    chosen = sorted(placed, key=lambda placement: placement[0].id)
    stack = {
        "version": "3.9",
        "services": {spec.id: _service(spec, place, fleet, image_id) for spec, place in chosen},
        "networks": {spec.id: _network() for spec, _place in chosen},
        "secrets": {spec.id: _secret(spec, place, fleet) for spec, place in chosen},
    }
    return HEADER + yaml.safe_dump(stack, sort_keys=False, allow_unicode=True, width=100)


def _service(spec: InstanceSpec, place: Placement, fleet: Fleet, image_id: str) -> dict[str, Any]:
    return {
        "image": image_id,
        "hostname": spec.id,
        "user": f"{place.uid}:{place.gid}",
        "command": [_escaped(word) for word in spec.command],
        "environment": {name: _escaped(value) for name, value in _environment(spec).items()},
        "init": True,
        "read_only": True,
        "cap_drop": ["ALL"],
        "stop_grace_period": f"{spec.container_stop_timeout}s",
        "healthcheck": {"disable": True},  # Swarm kills what is unhealthy; the supervisor acts itself
        "logging": {
            "driver": "local",
            "options": {"max-size": f"{fleet.log_max_size_mb}m", "max-file": str(fleet.log_max_files)},
        },
        "networks": [spec.id],
        "secrets": [
            {
                "source": spec.id,
                "target": f"{SECRETS_AT}/{ENV_FILE}",
                "uid": str(place.uid),
                "gid": str(place.gid),
                "mode": 0o400,
            }
        ],
        "volumes": [*_binds(spec, place), *_memory(fleet)],
        "labels": {labels.INSTANCE: spec.id},
        "deploy": _deploy(spec, place, fleet),
    }


def _environment(spec: InstanceSpec) -> dict[str, str]:
    return {**spec.environment(), LOCK_WAIT: "1"}


LOCK_WAIT = "BOTFLEET_LOCK_WAIT"
"""Tells the supervisor to wait for a predecessor that still stops: Swarm starts a task beside the one that it
ends, when a node answers again.
"""


def _deploy(spec: InstanceSpec, place: Placement, fleet: Fleet) -> dict[str, Any]:
    own = {**container_config.own_labels(spec, fleet), NODE: place.node, MACHINE: place.machine}
    return {
        "mode": "replicated",
        "replicas": 1,
        "endpoint_mode": "dnsrr",
        "labels": {name: _escaped(value) for name, value in own.items()},
        "placement": {
            "constraints": [
                f"node.id == {place.node}",
                f"node.labels.{halted_label(fleet.name, spec.id)} != {YES}",
            ],
            "max_replicas_per_node": 1,
        },
        "resources": {
            "limits": {
                "cpus": f"{spec.nano_cpus / 1_000_000_000:g}",
                "memory": str(spec.memory),
                "pids": fleet.pids_limit,
            }
        },
        # also after 0: that is what a bot ends with when its engine is stopped
        "restart_policy": {"condition": "any", "delay": f"{RESTART_DELAY_S}s"},
        "update_config": {"parallelism": 1, "order": "stop-first", "failure_action": "pause"},
        "rollback_config": {"parallelism": 1, "order": "stop-first"},
    }


def _binds(spec: InstanceSpec, place: Placement) -> list[dict[str, Any]]:
    return [
        {
            "type": "bind",
            "source": _escaped(f"{place.data_dir}/{bind.source}"),
            "target": bind.target,
            **({"read_only": True} if bind.read_only else {}),
        }
        for bind in container_config.binds(spec)
    ]


def _memory(fleet: Fleet) -> list[dict[str, Any]]:
    """Return the writable memory; each folder has its mode from the image."""
    sizes = (fleet.tmp_size_mb << 20, 1 << 20)
    return [
        {"type": "tmpfs", "target": target, "tmpfs": {"size": size}}
        for target, size in zip(TMPFS, sizes, strict=True)
    ]


def _network() -> dict[str, Any]:
    """Return a network of one service alone: no other instance reaches it."""
    return {"driver": "overlay", "driver_opts": {"encrypted": "true"}, "attachable": False}


def _secret(spec: InstanceSpec, place: Placement, fleet: Fleet) -> dict[str, Any]:
    return {
        "name": place.secret,
        "file": _escaped(place.secret_file),
        "labels": {labels.INSTANCE: spec.id, f"{labels.INSTANCE}.fleet": fleet.name},
    }


def _escaped(text: str) -> str:
    """Escape `$`, which the docker command would take for a variable."""
    return text.replace("$", "$$")
