"""An engine in memory, behind the methods of the engine's client. tests/contract proves that it behaves as
the real one.

Tests script it by hooks: something is done before or after the nth call of a method, for one container or for
whichever. A hook that raises is a call that fails; one that calls `die` is an engine that goes away; one that
runs another command is a second manager at the same moment.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from threading import Condition, RLock
from typing import IO, Any, Literal

from manager.engine.client import Engine
from manager.engine.endpoint import Endpoint
from manager.engine.patience import Patience
from manager.engine.streams import STREAMS, TELLING_EVENTS, Stream
from manager.engine.unreachable import no_answer
from manager.errors import EngineError, NotFound, TimedOut, refusal
from tests.fakes.containers import KILLED, FakeContainer, FakeImage, Idle, Programs
from tests.fakes.events import FakeEvents, bears
from tests.fakes.networks import FakeNetwork

ENDPOINT = Endpoint("unix:///fake.sock")

API_VERSION = "1.45"
GONE = "[Errno 111] Connection refused"
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
"""What a container may be called."""


@dataclass
class Hook:
    """Something to be done at one call."""

    when: Literal["before", "after"]
    method: str
    subject: str
    left: int
    """How many such calls are to pass first."""
    do: Callable[[], object]


class FakeEngine(Engine):
    """Whatever Engine can do, without Docker. `programs`: what containers run; `now`: its clock."""

    def __init__(
        self, programs: Programs = lambda _body: Idle(), now: Callable[[], float] = time.time
    ) -> None:
        self.patience = Patience(lambda _within_s: None)
        self._programs, self._now = programs, now
        self._lock = RLock()
        self._change = Condition(self._lock)
        self._images: dict[str, FakeImage] = {}
        self._containers: dict[str, FakeContainer] = {}
        self._names: dict[str, str] = {}
        """Of every container that there ever was, by its id."""
        self._networks = [FakeNetwork(name, name) for name in ("bridge", "host", "none")]
        self._streams: list[FakeEvents] = []
        self._told: list[float] = []
        self._hooks: list[Hook] = []
        self._why_dead = ""
        self._made = 0
        self.modes = ["seccomp,profile=builtin"]
        self.more_info: dict[str, Any] = {}
        """Its security options, as `info` has them."""
        self.system = "Debian GNU/Linux 12"
        self.has_readable_files = True
        """Whether the manager's user may look into its folders."""
        self.keeps_networks = False
        """Whether it removes none, as 20.10 sometimes after many removals."""
        self.unkept: dict[str, int] = {}
        """The limits for which its kernel has no means, and what it writes instead."""
        self.lists_behind: dict[str, int] = {}
        """The containers that so many lists yet show as running."""
        self.ports_taken: set[int] = set()
        """Ports of the host that some other program has."""
        self.calls: list[str] = []
        """Every call that changes something: `start desk-bp_sol_01`."""

    # What tests say

    def before(self, method: str, do: Callable[[], object], of: str = "", nth: int = 1) -> None:
        """Have something done before the nth call of a method, of the container of this name or of
        whichever.
        """
        self._hooks.append(Hook("before", method, of, nth - 1, do))

    def after(self, method: str, do: Callable[[], object], of: str = "", nth: int = 1) -> None:
        """Have something done when that call has had its effect, and before its answer."""
        self._hooks.append(Hook("after", method, of, nth - 1, do))

    def fails(self, method: str, error: EngineError, of: str = "", nth: int = 1) -> None:
        """Have the nth call refused."""

        def refuse() -> None:
            raise error

        self.before(method, refuse, of, nth)

    def die(self, why: str = GONE) -> None:
        """Go away: no call is answered, and event streams end."""
        with self._change:
            self._why_dead = why
            streams, self._streams = self._streams, []
            self._change.notify_all()
        for stream in streams:
            stream.end("the connection was closed")

    def come_back(self) -> None:
        """Answer again, as after a break: containers are as they were, and so is its memory of events."""
        self._why_dead = ""

    def start_again(self, *left_down: str) -> None:
        """Answer again, as a new process: it remembers no event, and has left these containers down."""
        for name in left_down:
            container = self.find(name)
            container.program.kill(container)
            self.set_state(name, "exited", KILLED)
        self._told.clear()
        self._why_dead = ""

    def add_image(self, name: str, labels: Mapping[str, str] | None = None) -> str:
        """Have an image of this name, another one than before; return its id."""
        with self._lock:
            self._made += 1
            image = FakeImage(f"sha256:{_digest('image', self._made)}", dict(labels or {}))
            self._images[image.id] = image
            self._name(image, _full_name(name))
            return image.id

    def find(self, name: str) -> FakeContainer:
        """Return a container by its name, its id, or the beginning of its id. Raises NotFound."""
        for container in self._containers.values():
            if name in (container.id, container.name) or (len(name) >= 12 and container.id.startswith(name)):
                return container
        raise refusal(404, f"No such container: {name}")

    def set_state(self, name: str, state: str, exit_code: int = 0) -> None:
        """Have a container in this state, as if something had happened to it that the client cannot ask
        for.
        """
        with self._change:
            container = self.find(name)
            container.state, container.exit_code, container.since = state, exit_code, self._now()
            self._change.notify_all()

    def lose_network(self, name: str) -> None:
        """Have a network pruned."""
        self._networks = [network for network in self._networks if network.name != name]

    def double_network(self, name: str) -> None:
        """Have a second network of this name, as when it was asked twice at once."""
        self._made += 1
        first = self._only_network(name)
        self._networks.append(first._replace(id=_digest("network", self._made), created=str(self._made)))

    def disconnect(self, name: str) -> None:
        """Have a container without its network, as `docker network disconnect -f` leaves it."""
        self.find(name).is_connected = False

    def host_config(self, container: str) -> dict[str, Any] | None:
        """Return what its files on the disk say, for a user who may read them."""
        if not self.has_readable_files or container not in self._containers:
            return None
        return dict(self._containers[container].inspection()["HostConfig"])

    def config(self, container: str) -> dict[str, Any] | None:
        """Return what its files on the disk say besides."""
        if not self.has_readable_files or container not in self._containers:
            return None
        return dict(self._containers[container].config)

    def states(self) -> dict[str, str]:
        """Return name → state of every container."""
        return {
            container.name: container.state
            for container in sorted(self._containers.values(), key=lambda c: c.name)
        }

    # The client's methods

    def close(self) -> None:
        """Give nothing back."""

    def containers(self, label_filters: Iterable[str], ids: Iterable[str] = ()) -> list[dict[str, Any]]:
        wanted, chosen = list(label_filters), tuple(ids)
        with self._asked("containers", is_change=False), self._lock:
            return [
                self._row(container)
                for container in reversed(self._containers.values())
                if all(bears(container.labels, label_filter) for label_filter in wanted)
                and (not chosen or container.id.startswith(chosen))
            ]

    def _row(self, container: FakeContainer) -> dict[str, Any]:
        row = container.row(self._now())
        if self.lists_behind.get(container.name, 0) and container.state == "exited":
            self.lists_behind[container.name] -= 1
            row |= {"State": "running", "Status": "Up Less than a second"}
        return row

    def publishing(self, port: int) -> list[str]:
        with self._asked("publishing", is_change=False), self._lock:
            return [
                container.name
                for container in self._containers.values()
                if container.is_up and port in container.ports
            ]

    def image(self, name: str) -> dict[str, Any]:
        with self._asked("image", name, is_change=False), self._lock:
            image = self._image(name)
            return {"Id": image.id, "Config": image.config, "RepoTags": sorted(image.tags)}

    def tag(self, image: str, repository: str, tag: str) -> None:
        with self._asked("tag", f"{repository}:{tag}"), self._lock:
            self._name(self._image(image), f"{repository}:{tag}")

    def tags(self, reference: str) -> list[str]:
        with self._asked("tags", is_change=False), self._lock:
            names = [name for image in self._images.values() for name in sorted(image.tags)]
            return [name for name in names if fnmatch(name, reference)]

    def untag(self, name: str) -> None:
        with self._asked("untag", name), self._lock:
            for image in list(self._images.values()):
                image.tags.discard(_full_name(name))
                if not image.tags and all(
                    container.image_id != image.id for container in self._containers.values()
                ):
                    del self._images[image.id]

    def pull(self, name: str, timeout: float) -> None:
        host, _slash, rest = name.partition("/")
        repository, _colon, tag = rest.partition("@" if "@" in rest else ":")
        with self._asked("pull", name):
            try:
                manifest = _fetched(f"http://{host}/v2/{repository}/manifests/{tag}", timeout)
                digest = manifest["config"]["digest"]
                config = _fetched(f"http://{host}/v2/{repository}/blobs/{digest}", timeout)
            except TimeoutError as error:
                raise TimedOut(
                    "`docker {command}` took longer than {limit} s", command="pull", limit=timeout
                ) from error
            except (OSError, ValueError) as error:
                raise EngineError("{why}", why=error) from error
            self.add_image(name, config["config"]["Labels"])

    def import_image(self, archive: IO[bytes], name: str, changes: Iterable[str]) -> None:
        with self._asked("import_image", name):
            try:
                with tarfile.open(fileobj=archive, mode="r|") as tar:
                    tar.getnames()
            except tarfile.TarError as error:
                raise EngineError("{why}", why=error) from error
            labels = (line.removeprefix("LABEL ").partition("=") for line in changes if line[:6] == "LABEL ")
            self.add_image(name, {key: value for key, _equals, value in labels})

    def inspect(self, container: str) -> dict[str, Any]:
        with self._asked("inspect", container, is_change=False), self._lock:
            return self.find(container).inspection()

    def statistics(self, container: str) -> dict[str, Any]:
        with self._asked("statistics", container, is_change=False), self._lock:
            if not self.find(container).is_up:
                return {"cpu_stats": {"cpu_usage": {"total_usage": 0}}, "memory_stats": {}}
            return {
                "cpu_stats": {"cpu_usage": {"total_usage": 1_000_000_000}, "online_cpus": 2},
                "memory_stats": {"usage": 64 << 20, "limit": 256 << 20},
                "pids_stats": {"current": 3},
            }

    def version(self) -> dict[str, Any]:
        with self._asked("version", is_change=False):
            return {"Version": "fake", "ApiVersion": API_VERSION}

    def info(self) -> dict[str, Any]:
        with self._asked("info", is_change=False):
            options = [f"name={mode}" for mode in self.modes]
            return {
                "ID": "FAKE",
                "OperatingSystem": self.system,
                "SecurityOptions": options,
                **self.more_info,
            }

    def network_id(self, name: str) -> str:
        return str(self.network(name).get("Id", ""))

    def network(self, name: str) -> dict[str, Any]:
        with self._asked("network_id", name, is_change=False), self._lock:
            try:
                network = self._only_network(name)
            except NotFound:
                return {}
            return {**network.row(), "Containers": {key: {} for key in self._within(network)}}

    def networks(self, name: str) -> list[dict[str, Any]]:
        with self._asked("networks", name, is_change=False), self._lock:
            return [network.row() for network in self._networks if network.name == name]

    def _within(self, network: FakeNetwork) -> list[str]:
        containers = self._containers.values()
        return [
            container.id for container in containers if container.is_up and container.network_id == network.id
        ]

    def _only_network(self, name: str) -> FakeNetwork:
        named = [network for network in self._networks if network.name == name]
        if not named:
            raise refusal(404, f"network {name} not found")
        if len(named) > 1:
            raise refusal(400, f"{len(named)} matches found based on name: network {name} is ambiguous")
        return named[0]

    def create_network(self, name: str, labels: Mapping[str, str], options: Mapping[str, str]) -> None:
        with self._asked("create_network", name), self._lock:
            if any(network.name == name for network in self._networks):
                raise refusal(409, f"network with name {name} already exists")
            self._made += 1
            network_id = _digest("network", self._made)
            self._networks.append(FakeNetwork(network_id, name, str(self._made), dict(labels), dict(options)))

    def remove_network_if_empty(self, name: str) -> None:
        try:
            by_id = next((network for network in self._networks if network.id == name), None)
            with self._asked("remove_network", by_id.name if by_id else name), self._lock:
                network = by_id or self._only_network(name)
                if not self.keeps_networks and not self._within(network):
                    self._networks.remove(network)
        except EngineError:
            return

    def create(self, name: str, body: Mapping[str, Any]) -> str:
        with self._asked("create", name), self._change:
            if not NAME.fullmatch(name):
                raise refusal(400, f"Invalid container name ({name}), only {NAME.pattern} are allowed")
            if any(container.name == name for container in self._containers.values()):
                holder = self.find(name).id
                why = f'The container name "/{name}" is already in use by container "{holder}".'
                raise refusal(409, why)
            image = self._image(str(body["Image"]))
            body = json.loads(json.dumps(body))
            if host := body.get("HostConfig"):
                host.update({name: value for name, value in self.unkept.items() if host.get(name)})
            self._made += 1
            container = FakeContainer(
                _digest("container", self._made),
                name,
                body,
                image.id,
                {**image.labels, **(body.get("Labels") or {})},
                self._programs(body),
                self._now(),
                self._notify,
            )
            container.exited = lambda code: self._exit(container, code, ("die",))
            self._containers[container.id] = container
            self._names[container.id] = name
            self._tell(container, "create")
            return container.id

    def start(self, container: str, before: Callable[[], None] = lambda: None) -> None:
        before()
        with self._asked("start", container):
            with self._change:
                target = self.find(container)
                if target.state == "paused":
                    raise refusal(409, "cannot start a paused container, try unpause instead")
                if target.is_up:
                    return
                if target.is_connected:
                    at = self._only_network(target.network).id
                    if target.network_id not in ("", at):  # it never forgets which one it was in
                        raise refusal(404, f"network {target.network_id} not found")
                    target.network_id = at
                self._require_free_ports(target)
                target.state, target.exit_code, target.since = "running", 0, self._now()
                target.started_at = target.since
                self._tell(target, "start")
            target.program.start(target)

    def update(self, container: str, limits: Mapping[str, Any]) -> None:
        with self._asked("update", container), self._lock:
            target = self.find(container)
            host = {**(target.body.get("HostConfig") or {}), **limits}
            host.update({name: value for name, value in self.unkept.items() if name in limits})
            if 0 < host.get("MemorySwap", 0) < host.get("Memory", 0):
                raise refusal(409, "Memory limit should be smaller than already set memoryswap limit")
            target.body = {**target.body, "HostConfig": host}
            self._tell(target, "update")

    def stop(self, container: str, timeout: int) -> None:
        with self._asked("stop", container):
            target = self.find(container)
            if not target.is_up:
                return
            self._tell(target, "kill")
            self._exit(target, target.program.stop(target, timeout), ("die", "stop"))

    def remove(self, container: str) -> None:
        with self._asked("remove", container), self._change:
            target = self.find(container)
            if target.is_up:
                raise refusal(409, f"You cannot remove a running container {target.id}. Stop the container")
            self._forget(target)

    def discard(self, container: str) -> None:
        with self._asked("discard", container):
            try:
                target = self.find(container)
            except NotFound:
                return
            if target.is_up:
                target.program.kill(target)
                self._tell(target, "kill")
                self._exit(target, KILLED, ("die",))
            self._forget(target)

    def wait(self, container: str, timeout: float) -> int:
        with self._asked("wait", container, is_change=False), self._change:
            target = self.find(container)
            if not self._change.wait_for(lambda: not target.is_up or self._why_dead, timeout):
                raise no_answer("timed out", ENDPOINT)
            return target.exit_code

    def output(self, container: str, stream: Stream, lines: int) -> str:
        with self._asked("output", container, is_change=False), self._lock:
            texts = [line.decode() for source, _at, line in self.find(container).lines if source == stream]
            return "".join(texts[-lines:])

    def events(self, label_filters: Iterable[str]) -> FakeEvents:
        with self._asked("events", is_change=False), self._lock:
            self._streams.append(stream := FakeEvents(list(label_filters)))
            return stream

    def has_events_between(self, since: float, until: float) -> bool:
        with self._asked("remembers", is_change=False), self._lock:
            return any(since <= at <= until for at in self._told)

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
        with self._asked("logs", container, is_change=False):
            target = self.find(container)
        sent = 0 if tail is None else max(0, len(target.lines) - tail)
        while True:
            with self._change:
                fresh = list(zip(target.frames(), target.lines, strict=True))[sent:]
                if not fresh:
                    if not follow or not target.is_up or self._why_dead:
                        return
                    self._change.wait(1)
                    continue
            sent += len(fresh)
            for frame, (stream, at, _line) in fresh:
                if stream in streams and (since is None or at >= since) and (until is None or at <= until):
                    yield frame

    # How it is done

    @contextmanager
    def _asked(self, method: str, subject: str = "", *, is_change: bool = True) -> Iterator[None]:
        """One call of a method, with what a test has planned for it."""
        self._require_alive()
        name = self._name_of(subject)
        if is_change:
            self.calls.append(f"{method} {name}")
        self._run_hooks("before", method, name)
        self._require_alive()
        yield
        self._run_hooks("after", method, name)
        self._require_alive()

    def _name_of(self, subject: str) -> str:
        return self._names.get(subject, subject)

    def _run_hooks(self, when: str, method: str, name: str) -> None:
        due = []
        with self._lock:
            for hook in list(self._hooks):
                if hook.when != when or hook.method != method or hook.subject not in ("", name):
                    continue
                if hook.left:
                    hook.left -= 1
                else:
                    self._hooks.remove(hook)
                    due.append(hook)
        for hook in due:
            hook.do()

    def _require_alive(self) -> None:
        if self._why_dead:
            raise no_answer(self._why_dead, ENDPOINT)

    def _image(self, name: str) -> FakeImage:
        for image in self._images.values():
            if name == image.id or _full_name(name) in image.tags:
                return image
        raise refusal(404, f"No such image: {_full_name(name)}")

    def _name(self, image: FakeImage, name: str) -> None:
        for other in self._images.values():
            other.tags.discard(name)
        image.tags.add(name)

    def _require_free_ports(self, container: FakeContainer) -> None:
        others = [container for container in self._containers.values() if container.is_up]
        for port in container.ports:
            taken = (
                "port is already allocated" if any(port in container.ports for container in others) else ""
            )
            if port in self.ports_taken:
                taken = "listen tcp4: bind: address already in use"
            if taken:
                raise refusal(
                    500,
                    f"driver failed programming external connectivity on endpoint {container.name}:"
                    f" Bind for 127.0.0.1:{port} failed: {taken}",
                )

    def _exit(self, container: FakeContainer, code: int, events: Iterable[str]) -> None:
        with self._change:
            container.state, container.exit_code, container.since = "exited", code, self._now()
            for event in events:
                self._tell(container, event)
            self._change.notify_all()

    def _forget(self, container: FakeContainer) -> None:
        with self._change:
            self._containers.pop(container.id, None)
            self._tell(container, "destroy")

    def _notify(self) -> None:
        with self._change:
            self._change.notify_all()

    def _tell(self, container: FakeContainer, action: str) -> None:
        at = self._now()
        with self._lock:
            self._told.append(at)
            streams = list(self._streams)
        if action not in TELLING_EVENTS:
            return
        attributes = {**container.labels, "name": container.name}
        event = {
            "Type": "container",
            "Action": action,
            "id": container.id,
            "Actor": {"ID": container.id, "Attributes": attributes},
            "time": int(at),
            "timeNano": int(at * 1e9),
        }
        for stream in streams:
            stream.tell(event, container.labels)


def _digest(kind: str, number: int) -> str:
    return hashlib.sha256(f"{kind} {number}".encode()).hexdigest()


def _full_name(name: str) -> str:
    """The colon of a registry's port is no tag's."""
    _repository, colon, tag = name.rpartition(":")
    return name if colon and "/" not in tag else f"{name}:latest"


def _fetched(url: str, timeout: float) -> Any:
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return json.load(answer)
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise error.reason from error
        raise
