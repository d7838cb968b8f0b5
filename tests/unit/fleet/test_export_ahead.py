"""What is exported of the other instances while a command works on a few of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from manager.engine.containers import observe as listed
from manager.engine.labels import COMPOSE_PROJECT, COMPOSE_WORKING_DIR
from manager.fleet import instances_json, instances_json_refresh, observe, project
from manager.fleet.instances_json import Pids
from manager.fleet.observe import FleetSnapshot
from tests.builders import a_config, a_row, write_config

IDS = ("bp_sol_01", "bp_sol_02")


@pytest.fixture
def fleet(tmp_path: Path) -> FleetSnapshot:
    """Two instances that run."""
    write_config(tmp_path, a_config())
    (tmp_path / "config/fleet.toml").write_text('name = "desk"\n')
    own = {COMPOSE_PROJECT: "desk", COMPOSE_WORKING_DIR: str(tmp_path)}
    rows = [a_row(one, labels=own, Names=[f"/desk-{one}"], Mounts=[]) for one in IDS]
    for one in IDS:
        (tmp_path / "volumes/logs" / one).mkdir(parents=True)
    return observe.assemble(project.read(tmp_path), listed(rows, "desk"), observe.Image("sha256:one", "1"))


def have_pids(monkeypatch: pytest.MonkeyPatch, pids: Mapping[str, int]) -> None:
    monkeypatch.setattr(instances_json, "find_pids", lambda _snapshot: Pids(pids))


def pid_files(fleet: FleetSnapshot) -> dict[str, str]:
    paths = {one: fleet.project.fleet.log_dir(f"logs/{one}") / "bot.pid" for one in IDS}
    return {one: path.read_text().strip() for one, path in paths.items() if path.exists()}


def refuse(why: object) -> None:
    raise AssertionError(why)


def test_the_others_are_written_and_not_again(fleet: FleetSnapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    have_pids(monkeypatch, {"bp_sol_01": 11, "bp_sol_02": 12})
    written = instances_json_refresh.ahead(fleet, ["bp_sol_01"])()
    assert (written, pid_files(fleet)) == ({"bp_sol_02": 12}, {"bp_sol_02": "12"})
    (fleet.project.fleet.log_dir("logs/bp_sol_02") / "bot.pid").write_text("left alone")
    have_pids(monkeypatch, {"bp_sol_01": 21, "bp_sol_02": 12})
    instances_json_refresh.write(fleet, refuse, written=written)
    assert pid_files(fleet) == {"bp_sol_01": "21", "bp_sol_02": "left alone"}
    exported = instances_json.read(fleet.project.fleet.export_file) or {}
    assert {one: record["bot_pid"] for one, record in exported.items()} == {"bp_sol_01": 21, "bp_sol_02": 12}


def test_one_that_was_restarted_meanwhile_is_written_again(
    fleet: FleetSnapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    have_pids(monkeypatch, {"bp_sol_01": 11, "bp_sol_02": 12})
    written = instances_json_refresh.ahead(fleet, ["bp_sol_01"])()
    have_pids(monkeypatch, {"bp_sol_01": 21})
    instances_json_refresh.write(fleet, refuse, written=written)
    assert pid_files(fleet) == {"bp_sol_01": "21"}, "the other bot has ended"


def test_what_could_not_be_written_is_said_at_the_end(
    fleet: FleetSnapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    have_pids(monkeypatch, {"bp_sol_02": 12})
    (fleet.project.fleet.log_dir("logs/bp_sol_02") / "bot.pid").mkdir()
    written = instances_json_refresh.ahead(fleet, ["bp_sol_01"])()
    warnings: list[str] = []
    instances_json_refresh.write(fleet, lambda why: warnings.append(str(why)), written=written)
    assert len(warnings) == 1
    assert warnings[0].startswith("cannot write the pid files of bp_sol_02: ")


@pytest.mark.parametrize("count", [0, instances_json_refresh.FEW + 1])
def test_with_none_or_many_nothing_is_written_ahead(
    fleet: FleetSnapshot, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """All of a fleet that begins are written once, at its end."""
    have_pids(monkeypatch, {"bp_sol_02": 12})
    assert instances_json_refresh.ahead(fleet, [f"bot_{number}" for number in range(count)])() == {}
    assert pid_files(fleet) == {}
