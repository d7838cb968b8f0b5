"""A project of its own for each test, on a real engine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet import PORTS_PER_PROJECT, ROOT, RUN_ID, Project, a_project, eventually

__all__ = ["ROOT", "RUN_ID", "Project", "eventually"]

IMAGE = f"botfleet-test-bot:{RUN_ID}"
FIRST_PORT = 23000


@pytest.fixture(scope="session")
def bot_image() -> Iterator[str]:
    """The bundled bot's image, built once, its name removed afterwards."""
    subprocess.run(
        [sys.executable, "-m", "manager", "build", "--tag", IMAGE],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=1800,
    )
    yield IMAGE
    subprocess.run(["docker", "rmi", IMAGE], capture_output=True, check=False)


_projects = iter(range(1000))


@pytest.fixture
def project(tmp_path: Path, bot_image: str, worker_id: str) -> Iterator[Project]:
    """An empty project; its containers, network and image tag are gone afterwards."""
    worker = int(worker_id.removeprefix("gw")) if worker_id.startswith("gw") else 0
    number = worker * 100 + next(_projects) % 100
    with a_project(tmp_path / "project", bot_image, number, FIRST_PORT + number * PORTS_PER_PROJECT) as made:
        yield made


@pytest.fixture(scope="session")
def worker_id(request: pytest.FixtureRequest) -> str:
    """pytest-xdist's name of this process; one process without it."""
    return str(getattr(request.config, "workerinput", {}).get("workerid", "master"))
