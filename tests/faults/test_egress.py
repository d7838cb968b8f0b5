"""`[container] egress` on an engine of the test's own, with a machine beside it, in network namespaces."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults import bots
from tests.faults.conftest import Note, new_project
from tests.faults.engines import OwnEngine, needs_root
from tests.fleet import Project, eventually
from tests.receiver import watching

pytestmark = [pytest.mark.engine, needs_root]

HOST, METADATA, NEAR, FAR = "10.99.0.1", "169.254.169.254", "203.0.113.7", "198.51.100.9"
PORT, OTHER_PORT, PUBLISHED = 4711, 4712, 4713
PROBE = """
import socket, sys
for address in sys.argv[1:]:
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), 5).close()
        print(address, "open")
    except OSError as error:
        print(address, "refused")
"""
LISTEN = """
import selectors, socket, sys
seen = selectors.DefaultSelector()
for port in map(int, sys.argv[1:]):
    one = socket.create_server(("0.0.0.0", port))
    seen.register(one, selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _events in seen.select():
        key.fileobj.accept()[0].close()
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def inside(namespace: str, *command: str) -> list[str]:
    return ["nsenter", f"--net=/var/run/netns/{namespace}", *command]


@contextmanager
def listening(namespace: str, program: str = LISTEN, first: int = PORT) -> Iterator[None]:
    """Two ports of every address in a namespace."""
    command = inside(namespace, "python3", "-c", program, str(first), str(first + 1))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield
        finally:
            process.kill()


@pytest.fixture
def outside(engine: OwnEngine) -> Iterator[None]:
    """A machine beyond the engine's: a metadata service, and two addresses of the world."""
    there = f"{engine.namespace}-o"
    ip("netns", "add", there)
    try:
        ip(
            "-n",
            engine.namespace,
            "link",
            "add",
            "out0",
            "type",
            "veth",
            "peer",
            "name",
            "in0",
            "netns",
            there,
        )
        ip("-n", engine.namespace, "address", "add", f"{HOST}/24", "dev", "out0")
        ip("-n", engine.namespace, "link", "set", "out0", "up")
        for address in ("10.99.0.2/24", f"{METADATA}/32", f"{NEAR}/32", f"{FAR}/32"):
            ip("-n", there, "address", "add", address, "dev", "in0")
        ip("-n", there, "link", "set", "in0", "up")
        ip("-n", engine.namespace, "route", "add", "default", "via", "10.99.0.2")
        with listening(there), listening(engine.namespace):
            yield
    finally:
        ip("netns", "delete", there)


@dataclass
class There(Project):
    """A fleet on that engine, with a manager in the engine's namespace."""

    namespace: str = ""

    def command(self, *args: str) -> list[str]:
        return inside(self.namespace, sys.executable, "-m", "manager", *args)

    def says(self, *words: str, code: int | None = 0) -> str:
        done = subprocess.run(
            self.command(*words),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            cwd=self.folder,
            env={**os.environ, **self.environ},
        )
        assert code in (None, done.returncode), done.stdout
        return done.stdout

    def egress(self, value: str) -> None:
        settings = self.folder / "config" / "fleet.toml"
        text = settings.read_text().partition("[container]")[0]
        text = text.replace('["GRIDBOT_*"]', '["GRIDBOT_*", "HTTPS_PROXY"]')
        settings.write_text(f"{text}[container]\negress = {value}\n")

    def reached(self, instance: str, *places: str) -> set[str]:
        """Return the places that a bot reaches."""
        return opened(self.docker("exec", self.container(instance), "python3", "-c", PROBE, *places))

    def rules(self) -> str:
        command = inside(self.namespace, "iptables", "-S")
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def opened(printed: str) -> set[str]:
    return {line.split()[0] for line in printed.splitlines() if line.endswith(" open")}


@contextmanager
def a_fleet(folder: Path, image: str, engine: OwnEngine) -> Iterator[There]:
    with new_project(folder, image, environ=engine.environ) as made:
        yield There(made.folder, made.name, made.first_port, made.environ, engine.namespace)


def test_bots_reach_what_is_allowed_and_fleets_leave_each_others_rules_alone(
    tmp_path: Path, engine: OwnEngine, outside: None, fault_image: str, note: Note, is_long: bool
) -> None:
    metadata, near, far = (f"{address}:{PORT}" for address in (METADATA, NEAR, FAR))
    every = (f"{HOST}:{PORT}", f"{HOST}:{PUBLISHED}", metadata, near, far)
    listener = ("--entrypoint", "python3", fault_image, "-c", LISTEN, str(PORT))
    other = engine.docker("run", "-d", "-p", f"{PUBLISHED}:{PORT}", *listener).strip()
    with a_fleet(tmp_path / "one", fault_image, engine) as one:
        bots.add(one, "one", 0)
        one.says("up")
        clean = one.rules()
        assert one.reached("one", *every) == set(every), "what an engine lets through by itself"
        one.egress("true")
        one.says("up")
        assert one.reached("one", *every) == {near, far}
        if is_long:
            beside_another(one, tmp_path, engine, fault_image, every)
        one.egress(f'["{near}", "{FAR}/24"]')
        one.says("up")
        assert one.reached("one", *every, f"{NEAR}:{OTHER_PORT}") == {near, far}
        one.egress("false")
        one.says("up")
        assert one.reached("one", *every) == set(every)
        assert "BOTFLEET" not in one.rules(), "nothing is left"
        engine.docker("rm", "-f", other)
        assert clean.count("\n-A INPUT") == one.rules().count("\n-A INPUT")
    note(
        "a bot reaches for this machine's services, the metadata address, other addresses",
        "connections from its container, with `[container] egress` off, true, a list",
        3,
        "what is allowed, and no more; `watch` and `up` set dropped rules again; off leaves nothing",
    )


def beside_another(
    one: There, folder: Path, engine: OwnEngine, fault_image: str, every: tuple[str, ...]
) -> None:
    """A second fleet with a list, what `doctor` says, a proxy, and rules that are dropped."""
    metadata, near, far = (f"{address}:{PORT}" for address in (METADATA, NEAR, FAR))
    with a_fleet(folder / "two", fault_image, engine) as two:
        bots.add(two, "two", 1)
        assert "bots reach only what [container] egress allows" in one.says("doctor", code=None)
        two.egress(f'["{near}"]')
        two.says("up", "--wait")
        assert two.reached("two", *every) == {near}
        page = f"127.0.0.1:{two.first_port + 1}"
        seen = subprocess.run(inside(engine.namespace, "python3", "-c", PROBE, page), capture_output=True)
        assert opened(seen.stdout.decode()) == {page}, "this machine reaches the bots as before"

        proxy = f"{HOST}:{OTHER_PORT}"
        one.environ["HTTPS_PROXY"] = f"http://u:p@{proxy}"
        one.says("up")
        assert one.reached("one", *every, proxy) == {near, far, proxy}, "a proxy in use is exempt"
        del one.environ["HTTPS_PROXY"]
        one.says("up")

        for chain in ("INPUT", "DOCKER-USER"):  # as after a reboot, or another firewall's reload
            subprocess.run(inside(engine.namespace, "iptables", "-F", chain), check=True)
        assert one.reached("one", metadata) == {metadata}
        assert "[container] egress is not in force" in one.says("doctor", code=None)
        with watching(one):
            eventually(lambda: one.reached("one", *every) == {near, far}, what="watch sets them again")
        with watching(two):
            eventually(lambda: two.reached("two", *every) == {near}, what="and the other fleet's")
        two.says("down")
        assert two.name not in one.rules(), "nothing of the other one is left"
        assert one.reached("one", *every) == {near, far}


HOST6, NEAR6, FAR6, METADATA6 = "fd00:77::1", "fd00:77::2", "fd00:78::9", "fd00:ec2::254"
BOTS6 = "fd00:99::/64"
LISTEN6 = LISTEN.replace('socket.create_server(("0.0.0.0", port))', "server(port)").replace(
    "seen =",
    'server = lambda port: socket.create_server(("::", port), family=socket.AF_INET6)\nseen =',
)


@pytest.mark.long_form  # the same by IPv4: the test above
def test_ipv6_is_limited_too_also_after_the_engine_was_started_again(
    tmp_path: Path, engine: OwnEngine, outside: None, fault_image: str, note: Note
) -> None:
    there = f"{engine.namespace}-o"
    for namespace, device, addresses in (
        (engine.namespace, "out0", (f"{HOST6}/64",)),
        (there, "in0", (f"{NEAR6}/64", f"{FAR6}/128", f"{METADATA6}/128")),
    ):
        for address in addresses:
            ip("-n", namespace, "address", "add", address, "dev", device, "nodad")
    ip("-n", engine.namespace, "route", "add", "default", "via", NEAR6)
    ip("-n", there, "route", "add", BOTS6, "via", HOST6)
    forwards = inside(engine.namespace, "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
    subprocess.run(forwards, check=True)
    first = PORT + 10
    every = tuple(f"{target}:{first}" for target in (HOST6, METADATA6, NEAR6, FAR6))
    near, far = every[2:]
    with (
        listening(there, LISTEN6, first),
        listening(engine.namespace, LISTEN6, first),
        a_fleet(tmp_path / "one", fault_image, engine) as one,
    ):
        engine.docker("network", "create", "--ipv6", "--subnet", BOTS6, f"{one.name}_default")
        bots.add(one, "one", 0)
        one.says("up")
        assert one.reached("one", *every) == set(every), "what an engine lets through by itself"
        one.egress("true")
        one.says("up")
        assert one.reached("one", *every) == {near, far}
        one.egress(f'["{NEAR}"]')
        one.says("up")
        assert one.reached("one", *every) == set(), "a list has addresses of IPv4 alone"
        one.egress("true")
        one.says("up")
        engine.stop()
        engine.start()
        eventually(lambda: one.states() == {"one": "running"}, what="the bot is back")
        assert one.reached("one", *every) == {near, far}
        for command in ("iptables", "ip6tables"):
            subprocess.run(inside(engine.namespace, command, "-F"), check=True)
        with watching(one):
            eventually(lambda: one.reached("one", *every) == {near, far}, what="watch sets them again")
        one.egress("false")
        one.says("up")
        assert one.reached("one", *every) == set(every)
    note(
        "the same by IPv6, and the engine is started again",
        "connections; SIGTERM of dockerd",
        3,
        "as by IPv4",
    )
