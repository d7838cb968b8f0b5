"""Read and write state/history.json: what each instance was before its last upgrade. One record per instance.

It contains the old container's definition, which has no secrets. A tag of ours protects the old image from
being pruned. The old env file is in a folder of its own beside the secrets, which no container mounts.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from manager.config.fleet import Fleet
from manager.engine import labels
from manager.engine.containers import Container
from manager.errors import ManagerError, writing_to
from manager.typed import Any, Literal, NamedTuple
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
"""`going`: being upgraded, or interrupted; `done`: upgraded; `back`: rolled back."""


class UpgradeRecord(NamedTuple):
    """Hold one instance's last upgrade.

    `container`: the old container's id; `definition`: the body to create it again; `image_id`, `config_hash`:
    the new ones; `at`: ISO, local.
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
        """Return whether the container is what it was before: the same one, or recreated."""
        if (container.config_hash, container.image_id) != (self.old_config_hash, self.old_image_id):
            return False
        only_values = (self.config_hash, self.image_id) == (self.old_config_hash, self.old_image_id)
        return not only_values or self.phase == "back" or container.id == self.container

    def is_valid(self, container: Container | None) -> bool:
        """Return whether the instance was not changed by other means since.

        Without a container it is unchanged.
        """
        if container is None or self.phase == "going":
            return True
        if self.phase == "back":
            return self.is_old(container)
        return (container.config_hash, container.image_id) == (self.config_hash, self.image_id)

    @property
    def web_port(self) -> int | None:
        """Return the port that it published."""
        text = self.label(labels.WEB_PORT)
        return int(text) if text.isascii() and text.isdigit() else None

    def label(self, name: str) -> str:
        """Return a label of the old container; empty if it had none of this name."""
        return str(self.definition["Labels"].get(name, ""))


Steps = Mapping[str, UpgradeRecord]
NONE: Steps = MappingProxyType({})


def load(fleet: Fleet) -> dict[str, UpgradeRecord]:
    """Return instance → its last upgrade; empty without a file.

    Raises ManagerError if the file cannot be used.
    """
    path = fleet.upgrade_records_file
    if not path.exists():
        return {}
    try:
        raw: Any = strict_json.read(path, MAX_BYTES)
        if raw["schema"] != SCHEMA or raw["fleet"] != fleet.name:
            raise ValueError(raw["schema"])
        return {instance: UpgradeRecord(**values) for instance, values in raw["instances"].items()}
    except (strict_json.JsonFault, TypeError, KeyError, ValueError, AttributeError) as error:
        raise ManagerError(
            "cannot read {path} ({why}); if you move it away, the last upgrades can no longer be rolled back",
            path=path,
            why=error,
        ) from error


def save(fleet: Fleet, records: Steps) -> None:
    """Write the file atomically. Raises ManagerError."""
    path = fleet.upgrade_records_file
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_file.write_atomically(
            path,
            {
                "schema": SCHEMA,
                "fleet": fleet.name,
                "instances": {instance: records[instance]._asdict() for instance in sorted(records)},
            },
        )


def definition(inspected: Mapping[str, Any], instance: str, image: str) -> dict[str, Any]:
    """Return the body that creates a container like the inspected one, from the image of this name. Pure."""
    config, host = inspected["Config"], inspected["HostConfig"]
    return {
        "Image": image,
        **{key: config[key] for key in KEPT_CONFIG if config.get(key) is not None},
        "HostConfig": host,
        "NetworkingConfig": {"EndpointsConfig": {host["NetworkMode"]: {"Aliases": [instance]}}},
    }


def tag_of(fleet: Fleet, image_id: str) -> str:
    """Return the name that protects an image: `desk-bot:rollback-60294de636db`."""
    return f"{repository(fleet)}:{TAG}{image_id.removeprefix('sha256:')[:12]}"


def repository(fleet: Fleet) -> str:
    """Return the repository of our names for protected images."""
    return f"{fleet.name}-bot"


def valid(
    records: Steps, containers: Mapping[str, Container], known: Iterable[str]
) -> dict[str, UpgradeRecord]:
    """Return the upgrades that can still be rolled back."""
    return {
        instance: record
        for instance, record in records.items()
        if instance in known and record.is_valid(containers.get(instance))
    }


def kept_env(fleet: Fleet, instance: str) -> Path:
    """Return the env file that belongs to an instance's record."""
    return fleet.rollback_env_dir / f"{instance}.json"
