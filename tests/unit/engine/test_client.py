"""What the client gives each call, whatever the engine does."""

from __future__ import annotations

import socketserver
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from manager.engine import http_socket
from manager.engine.client import Engine
from manager.errors import EngineError, EngineUnreachable
from tests.fakes.engine import FakeEngine


def test_a_value_in_a_query_is_quoted_as_urllib_does() -> None:
    for value in ("abc-1_2.3~", "a b/c?d&e=f+%", '{"label":["x=ä€"]}', "", "\n\x00"):
        assert http_socket.target("/x", {"q": value}) == f"/x?q={urllib.parse.quote(value, safe='')}"


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


ANSWERED: dict[str, Callable[[Engine], object]] = {
    "info": Engine.info,
    "version": Engine.version,
    "api_version": Engine.api_version,
    "containers": lambda engine: engine.containers(["a=b"]),
    "publishing": lambda engine: engine.publishing(5001),
    "image": lambda engine: engine.image("desk-bot"),
    "tags": lambda engine: engine.tags("desk-bot:*"),
    "inspect": lambda engine: engine.inspect("a"),
    "statistics": lambda engine: engine.statistics("a"),
    "network": lambda engine: engine.network("desk"),
    "networks": lambda engine: engine.networks("desk"),
    "create": lambda engine: engine.create("a", {}),
    "wait": lambda engine: engine.wait("a", 1),
}
ANY_OBJECT = ("info", "image", "statistics")
"""What may have any keys; `unreachable.image_id` asks an image for its id."""


@pytest.mark.parametrize("call", ANSWERED)
@pytest.mark.parametrize("answer", [[], {}, [1], "x", 3, None, {"ApiVersion": "new"}], ids=repr)
def test_a_program_that_answers_everything_alike_is_no_engine(
    monkeypatch: pytest.MonkeyPatch, call: str, answer: Any
) -> None:
    """Each call returns what an engine might have said, or says that it was none."""
    monkeypatch.setattr(http_socket, "call", lambda *_: answer)
    is_list = call in {"containers", "publishing", "tags", "networks"}
    might_be = answer in ([], None) if is_list else isinstance(answer, dict) and call in ANY_OBJECT
    might_be = might_be or (call == "version" and answer == {"ApiVersion": "new"})
    if might_be:
        ANSWERED[call](Engine())
        return
    with pytest.raises(EngineUnreachable, match="is not a Docker Engine"):
        ANSWERED[call](Engine())


def test_the_fake_has_every_method_of_the_client() -> None:
    public = [name for name in vars(Engine) if not name.startswith("_")]
    inherited = {"api_version"}  # by other methods
    assert [name for name in public if name not in vars(FakeEngine)] == sorted(inherited)


@pytest.mark.parametrize("method", ["remove", "discard"])
def test_a_container_that_somebody_else_removes_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    engine = Engine()
    calls: list[tuple[str, str]] = []

    def call(verb: str, path: str, *_args: Any, **_more: Any) -> None:
        calls.append((verb, path))
        if verb == "DELETE":
            raise EngineError("the engine says: removal of container x is already in progress")

    monkeypatch.setattr(engine, "_call", call)
    getattr(engine, method)("x")
    assert calls == [("DELETE", "/containers/x"), ("POST", "/containers/x/wait")]
