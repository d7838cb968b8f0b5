"""The engine through its own SDK: any kind of endpoint, and logs, which stream. The only file that imports it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from struct import Struct
from threading import Lock
from typing import TYPE_CHECKING, Any

from manager.engine import http_socket
from manager.engine.http_socket import CALL_TIMEOUT_S
from manager.engine.streams import STREAMS, Stream
from manager.errors import EngineUnreachable, refusal

if TYPE_CHECKING:
    from docker import APIClient

FRAME_HEAD = Struct(">BxxxL")
"""Before each frame of a log: the stream's number and the frame's size."""
STDERR = 2
READ_AHEAD = 1 << 16


class Sdk:
    """Connects when it is first needed. Every method raises EngineError, or a kind of it.

    `connections`: how many calls may be under way at once.
    """

    def __init__(self, connections: int) -> None:
        self._connections = connections
        self._connecting = Lock()

    def close(self) -> None:
        """Gives the connections back."""
        if "_connected" in self.__dict__:
            self._connected.close()

    def call(
        self,
        method: str,
        api: str,
        query: Mapping[str, Any] | None,
        body: Mapping[str, Any] | None,
        timeout: float,
    ) -> Any:
        """What `socketapi.call` does, over whatever kind of endpoint the SDK knows."""
        words = {name: http_socket.word(value) for name, value in (query or {}).items()}
        with _translated():
            answer = self._client.request(
                method, f"{self._client.base_url}{api}", params=words, json=body, timeout=timeout
            )
        if answer.status_code >= 400:
            raise refusal(answer.status_code, answer.json().get("message", ""))
        return answer.json() if answer.content else None

    def output(self, container: str, stream: Stream, lines: int) -> str:
        """The last lines that a container printed there."""
        with _translated():
            raw: bytes = self._client.logs(
                container, stdout=stream == "stdout", stderr=stream == "stderr", tail=lines
            )
        return raw.decode(errors="replace")

    def frames(self, api: str, query: Mapping[str, str], *, follow: bool) -> Iterator[tuple[Stream, bytes]]:
        """(stream, frame) pairs of a log, as they come. Raises NotFound."""
        with _translated():
            answer = self._client.get(
                f"{self._client.base_url}{api}", params=query, stream=True,
                timeout=(CALL_TIMEOUT_S, None if follow else CALL_TIMEOUT_S),
            )  # fmt: skip
            with answer:
                if answer.status_code >= 400:
                    raise refusal(answer.status_code, answer.json().get("message", ""))
                # what comes live must not wait for a buffer to be full; what is there already is read in a third of the time
                answer.raw.auto_close = False  # the buffer does that
                source = answer.raw if follow else io.BufferedReader(answer.raw, READ_AHEAD)
                while len(head := source.read(FRAME_HEAD.size)) == FRAME_HEAD.size:
                    number, size = FRAME_HEAD.unpack(head)
                    yield STREAMS[number == STDERR], source.read(size)

    @property
    def _client(self) -> APIClient:
        with self._connecting:  # several threads may be the first
            return self._connected

    @cached_property
    def _connected(self) -> APIClient:
        """The SDK's client: 0.2 s of imports, and one call. Refuses a remote engine."""
        import docker
        from docker.errors import DockerException

        try:
            client = docker.from_env(timeout=CALL_TIMEOUT_S, max_pool_size=self._connections).api
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
        return client


@contextmanager
def _translated() -> Iterator[None]:
    from http.client import HTTPException

    from docker.errors import APIError, DockerException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except APIError as error:
        status = error.response.status_code if error.response is not None else 0
        raise refusal(status, str(error.explanation or error).strip()) from error
    except (OSError, HTTPError, HTTPException, DockerException) as error:
        raise EngineUnreachable("the Docker Engine does not answer: {why}", why=_short(error)) from error


def _short(error: BaseException) -> str:
    """The innermost cause in one line: the SDK wraps a refused connection four times."""
    cause: BaseException = error
    while cause.__context__ is not None and not isinstance(cause, OSError):
        cause = cause.__context__
    text = str(cause).strip() or type(cause).__name__
    return text.splitlines()[0][:300]
