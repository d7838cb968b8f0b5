"""The ping that an outside service expects: sent in the background, and never a secret in what is said of
it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from manager.monitor.watch.addresses import Address
from manager.monitor.watch.heartbeat import Heartbeat, ping

ASKED: list[str] = []


class Service(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        ASKED.append(self.path)
        self.send_response(500 if self.path == "/broken" else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def service() -> Iterator[str]:
    ASKED.clear()
    with HTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_ping(service: str) -> None:
    assert ping(Address("${URL}", f"{service}/secret")) == ""
    assert ASKED == ["/secret"]
    assert ping(Address("${URL}", f"{service}/broken")) == "HTTP 500"
    assert "secret" not in ping(Address("${URL}", "http://127.0.0.1:1/secret"))
    assert ping(Address("${URL}", "")) == "${URL} is not set; write it into .env"
    assert ping(Address("${URL}", "file:///etc/passwd")) == "${URL} is not an http or https address"


def beat(heartbeat: Heartbeat, address: Address) -> None:
    """Ping if it is time, and wait for the answer."""
    heartbeat.beat_if_due(address)
    deadline = time.monotonic() + 10
    while heartbeat._asked is not None and not heartbeat._asked.done() and time.monotonic() < deadline:
        time.sleep(0.01)
    heartbeat.beat_if_due(None)


def test_another_address_is_pinged_at_once_and_what_is_wrong_with_it_is_said(service: str) -> None:
    messages: list[str] = []
    heartbeat = Heartbeat(lambda text: messages.append(str(text)))
    for url in (
        f"{service}/old",
        f"{service}/old",
        f"{service}/new",
        f"{service}/broken",
        "",
        f"{service}/new",
    ):
        beat(heartbeat, Address("${URL}", url))
    assert ASKED == ["/old", "/new", "/broken", "/new"]
    assert messages == [
        "cannot send the heartbeat: HTTP 500",
        "cannot send the heartbeat: ${URL} is not set; write it into .env",
        "the heartbeat is sent again",
    ]
    heartbeat.close()


def test_failing_is_said_once_and_never_waited_for(service: str) -> None:
    messages: list[str] = []
    heartbeat = Heartbeat(lambda text: messages.append(str(text)))
    for path in ("broken", "broken", "well"):
        heartbeat._next = 0.0
        heartbeat.beat_if_due(Address("${URL}", f"{service}/{path}"))
        deadline = time.monotonic() + 10
        while heartbeat._asked is not None and not heartbeat._asked.done() and time.monotonic() < deadline:
            time.sleep(0.01)
        heartbeat.beat_if_due(None)
    assert messages == ["cannot send the heartbeat: HTTP 500", "the heartbeat is sent again"]
    heartbeat.close()


@pytest.mark.parametrize(
    ("look_s", "answer_s"), [(1.0, 0.0), (1.3, 0.2), (7.0, 0.0), (19.0, 0.0), (1.0, 10.0)]
)
def test_an_hour_has_as_many_pings_as_its_service_expects(
    monkeypatch: pytest.MonkeyPatch, look_s: float, answer_s: float
) -> None:
    """Looks are late, and a service that does not answer is waited for: no ping may be lost by that."""
    now, pinged = 1000.0, list[float]()
    monkeypatch.setattr("manager.monitor.watch.heartbeat.time.monotonic", lambda: now)

    class Pool:
        def submit(self, _ping: object, _address: Address) -> Future[str]:
            pinged.append(now)
            return Future()

    heartbeat = Heartbeat(lambda text: pytest.fail(str(text)))
    heartbeat.close()
    monkeypatch.setattr(heartbeat, "_pool", Pool())
    while now < 1000 + 3600:
        asked = heartbeat._asked
        if asked is not None and not asked.done() and now >= pinged[-1] + answer_s:
            asked.set_result("")
        heartbeat.beat_if_due(Address("${URL}", "http://service/"))
        now += look_s
    assert len(pinged) == 60
    now += 3000  # `watch` was stopped, or the machine slept
    for _look in range(90):
        if heartbeat._asked is not None and not heartbeat._asked.done():
            heartbeat._asked.set_result("")
        heartbeat.beat_if_due(Address("${URL}", "http://service/"))
        now += 1
    assert len(pinged) in {62, 63}, "what was missed is not made up for"
