"""The old Python API's config manager: files, lists, copies, and the one validator."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from manager import errors
from manager.compat import config_errors
from manager.config_manager import (
    ConfigBackupError,
    ConfigError,
    ConfigLoadError,
    ConfigManager,
    ConfigRestoreError,
    ConfigSaveError,
    ConfigValidationError,
    EnvironmentVariableError,
    ValidationResult,
)
from tests.builders import a_config, write_config

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ConfigManager:
    """A project folder with a template and an active config, our working folder."""
    folder = tmp_path / "desk"
    write_config(folder, a_config())
    template = a_config("CHANGE_ME", None)
    (folder / "config" / "templates").mkdir()
    (folder / "config" / "templates" / "perp_grid.json").write_text(json.dumps(template))
    monkeypatch.chdir(folder)
    for name in ("BACKPACK_KEY", "BACKPACK_SECRET", "BACKPACK_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return ConfigManager("config")


ACTIVE = Path("config/active/bp_sol_01.json")


# Files


def test_load_expands_what_it_can(manager: ConfigManager, monkeypatch: pytest.MonkeyPatch) -> None:
    assert manager.load_config(ACTIVE)["exchange_config"]["api_key"] == "${BACKPACK_KEY}"
    monkeypatch.setenv("BACKPACK_KEY", "k")
    assert manager.load_config(ACTIVE)["exchange_config"]["api_key"] == "k"
    assert manager.load_config(ACTIVE, expand_vars=False)["exchange_config"]["api_key"] == "${BACKPACK_KEY}"


def test_expansion(manager: ConfigManager, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("FROM_FILE=file\nBOTH=file\n")
    monkeypatch.setenv("BOTH", "environment")
    monkeypatch.setenv("EMPTY", "")
    text = "${FROM_FILE} ${BOTH} ${NONE:-default} ${EMPTY:-default} ${NONE} $HOME ${BOTH"
    assert manager.expand_env_vars(text) == "file environment default default ${NONE} $HOME ${BOTH"
    assert manager.expand_env_vars({"a": ["${BOTH}", 1, None]}) == {"a": ["environment", 1, None]}
    with pytest.raises(EnvironmentVariableError, match="BACKPACK_API_KEY is not set") as caught:
        manager.expand_env_vars("${BACKPACK_API_KEY}")
    assert caught.value.var_name == "BACKPACK_API_KEY"
    assert manager.expand_env_vars("${BACKPACK_API_KEY:-none}") == "none"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "no such file"),
        ("{", "is not JSON"),
        ("[]", "must be an object {…}"),
        ('{"a":1,"a":2}', "duplicate key"),
    ],
)
def test_what_cannot_be_loaded_says_why(manager: ConfigManager, content: str | None, fault: str) -> None:
    path = Path("config/active/broken.json")
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigLoadError, match=fault) as caught:
        manager.load_config(path)
    assert caught.value.config_path == str(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_save_is_whole_and_stamps(manager: ConfigManager) -> None:
    data = manager.load_config(ACTIVE, expand_vars=False)
    ACTIVE.chmod(0o600)
    assert manager.save_config(ACTIVE, data) is True
    saved = manager.load_config(ACTIVE, expand_vars=False)
    assert saved["metadata"].pop("updated_at")
    assert saved == data
    assert ACTIVE.stat().st_mode & 0o777 == 0o600
    assert manager.save_config("config/active/new/er.json", {}) is True
    with pytest.raises(ConfigSaveError, match="cannot write"):
        manager.save_config(ACTIVE / "below.json", data)
    with pytest.raises(ConfigSaveError, match="cannot write"):
        manager.save_config(ACTIVE, {"a": object()})


def test_a_loaded_secret_is_not_written_back(manager: ConfigManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKPACK_KEY", "the-key")
    expanded = manager.load_config(ACTIVE)
    before = ACTIVE.read_text()
    with pytest.raises(ConfigSaveError, match=r"exchange_config.api_key: contains a credential") as caught:
        manager.save_config(ACTIVE, expanded)
    assert "the-key" not in str(caught.value)
    assert ACTIVE.read_text() == before


def test_delete(manager: ConfigManager) -> None:
    assert manager.delete_config(ACTIVE) is True
    assert manager.delete_config(ACTIVE) is False
    with pytest.raises(ConfigError, match="cannot remove"):
        manager.delete_config("config")


def test_paths(manager: ConfigManager) -> None:
    assert manager.get_config_path("bp_sol_01") == ACTIVE
    assert manager.get_config_path("a.json", "template") == Path("config/templates/a.json")
    assert manager.get_config_path("a", "archived") == Path("config/archived/a.json")
    with pytest.raises(ValueError, match="elsewhere"):
        manager.get_config_path("a", "elsewhere")


# Lists


def test_lists_and_filters(manager: ConfigManager) -> None:
    write_config(
        Path.cwd(),
        a_config("aster_btc_01", metadata={"name": "Another", "exchange": "aster", "symbol": "BTCUSDT"}),
        "aster_btc_01",
    )
    Path("config/active/broken.json").write_text("{")
    manager.backup_config(ACTIVE)
    everything = manager.list_configs()
    assert [(entry.name, entry.is_template, entry.is_active, entry.is_archived) for entry in everything] == [
        ("a grid", True, False, False),
        ("a grid", False, True, False),
        ("a grid", False, False, True),
        ("Another", False, True, False),
    ]
    assert [config.path for config in manager.list_configs({"exchange": "ASTER"})] == [
        "config/active/aster_btc_01.json"
    ]
    assert manager.list_configs({"exchange": "aster", "symbol": "ETH"}) == []
    active = manager.list_configs(include_templates=False, include_archived=False)
    assert {config.symbol for config in active} == {"SOL_USDC_PERP", "BTCUSDT"}
    assert active[0].version == "1.0.0"
    assert manager.list_configs(include_templates=False, include_active=False, include_archived=False) == []
    with pytest.raises(ValueError, match="colour"):
        manager.list_configs({"colour": "red"})
    assert manager.list_templates() == ["perp_grid.json"]
    assert manager.list_active_configs() == ["aster_btc_01.json", "bp_sol_01.json", "broken.json"]
    assert len(manager.list_archived_configs()) == 1


def test_a_legacy_file_is_listed_by_what_its_arguments_say(manager: ConfigManager) -> None:
    flat = {"bot_args": ["--exchange", "paradex", "--symbol", "BTC", "--strategy", "grid"], "web_port": 5007}
    write_config(Path.cwd(), flat, "daemon_config")
    [config] = manager.list_configs({"exchange": "paradex"})
    assert (config.name, config.symbol, config.strategy) == ("daemon_config", "BTC", "grid")


def test_no_folder_no_configs(tmp_path: Path) -> None:
    manager = ConfigManager(tmp_path / "config")
    assert manager.list_configs() == []
    assert manager.list_templates() == manager.list_active_configs() == manager.list_archived_configs() == []


# One validator


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"metadata": {"exchange": "nowhere"}},
        {"daemon_config": {"web_port": 0}},
        {"daemon_config": {"restart_dealy": 5}},
        {"exchange_config": {"api_key": "clear"}},
        {"strategy_config": {"grid_upper_price": 1}},
    ],
)
def test_it_says_what_the_command_line_says(manager: ConfigManager, change: dict[str, Any]) -> None:
    config = a_config(**change)
    write_config(Path.cwd(), config)
    done = subprocess.run(
        [sys.executable, "-m", "manager", "--lang", "en", "config", "--check"],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )
    output = [line for line in done.stderr.splitlines() if str(ACTIVE) in line]
    result = manager.validate_config_file(ACTIVE)
    assert [f"warning: {warning}" for warning in result.warnings] + [
        f"error: {problem}" for problem in result.errors
    ] == output
    assert result.is_valid == (done.returncode == 0)
    prefix = f"{ACTIVE}: "
    assert manager.validate_config(config) == ValidationResult(
        result.is_valid,
        [problem.removeprefix(prefix) for problem in result.errors],
        [warning.removeprefix(prefix) for warning in result.warnings],
    )


def test_a_file_in_active_is_held_against_the_others(manager: ConfigManager) -> None:
    other = write_config(Path.cwd(), a_config("bp_eth_02"), "bp_eth_02")
    assert manager.validate_config_file(other).is_valid  # the first one has the port
    result = manager.validate_config_file(ACTIVE)
    assert result.errors == [
        f"{ACTIVE}: daemon_config.web_port: 5001 is also used by config/active/bp_eth_02.json"
    ]
    with pytest.raises(ConfigLoadError, match="no such file"):
        manager.validate_config_file("config/active/none.json")


def test_templates_and_copies_can_be_validated(manager: ConfigManager) -> None:
    copied = manager.backup_config(ACTIVE)
    assert copied is not None
    assert manager.validate_config_file(copied).is_valid
    assert manager.validate_config_file("config/templates/perp_grid.json").is_valid
    for path in ("config/templates/perp_grid.json", Path("config/templates/perp_grid.json")):
        assert manager.validate_config(path) == manager.validate_config_file(path)
    with pytest.raises(ConfigLoadError, match="no such file"):
        manager.validate_config("config/active/none.json")
    assert manager.validate_config({"metadata": object()}).is_valid is False


# Templates


def test_a_template_becomes_a_config(manager: ConfigManager) -> None:
    params = {"symbol": "ETH_USDC_PERP", "grid_num": 10, "web_port": 5011, "strategy_config.interval": 2}
    data = manager.create_from_template("perp_grid", "bp_eth_09", params)
    assert data["metadata"]["symbol"] == "ETH_USDC_PERP"
    assert (data["metadata"]["name"], data["metadata"]["instance_id"]) == ("bp_eth_09", "bp_eth_09")
    assert data["metadata"]["created_at"] == data["metadata"]["updated_at"]
    assert (data["strategy_config"]["grid_num"], data["strategy_config"]["interval"]) == (10, 2)
    assert data["daemon_config"]["web_port"] == 5011
    assert manager.list_active_configs() == ["bp_sol_01.json"]
    assert (
        manager.create_from_template("perp_grid.json", "x", {"instance_id": "y"})["metadata"]["instance_id"]
        == "y"
    )
    with pytest.raises(ConfigLoadError, match="no such file"):
        manager.create_from_template("none", "x")


def test_a_template_becomes_a_file(manager: ConfigManager) -> None:
    path = manager.create_config_from_template("perp_grid", "bp_eth_09", symbol="ETH_USDC_PERP")
    assert path == "config/active/bp_eth_09.json"
    assert manager.validate_config_file(path).is_valid
    again = manager.create_config_from_template("perp_grid.json", "bp_eth_09.json", symbol="SOL_USDC_PERP")
    assert again == path
    [backup] = manager.list_archived_configs()
    assert "ETH_USDC_PERP" in (Path("config/archived") / backup).read_text()


def test_what_the_fleet_could_not_use_is_not_written(manager: ConfigManager) -> None:
    with pytest.raises(ConfigValidationError, match=r"strategy_config.grid_num: must be 2-200, not 1"):
        manager.create_config_from_template("perp_grid", "bp_eth_09", grid_num=1)
    assert manager.list_active_configs() == ["bp_sol_01.json"]


# Copies


def test_a_copy_and_back(manager: ConfigManager) -> None:
    content = ACTIVE.read_bytes()
    first, second = manager.backup_config(ACTIVE), manager.backup_config(ACTIVE)
    assert first is not None
    assert second is not None
    assert first != second
    copied = Path(first)
    assert copied.parent == Path("config/archived")
    assert copied.name.startswith("bp_sol_01_backup_")
    assert Path(f"{copied}.checksum").read_text() == hashlib.sha256(content).hexdigest()
    ACTIVE.write_text("{}")
    for path in (first, second):
        assert manager.restore_config(path) is True
        assert ACTIVE.read_bytes() == content
    assert manager.restore_config(first, "config/active/elsewhere.json") is True
    assert Path("config/active/elsewhere.json").read_bytes() == content
    assert manager.backup_config("config/active/none.json") is None


def test_a_damaged_copy_is_not_restored(manager: ConfigManager, caplog: pytest.LogCaptureFixture) -> None:
    made = manager.backup_config(ACTIVE)
    assert made is not None
    copied, before = Path(made), ACTIVE.read_bytes()
    copied.write_bytes(before + b" ")
    with pytest.raises(ConfigRestoreError, match="checksum mismatch"):
        manager.restore_config(copied)
    assert ACTIVE.read_bytes() == before
    Path(f"{copied}.checksum").unlink()
    assert manager.restore_config(copied) is True
    assert "has no checksum file" in caplog.text
    with pytest.raises(ConfigRestoreError, match="cannot restore"):
        manager.restore_config("config/archived/none_backup_20251130_190000.json")
    with pytest.raises(ConfigRestoreError, match="cannot determine from its name"):
        manager.restore_config(copied.rename("config/archived/mine.json"))


def test_what_cannot_be_copied_says_why(manager: ConfigManager) -> None:
    Path("config/archived").rmdir()
    Path("config/archived").write_text("in the way")
    with pytest.raises(ConfigBackupError, match=r"cannot back up config/active/bp_sol_01.json"):
        manager.backup_config(ACTIVE)


def test_the_old_errors_are_ours_too() -> None:
    for name in ("Load", "Save", "Backup", "Restore", "Validation"):
        kind = getattr(config_errors, f"Config{name}Error")
        assert issubclass(kind, ConfigError)
        assert issubclass(kind, errors.ManagerError)
    assert issubclass(EnvironmentVariableError, ConfigError)


def test_its_folders_are_made(tmp_path: Path) -> None:
    made = ConfigManager(tmp_path / "config")
    assert made.active_dir.is_dir()
    assert made.templates_dir.is_dir()
    assert made.archived_dir.is_dir()
