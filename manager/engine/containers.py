"""Convert the rows of the engine's list call into the fleet's containers. Pure.

One row contains everything: labels identify the container, state and status text describe it. No inspect is
needed.
"""

from collections.abc import Iterable, Mapping

from manager.config.container_paths import DATA_AT
from manager.config.fleet import DEFAULT_STOP_TIMEOUT_S, STOP_GRACE_S
from manager.engine import labels, unreachable
from manager.typed import Any, NamedTuple
from manager.util.late_pattern import late_pattern
from manager.util.sanitize import replace_unprintable

EXIT_CODE = late_pattern(r"\((\d+)\)")
ENGINE_COULD_NOT_START = 128
"""The exit code of a container that the engine could not start."""
HEALTH = late_pattern(r"\((?:health: )?(healthy|unhealthy|starting)\)")
UP_SECONDS = late_pattern(r"Up (?:(\d+) seconds?|Less than a second)")
DOWN_SECONDS = late_pattern(r"Exited \(-?\d+\) (?:(\d+) seconds?|Less than a second) ago")


NOT_NETWORKS = frozenset({"", "default", "bridge", "host", "none"})


class Mount(NamedTuple):
    """Hold one folder of the host in a container."""

    source: str
    is_writable: bool


class Container(NamedTuple):
    """Hold one container of the fleet, from its row in the list. `created` is Unix time."""

    id: str
    name: str
    instance: str
    engine_state: str
    status: str
    image_id: str
    created: int
    labels: Mapping[str, str]
    data_source: str | None
    networks: Mapping[str, str] | None = None
    """The networks that it is connected to: name → id, empty for one that it has not been started in. None
    where the engine does not say."""
    network: str = ""
    """The name of the network that it was made for."""
    mounts: Mapping[str, Mount] | None = None
    """Place in the container → what is mounted there. None where the engine does not say."""
    image_name: str = ""
    """The image that it was made from: its name, or the id where the name belongs to another image now."""
    command: str = ""
    """What it runs, arguments with blanks in single quotes; empty where the engine does not say."""

    @property
    def is_off_network(self) -> bool:
        """Return whether it was disconnected from its network: it neither reaches nor is reached."""
        return bool(self.network) and self.networks is not None and self.network not in self.networks

    @property
    def health(self) -> str | None:
        """Return the engine's health status: healthy, unhealthy, starting, or None without a health check."""
        match = HEALTH.search(self.status)
        return match[1] if match else None

    @property
    def up_seconds(self) -> int | None:
        """Return for how many full seconds it has run, where that is less than a minute; else None."""
        match = UP_SECONDS.match(self.status)
        return int(match[1] or 0) if match else None

    @property
    def down_seconds(self) -> int | None:
        """Return how many full seconds ago it ended, where that is less than a minute; else None."""
        match = DOWN_SECONDS.match(self.status)
        return int(match[1] or 0) if match else None

    @property
    def exit_code(self) -> int | None:
        """Return the container's exit code; None while it runs."""
        match = (
            EXIT_CODE.search(self.status) if self.engine_state in {"exited", "dead", "restarting"} else None
        )
        return int(match[1]) if match else None

    @property
    def never_ran(self) -> bool:
        """Return whether it was created, but never started successfully."""
        return self.engine_state == "created" or (
            self.engine_state == "exited" and self.exit_code == ENGINE_COULD_NOT_START
        )

    @property
    def is_up(self) -> bool:
        """Return whether it may have processes."""
        return self.engine_state in {"running", "paused", "restarting"}

    @property
    def config_hash(self) -> str:
        """Return the hash of the config it was made from."""
        return self.labels.get(labels.CONFIG_HASH, "")

    @property
    def config_file(self) -> str:
        """Return the path of the config it was made from, relative to the project."""
        return self.labels.get(labels.CONFIG_FILE, "")

    @property
    def web_port(self) -> int | None:
        """Return the port it publishes."""
        value = self.labels.get(labels.WEB_PORT, "")
        return int(value) if value.isascii() and value.isdigit() else None

    def shown(self, label: str) -> str:
        """Return a label that a config determines as it may be shown: it may be of any characters."""
        return replace_unprintable(self.labels.get(label, ""))

    @property
    def mode(self) -> str:
        """Return paper or live."""
        return self.labels.get(labels.MODE, "")

    @property
    def stop_timeout(self) -> int:
        """Return the seconds that the engine must wait before it kills this container."""
        value = self.labels.get(labels.STOP_TIMEOUT, "")
        return int(value) if value.isascii() and value.isdigit() else UNLABELLED_STOP_TIMEOUT_S

    @property
    def project_dir(self) -> str:
        """Return the project folder it was made from."""
        return self.labels.get(labels.COMPOSE_WORKING_DIR, "")


