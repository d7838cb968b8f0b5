"""The rendered compose.yaml, run by pytest-docker as any other project would run it: own name, ports and
folders.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fleet import Project, a_project

pytestmark = pytest.mark.engine


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory, bot_image: str) -> Iterator[Project]:
    """A project whose compose.yaml the manager has rendered, and which nothing runs yet."""
    folder = tmp_path_factory.mktemp("rendered") / "project"
    with a_project(folder, bot_image) as project:
        project.add("bp_sol_01", 0)
        project.add("bp_eth_01", 1)
        project.manager("compose")
        yield project


@pytest.fixture(scope="session")
def docker_compose_file(rendered: Project) -> str:
    """pytest-docker's question: which file?"""
    return str(rendered.folder / "compose.yaml")


@pytest.fixture(scope="session")
def docker_compose_project_name(rendered: Project) -> str:
    """pytest-docker's question: under which name? The file's own."""
    return rendered.name


@pytest.fixture(scope="session")
def docker_setup() -> list[str]:
    """The image is there: nothing to build."""
    return ["up -d"]


def health(port: int) -> dict[str, Any] | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return dict(json.load(answer))
    except OSError:
        return None


def test_every_service_trades_and_the_manager_knows_it(rendered: Project, docker_services: Any) -> None:
    for service, port in (("bp_sol_01", rendered.first_port), ("bp_eth_01", rendered.first_port + 1)):
        assert docker_services.port_for(service, port) == port
        docker_services.wait_until_responsive(check=lambda port=port: health(port), timeout=60.0, pause=0.2)
    before = rendered.ids()
    assert set(rendered.states()) == {"bp_sol_01", "bp_eth_01"}
    assert "nothing to do" in rendered.manager("up").out
    assert rendered.ids() == before
    assert Path(rendered.folder / "volumes" / "logs" / "bp_sol_01").is_dir()
