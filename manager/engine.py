"""The Docker Engine: the only file that imports the SDK. One engine call a method; every failure one of our errors.

Low-level calls only: the SDK's objects cost an inspect each, and its helpers drop what they do not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import docker
import requests
from docker.errors import APIError, DockerException

from manager.errors import EngineError, EngineUnreachable, NameTaken, NotFound

CALL_TIMEOUT_S = 60
"""A create or remove on a busy disk takes seconds; a minute of silence is an engine that hangs."""


class Engine:
    """A connection to the local engine. Every method raises EngineError, or a kind of it."""

    def __init__(self, client: docker.APIClient, endpoint: str) -> None:
        self._client = client
        self.endpoint = endpoint

    @classmethod
    def connect(cls, parallelism: int = 8) -> Engine:
        """Connects as the docker CLI would: DOCKER_HOST, else the current context. Refuses a remote engine."""
        with _translated():
            try:
                client = docker.from_env(timeout=CALL_TIMEOUT_S, max_pool_size=parallelism + 2).api
            except DockerException as error:
                raise EngineUnreachable(
                    "no Docker Engine answers ({why}); start it, or run `make engine`", why=_short(error)
                ) from error
        endpoint = client.base_url
        if not endpoint.startswith(("http+docker://", "npipe://")):
            client.close()
            raise EngineUnreachable(
                "the Docker context in use is remote ({endpoint}); folders and logs of another machine are out of"
                " reach: use a local context",
                endpoint=endpoint,
            )
        return cls(client, endpoint)

    def close(self) -> None:
        """Gives the connections back."""
        self._client.close()

    def containers(self, label_filters: Iterable[str]) -> list[dict[str, Any]]:
        """The raw rows of all containers, running or not, that bear these labels."""
        with _translated():
            return list(self._client.containers(all=True, filters={"label": list(label_filters)}))

    def publishing(self, port: int) -> list[str]:
        """Names of the running containers that publish this port of the host."""
        with _translated():
            rows = self._client.containers(filters={"publish": str(port)})
        return [row["Names"][0].lstrip("/") for row in rows if row.get("Names")]

    def image(self, name: str) -> dict[str, Any]:
        """The image's description: `Id`, `Config.Labels`, … Raises NotFound."""
        with _translated():
            return dict(self._client.inspect_image(name))  # type: ignore[no-untyped-call]

    def inspect(self, container: str) -> dict[str, Any]:
        """Everything the engine knows of one container."""
        with _translated():
            return dict(self._client.inspect_container(container))

    def version(self) -> dict[str, Any]:
        """The engine's version and API version."""
        with _translated():
            return dict(self._client.version())

    def is_rootless(self) -> bool:
        """Whether the engine itself runs without root."""
        with _translated():
            return "name=rootless" in (self._client.info().get("SecurityOptions") or [])

    @property
    def api_version(self) -> tuple[int, int]:
        """The API version both sides speak, such as (1, 44)."""
        major, minor = str(self._client.api_version).split(".")
        return int(major), int(minor)

    def has_network(self, name: str) -> bool:
        """Whether a network of exactly this name exists."""
        with _translated():
            return any(network["Name"] == name for network in self._client.networks(names=[name]))

    def create_network(self, name: str, labels: Mapping[str, str], options: Mapping[str, str]) -> None:
        """A bridge network. Two managers may race for it: one wins, the other gets EngineError."""
        with _translated():
            self._client.create_network(
                name, driver="bridge", labels=dict(labels), options=dict(options), check_duplicate=True
            )

    def remove_network(self, name: str) -> None:
        """Removes it; EngineError while a container is attached."""
        with _translated():
            self._client.remove_network(name)

    def create(self, name: str, body: Mapping[str, Any]) -> str:
        """Creates a container from the raw body of the API; returns its id. Raises NameTaken."""
        with _translated():
            return str(self._client.create_container_from_config(dict(body), name)["Id"])  # type: ignore[no-untyped-call]

    def start(self, container: str) -> None:
        """Starts it; no error if it runs."""
        with _translated():
            self._client.start(container)

    def stop(self, container: str, timeout: int) -> None:
        """SIGTERM, `timeout` seconds, SIGKILL. Returns when it is down; no error if it was."""
        with _translated():
            self._client.stop(container, timeout=timeout)

    def remove(self, container: str) -> None:
        """Removes a stopped container and its anonymous volumes."""
        with _translated():
            self._client.remove_container(container, v=True)

    def logs(
        self, container: str, *, follow: bool, tail: int | Literal["all"] = "all", since: float | None = None
    ) -> Iterator[bytes]:
        """Chunks of both streams, each line with the engine's time stamp in front."""
        with _translated():
            yield from self._client.logs(
                container,
                stdout=True,
                stderr=True,
                stream=True,
                follow=follow,
                timestamps=True,
                tail=tail,
                since=since,
            )

    def events(self, filters: Mapping[str, Any], since: int | None = None) -> Iterator[dict[str, Any]]:
        """The engine's events as they come. Ends without an error when the engine stops."""
        with _translated():
            yield from self._client.events(decode=True, filters=dict(filters), since=since)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except APIError as error:
        raise _api_error(error) from error
    except (requests.exceptions.RequestException, DockerException) as error:
        raise EngineUnreachable("the Docker Engine does not answer: {why}", why=_short(error)) from error


def _api_error(error: APIError) -> EngineError:
    why = str(error.explanation or error).strip()
    status = error.response.status_code if error.response is not None else None
    if status == 404:
        return NotFound("{why}", why=why)
    if status == 409 and "is already in use by container" in why:
        return NameTaken("{why}", why=why)
    return EngineError("the engine says: {why}", why=why)


def _short(error: BaseException) -> str:
    """The innermost cause in one line: the SDK wraps a refused connection four times."""
    cause: BaseException = error
    while cause.__context__ is not None and not isinstance(cause, OSError):
        cause = cause.__context__
    text = str(cause).strip() or type(cause).__name__
    return text.splitlines()[0][:300]
