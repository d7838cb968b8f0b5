"""The engine's API over its local socket, for the read path: a tenth of the SDK's start-up, the same answers.

Only GET, only JSON. Anything else, and every other kind of endpoint, is the SDK's business (engine.py).
"""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote

from manager.i18n import _

DEFAULT_SOCKET = "/var/run/docker.sock"
READ_TIMEOUT_S = 10
"""A list of 200 containers takes 50 ms; an engine that is silent for this long hangs."""


class NoAnswer(Exception):
    """The socket is not there, refuses, or stays silent."""


class Refused(Exception):
    """The engine answered with an error: its status and its words."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


def local_socket(environ: Mapping[str, str]) -> str | None:
    """The path of the socket the docker CLI would use; None when its endpoint is no local socket."""
    host = environ.get("DOCKER_HOST") or _context_host(environ)
    return host.removeprefix("unix://") if host.startswith("unix://") else None


def get(path: str, api: str, query: Mapping[str, Any] | None = None) -> Any:
    """One GET on the socket at `path`; `api` such as `/containers/json`. Raises NoAnswer or Refused."""
    words = "&".join(f"{name}={quote(_word(value), safe='')}" for name, value in (query or {}).items())
    connection = _Connection(path)
    try:
        connection.request("GET", f"{api}?{words}" if words else api)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, HTTPException) as error:
        raise NoAnswer(str(error) or type(error).__name__) from error
    finally:
        connection.close()
    try:
        value = json.loads(body)
    except ValueError as error:
        raise NoAnswer(_("it does not speak the engine's API")) from error
    if answer.status >= 400:
        raise Refused(answer.status, str(value.get("message", "")))
    return value


class _Connection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=READ_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _context_host(environ: Mapping[str, str]) -> str:
    """The endpoint of the context that the CLI's own files name; an unreadable one is left to the SDK to explain."""
    folder = Path(environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    name = environ.get("DOCKER_CONTEXT") or _read(folder / "config.json").get("currentContext") or "default"
    if name == "default":
        return f"unix://{DEFAULT_SOCKET}"
    meta = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json"
    endpoints = _read(meta).get("Endpoints") or {}
    return str((endpoints.get("docker") or {}).get("Host", ""))


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
