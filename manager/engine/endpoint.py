"""Which engine is meant, decided once and before anything connects: by DOCKER_HOST, DOCKER_CONTEXT and the CLI's own files.

As the docker command decides. What cannot be reached as named is refused: never does another engine answer in its place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from manager.errors import EngineUnreachable

DEFAULT_SOCKET = "/var/run/docker.sock"
DEFAULT_CONTEXT = "default"
UNIX = "unix://"
LOCAL = (UNIX, "npipe://")


class Endpoint(NamedTuple):
    """The address of the engine, and what names it: DOCKER_HOST, or a context."""

    host: str
    named_by: str = ""

    @property
    def socket(self) -> str | None:
        """The path of a local socket; None for any other kind."""
        return self.host.removeprefix(UNIX) if self.host.startswith(UNIX) else None

    def __str__(self) -> str:
        return f"{self.host} ({self.named_by})" if self.named_by else self.host


def of(environ: Mapping[str, str]) -> Endpoint:
    """Return the endpoint that the docker command would use. Raises EngineUnreachable for a context that is not there."""
    if host := environ.get("DOCKER_HOST"):
        return Endpoint(host if "://" in host else f"tcp://{host}", "DOCKER_HOST")
    try:
        folder = Path(environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    except RuntimeError:  # a user without a home folder has no context but the default one
        folder = None
    chosen = environ.get("DOCKER_CONTEXT")
    name = chosen or (str(_read(folder / "config.json").get("currentContext") or "") if folder else "")
    if not name or name == DEFAULT_CONTEXT:
        return Endpoint(UNIX + DEFAULT_SOCKET)
    named_by = f"DOCKER_CONTEXT={name}" if chosen else f"docker context {name}"
    host = _host_of(folder, name) if folder else ""
    if not host:
        raise EngineUnreachable(
            "the Docker context {name} ({named_by}) does not exist or has no engine; `docker context ls` lists all",
            name=name, named_by=named_by,
        )  # fmt: skip
    return Endpoint(host, named_by)


def local(environ: Mapping[str, str]) -> Endpoint:
    """Return the endpoint. Raises EngineUnreachable for one on another machine: its folders and logs are out of reach."""
    found = of(environ)
    if not found.host.startswith(LOCAL):
        raise EngineUnreachable(
            "the Docker Engine {endpoint} is remote; folders and logs of another machine cannot be accessed: use a local context (`docker context use default`, without DOCKER_HOST)",
            endpoint=found,
        )
    return found


def _host_of(folder: Path, name: str) -> str:
    import hashlib  # OpenSSL with it: only for a context of one's own

    meta = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json"
    endpoints = _read(meta).get("Endpoints")
    docker = endpoints.get("docker") if isinstance(endpoints, dict) else None
    return str(docker.get("Host") or "") if isinstance(docker, dict) else ""


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
