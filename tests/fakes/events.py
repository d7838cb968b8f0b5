"""The fake engine's event stream."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from threading import Lock
from typing import Any

from manager.engine.http_socket import NoAnswer


class FakeEvents:
    """An event stream for `select`: a pipe is readable while there is something that `values` has not
    given out.
    """

    def __init__(self, filters: list[str]) -> None:
        self._filters = filters
        self._values: deque[Any] = deque()
        self._end = ""
        self._lock = Lock()
        self._readable, self._writable = os.pipe()
        os.set_blocking(self._readable, False)
        self._is_closed = False

    def fileno(self) -> int:
        """For `select`."""
        return self._readable

    def values(self) -> list[Any]:
        """Return what has come since the last time. Raises NoAnswer at its end."""
        with self._lock:
            values = list(self._values)
            self._values.clear()
            if self._end and not values:
                raise NoAnswer(self._end)
            if not self._end:  # the end stays readable
                with suppress(BlockingIOError):
                    os.read(self._readable, 1 << 16)
            return values

    def close(self) -> None:
        """Give the pipe back."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                os.close(self._readable)
                os.close(self._writable)

    def tell(self, event: Any, labels: Mapping[str, str]) -> None:
        """Pass an event on, if the labels are asked for."""
        if all(bears(labels, label_filter) for label_filter in self._filters):
            self._wake(event)

    def end(self, why: str) -> None:
        """End, as when the engine goes."""
        self._end = why
        self._wake()

    def _wake(self, *values: Any) -> None:
        with self._lock:
            self._values.extend(values)
            if not self._is_closed:
                os.write(self._writable, b"x")


def bears(labels: Mapping[str, str], wanted: str) -> bool:
    """Return whether labels match one label filter: `name`, or `name=value`."""
    name, equals, value = wanted.partition("=")
    return name in labels and (not equals or labels[name] == value)
