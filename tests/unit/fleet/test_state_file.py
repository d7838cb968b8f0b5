"""state/fleet.json and the ports it remembers."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.errors import ManagerError
from manager.fleet import state_file
from manager.fleet.state_file import FleetState
from manager.util.moment import Moment
from tests.builders import a_fleet


def test_it_survives_being_written(tmp_path: Path) -> None:
    before = FleetState("desk").with_wish(["a", "b"], "stopped").with_registered(["a"], "2025-11-30T19:00:00")
    before = before.with_ports({"b": 5007}).with_id("config/active/x.json", "c")
    state_file.save(tmp_path / "fleet.json", before)
    assert state_file.load(tmp_path / "fleet.json", "desk") == before
    assert before.of("unknown").wish == "run"


def test_the_first_registration_stays() -> None:
    twice = FleetState("desk").with_registered(["a"], "first").with_registered(["a"], "second")
    assert twice.of("a").registered_at == "first"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"schema": 2, "instances": {}, "fleet": "desk"}',
        '{"schema": 1}',
        '{"schema": 1, "fleet": "desk", "ids": {}, "instances": {"a": {"wish": "maybe"}}}',
    ],
)
def test_an_unreadable_file_is_an_error_and_stays_as_it_is(tmp_path: Path, content: str) -> None:
    path = tmp_path / "fleet.json"
    path.write_text(content)
    loaded = state_file.load(path, "desk")
    assert "fleet.json" in str(loaded.faults[0])
    assert loaded.instances == {}
    assert path.read_text() == content


def test_an_unreadable_file_is_not_written_over_by_a_change(tmp_path: Path) -> None:
    """It is all that knows which bots a person has stopped."""
    fleet = a_fleet(data_dir=tmp_path)
    fleet.state_file.parent.mkdir(parents=True)
    fleet.state_file.write_text("{")
    with pytest.raises(ManagerError, match=r"cannot change the fleet's state: .*fleet.json"):
        state_file.update(fleet, lambda state: state.with_wish(["a"], "stopped"))
    assert fleet.state_file.read_text() == "{"
    state_file.update(fleet, lambda state: state)  # without a change it is nobody's matter


def test_another_fleets_data_folder_is_refused(tmp_path: Path) -> None:
    state_file.save(tmp_path / "fleet.json", FleetState("other"))
    (fault,) = state_file.load(tmp_path / "fleet.json", "desk").faults
    assert "belongs to the fleet other" in str(fault)


def test_ports_are_the_known_ones_else_the_lowest_free() -> None:
    assert state_file.assign_ports(["c", "a", "b"], {"b": 5009}, [5001, 5003]) == {
        "a": 5002,
        "b": 5009,
        "c": 5004,
    }
    assert state_file.assign_ports(["a"], {"a": 5001}, [5001]) == {"a": 5002}
    assert state_file.assign_ports(["a", "b"], {"a": 5001}, [], lambda port: port > 5003) == {
        "a": 5001,
        "b": 5004,
    }
    assert state_file.assign_ports(["a", "b"], {"a": 5005, "b": 5005}, []) == {"a": 5005, "b": 5001}


def test_what_was_stopped_or_removed_since_a_command_was_given(tmp_path: Path) -> None:
    def at(uptime_s: float, boot: str = "boot") -> Moment:
        return Moment(boot, uptime_s)

    before = FleetState("desk").with_removed(["long_ago"], 0.0, at(100)).with_stopped(["earlier"], at(110))
    after = before.with_removed(["removed"], 0.0, at(199)).with_stopped(["stopped", "earlier"], at(198))
    after = after.with_stopped(["before_the_boot"], at(9e9, "another"))
    state_file.save(tmp_path / "fleet.json", after)
    after = state_file.load(tmp_path / "fleet.json", "desk")
    ended = {"removed": "down", "stopped": "stop", "earlier": "stop"}
    assert after.called_off_since(after, at(150)) == ended
    assert after.called_off_since(before, at(200)) == {**ended, "before_the_boot": "stop"}
    assert after.called_off_since(after, at(200)) == {}
    assert after.called_off_since(after, Moment()) == {}
    assert after.of("stopped").wish == "stopped"


def test_when_it_was_taken_down_is_kept(tmp_path: Path) -> None:
    """Else the watch takes a container that a person has removed for one that is lost."""
    path = tmp_path / "fleet.json"
    state_file.save(path, FleetState("desk").with_removed(["bp_sol_01"], 7.0, Moment()))
    assert state_file.load(path, "desk").of("bp_sol_01").taken_down_at == 7.0
