"""Call the engine through its SDK: every call, over any kind of endpoint, and streams.

The only file that imports it.
"""

from __future__ import annotations

import io
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from functools import cached_property
from threading import Lock, Thread
from typing import IO, TYPE_CHECKING, Any

from manager.engine import endpoint, engine_process, http_socket
from manager.engine.endpoint import Endpoint
from manager.engine.http_socket import CALL_TIMEOUT_S
from manager.engine.streams import READ_AHEAD, Stream, read_frames
from manager.engine.unreachable import no_answer, stands_still
from manager.errors import EngineError, EngineSlow, EngineUnreachable, TimedOut, refusal

if TYPE_CHECKING:
    from docker import APIClient
    from requests import Response

LOADED = ("docker", "docker.transport.unixconn", "netrc", "requests.exceptions", "urllib3.exceptions")
"""What a call loads, which takes 0.2 s: for a process that loads it before it is needed."""
MOST_LINES = 1000
NO_SETTINGS: Mapping[str, Any] = {"auths": {}}
"""Not empty: from empty ones the SDK turns to the file itself."""


class Sdk:
    """Call the engine, connecting on first use. Every method raises EngineError, or a subclass.

    `connections`: limit of concurrent calls.
    """

    def __init__(self, connections: int, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._connections = connections
        self._connecting = Lock()

    def close(self) -> None:
        """Close the connections."""
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
        """Make a call as `http_socket.call` does, over any kind of endpoint that the SDK supports."""
        words = {name: http_socket.word(value) for name, value in (query or {}).items()}

        def ask() -> Any:
            with _translated(self._endpoint):
                answer = self._client.request(
                    method, f"{self._client.base_url}{api}", params=words, json=body, timeout=timeout
                )
                if answer.status_code >= 400:
                    raise refusal(answer.status_code, _message(answer))
                return _parsed(answer) if answer.content else None

        return self._awaited(ask)

    def _awaited(self, ask: Callable[[], Any]) -> Any:
        """Return the answer of a call. For an engine that stands still only a thread goes on to wait."""
        path = self._endpoint.socket
        if path is None:
            return ask()
        answer: Future[Any] = Future()
        Thread(target=_settle, args=(answer, ask), daemon=True).start()
        stood_still = None
        while wait([answer], http_socket.STANDS_STILL_S).not_done:
            pid = engine_process.standing_still_at(path)
            if pid is not None and pid == stood_still:
                raise stands_still(pid, self._endpoint)
            stood_still = pid
        try:
            return answer.result()
        except EngineSlow:
            if (pid := engine_process.standing_still_at(path)) is not None:
                raise stands_still(pid, self._endpoint) from None
            raise

    def pull(self, name: str, timeout: float) -> None:
        """Fetch an image; progress and errors are lines of the engine's answer."""
        repository, tag = _name_and_tag(name)
        deadline = time.monotonic() + timeout
        too_long = TimedOut("`docker {command}` took longer than {limit} s", command="pull", limit=timeout)
        with _translated(self._endpoint):
            from docker import auth
            from requests.exceptions import ConnectionError as Broken
            from requests.exceptions import Timeout

            registry, _path = auth.resolve_repository_name(repository)
            credentials = _credentials(registry)
            try:
                with self._client.post(  # the SDK's own `pull` waits without end for an engine that is silent
                    f"{self._client.base_url}/images/create",
                    params={"fromImage": repository, "tag": tag},
                    headers={"X-Registry-Auth": credentials} if credentials else {},
                    stream=True,
                    timeout=(CALL_TIMEOUT_S, timeout),
                ) as answer:
                    if answer.status_code >= 400:
                        raise refusal(answer.status_code, _message(answer))
                    for line in answer.iter_lines(chunk_size=None):
                        if error := json.loads(line or b"{}").get("error"):
                            raise EngineError("{why}", why=error)
                        if time.monotonic() > deadline:
                            raise too_long
            except Timeout as error:
                raise too_long from error
            except Broken as error:  # so too is called a time-out in the middle of an answer
                if time.monotonic() > deadline:
                    raise too_long from error
                raise

    def import_image(self, archive: IO[bytes], name: str, changes: Sequence[str]) -> None:
        """Create an image from a tar that is still being written."""
        repository, tag = _name_and_tag(name)
        with _translated(self._endpoint):
            answer: str = self._client.import_image(
                archive, repository=repository, tag=tag, changes=list(changes), stream_src=True
            )
        for line in answer.splitlines():
            if error := json.loads(line).get("error"):
                raise EngineError("{why}", why=error)

    def events(self, query: Mapping[str, Any]) -> SdkEvents:
        """Return the engine's event stream. Raises EngineUnreachable."""
        words = {name: http_socket.word(value) for name, value in query.items()}
        with _translated(self._endpoint):
            return SdkEvents(self._streamed("/events", words, is_endless=True))

    def output(self, container: str, stream: Stream, lines: int) -> str:
        """Return the last lines of a container's output, among its last MOST_LINES: the engine's tail counts
        both streams.
        """
        with _translated(self._endpoint):
            raw: bytes = self._client.logs(
                container, stdout=stream == "stdout", stderr=stream == "stderr", tail=max(lines, MOST_LINES)
            )
        return "".join(raw.decode(errors="replace").splitlines(keepends=True)[-lines:])

    def frames(self, api: str, query: Mapping[str, str], *, follow: bool) -> Iterator[tuple[Stream, bytes]]:
        """Yield (stream, frame) pairs of a log as they arrive. Raises NotFound."""
        with _translated(self._endpoint), self._streamed(api, query, is_endless=follow) as answer:
            # live lines must not wait for a full buffer
            answer.raw.auto_close = False  # the buffer does that
            source = answer.raw if follow else io.BufferedReader(answer.raw, READ_AHEAD)
            yield from read_frames(source)

    def _streamed(self, api: str, query: Mapping[str, str], *, is_endless: bool) -> Response:
        """Return an answer to be read as it arrives. How long it begins is limited, also of an endless one:
        an engine that stands still takes the call and never answers.
        """
        client: Any = self._client  # the types have none of its own methods
        answer: Response = client.get(
            f"{client.base_url}{api}", params=query, stream=True, timeout=CALL_TIMEOUT_S
        )
        if answer.status_code >= 400:
            raise refusal(answer.status_code, _message(answer))
        if is_endless:
            client._disable_socket_timeout(client._get_raw_response_socket(answer))
        return answer

    @property
    def _client(self) -> APIClient:
        with self._connecting:  # several threads may be the first
            return self._connected

    @cached_property
    def _connected(self) -> APIClient:
        """Return the SDK's client: 0.2 s of imports, and one call.

        It uses our endpoint instead of choosing its own, and does not read the docker command's settings: it
        fails on damaged ones, and a halt cancels orders through it.
        """
        if any(letter in self._endpoint.host for letter in "#?"):
            raise EngineUnreachable(
                "the Docker SDK cannot use the address {endpoint}, for it holds `#` or `?`; give DOCKER_HOST"
                " a path without them, such as a symbolic link to that socket",
                endpoint=self._endpoint,
            )
        import docker
        from docker.errors import DockerException
        from docker.utils import config

        config.load_general_config = lambda config_path=None: dict(NO_SETTINGS)  # noqa: ARG005
        try:
            return docker.APIClient(
                base_url=self._endpoint.host,
                version="auto",
                timeout=CALL_TIMEOUT_S,
                num_pools=self._connections,
                max_pool_size=self._connections,
            )
        except DockerException as error:
            cause = _as_no_engine(error) or error
            raise no_answer(_short(cause), self._endpoint, cause) from error


class SdkEvents:
    """Provide an event stream for `select`. A thread reads the answer, whose own socket may not support
    `select`.

    A pipe is readable while there are values not yet returned.
    """

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self._values: deque[Any] = deque()
        self._end: str | None = None
        self._lock = Lock()
        self._readable, self._writable = os.pipe()
        for descriptor in (self._readable, self._writable):
            os.set_blocking(descriptor, False)
        self._is_closed = False
        Thread(target=self._read, daemon=True).start()

    def fileno(self) -> int:
        """Return the descriptor for `select`."""
        return self._readable

    def values(self) -> list[Any]:
        """Return what has arrived since the last call. Raises NoAnswer at its end."""
        with self._lock, suppress(BlockingIOError):
            os.read(self._readable, 1 << 16)
        values = [self._values.popleft() for _index in range(len(self._values))]
        if self._end is None:
            return values
        if not values and not self._values:
            self._wake()  # the end stays readable, as that of a socket does
            raise http_socket.NoAnswer(self._end)
        self._wake()
        return values

    def close(self) -> None:
        """Close the connection."""
        from docker.types import CancellableStream

        with suppress(OSError, AttributeError):
            CancellableStream(iter(()), self._answer).close()
        self._answer.close()
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                os.close(self._readable)
                os.close(self._writable)

    def _read(self) -> None:
        end = "the connection was closed"
        try:
            for line in self._answer.iter_lines(chunk_size=None):
                if line:
                    self._values.append(json.loads(line))
                    self._wake()
        except ValueError:
            end = "its answer cannot be parsed"
        except Exception as error:  # noqa: BLE001 - however the SDK's three layers say that the engine went
            end = _short(error)
        self._end = end
        self._wake()

    def _wake(self) -> None:
        with self._lock, suppress(BlockingIOError):
            if not self._is_closed:
                os.write(self._writable, b"x")


def _settle(answer: Future[Any], ask: Callable[[], Any]) -> None:
    try:
        answer.set_result(ask())
    except BaseException as error:  # noqa: BLE001 - raised where it is waited for
        answer.set_exception(error)


def _name_and_tag(name: str) -> tuple[str, str]:
    """Split an image name before its tag or digest; the colon of a registry's port does not start a tag."""
    if "@" in name:
        repository, _at, digest = name.partition("@")
        return repository, digest
    repository, colon, tag = name.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (name, "latest")


def _credentials(registry: str) -> bytes | None:
    """Return the header with a registry's credentials, from the docker command's settings or from the helper
    that they name; None where these are damaged or fail. The docker command goes on without, too.
    """
    from docker import auth

    folder = endpoint.client_folder(os.environ)
    settings = endpoint.read_json(folder / "config.json") if folder else {}
    try:
        known = auth.load_config(config_dict={**NO_SETTINGS, **settings})
        account = known.resolve_authconfig(registry)
    except Exception:  # noqa: BLE001 - whatever is wrong in the file, and however a helper fails
        return None
    return auth.encode_header(account) if account else None


def _parsed(answer: Any) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        raise http_socket.NoEngine("its answer cannot be parsed") from error


def _message(answer: Any) -> str:
    """Return the engine's message for a rejected call. Raises NoAnswer, as the other client does."""
    try:
        value = answer.json()
    except ValueError:
        value = None
    return http_socket.message_of(answer.status_code, value)


def _as_no_engine(error: BaseException) -> http_socket.NoAnswer | None:
    """Return the error of a program that is no engine, where one of the SDK's layers failed on its answer."""
    from http.client import BadStatusLine

    from requests.exceptions import HTTPError

    unreadable = isinstance(error.__cause__, KeyError | TypeError)
    cause: BaseException | None = error
    while cause is not None:
        unreadable = unreadable or isinstance(cause, json.JSONDecodeError | BadStatusLine)
        if isinstance(cause, HTTPError) and cause.response is not None:
            try:
                _message(cause.response)
            except http_socket.NoAnswer as no_engine:
                return no_engine
        cause = cause.__context__
    return http_socket.NoEngine("its answer cannot be parsed") if unreadable else None


@contextmanager
def _translated(endpoint: Endpoint) -> Iterator[None]:
    from http.client import HTTPException

    from docker.errors import APIError, DockerException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except APIError as error:
        status = error.response.status_code if error.response is not None else 0
        raise refusal(status, str(error.explanation or error).strip()) from error
    except (OSError, HTTPError, HTTPException, DockerException, http_socket.NoAnswer) as error:
        raise no_answer(_short(error), endpoint, error) from error


def _short(error: BaseException) -> str:
    """Return the innermost cause in one line: the SDK wraps a refused connection four times."""
    if isinstance(error, http_socket.NoAnswer):
        return str(error)
    causes = [error]
    while (inner := causes[-1].__context__) is not None:
        causes.append(inner)
    cause = next((error for error in reversed(causes) if isinstance(error, OSError)), causes[-1])
    text = str(cause).strip() or type(cause).__name__
    return text.splitlines()[0][:300]
