"""Logs over the socket: an engine that ends in the middle is an error, not the end of the log."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from manager.engine import http_logs
from manager.engine.http_socket import ApiError, NoAnswer
from manager.engine.streams import Stream

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def frame(number: int, text: bytes) -> bytes:
    return struct.pack(">BxxxL", number, len(text)) + text


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


def read(tmp_path: Path, *pieces: bytes) -> list[tuple[Stream, bytes]]:
    """Return what is read from an engine that answers with these pieces and ends."""
    path = str(tmp_path / "engine.sock")
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(path)
        listener.listen(1)

        def answer() -> None:
            client, _address = listener.accept()
            with client:
                client.recv(1 << 16)
                for piece in pieces:
                    client.sendall(piece)

        server = threading.Thread(target=answer)
        server.start()
        frames: Iterator[tuple[Stream, bytes]] = http_logs.frames(
            path, "/logs", {"tail": "all"}, follow=False
        )
        try:
            return list(frames)
        finally:
            server.join()


def test_frames_and_chunks_begin_and_end_anywhere(tmp_path: Path) -> None:
    content = frame(1, b"one\n") + frame(2, b"wrong\n") + frame(1, b"x" * 70_000)
    expected = [("stdout", b"one\n"), ("stderr", b"wrong\n"), ("stdout", b"x" * 70_000)]
    pieces = [content[at : at + 11] for at in range(0, 200, 11)] + [content[209:]]
    assert b"".join(pieces) == content
    assert read(tmp_path, CHUNKED, *map(chunk, pieces), b"0\r\n\r\n") == expected


def test_an_answer_without_chunks_ends_with_the_connection(tmp_path: Path) -> None:
    assert read(tmp_path, b"HTTP/1.1 200 OK\r\n\r\n", frame(1, b"one\n")) == [("stdout", b"one\n")]


@pytest.mark.parametrize("last", [b"", b"5", b"5\r\n", b"5\r\nab", chunk(b"abc")])
def test_an_engine_that_ends_in_the_middle_is_an_error(tmp_path: Path, last: bytes) -> None:
    with pytest.raises(NoAnswer):
        read(tmp_path, CHUNKED, chunk(frame(1, b"one\n")), last)


def test_a_refusal_has_the_engines_words(tmp_path: Path) -> None:
    with pytest.raises(ApiError, match="No such container: x") as refused:
        read(tmp_path, b'HTTP/1.1 404 Not Found\r\n\r\n{"message":"No such container: x"}\n')
    assert refused.value.status == 404


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense\r\n\r\n", CHUNKED + b"zz\r\n", b"HTTP/1.1 500 x\r\n\r\n<html>"]
)
def test_what_is_no_answer_is_an_error(tmp_path: Path, answer: bytes) -> None:
    with pytest.raises(NoAnswer):
        read(tmp_path, answer)
