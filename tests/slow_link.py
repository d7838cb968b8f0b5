"""A slow link: what stands before a server and delays every packet, in both directions."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PACKET = 1 << 16


class SlowLink:
    """Listen on the loopback, and pass each packet on after a random time between these seconds."""

    def __init__(self, port: int, least: float, most: float, seed: int = 21) -> None:
        self._target, self._dice = port, random.Random(seed)
        self._least, self._most = least, most
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def become(self, least: float, most: float) -> None:
        """Delay what comes from now on by other times."""
        self._least, self._most = least, most

    def close(self) -> None:
        """End it, with the connections it has."""
        for connection in (self._server, *self._sockets):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _address = self._server.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(PACKET):
                time.sleep(self._dice.uniform(self._least, self._most))
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@contextmanager
def slow_link(port: int, least: float, most: float) -> Iterator[SlowLink]:
    """Put one before the server at this port."""
    made = SlowLink(port, least, most)
    try:
        yield made
    finally:
        made.close()
