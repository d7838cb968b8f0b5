"""What stands on a curve: starts after the first, exits, and outages up to their end."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from manager import i18n
from manager.monitor.history.model import Event, Sample
from manager.monitor.history.reader import InstanceHistory
from manager.web.engine_side import marks, realized
from manager.web.engine_side.marks import MOST, Mark


def a_state(at: float, state: str, doing: str | None = None) -> Event:
    params: dict[str, Any] = {"state": state, "doing": doing, "why": None, "cause": None, "last": ""}
    return Event(at, "bp_sol_01", "state", f"{state}, {doing}", {"code": "state", "params": params})


def a_sample(at: float, start: float | None, pnl: str = "0", realized: str | None = None) -> Sample:
    gained = None if realized is None else Decimal(realized)
    return Sample(at, "running", "trading", "live", 0.0, start, "USDC", "SOL", Decimal(pnl), gained)


def of(
    one: InstanceHistory, begin: float = 0.0, end: float = 1000.0
) -> list[tuple[str, float, float | None]]:
    return [(mark.what, mark.at, mark.until) for mark in marks.of_instance(one, begin, end)]


def test_a_start_is_marked_only_after_another_one() -> None:
    samples = [a_sample(10, 5), a_sample(20, 5), a_sample(30, None), a_sample(40, 25), a_sample(50, 25)]
    assert of(InstanceHistory("bp_sol_01", samples)) == [("start", 25, None)]


def test_an_outage_lasts_until_the_next_state() -> None:
    events = [
        a_state(10, "running", "trading"),
        a_state(20, "running", "exchange away"),
        a_state(30, "running", "trading"),
        Event(40, "bp_sol_01", "exit", "exit code 1"),
        a_state(41, "restarting"),
        a_state(45, "running", "trading"),
        a_state(60, "failed"),
    ]
    assert of(InstanceHistory("bp_sol_01", events=events)) == [
        ("outage", 20, 30),
        ("exit", 40, None),
        ("outage", 41, 45),
        ("outage", 60, None),
    ]


def test_what_a_person_stopped_is_no_outage() -> None:
    events = [a_state(10, "running", "paused"), a_state(20, "stopped"), a_state(30, "completed", "finished")]
    assert of(InstanceHistory("bp_sol_01", events=events)) == []


def test_an_outage_that_goes_on_since_before_is_shown_and_one_that_ended_before_is_not() -> None:
    assert of(InstanceHistory("x", events=[a_state(10, "failed")]), 100, 200) == [("outage", 10, None)]
    ended = [a_state(10, "failed"), a_state(20, "running", "trading")]
    assert of(InstanceHistory("x", events=ended), 100, 200) == []


def test_a_state_of_a_later_version_is_no_fault() -> None:
    for reason in (None, "x", {"code": "state"}, {"code": "state", "params": {"state": "asleep"}}):
        assert of(InstanceHistory("x", events=[Event(1, "x", "state", "asleep", reason)])) == []


def test_a_mark_is_told_in_the_language_of_its_reader_whoever_has_found_it() -> None:
    outage, exit_ = marks.of_instance(
        InstanceHistory(
            "x", events=[a_state(20, "running", "exchange away"), Event(40, "x", "exit", "exit code 1")]
        ),
        0,
        1000,
    )
    with i18n.speaking("zh_TW"):
        assert marks.as_object(outage)["text"] == "執行中，交易所失聯"
    assert marks.as_object(outage)["text"] == "running, exchange away"
    assert marks.as_object(exit_) == {
        "at": 40,
        "what": "exit",
        "instance": "x",
        "text": "exit code 1",
        "until": None,
    }
    assert marks.as_object(Mark(1.0, "start", "x"))["text"] == ""


def test_the_newest_marks_stay() -> None:
    many = [Mark(float(at), "exit", "x") for at in range(MOST + 10)]
    assert marks.newest(reversed(many)) == many[10:]


def test_what_is_realised_is_added_up_as_pnl_is() -> None:
    samples = [a_sample(0, 0, "5", "1"), a_sample(60, 0, "4", "3"), a_sample(120, 0, "9")]
    [curve] = realized.curves_of(InstanceHistory("x", samples))
    assert (curve["kind"], curve["quote"]) == ("live", "USDC")
    assert curve["points"] == [[0, "1", False], [60, "3", False]]
