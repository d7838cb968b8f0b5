"""What the tests of the old API share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import a_config, write_config


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with one config, our working folder; no engine answers."""
    folder = tmp_path / "desk"
    write_config(folder, a_config())
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nowhere.sock")
    return folder
