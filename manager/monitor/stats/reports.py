"""Ask the bots for P&L and position, by `GET /api/status` on their web ports (docker/README.md).

A bot may be slow, broken or hostile. So all are asked concurrently with one common timeout, answers are
bounded, and types are checked. What a bot does not report is None, never 0.
"""

from __future__ import annotations

import contextlib
import json
import re
import selectors
import socket
import time
from collections.abc import Iterable, Iterator, Mapping

from manager.fleet.bot_report import Report, parse_report

PATH = "/api/status"
TIMEOUT_S = 1.5
"""For all bots together: a hundred of the bundled bot on two busy cores need half of it."""

MAX_BYTES = 1 << 18
"""Enough for a thousand open orders; the bundled bot's answer has 4 KB."""

CHUNK = 1 << 16

LENGTH = re.compile(rb"\r\ncontent-length: *(\d{1,9}) *(?:\r|$)", re.IGNORECASE)


def fetch_reports(addresses: Mapping[str, tuple[str, int]], timeout: float = TIMEOUT_S) -> dict[str, Report]:
    """Return instance → report, for the bots that answer in time. `addresses`: instance → (host, port)."""
    answers = dict(_answers(addresses, time.monotonic() + timeout))
    return {
        instance: report
        for instance, answer in answers.items()
        if (report := parse_answer(answer)) is not None
    }


def parse_answer(answer: bytes) -> Report | None:
    """Return the report in an HTTP answer; None unless it is a 200 with a JSON object."""
    head, blank, body = answer.partition(b"\r\n\r\n")
    words = head.split(maxsplit=2)
    if not blank or len(words) < 2 or not words[0].startswith(b"HTTP/1.") or words[1] != b"200":
        return None
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return parse_report(raw) if isinstance(raw, dict) else None


class _Call:
    """Hold a connection to one bot: the rest of the request, and the answer so far."""

    def __init__(self, instance: str, host: str, port: int) -> None:
        self.instance = instance
        self.answer = bytearray()
        self._rest = f"GET {PATH} HTTP/1.0\r\nHost: localhost\r\nAccept: application/json\r\n\r\n".encode()
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.socket.setblocking(False)
        self.socket.connect_ex((host, port))  # asynchronous; an error is raised again by send()
        with contextlib.suppress(OSError):  # on this machine it is often connected now: one wait less
            self.advance()

    def advance(self) -> bool:
        """Send or receive without blocking. Returns whether the answer is complete; raises OSError."""
        if self._rest:
            self._rest = self._rest[self.socket.send(self._rest) :]
            return False
        chunk = self.socket.recv(CHUNK)
        self.answer += chunk
        if len(self.answer) > MAX_BYTES:
            raise OSError("the answer is too large")
        return not chunk or _is_whole(self.answer)

    @property
    def waits_for(self) -> int:
        return selectors.EVENT_WRITE if self._rest else selectors.EVENT_READ


def _is_whole(answer: bytearray) -> bool:
    """Return whether the answer has as many bytes as it says: its end need not be waited for."""
    head, blank, body = answer.partition(b"\r\n\r\n")
    length = LENGTH.search(head) if blank else None
    return length is not None and len(body) >= int(length[1])


def _answers(addresses: Mapping[str, tuple[str, int]], deadline: float) -> Iterator[tuple[str, bytes]]:
    """Yield the answers as they arrive, in a single thread. Bots that are late or fail are left out."""
    with selectors.DefaultSelector() as selector:
        try:
            for call in _calls(addresses):
                selector.register(call.socket, call.waits_for, call)
            while selector.get_map() and (remaining := deadline - time.monotonic()) > 0:
                for key, _events in selector.select(remaining):
                    call = key.data
                    try:
                        is_complete = call.advance()
                    except BlockingIOError:
                        continue
                    except OSError:
                        _close(selector, call)
                        continue
                    if is_complete:
                        _close(selector, call)
                        yield call.instance, bytes(call.answer)
                    elif key.events != call.waits_for:
                        selector.modify(call.socket, call.waits_for, call)
        finally:
            for key in list(selector.get_map().values()):
                _close(selector, key.data)


def _calls(addresses: Mapping[str, tuple[str, int]]) -> Iterable[_Call]:
    for instance, (host, port) in addresses.items():
        with contextlib.suppress(OSError):  # out of file descriptors, invalid address
            yield _Call(instance, host, port)


def _close(selector: selectors.BaseSelector, call: _Call) -> None:
    selector.unregister(call.socket)
    call.socket.close()
