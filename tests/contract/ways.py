"""The ways to an engine. Another way joins the suite by an entry in WAYS: all tests then run against it too.

A way is a context manager that yields a `World`: an engine to ask, and the image that containers are made
from there. The programs below are all that the suite has containers run; a stand-in may know them by
their text.
"""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from manager.engine import endpoint, http_socket, image_build
from manager.engine.client import CLIENT_VARIABLE, Engine
from manager.errors import EngineError
from manager.fleet import engine_files
from tests.fakes.containers import KILLED, FakeContainer, Program
from tests.fakes.engine import FakeEngine

STAYS = "trap 'exit 3' TERM; echo one; echo two; echo wrong >&2; while :; do sleep 0.1; done"
"""Prints two lines to stdout and one to stderr, and runs until SIGTERM, then ends with 3."""
ENDS = "echo bye; exit 7"
"""Prints a line and ends with 7."""
DEAF = "trap '' TERM; echo deaf; while :; do sleep 0.1; done"
"""Prints a line, and runs whatever SIGTERM says."""

BASES = (image_build.OWN_BASE, image_build.OFFICIAL_BASE, image_build.LOCAL_BASE)
"""One of them is there wherever the bot image was built."""
LABEL = "botfleet-test.contract"


@dataclass
class World:
    """One way to an engine. What a test makes there bears the world's label, and is removed with it."""

    engine: Engine
    image: str
    name: str = field(default_factory=lambda: f"bft-contract-{uuid.uuid4().hex[:8]}")

    @property
    def filter(self) -> str:
        """The label of everything that this world's containers bear."""
        return f"{LABEL}={self.name}"

    def body(self, program: str, **changes: Any) -> dict[str, Any]:
        """Return the raw body of a container that runs a program."""
        return {
            "Image": self.image,
            "Entrypoint": ["/bin/sh", "-c", program],
            "Labels": {LABEL: self.name},
            **changes,
        }

    def host_config(self, container: str) -> dict[str, Any] | None:
        """Return what the engine's files say of a container, as far as this user may read them."""
        if isinstance(self.engine, FakeEngine):
            return self.engine.host_config(container)
        return engine_files.host_config(container)

    def config(self, container: str) -> Mapping[str, Any] | None:
        """Return what the engine's files say besides, as far as this user may read them."""
        if isinstance(self.engine, FakeEngine):
            return self.engine.config(container)
        return engine_files.config(container)

    def create(self, name: str, program: str, **changes: Any) -> str:
        """Create a container; return its id."""
        return self.engine.create(f"{self.name}-{name}", self.body(program, **changes))

    def running(self, name: str = "one", program: str = STAYS, **changes: Any) -> str:
        """Create a container and start it; return its id."""
        container = self.create(name, program, **changes)
        self.engine.start(container)
        return container

    def pause(self, container: str) -> None:
        """Have it paused, as by `docker pause`, which the client never asks for."""
        if isinstance(self.engine, FakeEngine):
            self.engine.set_state(container, "paused")
        else:
            subprocess.run(["docker", "pause", container], check=True, capture_output=True)

    def double_network(self) -> bool:
        """Have two networks of this world's name, as an engine makes that is asked twice at once. Return
        whether it does: from version 25 on it refuses the second one.
        """
        self.engine.create_network(self.name, {}, {})
        if isinstance(self.engine, FakeEngine):
            self.engine.double_network(self.name)
            return True
        socket = endpoint.local({}).socket
        assert socket
        with suppress(http_socket.ApiError):
            http_socket.call(socket, "POST", "/networks/create", None, {"Name": self.name}, 60)
        return len(self.engine.networks(self.name)) == 2


@contextmanager
def real(client: str) -> Iterator[World]:
    """The engine of this machine, over one of the client's two ways."""
    with mock.patch.dict(os.environ, {CLIENT_VARIABLE: client}):
        engine = Engine()
    world = World(engine, _base())
    try:
        yield world
    finally:
        for row in engine.containers([world.filter]):
            engine.discard(row["Id"])
        for network in engine.networks(world.name):
            engine.remove_network_if_empty(network["Id"])
        for name in engine.tags(f"{world.name}*"):
            engine.untag(name)
        with suppress(EngineError):
            engine.close()


@contextmanager
def fake() -> Iterator[World]:
    """The engine in memory that flows are tested with."""
    engine = FakeEngine(_program)
    engine.add_image(BASES[0])
    yield World(engine, BASES[0])


class _Shell:
    """The programs, as far as they can be seen from outside."""

    def __init__(self, program: str) -> None:
        self._program = program

    def start(self, container: FakeContainer) -> None:
        """Print what it prints, and end if it ends."""
        if self._program == ENDS:
            container.print("stdout", "bye\n", time.time())
            container.end(7)
        elif self._program == DEAF:
            container.print("stdout", "deaf\n", time.time())
        else:
            container.print("stdout", "one\ntwo\n", time.time())
            container.print("stderr", "wrong\n", time.time())

    def stop(self, container: FakeContainer, timeout: int) -> int:
        """End as its trap says, or be killed."""
        return KILLED if self._program == DEAF else 3

    def kill(self, container: FakeContainer) -> None:
        """Be gone."""


def _program(body: Mapping[str, Any]) -> Program:
    return _Shell(body["Entrypoint"][-1])


def _base() -> str:
    for name in BASES:
        if (
            subprocess.run(["docker", "image", "inspect", name], capture_output=True, check=False).returncode
            == 0
        ):
            return name
    raise AssertionError(f"none of {BASES} is there: `make image` first")


WAYS: Mapping[str, Callable[[], AbstractContextManager[World]]] = {
    "socket": lambda: real("socket"),
    "sdk": lambda: real("sdk"),
    "fake": fake,
}
NEED_AN_ENGINE = frozenset({"socket", "sdk"})
"""The ways that only a real engine takes."""
