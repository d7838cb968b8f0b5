"""When what has been gathered is sent: a burst is one message, and messages keep their distance."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from manager.i18n import Text
from manager.monitor.watch import notifier
from manager.monitor.watch.addresses import Address
from manager.monitor.watch.alert_state import Alert
from manager.monitor.watch.messages import Message
from tests.builders import a_fleet
from tests.fakes.clock import Clock


class Sent:
    """A deliverer that only keeps what it is given."""

    def __init__(self, _warn: Callable[[object], object]) -> None:
        self.titles: list[str] = []

    def put(self, message: Message, _addresses: Sequence[Address]) -> None:
        """Keep it."""
        self.titles.append(message.title)


def test_messages_keep_their_distance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    monkeypatch.setattr(notifier, "Deliverer", Sent)
    fleet = a_fleet(data_dir=tmp_path)
    rules = fleet.alerts._replace(message_interval=60)
    newsroom = notifier.Notifier(fleet, clock.time())
    sent: Any = newsroom._deliverer

    def happens(name: str) -> None:
        newsroom.add(Alert(name, "failed", "bad", Text("{id} failed", id=name)), clock.time())

    def after(seconds: float) -> list[str]:
        clock.sleep(seconds)
        newsroom.flush([], rules)
        titles, sent.titles = sent.titles, []
        return list(titles)

    happens("one")
    assert after(1) == [], "what happens together is one message"
    happens("two")
    assert after(3) == ["botfleet desk: 2 failed: one, two"]
    happens("three")
    assert after(3) == [], "a minute is not over"
    happens("four")
    assert after(50) == []
    assert after(10) == ["botfleet desk: 2 failed: three, four"]
