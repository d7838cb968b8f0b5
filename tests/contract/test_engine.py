"""Each method of manager/engine/client.py, over each way to an engine."""

from __future__ import annotations

import inspect
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from threading import Thread
from typing import IO, Any

import pytest

from manager.engine.client import CLIENT_VARIABLE, CLIENTS, Engine, security_modes
from manager.engine.http_socket import NoAnswer
from manager.engine.streams import EventStream
from manager.errors import EngineError, EngineUnreachable, NameTaken, NotFound, TimedOut, UsageError
from manager.util.readable import wait_readable
from tests.contract import registry
from tests.contract.ways import DEAF, STAYS, World

ABSENT = "bft-there-is-no-such-thing"


def until(check: Callable[[], Any], timeout: float = 30) -> Any:
    """Return the first true answer. Fail after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (value := check()):
        assert time.monotonic() < deadline, value
        time.sleep(0.05)
    return value


def test_every_method_stands_in_this_contract() -> None:
    source = Path(__file__).read_text()
    methods = [name for name, _function in inspect.getmembers(Engine, inspect.isfunction) if name[0] != "_"]
    assert [name for name in methods if f"engine.{name}(" not in source] == ["close"]


# The engine itself


def test_it_says_what_it_is(engine: Engine) -> None:
    major, minor = engine.api_version()
    assert (major, minor) >= (1, 41)
    assert engine.version()["ApiVersion"] == f"{major}.{minor}"
    info = engine.info()
    assert info["ID"]
    assert ("rootless" in security_modes(info)) == ("name=rootless" in info.get("SecurityOptions", []))


# Images


def test_an_image_is_described_or_not_found(world: World, engine: Engine) -> None:
    assert engine.image(world.image)["Id"].startswith("sha256:")
    with pytest.raises(NotFound):
        engine.image(ABSENT)


def test_names_of_images_come_and_go(world: World, engine: Engine) -> None:
    for tag in ("rollback-1", "rollback-2", "local"):
        engine.tag(engine.image(world.image)["Id"], world.name, tag)
    assert sorted(engine.tags(f"{world.name}:rollback-*")) == [
        f"{world.name}:rollback-1",
        f"{world.name}:rollback-2",
    ]
    engine.untag(f"{world.name}:rollback-1")
    engine.untag(f"{world.name}:rollback-1")  # gone already, which is no error
    assert engine.tags(f"{world.name}:rollback-*") == [f"{world.name}:rollback-2"]
    with pytest.raises(NotFound):
        engine.tag(ABSENT, world.name, "x")


def test_a_tar_becomes_an_image(world: World, engine: Engine) -> None:
    with piped(registry.an_archive()) as archive:
        engine.import_image(archive, f"{world.name}:imported", ["LABEL made.of=a-tar"])
    assert engine.image(f"{world.name}:imported")["Config"]["Labels"] == {"made.of": "a-tar"}
    with piped(b"no tar at all" * 100) as archive, pytest.raises(EngineError):
        engine.import_image(archive, f"{world.name}:broken", [])
    assert engine.tags(f"{world.name}:*") == [f"{world.name}:imported"]


def piped(content: bytes) -> IO[bytes]:
    """Return it as it comes from a program: of no size that could be known before."""
    read, write = os.pipe()
    os.write(write, content)
    os.close(write)
    return open(read, "rb")  # noqa: PTH123


def test_an_image_is_fetched(engine: Engine) -> None:
    with registry.serving() as host:
        try:
            engine.pull(f"{host}/small:1", 60)
            assert engine.image(f"{host}/small:1")["Config"]["Labels"] == {"from": "the registry"}
        finally:
            engine.untag(f"{host}/small:1")
        by_digest = f"{host}/small@{registry.digest(host)}"
        engine.pull(by_digest, 60)
        try:
            assert engine.image(by_digest)["Config"]["Labels"] == {"from": "the registry"}
        finally:
            engine.untag(by_digest)
        with pytest.raises(EngineError):
            engine.pull(f"{host}/small:2", 60)
        began = time.monotonic()
        with pytest.raises(TimedOut, match="longer than 1 s"):
            engine.pull(f"{host}/silent:1", 1)
        assert time.monotonic() - began < 10
    with pytest.raises(EngineError):
        engine.pull(f"{host}/small:1", 60)


# Containers


def test_a_containers_life(world: World, engine: Engine) -> None:
    container = world.create("one", STAYS)
    assert [row["State"] for row in engine.containers([world.filter])] == ["created"]
    engine.start(container)
    engine.start(container)  # it runs already, which is no error
    facts = engine.inspect(container)
    assert facts["Name"] == f"/{world.name}-one"
    assert facts["State"]["Running"]
    with pytest.raises(EngineError):
        engine.remove(container)
    until(lambda: engine.output(container, "stderr", 5))  # its shell has come to the trap
    engine.stop(container, 20)
    engine.stop(container, 20)  # down already, which is no error
    assert engine.wait(container, 10) == 3
    engine.remove(container)
    assert engine.containers([world.filter]) == []
    for call in (engine.inspect, engine.start, engine.remove, engine.statistics):
        with pytest.raises(NotFound):
            call(container)
    with pytest.raises(NotFound):
        engine.stop(container, 1)
    engine.discard(container)  # gone already, which is no error


def test_what_does_not_end_in_time_is_killed(world: World, engine: Engine) -> None:
    container = world.running("one", DEAF)
    until(lambda: engine.output(container, "stdout", 5))  # its shell has come to the trap
    engine.stop(container, 1)
    assert engine.wait(container, 10) == 137
    assert engine.inspect(container)["State"]["ExitCode"] == 137


def test_a_name_is_given_once(world: World, engine: Engine) -> None:
    world.create("one", STAYS)
    with pytest.raises(NameTaken):
        engine.create(f"{world.name}-one", world.body(STAYS))
    with pytest.raises(NotFound):
        engine.create(f"{world.name}-two", world.body(STAYS, Image=ABSENT))


def test_a_name_has_few_characters(world: World, engine: Engine) -> None:
    for name in (f"{world.name} two", f"-{world.name}", f"{world.name}/two", "é"):
        with pytest.raises(EngineError, match="Invalid container name"):
            engine.create(name, world.body(STAYS))


def test_a_paused_one_is_not_started(world: World, engine: Engine) -> None:
    container = world.running()
    world.pause(container)
    with pytest.raises(EngineError, match="cannot start a paused container"):
        engine.start(container)
    assert engine.inspect(container)["State"]["Status"] == "paused"


def test_what_speaks_against_a_start_keeps_it_down(world: World, engine: Engine) -> None:
    container = world.create("one", STAYS)

    def veto() -> None:
        raise UsageError("not now")

    with pytest.raises(UsageError):
        engine.start(container, veto)
    assert engine.inspect(container)["State"]["Status"] == "created"


def test_containers_are_found_by_labels_and_ids(world: World, engine: Engine) -> None:
    one = world.create("one", STAYS, Labels={**world.body(STAYS)["Labels"], "colour": "a/b+c, d=é"})
    two = world.create("two", STAYS)
    assert {row["Id"] for row in engine.containers([world.filter])} == {one, two}
    assert [row["Id"] for row in engine.containers([world.filter], [two])] == [two]
    assert [row["Id"] for row in engine.containers([world.filter, "colour=a/b+c, d=é"])] == [one]
    assert engine.containers([f"{world.filter}-other"]) == []


def test_what_it_uses(looked_at: tuple[World, str, str]) -> None:
    world, stays, _ends = looked_at
    engine = world.engine
    statistics = engine.statistics(stays)
    assert statistics["cpu_stats"]["cpu_usage"]["total_usage"] > 0
    assert statistics["memory_stats"]


def test_what_is_down_uses_nothing(world: World, engine: Engine) -> None:
    statistics = engine.statistics(world.create("one", STAYS))
    assert statistics["cpu_stats"]["cpu_usage"]["total_usage"] == 0
    assert not statistics["memory_stats"].get("usage")


def test_an_end_is_waited_for(looked_at: tuple[World, str, str]) -> None:
    world, stays, ends = looked_at
    engine = world.engine
    assert engine.wait(ends, 30) == 7
    began = time.monotonic()
    with pytest.raises(EngineUnreachable):
        engine.wait(stays, 1)
    assert time.monotonic() - began < 10


# Networks


def test_a_networks_life(world: World, engine: Engine) -> None:
    assert not engine.network_id(world.name)
    engine.create_network(world.name, {"of": "a test"}, {"com.docker.network.bridge.enable_icc": "false"})
    assert engine.network_id(world.name)
    assert not engine.network_id(world.name[:-1])
    network = engine.network(world.name)
    assert (network["Id"], network["Name"]) == (engine.network_id(world.name), world.name)
    assert not network["EnableIPv6"]
    assert network["Labels"] == {"of": "a test"}
    assert network["Options"]["com.docker.network.bridge.enable_icc"] == "false"
    assert engine.network(world.name[:-1]) == {}
    with pytest.raises(EngineError):
        engine.create_network(world.name, {}, {})
    container = world.running(HostConfig={"NetworkMode": world.name})
    engine.remove_network_if_empty(world.name)
    assert engine.network_id(world.name)
    engine.discard(container)
    engine.remove_network_if_empty(world.name)
    engine.remove_network_if_empty(world.name)  # gone already, which is no error
    assert not engine.network_id(world.name)


def test_two_networks_of_one_name(world: World, engine: Engine) -> None:
    has_two = world.double_network()
    networks = engine.networks(world.name)
    assert len(networks) == (2 if has_two else 1)
    assert {row["Name"] for row in networks} == {world.name}
    assert engine.networks(world.name[:-1]) == []
    if not has_two:
        return
    container = world.create("one", STAYS, HostConfig={"NetworkMode": world.name})
    for refused in (lambda: engine.network(world.name), lambda: engine.start(container)):
        with pytest.raises(EngineError, match="ambiguous"):
            refused()
    engine.remove_network_if_empty(world.name)
    assert len(engine.networks(world.name)) == 2
    older, newer = sorted(networks, key=lambda row: str(row["Created"]))
    engine.remove_network_if_empty(newer["Id"])
    assert engine.network_id(world.name) == older["Id"]
    engine.start(container)


# What keeps a container from being started


def test_a_port_is_given_once_and_its_publisher_is_known_and_discarded(world: World, engine: Engine) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    published: dict[str, Any] = {
        "ExposedPorts": {"80/tcp": {}},
        "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}},
    }
    first = world.running("one", **published)
    assert engine.publishing(port) == [f"{world.name}-one"]
    second = world.create("two", STAYS, **published)
    with pytest.raises(EngineError, match="port is already allocated"):
        engine.start(second)
    assert engine.inspect(second)["State"]["Running"] is False
    engine.discard(first)
    assert [row["Id"] for row in engine.containers([world.filter])] == [second]
    engine.start(second)
    assert engine.publishing(port) == [f"{world.name}-two"]


def test_a_network_that_is_gone_keeps_its_containers_down(world: World, engine: Engine) -> None:
    engine.create_network(world.name, {}, {})
    container = world.create("one", STAYS, HostConfig={"NetworkMode": world.name})
    engine.remove_network_if_empty(world.name)
    with pytest.raises(NotFound, match=r"network .* not found"):
        engine.start(container)
    engine.create_network(world.name, {}, {})
    engine.start(container)  # one that never ran is content with a network of the same name
    engine.stop(container, 0)
    before = engine.network_id(world.name)
    (row,) = engine.containers([world.filter])
    assert row["HostConfig"]["NetworkMode"] == world.name
    assert row["NetworkSettings"]["Networks"][world.name]["NetworkID"] == before
    engine.remove_network_if_empty(world.name)
    engine.create_network(world.name, {}, {})
    assert engine.network_id(world.name) not in ("", before)
    with pytest.raises(NotFound, match=r"network .* not found"):  # and one that ran is not
        engine.start(container)


UPDATABLE = ("Memory", "MemorySwap", "NanoCpus", "PidsLimit", "RestartPolicy")


def test_limits_and_restart_policy_can_be_changed(world: World, engine: Engine) -> None:
    container = world.create("one", STAYS, HostConfig={"Memory": 64 << 20, "MemorySwap": 64 << 20})
    limits = {"Memory": 96 << 20, "MemorySwap": 96 << 20, "NanoCpus": 500_000_000, "PidsLimit": 77}
    engine.update(container, {**limits, "RestartPolicy": {"Name": "unless-stopped"}})
    host = engine.inspect(container)["HostConfig"]
    assert {name: host[name] for name in limits} == limits
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    with pytest.raises(EngineError, match="Memory limit should be smaller than already set memoryswap limit"):
        engine.update(container, {"Memory": 128 << 20})
    assert engine.inspect(container)["HostConfig"]["Memory"] == 96 << 20
    kept = world.host_config(container)
    if kept is not None:  # else the engine's files are elsewhere, or not for this user to read
        host = engine.inspect(container)["HostConfig"]
        assert {name: kept[name] for name in UPDATABLE} == {name: host[name] for name in UPDATABLE}


COMPARED = ("Env", "Entrypoint", "Cmd", "StopTimeout", "StopSignal", "Healthcheck", "WorkingDir", "Tty")


def test_a_container_has_its_image_s_config_and_its_own(world: World, engine: Engine) -> None:
    given = engine.image(world.image)["Config"]
    container = world.create("one", STAYS, Env=["OWN=1"], StopTimeout=7, Healthcheck={"Test": ["NONE"]})
    config = engine.inspect(container)["Config"]
    assert sorted(config["Env"]) == sorted(["OWN=1", *(given.get("Env") or ())])
    assert config["Entrypoint"] == ["/bin/sh", "-c", STAYS]
    assert (config["StopTimeout"], config["Healthcheck"]) == (7, {"Test": ["NONE"]})
    assert config.get("WorkingDir", "") == given.get("WorkingDir", "")
    kept = world.config(container)
    if kept is not None:  # else the engine's files are elsewhere, or not for this user to read
        assert {name: kept.get(name) for name in COMPARED} == {name: config.get(name) for name in COMPARED}


def test_an_image_gives_its_labels_to_its_containers(world: World, engine: Engine) -> None:
    with piped(registry.an_archive()) as archive:
        engine.import_image(archive, f"{world.name}:labelled", ["LABEL made.of=a-tar"])
    container = world.create("one", STAYS, Image=f"{world.name}:labelled")
    (row,) = engine.containers([world.filter, "made.of=a-tar"])
    assert row["Id"] == container
    assert (
        row["ImageID"] == engine.image(f"{world.name}:labelled")["Id"] == engine.inspect(container)["Image"]
    )


def test_what_is_inspected_makes_the_same_container_again(world: World, engine: Engine) -> None:
    """As a roll-out that is taken back does."""
    old = world.create("one", STAYS, Env=["A=1"], StopTimeout=7, HostConfig={"PidsLimit": 50})
    facts = engine.inspect(old)
    engine.remove(old)
    names = ("Image", "Env", "Labels", "StopTimeout", "Entrypoint")
    body = {**{name: facts["Config"][name] for name in names}, "HostConfig": facts["HostConfig"]}
    again = engine.inspect(engine.create(f"{world.name}-one", body))
    assert [again["Config"][name] for name in names] == [facts["Config"][name] for name in names]
    assert again["HostConfig"]["PidsLimit"] == 50
    assert "A=1" in again["Config"]["Env"]


# What streams


def test_the_last_lines_of_each_stream(looked_at: tuple[World, str, str]) -> None:
    world, stays, ends = looked_at
    engine = world.engine
    until(lambda: engine.output(stays, "stderr", 5) == "wrong\n")
    until(lambda: engine.output(stays, "stdout", 5) == "one\ntwo\n")
    # which stream's line is the last of all, only a container of one stream says for sure
    until(lambda: engine.output(ends, "stdout", 1) == "bye\n")


def test_logs_are_followed_and_come_with_stream_and_time(world: World, engine: Engine) -> None:
    container = world.running("ends", STAYS)
    following = engine.logs(container, follow=True)
    assert sorted(next(following)[1].partition(b" ")[2] for _line in range(3)) == [
        b"one\n",
        b"two\n",
        b"wrong\n",
    ]
    engine.stop(container, 20)
    assert list(following) == []
    frames = list(engine.logs(container))
    assert sorted((stream, frame.partition(b" ")[2]) for stream, frame in frames) == [
        ("stderr", b"wrong\n"),
        ("stdout", b"one\n"),
        ("stdout", b"two\n"),
    ]
    assert all(frame.startswith(b"20") for _stream, frame in frames)
    assert [stream for stream, _frame in engine.logs(container, streams=["stderr"])] == ["stderr"]
    assert len(list(engine.logs(container, tail=1))) == 1
    assert list(engine.logs(container, since=time.time() + 60)) == []
    assert list(engine.logs(container, until=time.time() - 3600)) == []
    with pytest.raises(NotFound):
        list(engine.logs(ABSENT))


@pytest.fixture
def events(world: World, engine: Engine) -> Iterator[EventStream]:
    """What happens to the world's containers."""
    with closing(engine.events([world.filter])) as stream:
        yield stream


