"""A browser that was away gets exactly what it missed, or is told to begin anew."""

from __future__ import annotations

from typing import Any

import pytest

from manager.web.engine_side.feed import KEPT, Event, Feed


def bot(instance: str, **facts: Any) -> dict[str, Any]:
    return {"id": instance, **facts}


def test_an_event_has_only_what_has_changed() -> None:
    feed = Feed()
    feed.put({"n": 1}, [bot("a", pnl="1", uptime_s=1), bot("b", pnl="2")])
    before = feed.last_id
    feed.put({"n": 2}, [bot("a", pnl="1.5", uptime_s=2), bot("c", pnl="0")])
    [event] = feed.after(before)
    assert event.name == "look"
    assert event.data == {
        "fleet": {"n": 2},
        "changed": {"a": {"pnl": "1.5"}, "c": {"id": "c", "pnl": "0"}},
        "removed": ["b"],
    }


def test_events_add_up_to_the_state() -> None:
    feed = Feed()
    feed.put({}, [bot("a", x=0)])
    _fleet, members, event = feed.state()
    state = {member["id"]: dict(member) for member in members}
    for number in range(1, 9):
        feed.put({}, [bot("a", x=number // 2), *([bot("b", y=number)] if number % 3 else [])])
    for later in feed.after(event):
        for key, changes in later.data["changed"].items():
            state.setdefault(key, {}).update(changes)
        for key in later.data["removed"]:
            del state[key]
    assert list(state.values()) == feed.state()[1]


def test_a_reader_that_is_up_to_date_gets_nothing() -> None:
    feed = Feed()
    feed.put({}, [])
    assert feed.after(feed.last_id) == []


@pytest.mark.parametrize(
    "last", ["", "x", "-", "-1", "{boot}-", "{boot}-x", "{boot}--1", "{boot}-9999", "{boot}-²"]
)
def test_a_place_that_nobody_knows_is_a_reset(last: str) -> None:
    feed = Feed()
    feed.put({}, [])
    boot = feed.last_id.partition("-")[0]
    assert feed.after(last.format(boot=boot)) == [Event(feed.last_id, "reset", {})]


def test_another_server_is_a_reset() -> None:
    one, other = Feed(), Feed()
    one.put({}, [])
    other.put({}, [])
    assert [event.name for event in other.after(one.last_id)] == ["reset"]


def test_what_is_no_longer_kept_is_a_reset_and_the_last_that_is_kept_is_none() -> None:
    feed = Feed()
    ids = []
    for _number in range(KEPT + 2):
        feed.put({}, [])
        ids.append(feed.last_id)
    assert [event.name for event in feed.after(ids[0])] == ["reset"]
    assert [event.id for event in feed.after(ids[1])] == ids[2:]
