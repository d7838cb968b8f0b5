"""Call the engine's API with a client that does nothing but what is asked: the floor.

One connection a thread.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
from typing import Any
from urllib.parse import quote

from bench.shell import run


class NoSocket(Exception):
    """Signal that the engine is not reached through a Unix socket."""


class ApiError(Exception):
    """Signal that the engine refused a call."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=120)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Api:
    """Call the engine's API, from any thread."""

    def __init__(self, socket_path: str) -> None:
        self.socket_path = socket_path
        self._local = threading.local()
        self.version: tuple[int, int] = (1, 24)
        major, minor = str(self.call("GET", "/version")["ApiVersion"]).split(".")
        self.version = (int(major), int(minor))

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Make one call. Return the decoded answer, None for an empty one. Raises ApiError."""
        data = None if body is None else json.dumps(body)
        headers = {} if data is None else {"Content-Type": "application/json"}
        words = (method, f"/v{self.version[0]}.{self.version[1]}{path}", data, headers)
        connection = getattr(self._local, "connection", None) or self._connect()
        try:
            try:
                connection.request(*words)
            except BrokenPipeError:  # the engine has closed it while other things were measured
                connection = self._connect()
                connection.request(*words)
            answer = connection.getresponse()
            raw = answer.read()
        except (OSError, http.client.HTTPException):
            self._local.connection = None  # it is of no more use
            raise
        if answer.status >= 400:
            raise ApiError(f"{method} {path}: {answer.status} {raw[:300].decode(errors='replace')}")
        return json.loads(raw) if raw else None

    def _connect(self) -> _UnixConnection:
        """Make this thread's connection anew."""
        connection = self._local.connection = _UnixConnection(self.socket_path)
        return connection

    def create(self, name: str, body: object) -> str:
        """Create a container. Return its id."""
        return str(self.call("POST", f"/containers/create?name={quote(name)}", body)["Id"])

    def start(self, container: str) -> None:
        """Start it."""
        self.call("POST", f"/containers/{container}/start")

    def stop_and_remove(self, container: str) -> None:
        """Stop it, then remove it with its anonymous volumes."""
        self.call("POST", f"/containers/{container}/stop?t=30")
        self.call("DELETE", f"/containers/{container}?v=1")

    def inspect(self, container: str) -> dict[str, Any]:
        """Return everything the engine knows of one container."""
        return dict(self.call("GET", f"/containers/{container}/json"))


def socket_path() -> str:
    """Return the engine's socket, as the docker CLI finds it. Raises NoSocket."""
    host = os.environ.get("DOCKER_HOST")
    if not host:
        host = run(["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]).out.strip()
    if not host.startswith("unix://"):
        raise NoSocket(f"the engine is at {host}, and not at a Unix socket")
    return host.removeprefix("unix://")
