"""Faults on a real engine: a bot that misbehaves on demand, projects that use it, and a table of what
held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.engines import OwnEngine, an_engine
from tests.fleet import Project, a_project, built, project_name
from tests.receiver import Receiver, a_receiver

BOT_OF_ITS_OWN = 'bot_dir = "its-own"\n'
SETTINGS = BOT_OF_ITS_OWN + 'config_variables = ["FAULT_*", "ONE_*", "TWO_*", "PHRASE"]\n'
"""Any bot but the bundled one: exchanges and strategies are free words, and a strategy is how this one
misbehaves.
"""
OFFLINE_PORT = 25900
"""Of configs that are never started: nothing asks whether it is free."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    fault: str
    how: str
    times: int
    held: str


ROW = "row of the table of faults"
"""Reports of tests take it to where the table is printed, from other processes too."""
Note = Callable[[str, str, int, str], None]


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Note:
    """note(fault, how it is made, how many times, what held): a line of the table, written when it has
    held.
    """

    def add(fault: str, how: str, times: int, held: str) -> None:
        request.node.user_properties.append((ROW, (fault, how, times, held)))

    return add


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The long run prints its table, in the form of README.md."""
    passed = terminalreporter.stats.get("passed", [])
    rows = [Row(*value) for report in passed for name, value in report.user_properties if name == ROW]
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
    """The image of the bot that misbehaves."""
    return build_fault_image()


def build_fault_image() -> str:
    """Build it, once in a test run, and return its tag."""
    return built("faultbot", "--bot", str(Path(__file__).parent / "bot"))


@pytest.fixture(scope="session")
def own_engine(fault_image: str) -> Iterator[OwnEngine]:
    """One for all tests."""
    with an_engine(fault_image) as own:
        yield own


@pytest.fixture
def engine(own_engine: OwnEngine) -> OwnEngine:
    """An engine that may be stopped and killed; it runs when a test begins, however the last one has
    ended.
    """
    own_engine.start()
    return own_engine


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Takes alerts."""
    with a_receiver() as new_receiver:
        yield new_receiver


@pytest.fixture
def project(tmp_path: Path, fault_image: str) -> Iterator[Project]:
    """An empty project of its own on the machine's engine."""
    with new_project(tmp_path / "project", fault_image) as made:
        yield made


@pytest.fixture
def offline(tmp_path: Path) -> Project:
    """An empty project that never has a container."""
    made = Project(tmp_path / "project", project_name(), OFFLINE_PORT)
    (made.folder / "config" / "active").mkdir(parents=True)
    (made.folder / "config" / "fleet.toml").write_text(f'name = "{made.name}"\n{SETTINGS}')
    return made


def new_project(
    folder: Path, image: str, settings: str = "", environ: dict[str, str] | None = None
) -> AbstractContextManager[Project]:
    """A project of the fault bot with ports of its own."""
    return a_project(folder, image, SETTINGS + settings, environ)
