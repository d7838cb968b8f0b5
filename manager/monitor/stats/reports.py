"""What bots say of themselves: P&L and position, by `GET /api/status` on their web ports (docker/README.md).

A bot may be slow, broken or hostile. So all are asked at once, within one time for all of them; nothing is read without end, and no
type is believed. What a bot does not say is None, never 0.
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
WITHIN_S = 1.5
"""For all bots together: a hundred of the bundled one on two busy cores need half of it."""

MAX_BYTES = 1 << 18
"""A thousand open orders; the bundled bot's answer has 4 KB."""

CHUNK = 1 << 16
LONGEST_NUMBER = 40
LARGEST = Decimal(10) ** 15
MOST_PLACES = 400
"""Behind the point. No float has more; `1e-999999999`, written out, would fill the memory."""
CURRENCY = re.compile(r"[A-Za-z0-9._-]{1,12}")


class Report(NamedTuple):
    """A bot's own words, as far as they make sense. Amounts are exact: P&L in `quote`, the position in `base`."""

    pnl: Decimal | None = None
    quote: str | None = None
    position: Decimal | None = None
    base: str | None = None
    open_orders: int | None = None
    trades: int | None = None
    mode: str | None = None
    tick_age: float | None = None
    """Seconds since its loop last came round."""
    is_paused: bool = False


def read(addresses: Mapping[str, tuple[str, int]], within: float = WITHIN_S) -> dict[str, Report]:
    """Instance → its bot's report, for those that answer within the time. `addresses`: (host, port) by instance."""
    answers = dict(_answers(addresses, time.monotonic() + within))
    return {each: found for each, answer in answers.items() if (found := parse(answer)) is not None}


def parse(answer: bytes) -> Report | None:
    """The report in an HTTP answer; None for another answer than 200 with a JSON object."""
    head, blank, body = answer.partition(b"\r\n\r\n")
    words = head.split(maxsplit=2)
    if not blank or len(words) < 2 or not words[0].startswith(b"HTTP/1.") or words[1] != b"200":
        return None
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return of(raw) if isinstance(raw, dict) else None


def of(raw: Mapping[str, Any]) -> Report:
    """What makes sense of a bot's JSON object."""
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
    """A number, or an exact one as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    text = str(value) if not isinstance(value, int) or abs(value) < LARGEST else ""
    if len(text) > LONGEST_NUMBER or not text.isascii():
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    if not number.is_finite() or abs(number) >= LARGEST:
        return None
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int), number  # of a finite one
    return number if exponent >= -MOST_PLACES else None


def _count(value: Any) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST
    return value if is_count else None


def _currency(value: Any) -> str | None:
    return value if isinstance(value, str) and CURRENCY.fullmatch(value) else None


class _Call:
    """One bot's connection: the request that is not sent yet, and the answer as far as it has come."""

    def __init__(self, instance: str, host: str, port: int) -> None:
        self.instance = instance
        self.answer = bytearray()
        self._rest = f"GET {PATH} HTTP/1.0\r\nHost: localhost\r\nAccept: application/json\r\n\r\n".encode()
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.socket.setblocking(False)
        self.socket.connect_ex(
            (host, port)
        )  # goes on while others are called; what fails, fails again when sent to

    def go_on(self) -> bool:
        """Sends or receives what can be without waiting; whether the answer is complete. Raises OSError."""
        if self._rest:
            self._rest = self._rest[self.socket.send(self._rest) :]
            return False
        chunk = self.socket.recv(CHUNK)
        self.answer += chunk
        if len(self.answer) > MAX_BYTES:
            raise OSError("an answer without end")
        return not chunk

    @property
    def waits_for(self) -> int:
        return selectors.EVENT_WRITE if self._rest else selectors.EVENT_READ


def _answers(addresses: Mapping[str, tuple[str, int]], deadline: float) -> Iterator[tuple[str, bytes]]:
    """Asks all at once, in this thread, and yields the answers as they come; who is late or fails is left out."""
    with selectors.DefaultSelector() as waiting:
        try:
            for call in _calls(addresses):
                waiting.register(call.socket, call.waits_for, call)
            while waiting.get_map() and (left := deadline - time.monotonic()) > 0:
                for key, _events in waiting.select(left):
                    call = key.data
                    try:
                        is_complete = call.go_on()
                    except BlockingIOError:
                        continue
                    except OSError:
                        _close(waiting, call)
                        continue
                    if is_complete:
                        _close(waiting, call)
                        yield call.instance, bytes(call.answer)
                    elif key.events != call.waits_for:
                        waiting.modify(call.socket, call.waits_for, call)
        finally:
            for key in list(waiting.get_map().values()):
                _close(waiting, key.data)


def _calls(addresses: Mapping[str, tuple[str, int]]) -> Iterable[_Call]:
    for instance, (host, port) in addresses.items():
        with contextlib.suppress(OSError):  # no more descriptors, no such address
            yield _Call(instance, host, port)


def _close(waiting: selectors.BaseSelector, call: _Call) -> None:
    waiting.unregister(call.socket)
    call.socket.close()
