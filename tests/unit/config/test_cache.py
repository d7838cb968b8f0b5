"""What config/ meant when it was last read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from manager.config import cache, loader, settings_cache, verification
from manager.config.spec import config_hash
from manager.engine import compose_hash, endpoint
from manager.errors import ConfigError
from manager.fleet import project
from manager.fleet.session import Session
from manager.util import source_stamp
from tests.builders import a_config, a_fleet, a_spec, write_config


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_file_saved_while_it_is_loaded_is_loaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_config(tmp_path, a_config(port=5001))
    (config,) = (tmp_path / "config/active").iterdir()
    real = loader.load

    def and_saves(*arguments: Any) -> Any:
        loaded = real(*arguments)
        config.write_text(json.dumps(a_config(port=5009)))
        return loaded

    with monkeypatch.context() as patched:
        patched.setattr(loader, "load", and_saves)
        assert project.read(tmp_path).specs["bp_sol_01"].web_port == 5001
    assert project.read(tmp_path).specs["bp_sol_01"].web_port == 5009


def test_an_unchanged_folder_is_not_loaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config(tmp_path, a_config())
    before = project.read(tmp_path)
    monkeypatch.delattr(loader, "load")
    assert project.read(tmp_path) == before


def test_the_settings_alone_are_those_of_the_whole_project(tmp_path: Path) -> None:
    """And are read anew after each change of theirs, but not after one of a config."""
    settings = tmp_path / "config/fleet.toml"
    write_config(tmp_path, a_config())
    settings.write_text(
        'name = "own"\nparallelism = 3\n[limits]\nfleet_daily_loss = 7.50\n[sums]\ncurrency = "USD"\n'
    )
    session = Session(tmp_path)
    assert settings_cache.read(tmp_path) is None
    whole = session.project().fleet
    assert repr(settings_cache.read(tmp_path)) == repr(session.settings()) == repr(whole)
    write_config(tmp_path, a_config("bp_eth_02", port=None), "bp_eth_02")
    assert settings_cache.read(tmp_path) == whole
    settings.write_text('name = "other"\n')
    assert settings_cache.read(tmp_path) is None
    assert session.settings().name == "other"
    settings.write_text('name = "no one')
    with pytest.raises(ConfigError):
        session.settings()


@pytest.mark.parametrize("limits", ["", "fleet_daily_loss = 0.00", "fleet_daily_loss = 7.50"])
def test_a_fleet_from_the_cache_is_written_as_the_loaded_one(tmp_path: Path, limits: str) -> None:
    """Compose's hashes are known again by how it is written: there, 0 and Decimal("0") are not the same."""
    write_config(tmp_path, a_config())
    settings = tmp_path / "config/fleet.toml"
    settings.write_text(f'name = "own"\n[sums]\ncurrency = "USD"\n[limits]\n{limits}\n')
    loaded, kept = project.read(tmp_path), project.read(tmp_path)
    assert kept.fleet is not loaded.fleet, "it was not kept"
    assert repr(kept.fleet) == repr(loaded.fleet)


