"""Run a proxy in front of the engine's socket that writes down every request that passes."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

REQUEST_LINE = re.compile(rb"(GET|HEAD|POST|PUT|DELETE) (/\S*) HTTP/1\.[01]\r\n")
"""No JSON body holds a raw line break, so that this finds requests and nothing else."""
LONGEST_LINE = 16384
VERSION = re.compile(r"^/v\d+\.\d+")
NAME = re.compile(
    r"^/(containers|images|networks|exec)/(?!json\b|create\b)(.+?)(/json|/start|/stop|/restart)?$"
)


@dataclass
class Calls:
    """Hold the requests seen so far: method and path without names, and how often."""

    seen: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return self.seen.total()


@contextmanager
def counting(engine_socket: str, listen_at: Path) -> Iterator[Calls]:
    """Count what goes through `listen_at`; DOCKER_HOST=unix://… leads a program there. At the end it goes as
    an engine does, with every connection that a client has kept open.
    """
    calls, clients = Calls(), list[socket.socket]()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(listen_at))
        listener.listen(128)
        threading.Thread(target=_accept, args=(listener, engine_socket, calls, clients), daemon=True).start()
        try:
            yield calls
        finally:
            for end in (listener, *clients):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            listen_at.unlink(missing_ok=True)


def _accept(listener: socket.socket, engine_socket: str, calls: Calls, clients: list[socket.socket]) -> None:
    while True:
        try:
            client, _address = listener.accept()
        except OSError:
            return
        clients.append(client)
        engine = socket.socket(socket.AF_UNIX)
        engine.connect(engine_socket)
        for source, sink, seen in ((client, engine, calls), (engine, client, None)):
            threading.Thread(target=_pump, args=(source, sink, seen), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket, calls: Calls | None) -> None:
    rest = b""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            if calls is not None:
                rest = _count(rest + data, calls)
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def _count(data: bytes, calls: Calls) -> bytes:
    """Count the request lines in `data`. Return what may be the beginning of the next one."""
    end = 0
    for match in REQUEST_LINE.finditer(data):
        calls.seen[f"{match[1].decode()} {_plain(match[2].decode())}"] += 1
        end = match.end()
    return data[end:][-LONGEST_LINE:]


def _plain(target: str) -> str:
    path = VERSION.sub("", target.partition("?")[0])
    return NAME.sub(r"/\1/…\3", path)
