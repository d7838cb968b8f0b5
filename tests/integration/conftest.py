"""A project of its own for each test, on a real engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet import ROOT, RUN_ID, Project, a_project, built, eventually

__all__ = ["ROOT", "RUN_ID", "Project", "eventually"]


@pytest.fixture(scope="session")
def bot_image() -> str:
    """The bundled bot's image."""
    return built("bot")


@pytest.fixture
def project(tmp_path: Path, bot_image: str) -> Iterator[Project]:
    """An empty project; its containers, network and image tag are gone afterwards."""
    with a_project(tmp_path / "project", bot_image) as made:
        yield made
