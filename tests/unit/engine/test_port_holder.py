"""Who has a port."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from manager.engine import port_holder
from tests.fleet import eventually


class NobodyPublishes:
    """An engine that knows of no container with a published port."""

    def publishing(self, _port: int) -> list[str]:
        return []


def holder(port: int) -> str:
    return port_holder.holder(port, cast(Any, NobodyPublishes()), "desk")


def runs_as_proxy(pid: int) -> bool:
    return Path(f"/proc/{pid}/comm").read_text() == "docker-proxy\n"


@pytest.fixture(name="port")
def _port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_a_program_is_named_with_its_pid(port: int) -> None:
    assert holder(port).endswith(f"(pid {os.getpid()})")


def test_what_a_killed_engine_left_is_told_from_another_program(port: int, tmp_path: Path) -> None:
    proxy = tmp_path / "docker-proxy"
    proxy.write_text("#!/bin/sh\nread nothing\n")
    proxy.chmod(0o755)
    for its_port, is_left in ((port, True), (port + 1, False)):
        with subprocess.Popen([proxy, "-host-port", str(its_port)], stdin=subprocess.PIPE) as left:
            eventually(partial(runs_as_proxy, left.pid), 10, "it runs under its own name")
            message = holder(port)
            assert (f"pid {left.pid}" in message) == is_left
            assert ("restart the Docker Engine to remove it" in message) == is_left
            left.communicate(b"\n")
