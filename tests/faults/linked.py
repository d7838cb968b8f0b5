"""Two engines, each in a network namespace of its own, and a cable between them that can be pulled."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.faults.engines import OwnEngine, an_engine
from tests.sshd_here import Place

ADDRESSES = ("10.77.0.1", "10.77.0.2")
CABLE = "cable0"
PROXY = """\
#!/bin/bash
exec nsenter --net=/var/run/netns/{namespace} bash -c '
  exec 3<>"/dev/tcp/$0/$1" || exit 1
  cat <&3 &
  cat >&3
  kill $!
' "$@"
"""
"""ssh's way from the first engine's namespace: it is cut with the cable."""


class Linked(NamedTuple):
    """Both engines."""

    first: OwnEngine
    second: OwnEngine

    def cut(self) -> None:
        self._set("down")

    def heal(self) -> None:
        self._set("up")

    def _set(self, state: str) -> None:
        subprocess.run(["ip", "-n", self.second.namespace, "link", "set", CABLE, state], check=True)

    def make_swarm(self) -> None:
        """The first engine is its manager, the second a worker."""
        first, second = ADDRESSES
        self.first.docker("swarm", "init", "--advertise-addr", first, "--listen-addr", f"{first}:2377")
        token = self.first.docker("swarm", "join-token", "-q", "worker").strip()
        self.second.docker("swarm", "join", "--advertise-addr", second, "--token", token, f"{first}:2377")
        assert len(self.first.docker("node", "ls", "-q").split()) == 2

    def place_of_second(self, folder: Path, wheels: Path | None = None) -> Place:
        """Where an sshd of the second machine listens, and how the first one reaches it.

        `wheels`: where pip finds packages there; no index is reached from a namespace.
        """
        of_pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)} if wheels is not None else {}
        proxy = folder / "proxy"
        proxy.write_text(PROXY.format(namespace=self.first.namespace))
        proxy.chmod(0o755)
        return Place(
            ADDRESSES[1],
            ("nsenter", f"--net=/var/run/netns/{self.second.namespace}"),
            f"  ProxyCommand {proxy} %h %p\n",
            tuple({**self.second.environ, **of_pip}.items()),
        )


@contextmanager
def two_engines(image: str) -> Iterator[Linked]:
    """Start both, with the image."""
    with an_engine(image) as first, an_engine(image) as second:
        words = ["type", "veth", "peer", "name", CABLE, "netns", second.namespace]
        subprocess.run(["ip", "link", "add", CABLE, "netns", first.namespace, *words], check=True)
        for engine, address, other in zip((first, second), ADDRESSES, ADDRESSES[::-1], strict=True):
            ip = ["ip", "-n", engine.namespace]
            subprocess.run([*ip, "addr", "add", f"{address}/24", "dev", CABLE], check=True)
            subprocess.run([*ip, "link", "set", CABLE, "up"], check=True)
            subprocess.run([*ip, "route", "add", "default", "via", other], check=True)
        yield Linked(first, second)