UNLABELLED_STOP_TIMEOUT_S = DEFAULT_STOP_TIMEOUT_S + STOP_GRACE_S
"""For a container without the label."""


class Observed(NamedTuple):
    """Hold all containers of the fleet: one per instance, and unexpected ones."""

    containers: Mapping[str, Container]
    strays: tuple[Container, ...] = ()


def observe(rows: Iterable[Mapping[str, Any]], fleet_name: str) -> Observed:
    """Sort rows into instances and unexpected containers: one-offs, and duplicates with another name.

    Raises EngineUnreachable for rows that no Docker Engine gives.
    """
    containers: dict[str, Container] = {}
    strays = []
    candidates = _read(rows)
    candidates.sort(
        key=lambda container: (container.name != f"{fleet_name}-{container.instance}", container.name)
    )
    for container in candidates:
        if container.labels.get(labels.COMPOSE_ONEOFF) == "True" or container.instance in containers:
            strays.append(container)
        else:
            containers[container.instance] = container
    return Observed(dict(sorted(containers.items())), tuple(strays))


def _read(rows: Iterable[Mapping[str, Any]]) -> list[Container]:
    try:
        return _containers.of(rows)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise unreachable.other_format(f"{type(error).__name__}: {error}") from error


class _Containers:
    """Keep each container as long as the engine says the same of it."""

    def __init__(self) -> None:
        self._kept: Mapping[str, tuple[Mapping[str, Any], Container]] = {}

    def of(self, rows: Iterable[Mapping[str, Any]]) -> list[Container]:
        kept = self._kept
        now = [
            before if (before := kept.get(row["Id"])) and before[0] == row else (row, _container(row))
            for row in rows
        ]
        self._kept = {container.id: (row, container) for row, container in now}
        return [container for _row, container in now]


_containers = _Containers()


def _container(row: Mapping[str, Any]) -> Container:
    own = dict(row.get("Labels") or {})
    names = row.get("Names") or ["/?"]
    return Container(
        id=row["Id"],
        name=names[0].lstrip("/"),
        instance=own.get(labels.INSTANCE, ""),
        engine_state=_word(row, "State"),
        status=_word(row, "Status"),
        image_id=_word(row, "ImageID"),
        created=int(row.get("Created", 0)),
        labels=own,
        data_source=_source(row.get("Mounts") or [], DATA_AT),
        networks=_networks(row),
        network=_own_network(row),
        mounts=_mounts(row),
        image_name=str(row.get("Image") or ""),
        command=command if isinstance(command := row.get("Command"), str) else "",
    )


def _word(row: Mapping[str, Any], key: str) -> str:
    """Return a word of the row. Raises TypeError for anything else."""
    value = row.get(key) or ""
    if not isinstance(value, str):
        raise TypeError(f"{key} is no text")
    return value


def _mounts(row: Mapping[str, Any]) -> dict[str, Mount] | None:
    mounts = row.get("Mounts")
    if not isinstance(mounts, list):
        return None
    return {
        str(mount.get("Destination", "")): Mount(str(mount.get("Source", "")), bool(mount.get("RW", True)))
        for mount in mounts
    }


def _networks(row: Mapping[str, Any]) -> dict[str, str] | None:
    networks = (row.get("NetworkSettings") or {}).get("Networks")
    if not isinstance(networks, dict):
        return None
    return {name: str((endpoint or {}).get("NetworkID", "")) for name, endpoint in networks.items()}


def _own_network(row: Mapping[str, Any]) -> str:
    mode = str((row.get("HostConfig") or {}).get("NetworkMode", ""))
    return "" if mode in NOT_NETWORKS or mode.startswith("container:") else mode


def _source(mounts: Iterable[Mapping[str, Any]], destination: str) -> str | None:
    return next((mount.get("Source") for mount in mounts if mount.get("Destination") == destination), None)
