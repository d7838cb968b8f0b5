"""What a person has left until a time: said then, and nothing else is silenced by it."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from manager.config.fleet import Alerts, Fleet
from manager.errors import UsageError
from manager.fleet import doing, snoozes
from manager.fleet.snoozes import Snooze
from manager.fleet.state_file import InstanceState
from manager.i18n import Text
from manager.monitor.watch import snoozing, store
from manager.monitor.watch.alert_rules import Condition
from manager.monitor.watch.alert_state import Key, Open, advance
from manager.monitor.watch.history import NO_HISTORY
from manager.monitor.watch.notifier import Notifier
from manager.util import time_parse
from tests.web.served import a_bot

RULES = Alerts(remind_after=100)
AWAY = Condition("a", "exchange_away", Text("away"))
OUT = Condition("a", "stopped_out", Text("out"))


def advanced(
    book: dict[Key, Open], now: float, *conditions: Condition, until: float | None
) -> tuple[dict[Key, Open], list[str]]:
    snoozed = {} if until is None else {("a", AWAY.kind): until}
    book, alerts = advance(book, conditions, RULES, now, snoozed=snoozed)
    return book, [str(alert.text) for alert in alerts]


def test_it_is_silent_until_then_and_said_once_then() -> None:
    book, texts = advanced({}, 0, AWAY, until=None)
    assert texts == ["away"]
    for now in (150, 300, 499):
        book, texts = advanced(book, now, AWAY, until=500)
        assert texts == [], now
    book, texts = advanced(book, 500, AWAY, until=500)
    assert len(texts) == 1
    book, texts = advanced(book, 501, AWAY, until=500)
    assert texts == []


def test_even_what_is_never_reminded_of_is_said_then() -> None:
    completed = Condition("a", "completed", Text("completed"))
    book, _alerts = advance({}, [completed], RULES, 0)
    book, alerts = advance(book, [completed], RULES, 400, snoozed={("a", "completed"): 500})
    assert not alerts
    _book, alerts = advance(book, [completed], RULES, 500, snoozed={("a", "completed"): 500})
    assert len(alerts) == 1


def test_another_kind_of_alert_comes_as_always() -> None:
    book, _texts = advanced({}, 0, AWAY, until=None)
    _book, texts = advanced(book, 10, AWAY, OUT, until=500)
    assert texts == ["out"]


def test_a_file_that_was_written_by_hand_leaves_nothing_for_longer_than_a_month(tmp_path: Path) -> None:
    path = tmp_path / "snoozed.json"
    snoozes.save(path, {"a": Snooze(1000.0, 1000.0 + 400 * 86400, "running", "trading", {})})
    assert snoozes.load(path)["a"].until == 1000.0 + 30 * 86400


@pytest.mark.parametrize(
    ("since", "now", "is_silenced"),
    [
        (1000.0, 2000.0, True),
        (1500.0, 2000.0, False),
        (1000.0, 1200.0 - 3600, True),
        (1000.0, 1200.0 - 86401, False),
    ],
    ids=["as it was left", "ended and began again", "the clock was set back", "it had told another day"],
)
def test_what_is_silenced(since: float, now: float, is_silenced: bool) -> None:
    left = {"a": Snooze(1200.0, 3000.0, "running", "exchange away", {"exchange_away": 1000.0})}
    silenced = snoozing.silenced(
        left, {("a", "exchange_away"): Open(since), ("b", "down"): Open(1000.0)}, now
    )
    assert silenced == ({("a", "exchange_away"): 3000.0} if is_silenced else {})


def test_a_file_survives_and_a_spoiled_one_silences_nothing(tmp_path: Path) -> None:
    file = Fleet("desk", tmp_path, tmp_path).snooze_file
    assert snoozes.load(file) == {}
    file.parent.mkdir(parents=True)
    left = {"a": Snooze(1.0, 2.0, "running", "out of range", {"down": 0.5})}
    snoozes.save(file, left)
    assert snoozes.load(file) == left
    for content in (
        "",
        "[]",
        '{"schema": 2}',
        '{"schema": 1, "instances": {"a": {}}}',
        '{"schema": 1, "instances": 3}',
    ):
        file.write_text(content)
        assert snoozes.load(file) == {}, content


def test_a_bot_is_left_as_it_was_and_not_longer() -> None:
    left = Snooze(100.0, 200.0, "running", "out of range", {})
    assert left.covers("running", "out of range", 100.0 - 8 * 3600), "a wrong time zone, put right"
    assert left.covers("running", "out of range", 150)
    assert not left.covers("running", "stopped out", 150)
    assert not left.covers("failed", "out of range", 150)
    assert not left.covers("running", "out of range", 200)
    assert not left.covers("running", "out of range", 100.0 - 86401), "the clock had told another day"


def test_a_clock_that_is_set_back_ends_no_snooze_in_a_watch_that_goes_on(tmp_path: Path) -> None:
    fleet, key = a_fleet_folder(tmp_path), ("a", AWAY.kind)
    now = time.time()
    book, _texts = advanced({}, now - 600, AWAY, until=None)
    snoozes.save(fleet.snooze_file, {"a": Snooze(now, now + 3600, "running", "", {AWAY.kind: now - 600})})
    store.save(fleet.alert_state_file, store.Saved(book, NO_HISTORY))
    notifier = Notifier(fleet, now)
    set_at = now - 8 * 3600
    notifier.clock_was_set(-8 * 3600, set_at)
    for seconds in (0, 200, 400):  # longer than remind_after
        note(notifier, set_at + seconds)
        left = snoozing.silenced(snoozes.load(fleet.snooze_file), notifier._book, set_at + seconds)
        assert left == {key: now + 3600}, seconds
    assert not notifier._pending
    assert notifier._book[key].gone_at is None


def note(notifier: Notifier, at: float) -> None:
    notifier.note([AWAY], RULES, at, well=(), away=(), are_unknown=False, unsettled=())


def a_fleet_folder(tmp_path: Path) -> Fleet:
    fleet = Fleet("desk", tmp_path, tmp_path)
    fleet.state_dir.mkdir(parents=True)
    return fleet


def noticed_by_watch(fleet: Fleet, **since: float) -> None:
    book = {("a", kind): Open(at, at) for kind, at in since.items()}
    store.save(fleet.alert_state_file, store.Saved(book, NO_HISTORY))  # type: ignore[arg-type]


def test_a_bot_that_has_ended_calmly_can_be_left_before_watch_has_noticed(tmp_path: Path) -> None:
    """It is news that `watch` tells: to say that nothing is wrong would be followed by an alert."""
    fleet, now = a_fleet_folder(tmp_path), time.time()
    view = a_bot("a", "completed", code="finished", position="0", is_final=True).view
    assert view.report is not None
    view = view._replace(report=view.report._replace(has_ended=True))
    assert doing.severity(view) == "calm"
    made = snoozing.snooze(fleet, view, now + 3600)
    assert made.alerts == {"completed": made.at}
    key: Key = ("a", "completed")
    left = snoozes.load(fleet.snooze_file)
    for since, is_silenced in {made.at + 20: True, made.at + 300: False, made.at - 20: False}.items():
        assert (key in snoozing.silenced(left, {key: Open(since)}, now + 400)) == is_silenced


@pytest.mark.parametrize("state", ["stopped", "running"])
def test_a_bot_with_which_nothing_is_wrong_is_not_left(tmp_path: Path, state: Any) -> None:
    fleet = a_fleet_folder(tmp_path)
    view = a_bot("a", state).view
    view = view._replace(saved=InstanceState(wish="stopped" if state == "stopped" else "run"))
    with pytest.raises(UsageError, match="nothing is wrong with a"):
        snoozing.snooze(fleet, view, time.time() + 3600)


def test_it_is_left_only_as_long_as_nothing_new_happens(tmp_path: Path) -> None:
    fleet, now = a_fleet_folder(tmp_path), time.time()
    noticed_by_watch(fleet, failed=now - 60)
    view = a_bot("a", "failed", code="trading", position="0").view
    snoozing.snooze(fleet, view, now + 3600)
    left = snoozes.load(fleet.snooze_file)
    book: dict[Key, Open] = {("a", "failed"): Open(now - 60)}
    assert snoozing.left_until(left, book, view, now + 1) == now + 3600
    assert snoozing.left_until(left, {**book, ("a", "cancel"): Open(now)}, view, now + 1) is None
    assert snoozing.left_until(left, {("a", "failed"): Open(now + 100)}, view, now + 200) is None
    assert snoozing.left_until(left, book, a_bot("a").view, now + 1) is None
    assert snoozing.left_until(left, book, view, now + 3601) is None
    assert snoozing.left_until({}, book, view, now + 1) is None
    over = {**book, ("a", "cancel"): Open(now, gone_at=now + 1)}
    assert snoozing.left_until(left, over, view, now + 2) == now + 3600, "what is over is nothing new"
    assert snoozing.end(fleet, "a")
    assert snoozes.load(fleet.snooze_file) == {}
    assert not snoozing.end(fleet, "a"), "it was not left"


def test_what_is_over_is_not_listed_and_what_is_left_no_longer_is_listed_without_a_time() -> None:
    book: dict[Key, Open] = {
        ("a", "down"): Open(10.0),
        ("b", "down"): Open(5.0),
        ("c", "down"): Open(1.0, 2.0, 3.0),
    }
    left = {
        name: Snooze(20.0, until, "failed", "", {"down": at})
        for name, until, at in (("a", 50.0, 10.0), ("b", 90.0, 5.0))
    }
    listed = [(alert.instance, alert.snoozed_until) for alert in snoozing.of_book(book, left, 60.0)]
    assert listed == [("b", 90.0), ("a", None)]


@pytest.mark.parametrize("seconds", [-1.0, 0.0, snoozes.LONGEST_S + 1])
def test_a_time_that_is_past_or_far_away_leaves_nothing(seconds: float) -> None:
    with pytest.raises(UsageError, match="within the next 30 days"):
        snoozing.require_near(1000.0 + seconds, 1000.0)
    snoozing.require_near(1000.0 + snoozes.LONGEST_S, 1000.0)


def test_the_next_morning_is_more_than_an_hour_away() -> None:
    at_three = datetime(2026, 11, 29, 3, 0).timestamp()
    assert datetime.fromtimestamp(snoozing.next_morning(at_three)) == datetime(2026, 11, 29, 8, 0)
    at_half_past_seven = datetime(2026, 11, 29, 7, 30).timestamp()
    assert datetime.fromtimestamp(snoozing.next_morning(at_half_past_seven)) == datetime(2026, 11, 30, 8, 0)


def test_a_time_to_come() -> None:
    now = time.time()
    assert time_parse.parse_later("8h") == pytest.approx(now + 8 * 3600, abs=5)
    assert now < time_parse.parse_later("08:00") <= now + 86400 + 3600
    for past in ("2020-01-01", "24:00", "8", "", "-1h"):
        with pytest.raises(ValueError, match=r".|^$"):
            time_parse.parse_later(past)