@pytest.mark.parametrize("left", [b"", b"\0" * 500, b"{", b"[]", b"\xff\xfe\x00"])
def test_what_a_power_cut_has_left_of_the_cache_is_not_used(
    tmp_path: Path, left: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No write of it waits for the disk: the first `up` of a fleet, and each after a change, waits for it."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: pytest.fail("the cache was synced"))
    write_config(tmp_path, a_config())
    before = project.read(tmp_path)
    (kept,) = (tmp_path / "cache/botfleet").iterdir()
    assert json.loads(kept.read_bytes())["files"]
    kept.write_bytes(left)
    assert project.read(tmp_path) == before
    assert json.loads(kept.read_bytes())["files"]


def test_a_config_whose_name_is_not_utf8_is_the_same_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_config(tmp_path, a_config())
    active = tmp_path / "config/active"
    (file,) = active.iterdir()
    file.rename(active / os.fsdecode(b"bp\xff.json"))
    before = project.read(tmp_path)
    monkeypatch.delattr(loader, "load")
    assert project.read(tmp_path) == before


def test_a_folder_that_cannot_be_read_is_not_taken_for_one_that_was_not_there(tmp_path: Path) -> None:
    active = tmp_path / "config" / "active"
    active.parent.mkdir()
    (tmp_path / "config" / "fleet.toml").touch()
    assert not project.read(tmp_path).specs
    active.touch()  # as unreadable as one of another user, for root too
    with pytest.raises(ConfigError, match="config/active: cannot be read: Not a directory"):
        project.read(tmp_path)


def test_another_table_of_what_is_verified_is_seen_though_no_config_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lighter = {"exchange": "lighter", "symbol": "SOL"}
    write_config(tmp_path, a_config(mode="live", metadata=lighter, exchange_config=None))

    def refusals() -> list[str]:
        return [str(problem.text) for problem in project.read(tmp_path).refusals]

    [why] = refusals()
    assert why.startswith("lighter perp is traded live only if you accept")
    with monkeypatch.context() as patched:
        patched.delattr(loader, "load")
        assert refusals() == [why]
    table = tmp_path / "verification.toml"
    table.write_text("[lighter.perp]\nkit = true\nunverified = []\n")
    monkeypatch.setattr(verification, "file", lambda: table)
    assert refusals() == []


def test_amounts_of_the_settings_are_exact_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_config(tmp_path, a_config())
    (tmp_path / "config" / "fleet.toml").write_text(
        '[sums]\ncurrency = "USD"\nrates = { USDT = 0.9995, USDC = "1.000000000000000001" }\n'
        '[limits]\nfleet_daily_loss = 100.10\non_loss = "halt"\n[history]\nmax_mb = 7\n'
    )
    before = project.read(tmp_path)
    assert before.fleet.sums.rates == (("USDC", Decimal("1.000000000000000001")), ("USDT", Decimal("0.9995")))
    assert before.fleet.limits == (Decimal("100.1"), Decimal(0), "halt")
    monkeypatch.delattr(loader, "load")
    assert project.read(tmp_path) == before


def test_the_hash_of_a_config_that_names_its_port_is_known_from_the_cache(tmp_path: Path) -> None:
    write_config(tmp_path, a_config("named", port=5001))
    write_config(tmp_path, a_config("open", port=None), "open")
    loaded, again = project.read(tmp_path), project.read(tmp_path)
    assert again.loaded.config_hashes == {"named": config_hash(loaded.specs["named"], loaded.fleet)}


READ = (
    "import sys; from pathlib import Path; from manager.fleet import project; fleet = "
    "project.read(Path(sys.argv[1])).fleet"
)
SHOW = f"{READ}; print(fleet.alerts.down_after, 'manager.config.loader' in sys.modules)"


def test_an_update_of_the_program_is_seen_though_no_config_has_changed(tmp_path: Path) -> None:
    """A default's own file was on no list of files that matter; there is no list any more."""
    write_config(tmp_path, a_config())
    shutil.copytree(
        source_stamp.PACKAGE, tmp_path / "update" / "manager", ignore=shutil.ignore_patterns("__pycache__")
    )
    rules = tmp_path / "update" / "manager" / "config" / "fleet.py"

    def shown() -> str:
        command = [sys.executable, "-B", "-c", SHOW, str(tmp_path)]
        return subprocess.run(
            command, cwd=tmp_path / "update", capture_output=True, text=True, check=True
        ).stdout.strip()

    assert shown() == "15 True"
    assert shown() == "15 False", "it is from the cache"
    source = rules.read_text()
    assert "down_after: int = 15" in source
    rules.write_text(source.replace("down_after: int = 15", "down_after: int = 1234"))
    assert shown() == "1234 True"


def test_a_process_that_outlives_an_update_caches_nothing_for_the_new_code(tmp_path: Path) -> None:
    """`watch` and `top` go on with the old code, and read a config that changes afterwards."""
    config = write_config(tmp_path, a_config())
    update = tmp_path / "update" / "manager"
    shutil.copytree(source_stamp.PACKAGE, update, ignore=shutil.ignore_patterns("__pycache__"))
    rules = update / "config" / "fleet.py"
    command = [sys.executable, "-B", "-u", "-c", f"{SHOW}; input(); {SHOW}", str(tmp_path)]
    with subprocess.Popen(
        command, cwd=update.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as old:
        assert old.stdin is not None
        assert old.stdout is not None
        assert old.stdout.readline() == "15 True\n"
        rules.write_text(rules.read_text().replace("down_after: int = 15", "down_after: int = 1234"))
        os.utime(config, ns=(0, 0))
        old.stdin.write("\n")
        old.stdin.flush()
        assert old.stdout.readline() == "15 True\n"
    new = subprocess.run(
        [*command[:4], SHOW, str(tmp_path)], cwd=update.parent, capture_output=True, text=True, check=True
    )
    assert new.stdout == "1234 True\n"


def test_every_module_that_decides_what_a_config_means_is_stamped() -> None:
    """What the loader loads lies in the rooms that the cache stamps."""
    code = "import sys; import manager.config.fleet_settings, manager.config.loader; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        cwd=source_stamp.PACKAGE.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    ours = [name.split(".") for name in loaded.stdout.split() if name.startswith("manager.")]
    rooms = {name[1] for name in ours if len(name) > 2}
    assert rooms == {"config", "util"}


def test_the_code_that_renders_is_in_the_key_of_composes_hashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = tmp_path / "docker-compose"
    plugin.touch()
    keys = []
    for stamp in (1, 1, 2):
        monkeypatch.setattr(source_stamp, "of_loaded", lambda *rooms, stamp=stamp: (stamp, rooms))
        keys.append(compose_hash._key([a_spec()], {}, plugin, a_fleet()))
    assert keys[0] == keys[1] != keys[2]


def test_a_user_without_a_home_has_no_cache_and_the_default_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    write_config(tmp_path, a_config())
    assert cache.read(tmp_path) is None
    assert list(project.read(tmp_path).specs) == ["bp_sol_01"]
    assert endpoint.of({}).socket == endpoint.DEFAULT_SOCKET
    monkeypatch.setattr(compose_hash, "PLUGIN_DIRS", ())
    assert compose_hash._plugin() is None


@pytest.mark.parametrize("home", ["/DIR/nonexistent", "relative", "/DIR/file"])
def test_no_home_folder_is_made_for_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    """A service's user has /nonexistent, and root made that folder; a relative one was made everywhere."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    monkeypatch.chdir(elsewhere)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", home.replace("/DIR", str(elsewhere)))
    write_config(tmp_path, a_config())
    assert list(project.read(tmp_path).specs) == ["bp_sol_01"]
    assert [path.name for path in elsewhere.rglob("*")] == ["file"]
    (elsewhere / "nonexistent").mkdir()
    project.read(tmp_path)
    assert (elsewhere / "nonexistent" / ".cache" / "botfleet").is_dir() is (home == "/DIR/nonexistent")


def test_composes_plugin_is_sought_where_docker_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = tmp_path / "cli-plugins" / "docker-compose"
    plugin.parent.mkdir()
    plugin.touch(0o755)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert compose_hash._plugin() == plugin
