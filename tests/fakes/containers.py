"""What the fake engine holds: images and containers, in the words of the engine's API."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from manager.engine.streams import Stream

KILLED = 137


IMAGE_CONFIG: Mapping[str, Any] = {
    "Entrypoint": ["supervisor"],
    "Env": ["PATH=/opt/venv/bin:/usr/bin:/bin", "HOME=/tmp", "BOTFLEET_BOT_COMMAND=/app/run.py"],
    "WorkingDir": "/app",
}


class Program(Protocol):
    """What a container runs. Called without the engine's lock."""

    def start(self, container: FakeContainer) -> None:
        """Begin: print, or end at once by `container.end`."""

    def stop(self, container: FakeContainer, timeout: int) -> int:
        """Answer SIGTERM within `timeout` seconds; return the exit code, KILLED for one that has to be
        killed.
        """

    def kill(self, container: FakeContainer) -> None:
        """Be gone at once."""


class Idle:
    """Runs until it is told to end, and does nothing else."""

    def start(self, container: FakeContainer) -> None:
        """Do nothing."""

    def stop(self, container: FakeContainer, timeout: int) -> int:
        """End well."""
        return 0

    def kill(self, container: FakeContainer) -> None:
        """Do nothing."""


Programs = Callable[[Mapping[str, Any]], Program]
"""The raw body of a container → what it runs."""


@dataclass
class FakeImage:
    """One image. `tags`: its names, with their tags."""

    id: str
    labels: dict[str, str] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)

    @property
    def config(self) -> dict[str, Any]:
        """Return what it gives to its containers."""
        return {**IMAGE_CONFIG, "Labels": dict(self.labels)}


@dataclass
class FakeContainer:
    """One container. `state` is the engine's word. `health`: the engine's verdict, as the list shows it."""

    id: str
    name: str
    body: Mapping[str, Any]
    image_id: str
    labels: Mapping[str, str]
    program: Program
    created: float
    changed: Callable[[], None]
    state: str = "created"
    exit_code: int = 0
    since: float = 0.0
    started_at: float | None = None
    health: str = ""
    lines: list[tuple[Stream, float, bytes]] = field(default_factory=list)
    exited: Callable[[int], None] = lambda _code: None
    is_connected: bool = True
    network_id: str = ""
    """Of the network that it was started in."""

    @property
    def is_up(self) -> bool:
        """Return whether it has processes."""
        return self.state in {"running", "paused", "restarting"}

    def print(self, stream: Stream, text: str, at: float) -> None:
        """Print lines there."""
        for line in text.splitlines(keepends=True):
            self.lines.append((stream, at, line.encode()))
        self.changed()

    def end(self, code: int) -> None:
        """End by itself."""
        self.exited(code)

    def frames(self) -> list[tuple[Stream, bytes]]:
        """Return the log as the engine gives it, with time stamps."""
        return [(stream, f"{stamp(at)} ".encode() + line) for stream, at, line in self.lines]

    @property
    def network(self) -> str:
        """Return the network that it is in."""
        return str((self.body.get("HostConfig") or {}).get("NetworkMode") or "bridge")

    @property
    def mounts(self) -> list[dict[str, Any]]:
        """Return its folders, as list and inspection show them."""
        mounts = (self.body.get("HostConfig") or {}).get("Mounts") or ()
        return [
            {
                "Type": mount["Type"],
                "Source": mount.get("Source", ""),
                "Destination": mount["Target"],
                "RW": not mount.get("ReadOnly"),
            }
            for mount in mounts
        ]

    @property
    def ports(self) -> list[int]:
        """Return the ports of the host that it publishes while it runs."""
        bindings = (self.body.get("HostConfig") or {}).get("PortBindings") or {}
        return [int(bound["HostPort"]) for of_port in bindings.values() for bound in of_port]

    def row(self, now: float) -> dict[str, Any]:
        """Return its row in the list."""
        return {
            "Id": self.id,
            "Names": [f"/{self.name}"],
            "Image": self.body["Image"],
            "ImageID": self.image_id,
            "Created": int(self.created),
            "Command": self._command,
            "Labels": dict(self.labels),
            "State": self.state,
            "Status": self._status(round(now - self.since)),
            "Mounts": self.mounts,
            "HostConfig": {"NetworkMode": self.network},
            "NetworkSettings": {
                "Networks": {self.network: {"NetworkID": self.network_id}} if self.is_connected else {}
            },
        }

    @property
    def _command(self) -> str:
        config = self.config
        words: list[str] = config["Entrypoint"] + (config.get("Cmd") or [])
        return " ".join([words[0], *(f"'{word}'" if " " in word else word for word in words[1:])])

    @property
    def config(self) -> dict[str, Any]:
        """Return what it was made with, and what its image gave to it."""
        own = {key: value for key, value in self.body.items() if key not in NOT_OF_CONFIG}
        named = {entry.partition("=")[0] for entry in own.get("Env") or ()}
        given = [entry for entry in IMAGE_CONFIG["Env"] if entry.partition("=")[0] not in named]
        variables = [*(own.get("Env") or ()), *given]
        return {**IMAGE_CONFIG, **own, "Env": variables, "Labels": dict(self.labels)}

    def _status(self, seconds: int) -> str:
        age = f"{seconds} seconds" if seconds < 60 else f"{seconds // 60} minutes"
        match self.state:
            case "running":
                return f"Up {age}" + (f" ({self.health})" if self.health else "")
            case "paused":
                return f"Up {age} (Paused)"
            case "exited" | "restarting":
                return f"{self.state.capitalize()} ({self.exit_code}) {age} ago"
            case "removing":
                return "Removal In Progress"
            case other:
                return other.capitalize()

    def inspection(self) -> dict[str, Any]:
        """Return everything that is known of it."""
        return {
            "Id": self.id,
            "Name": f"/{self.name}",
            "Created": stamp(self.created),
            "Image": self.image_id,
            "State": {
                "Status": self.state,
                "Running": self.is_up,
                "Paused": self.state == "paused",
                "Restarting": self.state == "restarting",
                "ExitCode": self.exit_code,
                "OOMKilled": False,
                "StartedAt": "0001-01-01T00:00:00Z" if self.started_at is None else stamp(self.started_at),
                "FinishedAt": stamp(self.since) if self.state == "exited" else "0001-01-01T00:00:00Z",
            },
            "Config": self.config,
            "HostConfig": {**(self.body.get("HostConfig") or {}), "NetworkMode": self.network},
            "Mounts": self.mounts,
        }


NOT_OF_CONFIG = ("HostConfig", "NetworkingConfig")


def stamp(at: float) -> str:
    """Return a time as the engine writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1e9):09d}Z"
