"""When what has been gathered is sent: a burst is one message, and messages keep their distance."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from manager.config.variables import secret_values
from manager.i18n import Text
from manager.monitor.watch import notifier, store
from manager.monitor.watch.addresses import Address
from manager.monitor.watch.alert_state import Alert, Key, Open
from manager.monitor.watch.history import NO_HISTORY
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


def test_what_to_do_is_printed_below_the_alert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(notifier, "Deliverer", Sent)
    newsroom = notifier.Notifier(a_fleet(data_dir=tmp_path), 0.0, lambda: {"s3cret"})
    details = ("`manager start a` starts it", "s3cret")
    newsroom.add(Alert("a", "down", "bad", Text("{id} is down", id="a"), details), 0.0)
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.endswith(" a is down")
    assert lines == ["  `manager start a` starts it", "  …"]


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


def test_what_is_not_sent_yet_does_not_count_as_said(tmp_path: Path) -> None:
    """Whoever kills `watch` in between gets it from the next one."""
    fleet = a_fleet(data_dir=tmp_path)
    fleet.alert_state_file.parent.mkdir()
    newsroom = notifier.Notifier(fleet, time.time())
    newsroom.add(Alert("one", "failed", "bad", Text("failed")), time.time())
    newsroom.save(at_once=True)
    assert not fleet.alert_state_file.exists()
    newsroom.close([])
    assert fleet.alert_state_file.exists()


def test_what_never_comes_to_rest_is_sent_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    monkeypatch.setattr(notifier, "Deliverer", Sent)
    fleet = a_fleet(data_dir=tmp_path)
    newsroom = notifier.Notifier(fleet, clock.time())
    sent: Any = newsroom._deliverer
    for number in range(round(notifier.GATHER_MOST_S) + 1):
        assert sent.titles == []
        newsroom.add(Alert(f"bot{number}", "failed", "bad", Text("failed")), clock.time())
        newsroom.flush([], fleet.alerts)
        clock.sleep(1)
    assert len(sent.titles) == 1


def test_no_secret_leaves_the_machine_in_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bot may print one, or its exchange repeat it; its last line is part of an alert."""
    monkeypatch.setattr(notifier, "Deliverer", Sent)
    fleet = a_fleet(data_dir=tmp_path)
    variables = {"A_KEY": "4Pb3v4Ggqusse5SL", "B_SECRET": "word", "LEVEL": "a level of twelve"}
    newsroom = notifier.Notifier(fleet, time.time(), lambda: secret_values(variables))
    sent: Any = newsroom._deliverer
    text = Text("one failed: {why}", why="invalid key 4Pb3v4Ggqusse5SL, word, a level of twelve")
    newsroom.add(Alert("one", "failed", "bad", text), time.time())
    newsroom._send([])
    (title,) = sent.titles
    for shown in (title, capsys.readouterr().out.rstrip()):
        assert shown.endswith("one failed: invalid key …, word, a level of twelve")


def test_a_limit_that_was_halted_for_is_known_to_the_next_watch(tmp_path: Path) -> None:
    fleet = a_fleet(data_dir=tmp_path)
    fleet.state_dir.mkdir(parents=True)
    today = datetime.fromtimestamp(time.time()).date().isoformat()
    first = notifier.Notifier(fleet, time.time())
    assert not first.was_halted_today("", "fleet_loss")
    first.note_halted([("", "fleet_loss", today), ("one", "account_loss", "2020-01-01")])
    first.save(at_once=True)
    again = notifier.Notifier(fleet, time.time())
    assert again.was_halted_today("", "fleet_loss")
    assert not again.was_halted_today("one", "account_loss"), "of another day"
    again.save(at_once=True)
    assert notifier.Notifier(fleet, time.time()).was_halted_today("", "fleet_loss")


def test_a_limit_that_was_only_told_is_halted_for(tmp_path: Path) -> None:
    """The earlier watch may have been killed between the two."""
    fleet = a_fleet(data_dir=tmp_path)
    fleet.state_dir.mkdir(parents=True)
    book: dict[Key, Open] = {("", "fleet_loss"): Open(time.time(), time.time())}
    store.save(fleet.alert_state_file, store.Saved(book, NO_HISTORY))
    assert not notifier.Notifier(fleet, time.time()).was_halted_today("", "fleet_loss")


def test_a_watch_of_an_earlier_version_has_only_told(tmp_path: Path) -> None:
    fleet = a_fleet(data_dir=tmp_path)
    fleet.state_dir.mkdir(parents=True)
    day = 86400.0
    book: dict[Key, Open] = {
        ("", "fleet_loss"): Open(time.time(), time.time()),
        ("one", "account_loss"): Open(1.0, time.time() - day),
    }
    store.save(fleet.alert_state_file, store.Saved(book, NO_HISTORY))
    content = json.loads(fleet.alert_state_file.read_text())
    del content["halted"]
    fleet.alert_state_file.write_text(json.dumps(content))
    newsroom = notifier.Notifier(fleet, time.time())
    assert newsroom.was_halted_today("", "fleet_loss")
    assert not newsroom.was_halted_today("one", "account_loss")
