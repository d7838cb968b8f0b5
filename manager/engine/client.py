"""Call the Docker Engine. One engine call per method; every failure is one of our errors.

There are two ways to it, and each can do everything. The Docker SDK (docker_sdk.py) serves every kind of
endpoint, and pulls and imports, which take long. Short calls and logs use a local socket directly
(http_socket.py, http_logs.py): the SDK takes 0.2 s to load and, for each call, five times the CPU of the call
itself, which the engine could use. BOTFLEET_ENGINE_CLIENT=sdk sends these through the SDK too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress

from manager.config.fleet import DEFAULT_PARALLELISM
from manager.engine import endpoint, http_socket
from manager.engine.http_socket import CALL_TIMEOUT_S
from manager.engine.patience import Patience
from manager.engine.streams import STREAMS, TELLING_EVENTS, EventStream, Stream
from manager.engine.unreachable import api_version, as_object, as_rows, hangs, no_answer
from manager.errors import EngineError, NameTaken, NotFound, UsageError, refusal
from manager.typed import TYPE_CHECKING, Any
from manager.util.readable import wait_readable

if TYPE_CHECKING:
    from threading import Semaphore
    from typing import IO

    from manager.engine.docker_sdk import Sdk

CLIENT_VARIABLE = "BOTFLEET_ENGINE_CLIENT"
CLIENTS = ("socket", "sdk")
"""Allowed values of the variable; the first is the default."""

ANSWER_MARGIN_S = 30
"""Added to a bot's stop timeout: an engine that stops hundreds at once needs some seconds itself."""

SLOW_TRIES = 6
"""For calls that can be repeated safely: up to a minute for a list, six for a start."""

MOST_CALLS = 256
"""Limit of concurrent calls. Nearly all of them are stops, which only wait."""


def chosen_client(environ: Mapping[str, str]) -> str:
    """Return the one of CLIENTS that the environment chooses. Raises UsageError."""
    chosen = environ.get(CLIENT_VARIABLE) or CLIENTS[0]
    if chosen not in CLIENTS:
        raise UsageError(
            "{variable}: must be one of {allowed}, not “{value}”",
            variable=CLIENT_VARIABLE,
            allowed=", ".join(CLIENTS),
            value=chosen,
        )
    return chosen


def security_modes(info: Mapping[str, Any]) -> frozenset[str]:
    """Return the names in `SecurityOptions` of an engine's description: `name=seccomp,profile=builtin`."""
    options = info.get("SecurityOptions") or ()
    return frozenset(option.partition(",")[0].removeprefix("name=") for option in options)


