"""The SDK as a way to the engine, where it would have gone a way of its own."""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingUnixStreamServer
from typing import Any

import pytest

from manager.engine.client import Engine
from manager.errors import EngineSlow, EngineUnreachable

GIVES_UP_S = 60
USER = base64.b64encode(b"desk:secret").decode()


class Stub:
    """An engine that tells its version, notes the credentials that it gets, and is silent on logs and events:
    before the head of its answer, or, if it `begins`, behind it.
    """

    def __init__(self, path: Path) -> None:
        stub = self
        self.begins = False
        self.over = threading.Event()
        self.credentials: list[dict[str, str] | None] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if not self.path.startswith(("/events", "/containers")):
                    self._answer()
                elif stub.begins:
                    self.send_response(200)
                    self.end_headers()
                    stub.over.wait(GIVES_UP_S)
                else:
                    stub.over.wait(GIVES_UP_S)
                    self._answer()

            def do_POST(self) -> None:
                header = self.headers.get("X-Registry-Auth")
                stub.credentials.append(json.loads(base64.urlsafe_b64decode(header)) if header else None)
                self._answer()

            def address_string(self) -> str:
                return "a socket"

            def log_message(self, *_: object) -> None:
                pass

            def _answer(self) -> None:
                content = b'{"ApiVersion": "1.41", "Name": "stub"}\n'
                with suppress(BrokenPipeError):  # of whoever did not wait
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

        self.server = ThreadingUnixStreamServer(str(path), Handler)
        self.server.daemon_threads = True


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    """An engine whose client is the SDK, beside a folder of the docker command's settings."""
    path = tmp_path / "engine.sock"
    (tmp_path / "settings").mkdir()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "settings"))
    monkeypatch.setenv("BOTFLEET_ENGINE_CLIENT", "sdk")
    stub = Stub(path)
    thread = threading.Thread(target=stub.server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield stub
    finally:
        stub.over.set()
        stub.server.shutdown()
        thread.join()
        stub.server.server_close()


@pytest.mark.parametrize(
    "settings",
    [
        '{"auths": {"desk.example": {"auth": ""}}}',
        '{"auths": {"desk.example": {"auth": "!!!"}}}',
        '{"auths": {"desk.example": 3}}',
        '{"auths": "all"}',
        '{"auths": null, "proxies": null, "HttpHeaders": null}',
        '{"proxies": "none"}',
        '{"proxies": {"default": []}}',
        '{"HttpHeaders": {"X-Desk": 1}}',
        '{"credsStore": "no-such-helper"}',
        '{"credHelpers": {"desk.example": 3}}',
        "[]",
        "null",
        "{",
        "",
    ],
)
def test_damaged_settings_of_the_docker_command_stop_no_call(
    stub: Stub, tmp_path: Path, settings: str
) -> None:
    (tmp_path / "settings" / "config.json").write_text(settings)
    engine = Engine()
    assert engine.info()["Name"] == "stub"
    engine.pull("desk.example/bot:1", GIVES_UP_S)
    assert stub.credentials == [None], "the registry says whether it wants any"


def test_settings_that_never_end_stop_no_call(stub: Stub, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "settings" / "config.json")
    engine = Engine()
    engine.pull("desk.example/bot:1", GIVES_UP_S)
    assert stub.credentials == [None]


def test_a_pull_takes_the_credentials_of_its_registry(stub: Stub, tmp_path: Path) -> None:
    settings = {"auths": {"desk.example": {"auth": USER}}}
    (tmp_path / "settings" / "config.json").write_text(json.dumps(settings))
    engine = Engine()
    engine.pull("desk.example/bot:1", GIVES_UP_S)
    engine.pull("other.example/bot:1", GIVES_UP_S)
    mine, others = stub.credentials
    assert mine is not None
    assert (mine["username"], mine["password"], others) == ("desk", "secret", None)


def test_an_engine_that_does_not_begin_its_answer_is_not_waited_for_without_end(
    stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine()
    engine.info()  # connected
    monkeypatch.setattr("manager.engine.docker_sdk.CALL_TIMEOUT_S", 0.3)
    with pytest.raises(EngineSlow):
        engine.events(["a=b"])
    with pytest.raises(EngineSlow):
        next(engine.logs("a", follow=True))


def test_an_answer_that_has_begun_may_pause_as_long_as_it_likes(stub: Stub) -> None:
    stub.begins = True
    engine: Any = Engine()
    events = engine.events(["a=b"])
    try:
        assert engine._sdk._client._get_raw_response_socket(events._answer)._sock.gettimeout() is None
    finally:
        events.close()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "is not a Docker Engine (its answer cannot be parsed)"),
        (b"HTTP/1.0 200 OK\r\n\r\n<html>", "is not a Docker Engine (its answer cannot be parsed)"),
        (b"HTTP/1.0 200 OK\r\n\r\n{}", "is not a Docker Engine (its answer cannot be parsed)"),
        (b"HTTP/1.0 200 OK\r\n\r\n[]", "is not a Docker Engine (its answer cannot be parsed)"),
        (b"HTTP/1.0 404 Not Found\r\n\r\n<html>", "is not a Docker Engine (HTTP 404, without a message)"),
        (b"HTTP/1.0 404 Not Found\r\n\r\n{}", "is not a Docker Engine (HTTP 404, without a message)"),
        (b"HTTP/1.0 502 Bad Gateway\r\n\r\n<html>", "HTTP 502, without a message); start that engine"),
    ],
)
def test_another_program_is_named_as_over_the_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes, message: str
) -> None:
    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            self.wfile.write(answer)

    path = tmp_path / "engine.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    monkeypatch.setenv("BOTFLEET_ENGINE_CLIENT", "sdk")
    with ThreadingUnixStreamServer(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            with pytest.raises(EngineUnreachable) as caught:
                Engine().info()
        finally:
            server.shutdown()
            thread.join()
    assert message in str(caught.value)


@pytest.mark.parametrize("folder", ["h#x", "q?y"])
def test_an_address_that_the_sdk_would_cut_off_is_refused_in_words(
    monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix:///srv/{folder}/docker.sock")
    monkeypatch.setenv("BOTFLEET_ENGINE_CLIENT", "sdk")
    with pytest.raises(EngineUnreachable, match="a path without them, such as a symbolic link"):
        Engine().info()
