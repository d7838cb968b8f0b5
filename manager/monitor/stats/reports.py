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
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

PATH = "/api/status"
TIMEOUT_S = 1.5
"""For all bots together: a hundred of the bundled bot on two busy cores need half of it."""

MAX_BYTES = 1 << 18
"""Enough for a thousand open orders; the bundled bot's answer has 4 KB."""

CHUNK = 1 << 16
MAX_NUMBER_LENGTH = 40
MAX_NUMBER = Decimal(10) ** 15
MAX_DECIMALS = 400
"""More than any float has; `1e-999999999`, written out, would exhaust the memory."""
CURRENCY = re.compile(r"[A-Za-z0-9._-]{1,12}")


class Report(NamedTuple):
    """A bot's report, as far as it is valid. Amounts are exact: P&L in `quote`, the position in `base`."""

    pnl: Decimal | None = None
    quote: str | None = None
    position: Decimal | None = None
    base: str | None = None
    open_orders: int | None = None
    trades: int | None = None
    mode: str | None = None
    tick_age: float | None = None
    """Seconds since its main loop last ran."""
    is_paused: bool = False


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


def parse_report(raw: Mapping[str, Any]) -> Report:
    """Return the valid parts of a bot's JSON object."""
    orders = raw.get("open_orders")
    return Report(
        pnl=_amount(raw.get("pnl")),
        quote=_currency(raw.get("quote")),
        position=_amount(raw.get("position")),
        base=_currency(raw.get("base")),
        open_orders=len(orders) if isinstance(orders, list) else _count(orders),
        trades=_count(raw.get("trades")),
        mode=mode if (mode := raw.get("mode")) in ("paper", "live") else None,
        tick_age=None if (age := _amount(raw.get("last_tick_age"))) is None else float(age),
        is_paused=raw.get("paused") is True,
    )


def _amount(value: Any) -> Decimal | None:
    """Return a finite decimal of reasonable size, given as a number or a string; else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    text = str(value) if not isinstance(value, int) or abs(value) < MAX_NUMBER else ""
    if len(text) > MAX_NUMBER_LENGTH or not text.isascii():
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    if not number.is_finite() or abs(number) >= MAX_NUMBER:
        return None
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int), number  # a finite number's
    return number if exponent >= -MAX_DECIMALS else None


def _count(value: Any) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_NUMBER
    return value if is_count else None


def _currency(value: Any) -> str | None:
    return value if isinstance(value, str) and CURRENCY.fullmatch(value) else None


class _Call:
    """A connection to one bot: the rest of the request, and the answer so far."""

    def __init__(self, instance: str, host: str, port: int) -> None:
        self.instance = instance
        self.answer = bytearray()
        self._rest = f"GET {PATH} HTTP/1.0\r\nHost: localhost\r\nAccept: application/json\r\n\r\n".encode()
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.socket.setblocking(False)
        self.socket.connect_ex((host, port))  # asynchronous; an error is raised again by send()

    def advance(self) -> bool:
        """Send or receive without blocking. Returns whether the answer is complete; raises OSError."""
        if self._rest:
            self._rest = self._rest[self.socket.send(self._rest) :]
            return False
        chunk = self.socket.recv(CHUNK)
        self.answer += chunk
        if len(self.answer) > MAX_BYTES:
            raise OSError("the answer is too large")
        return not chunk

    @property
    def waits_for(self) -> int:
        return selectors.EVENT_WRITE if self._rest else selectors.EVENT_READ


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
