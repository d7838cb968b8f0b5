"""Where the shipped files are found, and what is said where no engine answers."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from manager.util import bundle

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(name="installed")
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle as a wheel brings it, in a folder whose name a shell has to be told carefully."""
    folder = tmp_path / "site packages" / "_bundle"
    folder.mkdir(parents=True)
    monkeypatch.setattr(bundle, "INSTALLED", folder)
    return folder


def test_a_checkout_uses_its_own_files() -> None:
    assert bundle.folder() == ROOT
    assert bundle.build_folder(ROOT) == ROOT


def test_an_installed_manager_uses_those_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").touch()  # of something else that its owner has in the fleet's folder
    assert bundle.build_folder(tmp_path) == installed
    assert bundle.build_folder(ROOT) == ROOT


def test_make_is_named_only_where_it_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    assert bundle.engine_command() == "make engine"
    monkeypatch.chdir(tmp_path)
    assert bundle.engine_command() == f"bash {shlex.quote(str(ROOT / 'scripts' / 'engine.sh'))}"


def test_the_remedy_can_be_typed(installed: Path) -> None:
    assert shlex.split(bundle.engine_command()) == ["bash", str(installed / "scripts" / "engine.sh")]
