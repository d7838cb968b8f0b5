"""Choose the engine once, before anything connects: by DOCKER_HOST, DOCKER_CONTEXT and the CLI's own files.

The docker command chooses in the same way. If it cannot be reached, that is an error: no other engine is
used.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from manager.errors import EngineUnreachable
from manager.typed import Any, NamedTuple

DEFAULT_SOCKET = "/var/run/docker.sock"
DEFAULT_CONTEXT = "default"
UNIX = "unix://"
LOCAL = (UNIX, "npipe://")
TLS = ("DOCKER_TLS_VERIFY", "DOCKER_TLS")
"""With one of these and no DOCKER_HOST, the docker command asks TLS_HOST."""
TLS_HOST = "tcp://localhost:2376"
MOST_BYTES = 8 << 20
"""Of a file of the docker command, which keeps credentials of registries in it."""


class Endpoint(NamedTuple):
    """Hold the address of the engine, and where it comes from: DOCKER_HOST, or a context."""

    host: str
    named_by: str = ""

    @property
    def socket(self) -> str | None:
        """Return the path of a local socket; None for any other kind."""
        return self.host.removeprefix(UNIX) if self.host.startswith(UNIX) else None

    def __str__(self) -> str:
        return f"{self.host} ({self.named_by})" if self.named_by else self.host


def of(environ: Mapping[str, str]) -> Endpoint:
    """Return the endpoint that the docker command would use.

    Raises EngineUnreachable for a missing context, and where the file that names one is damaged.
    """
    if host := environ.get("DOCKER_HOST"):
        return Endpoint(host if "://" in host else f"tcp://{host}", "DOCKER_HOST")
    folder = client_folder(environ)
    chosen = environ.get("DOCKER_CONTEXT")
    name = chosen or (_current_context(folder / "config.json") if folder else "")
    if not name or name == DEFAULT_CONTEXT:
        if variable := next((name for name in TLS if environ.get(name)), None):
            return Endpoint(TLS_HOST, variable)
        return Endpoint(UNIX + DEFAULT_SOCKET)
    named_by = f"DOCKER_CONTEXT={name}" if chosen else f"docker context {name}"
    host = _host_of(folder, name) if folder else ""
    if not host:
        raise EngineUnreachable(
            "the Docker context {name} ({named_by}) does not exist or has no engine; `docker context ls`"
            " lists all",
            name=name,
            named_by=named_by,
        )
    return Endpoint(host, named_by)


def client_folder(environ: Mapping[str, str]) -> Path | None:
    """Return the folder of the docker command's settings; None for a user without a home folder, who has no
    context but the default one.
    """
    try:
        return Path(environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    except RuntimeError:
        return None


def local(environ: Mapping[str, str]) -> Endpoint:
    """Return the endpoint.

    Raises EngineUnreachable for another machine's, whose folders and logs cannot be accessed.
    """
    chosen = of(environ)
    if not chosen.host.startswith(LOCAL):
        raise EngineUnreachable(
            "the Docker Engine {endpoint} is remote; folders and logs of another machine cannot be"
            " accessed: use a local context (`docker context use default`, without DOCKER_HOST)",
            endpoint=chosen,
        )
    return chosen


def _current_context(path: Path) -> str:
    """Return the context that `docker context use` has written there; empty if it is the default one.

    From a damaged file the docker command takes the local engine, with a warning. Who halts bots on another
    one would be told that nothing runs. A folder, a pipe, or a link in a circle in its place is the same. A
    file of another user, who alone can read it, names nothing for us.
    """
    settings: Any
    try:
        content = _content(path)
        settings = json.loads(content) if content.strip() else {}
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return ""
    except (OSError, ValueError, RecursionError):
        settings = None
    if not isinstance(settings, dict) or not isinstance(settings.get("currentContext") or "", str):
        raise EngineUnreachable(
            "{path} is damaged, so that it is not known which Docker Engine it names; mend it, or choose the"
            " engine by a variable (`DOCKER_CONTEXT=default` is the local one)",
            path=path,
        )
    return str(settings.get("currentContext") or "")


def _host_of(folder: Path, name: str) -> str:
    import hashlib  # OpenSSL with it: only for a context of one's own

    meta = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json"
    endpoints = read_json(meta).get("Endpoints")
    docker = endpoints.get("docker") if isinstance(endpoints, dict) else None
    return str(docker.get("Host") or "") if isinstance(docker, dict) else ""


def _content(path: Path) -> bytes:
    """Return a file's content, cut off if it is larger than any such. Never blocks. Raises OSError."""
    from manager.util import strict_json

    return strict_json.read_bytes(path, MOST_BYTES)


def read_json(path: Path) -> dict[str, Any]:
    """Return the settings in a file of the docker command; empty if it is missing or damaged."""
    try:
        content = json.loads(_content(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
