"""What a person's start clears, and what outlives it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from manager.fleet import bot_report, state_reset, supervisor_state
from manager.fleet.supervisor_state import REPORT_FILE, STATE_FILE
from manager.util import atomic_file
from tests.builders import a_supervisor_file

KEPT = {
    "schema": 1,
    "read_at": 1764529290.4,
    "written_at": 1764529290.1,
    "run_started_at": 1764529200.0,
    "run_ended": True,
    "previous_run": False,
    "open_orders_left": 3,
    "report": {
        "contract": 2,
        "final": True,
        "at": 1764529290.0,
        "pnl": "-4.2",
        "quote": "USDC",
        "position": "4.5",
        "base": "SOL",
    },
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / STATE_FILE).write_text(json.dumps(a_supervisor_file("completed")))
    return tmp_path


def written(folder: Path, report: Any) -> None:
    (folder / REPORT_FILE).write_text(json.dumps(report))


def test_the_last_report_outlives_a_start_as_that_of_an_earlier_run(folder: Path) -> None:
    written(folder, KEPT)
    state_reset.reset(folder)
    kept = bot_report.read_kept(folder)
    assert kept is not None
    assert (kept.is_previous, kept.at, str(kept.report.pnl)) == (True, 1764529290.0, "-4.2")
    assert supervisor_state.read(folder) is None


def test_the_orders_that_an_earlier_run_left_are_not_the_next_ones(folder: Path) -> None:
    written(folder, KEPT)
    assert supervisor_state.open_orders_left(folder) == 3
    state_reset.reset(folder)
    assert supervisor_state.open_orders_left(folder) is None


def test_a_report_that_no_supervisor_has_copied_goes(folder: Path) -> None:
    written(folder, {"open_orders_left": 0, "pnl": "5", "quote": "USDC"})  # a bot of contract 1
    state_reset.reset(folder)
    assert not (folder / REPORT_FILE).exists()


def test_a_report_that_cannot_be_marked_goes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(folder, KEPT)

    def full(*_args: object, **_more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_file, "replace_bytes", full)
    state_reset.reset(folder)
    assert not (folder / REPORT_FILE).exists()


def test_a_link_in_the_place_of_the_report_is_removed_and_not_followed(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps(KEPT))
    (folder / REPORT_FILE).symlink_to(other)
    state_reset.reset(folder)
    assert not (folder / REPORT_FILE).is_symlink()
    assert json.loads(other.read_text()) == KEPT


@pytest.mark.parametrize(("state", "waits"), [("completed", True), ("failed", True), ("running", False)])
def test_only_the_removal_of_a_final_state_waits_for_the_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch, state: str, *, waits: bool
) -> None:
    """One that reappears after a power failure would keep the bot down; each start would wait else."""
    synced: list[Path] = []
    monkeypatch.setattr(atomic_file, "sync_folder", synced.append)
    (folder / STATE_FILE).write_text(json.dumps(a_supervisor_file(state)))
    state_reset.reset(folder)
    assert synced == ([folder] if waits else [])


@pytest.mark.parametrize(
    ("restarts", "is_free"),
    [
        ({"in_a_row": 1, "next_is_free": True}, True),
        ({"in_a_row": 1, "next_is_free": False}, False),
        ({"in_a_row": 0}, True),
        ({"in_a_row": 1}, False),
    ],
)
def test_a_restart_counts_that_its_supervisor_has_counted(
    folder: Path, restarts: dict[str, object], *, is_free: bool
) -> None:
    """An earlier supervisor says nothing of the next one: "restart 0 of 3" would be wrong of it."""
    content = a_supervisor_file("restarting", restarts={"total": 4, "max": 3, "next_at": 9.0, **restarts})
    (folder / STATE_FILE).write_text(json.dumps(content))
    state = supervisor_state.read(folder)
    assert state is not None
    assert state.next_restart_is_free is is_free
