"""What config/ meant when it was last read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from manager.config import cache, loader
from manager.config.spec import config_hash
from manager.engine import compose_hash, endpoint
from manager.fleet import project
from tests.builders import a_config, write_config


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
        found = real(*arguments)
        config.write_text(json.dumps(a_config(port=5009)))
        return found

    with monkeypatch.context() as patched:
        patched.setattr(loader, "load", and_saves)
        assert project.read(tmp_path).specs["bp_sol_01"].web_port == 5001
    assert project.read(tmp_path).specs["bp_sol_01"].web_port == 5009


def test_an_unchanged_folder_is_not_loaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config(tmp_path, a_config())
    before = project.read(tmp_path)
    monkeypatch.delattr(loader, "load")
    assert project.read(tmp_path) == before


def test_the_hash_of_a_config_that_names_its_port_is_known_from_the_cache(tmp_path: Path) -> None:
    write_config(tmp_path, a_config("named", port=5001))
    write_config(tmp_path, a_config("open", port=None), "open")
    loaded, again = project.read(tmp_path), project.read(tmp_path)
    assert again.loaded.config_hashes == {"named": config_hash(loaded.specs["named"], loaded.fleet)}


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


def test_composes_plugin_is_sought_where_docker_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = tmp_path / "cli-plugins" / "docker-compose"
    plugin.parent.mkdir()
    plugin.touch(0o755)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert compose_hash._plugin() == plugin
