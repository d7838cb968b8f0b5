"""What editors and other systems leave in config/active does not hold up the fleet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from manager.errors import UsageError
from manager.fleet import project
from manager.fleet.project import Project
from tests.builders import a_config, write_config
from tests.fakes.sandbox import Sandbox


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_config(tmp_path, a_config())
    return tmp_path / "config" / "active"


def read(folder: Path) -> tuple[Project, list[str]]:
    loaded = project.read(folder.parents[1])
    return loaded, [str(warning) for warning in loaded.warnings if "ignore" in str(warning)]


def test_the_lock_of_an_emacs_that_has_a_config_open_is_ignored(folder: Path) -> None:
    (folder / ".#bp_sol_01.json").symlink_to("ann@desk.4711:1764000000")
    loaded, warnings = read(folder)
    assert (loaded.problems, [*loaded.specs]) == ((), ["bp_sol_01"])
    assert warnings == ["config/active: ignores files whose names begin with a dot: .#bp_sol_01.json"]


def test_the_attributes_that_macos_copies_beside_each_config_are_ignored_in_one_line(folder: Path) -> None:
    for name in ("._bp_sol_01.json", "._bp_eth_02.json"):
        (folder / name).write_bytes(b"\0\5\26\7\0\2\0\0Mac OS X")
    loaded, warnings = read(folder)
    assert loaded.problems == ()
    assert warnings == [
        "config/active: ignores files whose names begin with a dot: ._bp_eth_02.json, ._bp_sol_01.json"
    ]


def test_a_config_named_in_capitals_is_not_passed_over_silently(folder: Path) -> None:
    (folder / "BP.JSON").write_text(json.dumps(a_config("bp_eth_02", port=5002)))
    for _from_cache in (False, True):
        loaded, warnings = read(folder)
        assert [*loaded.specs] == ["bp_sol_01"]
        assert warnings == ["config/active/BP.JSON: is ignored: rename it to BP.json if it is a config"]
    with pytest.raises(UsageError, match=r"not a config: its name must end in \.json"):
        loaded.instance_of(str(folder / "BP.JSON"))


@pytest.mark.parametrize("ending", [".json.txt", ".JSON ", ".jsonc", ".Json5"])
def test_a_config_with_another_ending_is_not_passed_over_silently(folder: Path, ending: str) -> None:
    """Windows hides the `.txt` that its editor adds; a name typed with a blank at its end looks right."""
    name = f"bp_eth_02{ending}"
    (folder / name).write_text(json.dumps(a_config("bp_eth_02", port=5002)))
    loaded, warnings = read(folder)
    assert [*loaded.specs] == ["bp_sol_01"]
    assert warnings == [f"config/active/{name}: is ignored: rename it to bp_eth_02.json if it is a config"]


@pytest.mark.parametrize("name", ["a.json~", "a.json.bak", "a.json.orig", "#a.json#", "4913"])
def test_what_an_editor_keeps_of_an_earlier_state_is_passed_over(folder: Path, name: str) -> None:
    (folder / name).write_text(json.dumps(a_config("bp_eth_02", port=5002)))
    loaded, warnings = read(folder)
    assert ([*loaded.specs], loaded.problems, warnings) == (["bp_sol_01"], (), [])


def test_a_file_that_is_renamed_to_a_configs_name_is_loaded_though_a_cache_is_there(folder: Path) -> None:
    (folder / "BP.JSON").write_text(json.dumps(a_config("bp_eth_02", port=5002)))
    read(folder)
    (folder / "BP.JSON").rename(folder / "BP.json")
    loaded, warnings = read(folder)
    assert ([*loaded.specs], warnings) == (["bp_eth_02", "bp_sol_01"], [])


def test_a_command_on_one_instance_warns_of_that_one_alone(sandbox: Sandbox) -> None:
    sandbox.config("bp_sol_01", 5001, daemon_config={"memory_limit": 1})
    sandbox.config("bp_eth_02", 5002, daemon_config={"restart_dely": 1})
    printed = sandbox.transcript("up bp_sol_01")
    assert "memory_limit" in printed
    assert "restart_dely" not in printed
    assert "restart_dely" in sandbox.transcript("up")
