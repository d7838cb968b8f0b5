"""Faults on a real engine: a bot that misbehaves on demand, projects that use it, and a table of what held."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.engines import OwnEngine, an_engine
from tests.fleet import PORTS_PER_PROJECT, ROOT, RUN_ID, Project, a_project

IMAGE = "botfleet-test-faultbot:local"
FIRST_PORT = 25000
LAST_PORT = 27999
SETTINGS = 'bot_dir = "its-own"\n'
"""Any bot but the bundled one: exchanges and strategies are free words, and a strategy is how this one misbehaves."""

_numbers = iter(range(1000))


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    fault: str
    how: str
    times: int
    held: str


_rows = pytest.StashKey[list[Row]]()

Note = Callable[[str, str, int, str], None]


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Note:
    """note(fault, how it is made, how many times, what held): a line of the table, written when it has held."""

    def add(fault: str, how: str, times: int, held: str) -> None:
        request.config.stash.setdefault(_rows, []).append(Row(fault, how, times, held))

    return add


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The long run prints its table, in the form of README.md."""
    rows = config.stash.get(_rows, [])
    if not rows or not config.getoption("--long"):
        return
    terminalreporter.section("faults")
    terminalreporter.line("| fault | how it is made | times | what held |")
    terminalreporter.line("|---|---|---|---|")
    for row in rows:
        terminalreporter.line(f"| {row.fault} | {row.how} | {row.times} | {row.held} |")


@pytest.fixture(scope="session")
def is_long(request: pytest.FixtureRequest) -> bool:
    """Whether this is the long run."""
    return bool(request.config.getoption("--long"))


@pytest.fixture(scope="session")
def fault_image() -> str:
    """The image of the bot that misbehaves, built once."""
    subprocess.run(
        [
            sys.executable,
            "-m",
            "manager",
            "build",
            "--tag",
            IMAGE,
            "--bot",
            str(Path(__file__).parent / "bot"),
        ],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=1800,
    )
    return IMAGE


@pytest.fixture(scope="session")
def engine(fault_image: str) -> Iterator[OwnEngine]:
    """An engine that may be stopped and killed; it runs again when a test ends."""
    with an_engine(fault_image) as own:
        yield own


@pytest.fixture
def project(tmp_path: Path, fault_image: str) -> Iterator[Project]:
    """An empty project of its own on the machine's engine."""
    with new_project(tmp_path / "project", fault_image) as made:
        yield made


@pytest.fixture
def offline(tmp_path: Path) -> Project:
    """An empty project that never has a container."""
    made = Project(tmp_path / "project", f"bft-{RUN_ID}-offline", LAST_PORT - PORTS_PER_PROJECT)
    (made.folder / "config" / "active").mkdir(parents=True)
    (made.folder / "config" / "fleet.toml").write_text(f'name = "{made.name}"\n{SETTINGS}')
    return made


def new_project(
    folder: Path, image: str, settings: str = "", environ: dict[str, str] | None = None
) -> AbstractContextManager[Project]:
    """A project with ports of its own."""
    number = next(_numbers)
    ports = (LAST_PORT + 1 - FIRST_PORT) // PORTS_PER_PROJECT
    return a_project(
        folder,
        image,
        5000 + number,
        FIRST_PORT + number % ports * PORTS_PER_PROJECT,
        SETTINGS + settings,
        environ,
    )
