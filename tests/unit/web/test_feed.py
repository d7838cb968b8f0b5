"""A browser that was away gets exactly what it missed, or is told to begin anew."""

from __future__ import annotations

import json
from typing import Any

import pytest

from manager.web.engine_side.feed import KEPT, MOST_BYTES, Event, Feed, Object


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


def test_an_update_of_a_large_fleet_is_small_and_tells_everything_in_the_end() -> None:
    """Prices and P&L of a third change with each look, and once a minute each bot's day."""
    feed = Feed()

    def look(number: int) -> list[Object]:
        changed = {bot for bot in range(200) if bot % 3 == number % 3}
        for bot in range(200):
            before = shown_by_server.get(bot, {})
            figures = {"price": f"{64_000 + number}.125", "pnl": f"{number}.25", "position": f"0.{number:04}"}
            shown_by_server[bot] = {
                **before,
                "id": f"binance_btc_{bot:03}",
                "trend": [f"{(number // 20) * 3 + value}.25" for value in range(48)],
                **(figures if bot in changed or not before else {}),
            }
        return list(shown_by_server.values())

    shown_by_server: dict[int, Object] = {}
    feed.put({}, look(0))
    _fleet, instances, last = feed.state()
    shown = {str(instance["id"]): dict(instance) for instance in instances}
    for number in range(1, 46):
        feed.put({}, look(number))
        [event] = feed.after(last)
        last = event.id
        assert len(json.dumps(event.data)) <= 40_000
        for key, changes in event.data["changed"].items():
            shown[key].update(changes)
    assert list(shown.values()) == feed.state()[1]


def test_the_trend_of_a_bot_that_is_gone_is_not_told() -> None:
    feed = Feed()
    for word in "12":
        feed.put({}, [{"id": str(bot), "trend": [word * (MOST_BYTES // 20)]} for bot in range(40)])
    before = feed.last_id
    feed.put({}, [])
    [event] = feed.after(before)
    assert event.data["changed"] == {}


def figures(number: int) -> dict[str, str]:
    """What a bot's first report makes new of it."""
    return {f"figure {place}": f"{number}.{place:04}" for place in range(24)}


def test_first_reports_of_a_large_fleet_come_in_pieces() -> None:
    """They were one update of 51 to 71 kB; who needs a person is told of first."""
    feed, names = Feed(), [f"binance_btc_{number:03}" for number in range(200)]
    feed.put({}, [bot(name, needs_person=False) for name in names])
    _fleet, instances, last = feed.state()
    shown = {str(instance["id"]): dict(instance) for instance in instances}
    told: list[list[str]] = []
    for _look in range(12):
        feed.put({}, [bot(name, needs_person=name == names[-1], **figures(7)) for name in names])
        [event] = feed.after(last)
        last = event.id
        assert len(json.dumps(event.data)) <= 40_000
        told.append(list(event.data["changed"]))
        for name, changes in event.data["changed"].items():
            shown[name].update(changes)
    assert told[0][0] == names[-1]
    assert sum(map(len, told)) == 200, "each once"
    assert told[-1] == []
    assert list(shown.values()) == feed.state()[1]


def test_who_came_while_something_was_yet_to_be_told_is_put_right_too() -> None:
    """What waits becomes again what it was, and what is new goes again, before it was ever told."""
    feed, names = Feed(), [f"binance_btc_{number:03}" for number in range(200)]
    calm = [bot(name, state="running") for name in names]
    feed.put({}, calm)
    feed.put({}, [bot(name, state="unhealthy" + "!" * 400) for name in [*names, "new"]])
    _fleet, instances, last = feed.state()
    shown = {str(instance["id"]): dict(instance) for instance in instances}
    for _look in range(8):
        feed.put({}, calm)
    for event in feed.after(last):
        for name, changes in event.data["changed"].items():
            shown[name].update(changes)
        for name in event.data["removed"]:
            shown.pop(name, None)
    assert list(shown.values()) == calm


def test_a_large_fleet_object_leaves_less_room_for_the_instances() -> None:
    feed, assets = Feed(), {"exposure": ["x" * 100] * 200}
    for number in range(2):
        feed.put(assets, [bot(f"bot_{place}", **figures(number)) for place in range(200)])
    last = feed.last_id
    feed.put(assets, [bot(f"bot_{place}", **figures(2)) for place in range(200)])
    [event] = feed.after(last)
    assert len(json.dumps(event.data)) <= 40_000
