import errno
import json
import os
from collections.abc import Iterable

import pytest

from supervisor import probe
from supervisor.health import ProbeResult
from supervisor.loop import Loop
from supervisor.probe import complete, judge


@pytest.mark.parametrize(
    ("reply", "good", "detail"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", True, "200"),
        (b"HTTP/1.0 200 \r\n\r\n", True, "200"),
        (b"HTTP/1.1 200\r\n\r\n", True, "200"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", False, "204 No Content"),
        (b"HTTP/1.1 503 SERVICE UNAVAILABLE\r\n\r\n{}", False, "503 SERVICE UNAVAILABLE"),
        (b"HTTP/1.1 301 Moved\r\nLocation: /x\r\n\r\n", False, "301 Moved"),
        (b"HTTP/1.1 500 \xff\xfe\r\n\r\n", False, "500 \ufffd\ufffd"),
        (b"HTTP/1.1 500 " + b"x" * 9999 + b"\r\n\r\n", False, "500 " + "x" * 96),
        (b"", False, "connection closed without an answer"),
        (b"HTTP/1.1 200 OK", False, "no HTTP answer"),
        (b"GET /health HTTP/1.0\r\n\r\n", False, "no HTTP answer"),
        (b"SSH-2.0-OpenSSH\r\n", False, "no HTTP answer"),
        (b"HTTP/2 200\r\n", False, "no HTTP answer"),
    ],
)
def test_only_200_is_good(reply: bytes, good: bool, detail: str) -> None:
    reason = judge(reply).reason
    assert (reason is None, "200" if reason is None else str(reason)) == (good, detail)


@pytest.mark.parametrize(
    ("reply", "whole"),
    [
        (b"", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", True),
        (b"HTTP/1.1 200 OK\r\ncontent-length:2\r\nX: y\r\n\r\n{}", True),
        (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", True),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}", False),
    ],
)
def test_when_a_reply_is_whole(reply: bytes, whole: bool) -> None:
    assert complete(reply) is whole


def reply(status: str, body: bytes) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("body", "condition"),
    [
        (b"{}", None),
        (b'{"status": "healthy", "note": "degraded"}', None),
        (b"degraded", None),
        (b'{"status": "degraded"', None),
        (b'["degraded"]', None),
        (b"{" * 9000 + b"degraded", None),
        (b'{"status": "degraded"}', {"code": "unknown", "params": {}}),
        (
            b'{"status": "degraded", "condition": {"code": "Exchange Away"}}',
            {"code": "unknown", "params": {}},
        ),
        (
            b'{"status": "degraded", "condition": {"code": "exchange_away", "params":'
            b' {"since": 17.5, "why": "a\\u001b\\nb",'
            b' "orders": 3, "ok": true, "none": null, "list": [1], "Bad Name": 1, "huge": 1e300}}}',
            {
                "code": "exchange_away",
                "params": {"since": 17.5, "why": "a b", "orders": 3, "ok": True, "none": None},
            },
        ),
        (b'{"status": "degraded", "condition": {"code": "x", "params": [1]}}', {"code": "x", "params": {}}),
    ],
)
def test_a_degraded_answer_is_good_and_has_a_condition(
    body: bytes, condition: dict[str, object] | None
) -> None:
    result = judge(reply("200 OK", body))
    assert result.reason is None
    assert result.condition == condition


def test_a_condition_is_bounded() -> None:
    params = {f"p{number}": "x" * 1000 for number in range(50)}
    body = json.dumps({"status": "degraded", "condition": {"code": "x", "params": params}}).encode()
    condition = judge(reply("200 OK", body)).condition
    assert condition is not None
    assert len(json.dumps(condition)) < 4000


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            b'{"status": "error", "reason": "exchange away\\u0007 since 10:00"}',
            "503 exchange away since 10:00",
        ),
        (b'{"detail": "no tick for 90 s"}', "503 no tick for 90 s"),
        (b'{"reason": "", "error": "boom"}', "503 boom"),
        (b'{"reason": {"code": "loop_stuck", "params": {}}}', "503 loop_stuck"),
        (b'{"running": false}', "503 Service Unavailable"),
        (b'{"reason"', "503 Service Unavailable"),
        (b"database is locked\nat line 3", "503 database is locked"),
        (b"<html>", "503 Service Unavailable"),
        (b"\xff\xfe" + b"y" * 9999, "503 \ufffd\ufffd" + "y" * 198),
        (b"", "503 Service Unavailable"),
    ],
)
def test_the_body_of_a_refusal_is_shown(body: bytes, text: str) -> None:
    assert str(judge(reply("503 Service Unavailable", body)).reason) == text


def test_only_what_answers_that_it_cannot_work_is_a_refusal() -> None:
    assert judge(reply("503 X", b"")).is_refusal
    assert judge(reply("500 X", b"")).is_refusal
    assert not judge(reply("404 X", b"")).is_refusal
    assert judge(reply("503 X", b'{"status":"starting"}')).is_starting
    assert not judge(reply("503 X", b'{"status":"unhealthy"}')).is_starting
    assert not judge(reply("200 OK", b'{"status":"starting"}')).is_starting
    assert not judge(b"").is_refusal
    assert not judge(b"SSH-2.0").is_refusal


class Scripted:
    """A bot's connection that is always ready, and gives these pieces one after the other."""

    def __init__(self, pieces: Iterable[bytes | OSError]) -> None:
        self._pieces = iter(pieces)
        self._ready = os.eventfd(1)
        self.connect_ex = self.getsockopt = self.send = lambda *_: 0

    def fileno(self) -> int:
        return self._ready

    def recv(self, _size: int) -> bytes:
        piece = next(self._pieces, AssertionError("it read on"))
        if isinstance(piece, bytes):
            return piece
        raise piece

    def close(self) -> None:
        os.close(self._ready)


def probed(monkeypatch: pytest.MonkeyPatch, *pieces: bytes | OSError) -> ProbeResult:
    """Return what a probe reports of a bot that sends these pieces."""
    loop, results = Loop(), list[ProbeResult]()

    def reported(result: ProbeResult) -> None:
        results.append(result)
        loop.stop(0)

    monkeypatch.setattr("supervisor.probe._socket.socket", lambda *_: Scripted(pieces))
    probe.Probe(loop, 1, "/health", 60, reported)
    loop.run()
    return results[0]


@pytest.mark.parametrize(
    ("before", "reason"),
    [((b"HTTP/1.0 200 OK\r\n\r\n{}",), "None"), ((), "connection reset by peer")],
    ids=["behind a reply", "instead of one"],
)
def test_some_servers_reset_the_connection_behind_a_whole_reply(
    monkeypatch: pytest.MonkeyPatch, before: tuple[bytes, ...], reason: str
) -> None:
    """Such a bot is well: it would be restarted as stuck."""
    gone = ConnectionResetError(errno.ECONNRESET, "reset")
    assert reason in str(probed(monkeypatch, *before, gone).reason)


def test_of_a_reply_without_an_end_only_so_much_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would fill the supervisor's memory until the probe's time is over."""
    piece = b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 16000
    assert probed(monkeypatch, *[piece] * (probe.MAX_REPLY // len(piece) + 1)).reason is None
