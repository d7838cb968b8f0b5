"""After an import, `manager up` started the old system's sample config, and what its owner had stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from manager.cli.main import main
from manager.fleet import project as projects
from tests.builders import a_config
from tests.fakes.sandbox import Sandbox
from tests.oldsystem import OldFolder

FLAT = {"bot_args": ["--exchange", "backpack", "--symbol", "SOL_USDC", "--strategy", "standard"]}


@pytest.fixture
def old(tmp_path: Path) -> OldFolder:
    """A folder of the old system with two configs, and the sample that came with it."""
    folder = OldFolder(tmp_path / "old")
    folder.add("ran_01", a_config("ran_01", 5021))
    folder.add("idle_01", a_config("idle_01", 5022))
    (folder.folder / "config" / "daemon_config.json").write_text(json.dumps(FLAT))
    for name in ("archived", "templates"):
        (folder.folder / "config" / name).mkdir()
    (folder.folder / "config" / "archived" / "of_last_year.json").write_text("{}")
    return folder


def test_what_did_not_run_is_stopped_here_too(old: OldFolder, sandbox: Sandbox) -> None:
    planned = sandbox.transcript(f"import {old.folder} --dry-run")
    assert "stopped, because it did not run; `manager start idle_01` starts it" in planned
    sandbox.transcript(f"import {old.folder} --yes")
    printed = sandbox.transcript("up")
    assert "idle_01: left alone: stopped by a user; `manager start idle_01` starts it" in printed
    assert set(sandbox.states()) == {"bp_eth_02", "bp_sol_01"}
    sandbox.transcript("start idle_01")
    assert sandbox.states()["idle_01"] == "running"


def test_what_ran_until_the_import_is_to_run_here(
    old: OldFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = tmp_path / "fleet"
    (fleet / "config" / "active").mkdir(parents=True)
    line = ["--project-dir", str(fleet), "import", str(old.folder), "--stop-old"]
    with old.running("ran_01"):
        main([*line, "--dry-run"])
        assert "`manager start ran_01`" not in capsys.readouterr().out
        main([*line, "--yes"])
    state = projects.read(fleet).fleet_state
    assert (state.of("ran_01").wish == "stopped", state.of("idle_01").wish) == (False, "stopped")


def test_the_sample_that_never_ran_is_left(old: OldFolder, sandbox: Sandbox) -> None:
    printed = sandbox.transcript(f"import {old.folder} --yes")
    assert "config/daemon_config.json: skip: never ran; `manager import" in printed
    assert "daemon_config" not in str([*projects.read(sandbox.folder).specs])
    sandbox.transcript(f"import {old.folder} daemon_config --yes")
    assert "daemon_config" in projects.read(sandbox.folder).specs


def test_one_that_has_run_is_imported(old: OldFolder, sandbox: Sandbox) -> None:
    old.register("flat_01", old.folder / "config" / "daemon_config.json", 5031)
    sandbox.transcript(f"import {old.folder} --yes")
    assert "flat_01" in projects.read(sandbox.folder).specs


def test_folders_that_the_old_system_does_not_run_are_named_with_what_they_hold(
    old: OldFolder, sandbox: Sandbox
) -> None:
    printed = sandbox.transcript(f"import {old.folder} --dry-run")
    assert "config/archived: skip: not run by the old system, and not imported: of_last_year.json" in printed
    assert "config/templates" not in printed


def test_a_config_that_the_old_system_ran_from_elsewhere_is_imported(
    old: OldFolder, sandbox: Sandbox
) -> None:
    """Its daemon took any file by `--config`: what lay outside config/active was lost without a word."""
    (old.folder / "mine").mkdir()
    path = old.folder / "mine" / "grid.json"
    path.write_text(json.dumps(a_config("far_01", 5033)))
    old.register("far_01", path, 5033)
    old.register("gone_01", old.folder / "mine" / "gone.json", 5034)
    printed = sandbox.transcript(f"import {old.folder} --yes")
    assert "far_01: copy config: mine/grid.json → config/active/far_01.json" in printed
    assert projects.read(sandbox.folder).fleet_state.of("far_01").wish == "stopped"
    assert "far_01: skip: already imported" in sandbox.transcript(f"import {old.folder} --yes")


def test_a_file_that_is_no_config_by_its_name_is_named(old: OldFolder, sandbox: Sandbox) -> None:
    for name in ("UP.JSON", ".#ran_01.json", "ran_01.json~"):
        (old.folder / "config" / "active" / name).write_text("{}")
    printed = sandbox.transcript(f"import {old.folder} --dry-run")
    assert "config/active/UP.JSON: skip: not imported: rename it to UP.json if it is a config" in printed
    assert "ran_01.json~" not in printed