class Engine:
    """Call the local engine, chosen as the docker CLI does. Every method raises EngineError or a subclass."""

    def __init__(self, parallelism: int = DEFAULT_PARALLELISM) -> None:
        is_direct = chosen_client(os.environ) == "socket"
        self.endpoint = endpoint.local(os.environ)
        self._socket = self.endpoint.socket if is_direct else None
        self.patience = Patience(self._look)
        self._parallelism = parallelism
        self._lazy: dict[str, Any] = {}
        """What is made on first use, by `setdefault`, as several threads may be the first; `ps` needs none of
        it.
        """

    @property
    def _sdk(self) -> Sdk:
        from manager.engine.docker_sdk import Sdk

        sdk: Sdk = self._lazy.setdefault("sdk", Sdk(MOST_CALLS, self.endpoint))
        return sdk

    @property
    def _working(self) -> Semaphore:
        """Limit calls that cost the engine work: more than its cores at once are not faster."""
        from threading import Semaphore

        working: Semaphore = self._lazy.setdefault("working", Semaphore(self._parallelism))
        return working

    def close(self) -> None:
        """Close the connections."""
        if "sdk" in self._lazy:
            self._sdk.close()

    def containers(self, label_filters: Iterable[str], ids: Iterable[str] = ()) -> list[dict[str, Any]]:
        """Return the rows of all containers, running or not, with these labels; with `ids`, only these."""
        chosen = list(ids)
        filters = {"label": list(label_filters), **({"id": chosen} if chosen else {})}
        return self._rows("/containers/json", {"all": "1", "filters": filters})

    def publishing(self, port: int) -> list[str]:
        """Return the names of the running containers that publish this port of the host."""
        rows = self._rows("/containers/json", {"filters": {"publish": [str(port)]}})
        return [row["Names"][0].lstrip("/") for row in rows if row.get("Names")]

    def image(self, name: str) -> dict[str, Any]:
        """Return the image's description: `Id`, `Config.Labels`, … Raises NotFound."""
        return self._object(f"/images/{name}/json")

    def tag(self, image: str, repository: str, tag: str) -> None:
        """Give the image a name, so that it is not pruned."""
        self._call("POST", f"/images/{image}/tag", {"repo": repository, "tag": tag})

    def tags(self, reference: str) -> list[str]:
        """Return the image names that match a pattern such as `desk-bot:rollback-*`."""
        rows = self._rows("/images/json", {"filters": {"reference": [reference]}})
        return [name for row in rows for name in row.get("RepoTags") or ()]

    def untag(self, name: str) -> None:
        """Remove a name, and the image if nothing else needs it. A missing one is no error."""
        with suppress(EngineError):
            self._call("DELETE", f"/images/{name}", timeout=CALL_TIMEOUT_S)

    def pull(self, name: str, timeout: float) -> None:
        """Fetch an image from its registry. Raises TimedOut after `timeout` seconds."""
        self._sdk.pull(name, timeout)

    def import_image(self, archive: IO[bytes], name: str, changes: Iterable[str]) -> None:
        """Create an image from a tar of a root file system.

        `changes`: lines of a Dockerfile, such as LABEL.
        """
        self._sdk.import_image(archive, name, list(changes))

    def inspect(self, container: str) -> dict[str, Any]:
        """Return everything that the engine knows of one container. Raises NotFound."""
        return self._object(f"/containers/{container}/json", "Id", "State", "Config")

    def statistics(self, container: str) -> dict[str, Any]:
        """Return a container's resource usage; empty values if it does not run. Raises NotFound."""
        query = {"stream": "0", "one-shot": "1"}
        return as_object(self._call("GET", f"/containers/{container}/stats", query))

    def version(self) -> dict[str, Any]:
        """Return the engine's version and API version."""
        return self._object("/version", "ApiVersion")

    def info(self) -> dict[str, Any]:
        """Return the engine's description of itself and its machine: drivers, limits, warnings, its clock."""
        return self._object("/info")

    def api_version(self) -> tuple[int, int]:
        """Return the newest API version that the engine supports, such as (1, 44)."""
        return api_version(self.version()["ApiVersion"])

    def network_id(self, name: str) -> str:
        """Return the id of the network of exactly this name; empty if there is none."""
        return str(self.network(name).get("Id", ""))

    def network(self, name: str) -> dict[str, Any]:
        """Return the description of the network of exactly this name; empty if there is none."""
        try:
            network = self._object(f"/networks/{name}", "Name", "Id")
        except NotFound:
            return {}
        return network if network["Name"] == name else {}

    def networks(self, name: str) -> list[dict[str, Any]]:
        """Return all networks of exactly this name."""
        rows = self._rows("/networks", {"filters": {"name": [name]}})
        return [row for row in rows if row.get("Name") == name]

    def create_network(self, name: str, labels: Mapping[str, str], options: Mapping[str, str]) -> None:
        """Create a bridge network. If two managers race for it, one gets EngineError."""
        body = {
            "Name": name,
            "CheckDuplicate": True,
            "Driver": "bridge",
            "Labels": dict(labels),
            "Options": dict(options),
        }
        self._call("POST", "/networks/create", body=body, timeout=CALL_TIMEOUT_S)

    def remove_network_if_empty(self, name: str) -> None:
        """Remove the network of this name or id. A missing one, or one in use, is no error."""
        with suppress(EngineError):
            self._call("DELETE", f"/networks/{name}", timeout=CALL_TIMEOUT_S)

    def create(self, name: str, body: Mapping[str, Any]) -> str:
        """Create a container from the raw body of the API; return its id. Raises NameTaken."""
        calls = 0

        def make() -> str:
            nonlocal calls
            calls += 1
            query = {"name": name}
            try:
                created = self._call_once("POST", "/containers/create", query, dict(body), CALL_TIMEOUT_S)
            except NameTaken:
                if calls == 1 or not (made := self._made_meanwhile(name, body)):
                    raise
                return made
            return str(as_object(created, "Id")["Id"])

        with self._working:
            return self.patience.call(make, SLOW_TRIES, SLOW_TRIES, self._gone(CALL_TIMEOUT_S))

    def _made_meanwhile(self, name: str, body: Mapping[str, Any]) -> str:
        """Return the container of a call that was answered too late; empty if it is somebody else's."""
        container = self.inspect(name)
        present = container["Config"]["Labels"] or {}  # with those of its image
        is_ours = all(present.get(name) == value for name, value in (body.get("Labels") or {}).items())
        return str(container["Id"]) if is_ours and container["State"]["Status"] == "created" else ""

    def start(self, container: str, before: Callable[[], None] = lambda: None) -> None:
        """Start a container; no error if it runs.

        `before` is called when its turn comes, and may raise to prevent it.
        """
        with self._working:
            before()
            self._call("POST", f"/containers/{container}/start", timeout=CALL_TIMEOUT_S, tries=SLOW_TRIES)

    def update(self, container: str, limits: Mapping[str, Any]) -> None:
        """Set a container's limits and restart policy, as `docker update` does."""
        self._call("POST", f"/containers/{container}/update", body=dict(limits), timeout=CALL_TIMEOUT_S)

    def stop(self, container: str, timeout: int) -> None:
        """Send SIGTERM, and SIGKILL after `timeout` seconds. Returns when it is down; no error if it was."""
        self._call(
            "POST",
            f"/containers/{container}/stop",
            {"t": timeout},
            timeout=timeout + ANSWER_MARGIN_S,
            tries=SLOW_TRIES,
            silences=self.patience.silent_looks,
        )

    def remove(self, container: str) -> None:
        """Remove a stopped container and its anonymous volumes; wait if that is already in progress."""
        with self._working:
            self._delete(container, {"v": "1"}, tries=SLOW_TRIES)

    def discard(self, container: str) -> None:
        """Kill and remove a container with its anonymous volumes. A missing one is no error."""
        with suppress(NotFound):
            self._delete(container, {"v": "1", "force": "1"})

    def _delete(self, container: str, params: Mapping[str, str], **more: Any) -> None:
        try:
            self._call("DELETE", f"/containers/{container}", params, timeout=CALL_TIMEOUT_S, **more)
        except EngineError as error:
            if "is already in progress" not in str(error):  # by somebody else
                raise
            api = f"/containers/{container}/wait"
            self._call("POST", api, {"condition": "removed"}, timeout=CALL_TIMEOUT_S)

    def wait(self, container: str, timeout: float) -> int:
        """Return the exit code of a container when it ends.

        Raises EngineUnreachable after `timeout` seconds.
        """
        ended = self._call("POST", f"/containers/{container}/wait", timeout=timeout)
        return int(as_object(ended, "StatusCode")["StatusCode"])

    def output(self, container: str, stream: Stream, lines: int) -> str:
        """Return the last lines of one of its outputs."""
        return self._sdk.output(container, stream, lines)

    def events(self, label_filters: Iterable[str]) -> EventStream:
        """Stream events of the containers with these labels, for `select`. `values` raises NoAnswer at its
        end.

        Events are hints: list the containers again after each reconnection.
        """
        filters = {"type": ["container"], "label": list(label_filters), "event": list(TELLING_EVENTS)}
        return self._events({"filters": filters})

    def has_events_between(self, since: float, until: float) -> bool:
        """Return whether it knows an event between these two times (Unix time, both past).

        It keeps 256 events in memory: an engine that knows events from before has not been restarted since.
        """
        deadline = time.monotonic() + http_socket.READ_TIMEOUT_S
        stream = self._events({"since": str(int(since)), "until": str(int(until))})
        try:
            while (left := deadline - time.monotonic()) > 0:
                wait_readable(stream, left)
                try:
                    if stream.values():
                        return True
                except http_socket.NoAnswer:
                    return False
            raise no_answer("timed out", self.endpoint)
        finally:
            stream.close()

    def _events(self, query: Mapping[str, Any]) -> EventStream:
        if self._socket is None:
            return self._sdk.events(query)
        try:
            return http_socket.Stream(self._socket, "/events", query)
        except http_socket.NoAnswer as error:
            raise no_answer(error, self.endpoint, error) from error

    def logs(
        self,
        container: str,
        *,
        streams: Collection[Stream] = STREAMS,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> Iterator[tuple[Stream, bytes]]:
        """Yield (stream, frame) pairs, each frame with the engine's timestamp; a long line comes in several
        frames.

        `tail` counts the lines of both streams, whichever are requested. Raises NotFound.
        """
        query = {
            "timestamps": "1",
            "follow": str(int(follow)),
            "tail": "all" if tail is None else str(tail),
            **{stream: str(int(stream in streams)) for stream in STREAMS},
            **{name: f"{at:.9f}" for name, at in (("since", since), ("until", until)) if at is not None},
        }
        return self._frames(f"/containers/{container}/logs", query, follow=follow)

    def _frames(self, api: str, query: Mapping[str, str], *, follow: bool) -> Iterator[tuple[Stream, bytes]]:
        if self._socket is None:
            yield from self._sdk.frames(api, query, follow=follow)
            return
        from manager.engine import http_logs

        try:
            yield from http_logs.frames(self._socket, api, query, follow=follow)
        except http_socket.NoAnswer as error:
            raise no_answer(error, self.endpoint, error) from error
        except http_socket.ApiError as error:
            raise refusal(error.status, error.why) from error

    def _rows(self, api: str, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        return as_rows(self._call("GET", api, query))

    def _object(self, api: str, *keys: str) -> dict[str, Any]:
        return as_object(self._call("GET", api), *keys)

    def _call(
        self,
        method: str,
        api: str,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        timeout: float = http_socket.READ_TIMEOUT_S,
        tries: int | None = None,
        silences: int | None = None,
    ) -> Any:
        """Make one call. If the engine is slow, repeat it where that is safe, up to `tries` times; reads many
        times.

        A change that is given up half-way leaves a bot down: it takes all its tries, whatever the looks say.
        """
        is_read, patience = method == "GET", self.patience
        tries = tries or (SLOW_TRIES if is_read else 1)
        silences = silences or (patience.silent_looks if is_read else max(tries, 2))

        def make() -> Any:
            return self._call_once(method, api, query, body, patience.at_least(timeout, is_read=is_read))

        return patience.call(make, tries, silences, self._gone(timeout), is_read=is_read)

    def _look(self, within_s: float) -> None:
        self._call_once("GET", "/version", None, None, within_s)

    def _gone(self, timeout: float) -> Callable[[], EngineError]:
        return lambda: hangs(self.endpoint, self.patience.at_least(timeout))

    def _call_once(
        self,
        method: str,
        api: str,
        query: Mapping[str, Any] | None,
        body: Mapping[str, Any] | None,
        timeout: float,
    ) -> Any:
        if self._socket is None:
            return self._sdk.call(method, api, query, body, timeout)
        try:
            return http_socket.call(self._socket, method, api, query, body, timeout)
        except http_socket.NoAnswer as error:
            raise no_answer(error, self.endpoint, error) from error
        except http_socket.ApiError as error:
            raise refusal(error.status, error.why) from error
