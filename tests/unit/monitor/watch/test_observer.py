"""What `watch` takes for the engine's absence, against a socket that answers as a broken engine does."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from manager.fleet.session import Session
from manager.monitor.watch.observer import FleetObserver


class _Broken(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.rfile.readline()
        self.wfile.write(
            b'HTTP/1.0 500 Internal Server Error\r\n\r\n{"message": "the image store is broken"}'
        )


@pytest.fixture
def broken_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with socketserver.ThreadingUnixStreamServer(str(tmp_path / "engine.sock"), _Broken) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine.sock")
        yield
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("broken_engine")
def test_an_engine_that_answers_with_errors_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nobody hears of it, and bots die unseen behind the last good look."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "config" / "active").mkdir(parents=True)
    sight = FleetObserver(Session(tmp_path))
    assert not sight.look()
    assert sight.why_away == "the image store is broken"
