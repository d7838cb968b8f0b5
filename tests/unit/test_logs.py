"""Lines of the bots, as the engine streams them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from manager.commands import logs
from tests.builders import a_fleet, a_row


def stamped(second: int, text: str) -> bytes:
    return f"2026-01-01T00:00:{second:02}.000000000Z {text}\n".encode()


class Engine:
    """One stream after the other."""

    def __init__(self, *streams: list[bytes]) -> None:
        self.streams = iter(streams)

    def containers(self, _filters: object) -> list[dict[str, Any]]:
        return [a_row()]

    def logs(self, _container: str, **_options: object) -> Iterator[bytes]:
        return iter(next(self.streams))


def test_no_line_is_lost_to_stamps_that_go_back_and_forth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "RECONNECT_S", 0)
    engine: Any = Engine(
        [stamped(1, "one"), stamped(3, "three"), stamped(2, "two"), stamped(3, "also three")],
        [stamped(2, "two"), stamped(3, "three"), stamped(4, "four"), stamped(4, "also four")],
    )
    followed = logs._followed(engine, a_fleet(), "bp_sol_01", follow=True, tail="all")
    found = [line.decode().strip() for _stamp, line in itertools.islice(followed, 6)]
    assert found == ["one", "three", "two", "also three", "four", "also four"]
