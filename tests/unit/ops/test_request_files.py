"""The file that tells a bot its share and its turn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from manager.config.fleet import Fleet
from manager.ops.requests import request_files
from manager.ops.requests.request_budget import Allotment, Share
from manager.ops.requests.request_files import MOST_BANNED_S, RequestFiles
from tests.fakes.sandbox import Sandbox
from tests.unit.ops.test_flows_requests import limits

NOW = 1_764_500_000.0
TOLD = Allotment(Share(38.4, 4.8), 12.0, 2.0, {"fetch_my_trades": 5.0}, ((("aster", "address", ""), 60.0),))


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    for number in range(40):
        (tmp_path / "secrets" / f"b{number}").mkdir(parents=True)
    return Fleet("desk", tmp_path, tmp_path)


def told(fleet: Fleet, instance: str = "b0") -> dict[str, Any]:
    content = json.loads((fleet.secrets_dir(instance) / request_files.FILE).read_text())
    assert isinstance(content, dict)
    return content


def test_a_start_has_its_turn_and_only_its_bot_may_read_it(fleet: Fleet) -> None:
    files = RequestFiles(fleet, {f"b{number}": TOLD for number in range(40)}, lambda: NOW)
    for number in range(40):
        files.give_turn(f"b{number}")
    assert told(fleet) == {
        "schema": 1,
        "a_minute": 38.4,
        "for_cancels": 4.8,
        "tick": 2.0,
        "weights": {"fetch_my_trades": 5.0},
        "phase": 12.0,
        "turn_given": NOW,
        "turn": NOW,
    }
    assert [told(fleet, f"b{number}")["turn"] - NOW for number in (14, 15, 16, 39)] == [0, 1, 2, 25]
    assert (fleet.secrets_dir("b0") / request_files.FILE).stat().st_mode & 0o777 == 0o400


def test_it_is_written_again_only_when_something_changes(fleet: Fleet) -> None:
    path = fleet.secrets_dir("b0") / request_files.FILE
    request_files.write(fleet, "b0", TOLD, NOW, NOW)
    first = path.stat().st_ino
    request_files.write(fleet, "b0", TOLD._replace(share=Share(38.5, 4.8)), NOW + 1)
    assert path.stat().st_ino == first
    request_files.write(fleet, "b0", TOLD._replace(share=Share(30.0, 4.8)), NOW + 1)
    assert told(fleet)["a_minute"] == 30.0


def test_a_ban_is_announced_for_a_day_at_most_and_outlives_a_command(fleet: Fleet) -> None:
    request_files.write(fleet, "b0", TOLD, NOW, banned_until=NOW + 1e9)
    assert told(fleet)["banned_until"] == NOW + MOST_BANNED_S
    request_files.write(fleet, "b0", TOLD, NOW + 5, NOW + 5)
    assert told(fleet)["banned_until"] == NOW + MOST_BANNED_S
    request_files.write(fleet, "b0", TOLD, NOW + 6, banned_until=0)
    assert "banned_until" not in told(fleet)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"banned_until": "2099"}', '{"banned_until": NaN}'])
def test_whatever_was_there_is_replaced(fleet: Fleet, content: str) -> None:
    (fleet.secrets_dir("b0") / request_files.FILE).write_text(content)
    request_files.write(fleet, "b0", TOLD, NOW)
    assert told(fleet)["a_minute"] == 38.4
    assert "banned_until" not in told(fleet)


def test_a_bot_whose_exchange_has_no_limit_any_more_is_not_held_to_its_former_share(fleet: Fleet) -> None:
    request_files.write(fleet, "b0", TOLD, NOW)
    RequestFiles(fleet, {}, lambda: NOW).give_turn("b0")
    assert not (fleet.secrets_dir("b0") / request_files.FILE).exists()


def test_no_folder_and_no_disk_keep_a_bot_from_starting(fleet: Fleet) -> None:
    RequestFiles(fleet, {"none": TOLD}, lambda: NOW).give_turn("none")
    path = fleet.secrets_dir("b0") / request_files.FILE
    path.mkdir()
    RequestFiles(fleet, {"b0": TOLD}, lambda: NOW).give_turn("b0")


def test_up_tells_each_live_bot_and_a_bot_without_a_limit_nothing(sandbox: Sandbox) -> None:
    sandbox.run("up")
    files = [
        sandbox.folder / "volumes/secrets" / name / request_files.FILE for name in ("bp_eth_02", "bp_sol_01")
    ]
    assert not any(file.exists() for file in files), (
        "on paper there is no account, and Backpack has no other limit"
    )
    sandbox.run("down")
    limits(sandbox, 2000)
    sandbox.run("up")
    for file in files:
        content = json.loads(file.read_text())
        assert (content["a_minute"], content["phase"]) == (800.0, 0.0)
        assert content["turn"] == content["turn_given"]
    sandbox.run("stop bp_eth_02")
    sandbox.run("restart bp_sol_01")
    assert json.loads(files[1].read_text())["a_minute"] == 1600.0