def told(stream: EventStream, count: int) -> list[str]:
    """Return the actions of the next events, as a poll tells of them."""
    actions: list[str] = []
    while len(actions) < count:
        assert wait_readable(stream, 30), actions
        actions += [event["Action"] for event in stream.values()]
    return actions


def test_events_are_told_as_they_happen(world: World, engine: Engine, events: EventStream) -> None:
    assert events.values() == []
    if wait_readable(events, 1):  # the head of the answer, which is no event
        assert events.values() == []
    container = world.running()
    assert told(events, 2) == ["create", "start"]
    until(lambda: engine.output(container, "stderr", 5))
    engine.stop(container, 20)
    # Engines differ in which of the last two they tell first (20.10: die, 26.1: stop).
    first, *others = told(events, 3)
    assert (first, sorted(others)) == ("kill", ["die", "stop"])
    engine.remove(container)
    assert told(events, 1) == ["destroy"]
    assert not wait_readable(events, 0)


def test_a_stream_is_closed_twice(engine: Engine) -> None:
    stream = engine.events(["nobody.has=this"])
    stream.close()
    stream.close()


def test_what_it_remembers(world: World, engine: Engine) -> None:
    world.create("one", STAYS)
    time.sleep(1.1)  # the question is asked in whole seconds
    now = time.time()
    assert engine.has_events_between(now - 60, now)
    assert not engine.has_events_between(now - 400_000_000, now - 300_000_000)


