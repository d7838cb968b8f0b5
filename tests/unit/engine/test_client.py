"""What the client gives each call, whatever the engine does."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from manager.engine import http_socket
from manager.engine.client import Engine
from tests.fakes.engine import FakeEngine


def test_a_stop_is_given_more_time_than_the_bot_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a busy engine's answer is taken for its silence, and a bot that was stopped for one that runs."""
    given: list[float] = []

    def call(*arguments: Any) -> None:
        given.append(arguments[-1])

    monkeypatch.setattr(http_socket, "call", call)
    Engine().stop("a", 50)
    assert given == [80]


class Dribbling(socketserver.StreamRequestHandler):
    """An engine whose answer never ends, and never pauses for long."""

    def handle(self) -> None:
        """Send a byte, again and again, until nobody reads."""
        self.rfile.readline()
        end = time.monotonic() + 4
        try:
            while time.monotonic() < end:
                self.wfile.write(b"H")
                time.sleep(0.02)
        except OSError:
            return


@pytest.fixture
def dribbling(tmp_path: Path) -> Iterator[str]:
    """Such an engine's socket."""
    path = str(tmp_path / "engine.sock")
    with socketserver.ThreadingUnixStreamServer(path, Dribbling) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield path
        server.shutdown()


def test_the_deadline_is_for_the_whole_call(dribbling: str) -> None:
    began = time.monotonic()
    with pytest.raises(http_socket.NoAnswer, match="timed out"):
        http_socket.call(dribbling, "GET", "/info", timeout=0.2)
    assert time.monotonic() - began < 3


def test_the_fake_has_every_method_of_the_client() -> None:
    public = [name for name in vars(Engine) if not name.startswith("_")]
    inherited = {"api_version"}  # by other methods
    assert [name for name in public if name not in vars(FakeEngine)] == sorted(inherited)
