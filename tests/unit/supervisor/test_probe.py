import pytest

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
    reason = judge(reply)
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