# Where there is none


@pytest.mark.parametrize("client", CLIENTS)
def test_no_engine_is_said_alike(client: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CLIENT_VARIABLE, client)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    with closing(Engine()) as engine:
        for call in (engine.version, lambda: engine.events([]), lambda: engine.has_events_between(0, 1)):
            with pytest.raises(EngineUnreachable, match=r"no Docker Engine answers \(.*No such file.*engine"):
                call()


def test_the_end_of_events_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By an engine that answers with one event and goes."""
    for client in CLIENTS:
        with an_engine_that_goes(tmp_path / f"{client}.sock") as address:
            monkeypatch.setenv(CLIENT_VARIABLE, client)
            monkeypatch.setenv("DOCKER_HOST", address)
            with closing(Engine()) as engine, closing(engine.events([])) as stream:
                assert told(stream, 1) == ["start"]
                for _again in range(2):
                    assert wait_readable(stream, 30)
                    with pytest.raises(NoAnswer):
                        stream.values()


class Going(BaseHTTPRequestHandler):
    """An engine that answers /version, and ends its event stream after one event."""

    def address_string(self) -> str:
        """A Unix socket has none."""
        return ""

    def do_GET(self) -> None:
        body = b'{"Action": "start"}\n' if "/events" in self.path else b'{"ApiVersion": "1.41"}'
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@contextmanager
def an_engine_that_goes(path: Path) -> Iterator[str]:
    """Serve it at a socket; yield its address."""
    with ThreadingUnixStreamServer(str(path), Going) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"unix://{path}"
        server.shutdown()
