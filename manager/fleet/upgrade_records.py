"""state/history.json: what an instance was before its last upgrade, so that it can be that again. One step
per instance.

The old container's definition stands here, which holds no secret; its image is kept from being pruned by a
tag of ours, its env file in a folder of its own beside the secrets, which no container mounts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from manager.config.fleet import Fleet
from manager.engine import labels
from manager.engine.containers import Container
from manager.errors import ManagerError, writing_to
from manager.util import atomic_file, strict_json

SCHEMA = 1
MAX_BYTES = 32_000_000
TAG = "rollback-"
KEPT_CONFIG = (
    "Hostname",
    "User",
    "Cmd",
    "Env",
    "Labels",
    "ExposedPorts",
    "StopTimeout",
    "Healthcheck",
    "Entrypoint",
    "WorkingDir",
)

Phase = Literal["going", "done", "back"]
"""`going`: being upgraded, or a killed manager was at it; `done`: upgraded; `back`: it is what it was before.
"""


class UpgradeRecord(NamedTuple):
    """One instance's last upgrade.

    `container`: the old container's id; `definition`: the raw body to make it again; `image_id`,
    `config_hash`: the new ones; `at`: ISO, local.
    """

    phase: Phase
    container: str
    definition: Mapping[str, Any]
    old_image_id: str
    old_config_hash: str
    image_id: str
    config_hash: str
    at: str

    def is_old(self, container: Container) -> bool:
        """Whether the container is what it was before, the same one or made again."""
        if (container.config_hash, container.image_id) != (self.old_config_hash, self.old_image_id):
            return False
        only_values = (self.config_hash, self.image_id) == (self.old_config_hash, self.old_image_id)
        return not only_values or self.phase == "back" or container.id == self.container

    def is_valid(self, container: Container | None) -> bool:
        """Whether nobody has changed the instance by other means since; one without a container has kept what
        it was.
        """
        if container is None or self.phase == "going":
            return True
        if self.phase == "back":
            return self.is_old(container)
        return (container.config_hash, container.image_id) == (self.config_hash, self.image_id)

    @property
    def web_port(self) -> int | None:
        """The port that it published."""
        text = self.label(labels.WEB_PORT)
        return int(text) if text.isascii() and text.isdigit() else None

    def label(self, name: str) -> str:
        """A label of the old container; empty where it had none of this name."""
        return str(self.definition["Labels"].get(name, ""))


Steps = Mapping[str, UpgradeRecord]
NONE: Steps = MappingProxyType({})


def load(fleet: Fleet) -> dict[str, UpgradeRecord]:
    """Instance → its last upgrade; empty where there is no file.

    Raises ManagerError for one that cannot be used.
    """
    path = fleet.upgrade_records_file
    if not path.exists():
        return {}
    try:
        raw: Any = strict_json.read(path, MAX_BYTES)
        if raw["schema"] != SCHEMA or raw["fleet"] != fleet.name:
            raise ValueError(raw["schema"])
        return {each: UpgradeRecord(**values) for each, values in raw["instances"].items()}
    except (strict_json.JsonFault, TypeError, KeyError, ValueError, AttributeError) as error:
        raise ManagerError(
            "{path} cannot be read ({why}); move it away, and what was before the last upgrades is forgotten",
            path=path,
            why=error,
        ) from error


def save(fleet: Fleet, steps: Steps) -> None:
    """Writes the file atomically. Raises ManagerError."""
    path = fleet.upgrade_records_file
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_file.write_atomically(
            path,
            {
                "schema": SCHEMA,
                "fleet": fleet.name,
                "instances": {each: steps[each]._asdict() for each in sorted(steps)},
            },
        )


def definition(inspected: Mapping[str, Any], instance: str, image: str) -> dict[str, Any]:
    """The raw body that makes a container like the inspected one again, from the image of this name. Pure."""
    config, host = inspected["Config"], inspected["HostConfig"]
    return {
        "Image": image,
        **{key: config[key] for key in KEPT_CONFIG if config.get(key) is not None},
        "HostConfig": host,
        "NetworkingConfig": {"EndpointsConfig": {host["NetworkMode"]: {"Aliases": [instance]}}},
    }


def tag_of(fleet: Fleet, image_id: str) -> str:
    """`desk-bot:rollback-60294de636db`: the name that keeps an image."""
    return f"{repository(fleet)}:{TAG}{image_id.removeprefix('sha256:')[:12]}"


def repository(fleet: Fleet) -> str:
    """Where our names for kept images are."""
    return f"{fleet.name}-bot"


def valid(
    steps: Steps, containers: Mapping[str, Container], known: Iterable[str]
) -> dict[str, UpgradeRecord]:
    """The steps that can still be taken back."""
    return {
        each: step for each, step in steps.items() if each in known and step.is_valid(containers.get(each))
    }


def kept_env(fleet: Fleet, instance: str) -> Path:
    """The env file that belongs to an instance's step."""
    return fleet.rollback_env_dir / f"{instance}.json"
