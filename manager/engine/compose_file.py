"""Render InstanceSpecs as compose.yaml: the same containers for users who prefer `docker compose`. Pure.

The file is the same on every machine, and contains no secrets.
"""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import yaml

from manager.config.fleet import Fleet
from manager.config.spec import BOT_ID, InstanceSpec
from manager.engine import container_config, labels

HEADER = """\
# Rendered by `manager compose` from config/active and config/fleet.toml: change those, then render again.
# `docker compose up -d` and `manager up` make the same containers and leave each other's alone.
# After `manager build`, `docker compose up -d` recreates them, `docker compose up -d --no-recreate` does not.
name: '{name}'

x-bot: &bot
{common}
services:
"""

SERVICE = re.compile(r"^  '([^'\n]+)':\n(?:    .*\n)+", re.MULTILINE)
NOT_UNICODE = re.compile("[\ud800-\udfff]")
CONFIG_FILE = re.compile(rf"^      {re.escape(labels.CONFIG_FILE)}: '(.*)'$", re.MULTILINE)


def render(
    specs: Iterable[InstanceSpec], fleet: Fleet, other_services: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Return the whole file. `other_services`: those of an earlier file that stay, as its text."""
    parts = [HEADER.format(name=fleet.name, common=_yaml(_common(fleet), 2))]
    by_name = {
        **{spec.id: f"  {_key(spec.id)}:\n    <<: *bot\n{_yaml(_service(spec, fleet), 4)}" for spec in specs},
        **other_services,
    }
    services = [by_name[name] for name in sorted(by_name)]
    networks = {
        "networks": {"default": {"driver": "bridge", "driver_opts": container_config.NETWORK_OPTIONS}}
    }
    return "".join(parts) + ("\n".join(services) or "  {}\n") + "\n" + _yaml(networks, 0)


def services_of(text: str) -> dict[str, tuple[str, str]]:
    """Return the services of a rendered file: name → (its config file, its text)."""
    _start, _key, services = text.partition("\nservices:\n")
    services, _key, _networks = services.partition("\nnetworks:\n")
    by_name = {}
    for match in SERVICE.finditer(services):
        config_file = CONFIG_FILE.search(match[0])
        by_name[match[1]] = (config_file[1].replace("''", "'") if config_file else "", match[0])
    return by_name


def _common(fleet: Fleet) -> dict[str, Any]:
    return {
        "image": fleet.image_name,
        "pull_policy": "never",
        "init": True,
        "restart": "unless-stopped",
        "user": f"${{BOTFLEET_UID:-{BOT_ID}}}:${{BOTFLEET_GID:-{BOT_ID}}}",
        "read_only": True,
        "cap_drop": _Line(["ALL"]),
        "security_opt": _Line(["no-new-privileges:true"]),
        "pids_limit": fleet.pids_limit,
        "tmpfs": [f"{path}:{options}" for path, options in container_config.tmpfs_options(fleet).items()],
        "logging": {
            "driver": "local",
            "options": {"max-size": f"{fleet.log_max_size_mb}m", "max-file": str(fleet.log_max_files)},
        },
        "healthcheck": _healthcheck(fleet),
    }


def _service(spec: InstanceSpec, fleet: Fleet) -> dict[str, Any]:
    memory = container_config.memory_text(spec.memory)
    return {
        "container_name": fleet.container_name(spec.id),
        "hostname": _Text(spec.id),
        "command": _Line(_escaped(word) for word in spec.command),
        "environment": {name: _escaped(value) for name, value in spec.environment().items()},
        "mem_limit": memory,
        "memswap_limit": memory,
        "cpus": spec.nano_cpus / 1_000_000_000,
        "stop_grace_period": f"{spec.container_stop_timeout}s",
        "ports": [
            {
                "target": spec.web_port,
                "published": str(spec.web_port),
                "host_ip": fleet.bind_address,
                "protocol": "tcp",
            }
        ],
        "volumes": [
            {
                "type": "bind",
                "source": _escaped(_relative(fleet, bind.source)),
                "target": bind.target,
                **({"read_only": True} if bind.read_only else {}),
                "bind": {"create_host_path": False},
            }
            for bind in container_config.binds(spec)
        ],
        "labels": {name: _escaped(value) for name, value in container_config.own_labels(spec, fleet).items()},
    }


def _healthcheck(fleet: Fleet) -> dict[str, Any]:
    """Return the health check, without `start_interval`: Compose would refuse engines before 25."""
    if not fleet.engine_health_interval:
        return {"disable": True}
    return {
        "test": _Line(["CMD", container_config.HEALTHCHECK]),
        "interval": f"{fleet.engine_health_interval}s",
        "timeout": f"{container_config.HEALTH_TIMEOUT_S}s",
        "start_period": f"{container_config.HEALTH_START_PERIOD_S}s",
        "retries": 1,
    }


def _relative(fleet: Fleet, source: str) -> str:
    """Return `./volumes/logs/bp_sol_01`, or the relative path to a data folder elsewhere."""
    path = os.path.relpath(fleet.data_dir / source, fleet.project_dir)
    return path if path.startswith("..") else f"./{path}"


def _escaped(text: str) -> _Text:
    """Escape `$`, which Compose would take for a variable.

    The bytes of a file's name that are not UTF-8 are written as the engine has them.
    """
    return _Text(NOT_UNICODE.sub("\N{REPLACEMENT CHARACTER}", text).replace("$", "$$"))


def _key(instance: str) -> str:
    """Return a service's name in quotes, which ids do not contain."""
    return f"'{instance}'"


class _Line(list[str]):
    """Mark a list that is written on one line."""


class _Text(str):
    """Mark a text that is written in quotes:

    `007`, `no` and `0o17` have other types in some YAML versions.
    """


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Write YAML, by libyaml where PyYAML has it: a quarter of the time, which the first `up` waits for."""


_Dumper.add_representer(
    _Text, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="'")
)

_Dumper.add_representer(
    _Line, lambda dumper, words: dumper.represent_sequence("tag:yaml.org,2002:seq", words, flow_style=True)
)


def _yaml(value: dict[str, Any], indent: int) -> str:
    text = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100, default_flow_style=False
    )
    return textwrap.indent(text, " " * indent)
