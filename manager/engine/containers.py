"""Raw rows of the engine's list call → what containers the fleet has. Pure.

One row tells everything: the labels say who it is, the state and status text how it is. No inspect is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from manager.config import spec
from manager.engine import labels

EXIT_CODE = re.compile(r"\((\d+)\)")
ENGINE_COULD_NOT_START = 128
"""The exit code that the engine gives a container which it could not start."""
HEALTH = re.compile(r"\((?:health: )?(healthy|unhealthy|starting)\)")


class Container(NamedTuple):
    """One container of the fleet, as its row in the list says. `created` in seconds since the epoch."""

    id: str
    name: str
    instance: str
    engine_state: str
    status: str
    image_id: str
    created: int
    labels: Mapping[str, str]
    data_source: str | None

    @property
    def health(self) -> str | None:
        """The engine's own verdict: healthy, unhealthy, starting, or None without a health check."""
        found = HEALTH.search(self.status)
        return found[1] if found else None

    @property
    def exit_code(self) -> int | None:
        """How the container itself ended; None while it runs."""
        found = (
            EXIT_CODE.search(self.status) if self.engine_state in {"exited", "dead", "restarting"} else None
        )
        return int(found[1]) if found else None

    @property
    def never_ran(self) -> bool:
        """Whether the engine made it and then could not start it, or nobody tried."""
        return self.engine_state == "created" or (
            self.engine_state == "exited" and self.exit_code == ENGINE_COULD_NOT_START
        )

    @property
    def is_up(self) -> bool:
        """Whether processes of it can exist."""
        return self.engine_state in {"running", "paused", "restarting"}

    @property
    def config_hash(self) -> str:
        """The hash of the config it was made from."""
        return self.labels.get(labels.CONFIG_HASH, "")

    @property
    def config_file(self) -> str:
        """The config file it was made from, as the project names it."""
        return self.labels.get(labels.CONFIG_FILE, "")

    @property
    def web_port(self) -> int | None:
        """The port it publishes."""
        value = self.labels.get(labels.WEB_PORT, "")
        return int(value) if value.isascii() and value.isdigit() else None

    @property
    def mode(self) -> str:
        """paper or live."""
        return self.labels.get(labels.MODE, "")

    @property
    def stop_timeout(self) -> int:
        """Seconds the engine must wait before it kills this container."""
        value = self.labels.get(labels.STOP_TIMEOUT, "")
        return int(value) if value.isascii() and value.isdigit() else DEFAULT_STOP_TIMEOUT_S

    @property
    def project_dir(self) -> str:
        """The project folder it was made from."""
        return self.labels.get(labels.COMPOSE_WORKING_DIR, "")


DEFAULT_STOP_TIMEOUT_S = 50
"""For a container whose label is missing: the default bot_stop_timeout and the supervisor's margin."""


class Observed(NamedTuple):
    """All containers of the fleet: one per instance, and those that must not be there."""

    containers: Mapping[str, Container]
    strays: tuple[Container, ...] = ()


def observe(rows: Iterable[Mapping[str, Any]], fleet_name: str) -> Observed:
    """Sorts rows into instances and strays: one-off containers, and doubles that do not bear the instance's name."""
    containers: dict[str, Container] = {}
    strays = []
    candidates = [_container(row) for row in rows]
    candidates.sort(key=lambda each: (each.name != f"{fleet_name}-{each.instance}", each.name))
    for each in candidates:
        if each.labels.get(labels.COMPOSE_ONEOFF) == "True" or each.instance in containers:
            strays.append(each)
        else:
            containers[each.instance] = each
    return Observed(dict(sorted(containers.items())), tuple(strays))


def _container(row: Mapping[str, Any]) -> Container:
    own = row.get("Labels") or {}
    names = row.get("Names") or ["/?"]
    return Container(
        id=row["Id"],
        name=names[0].lstrip("/"),
        instance=own.get(labels.INSTANCE, ""),
        engine_state=row.get("State", ""),
        status=row.get("Status", ""),
        image_id=row.get("ImageID", ""),
        created=int(row.get("Created", 0)),
        labels=own,
        data_source=_source(row.get("Mounts") or [], spec.DATA_AT),
    )


def _source(mounts: Iterable[Mapping[str, Any]], destination: str) -> str | None:
    return next((mount.get("Source") for mount in mounts if mount.get("Destination") == destination), None)
