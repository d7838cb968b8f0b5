"""`docker compose up -d` after an update: it goes by the definitions of all containers at once, and by
nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ports
from tests.fake_exchange.server import FakeExchange
from tests.fleet import a_project, eventually
from tests.upgrade.old_fleet import MESH, PATIENT, OldFleet, add_failing, trade_at, until_failed, until_orders

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def fleet(
    tmp_path_factory: pytest.TempPathFactory, old_code: Path, old_image: str, fake: FakeExchange
) -> Iterator[OldFleet]:
    """A fleet in which all runs, or has failed, and its compose.yaml: both of the earlier commit."""
    folder = tmp_path_factory.mktemp("compose") / "project"
    with a_project(folder, old_image) as project:
        trade_at(project, fake)
        made = OldFleet(project, old_code, fake)
        project.add("paper_01", 0, daemon_config=PATIENT)
        project.add("live_01", 1, mode="live", strategy_config=MESH, daemon_config=PATIENT)
        add_failing(project, "failed_01", 2)
        project.add("port_by_us", None, daemon_config=PATIENT)
        with ports.lowest_free():
            made.old("up")
        made.old("compose")
        running = dict.fromkeys(("paper_01", "live_01", "port_by_us"), "running")
        made.old("up", "--wait", *running, code=None)
        eventually(lambda: running.items() <= project.states().items(), what="all others run")
        until_orders(fake, 1)
        until_failed(project, "failed_01")
        yield made


def test_the_file_that_the_old_code_rendered(fleet: OldFleet) -> None:
    with fleet.untouched():
        fleet.project.compose("up", "-d")
        assert len(fleet.project.compose("ps", "-q").split()) == len(fleet.lives())


def test_the_file_that_the_new_code_renders(fleet: OldFleet) -> None:
    with fleet.untouched():
        fleet.new("compose")
        fleet.project.compose("up", "-d")
        fleet.new("up")
        fleet.project.compose("up", "-d")


def test_what_compose_makes_of_it_is_the_managers_too(fleet: OldFleet) -> None:
    """The way back: a container that Compose made of the new file is what the manager wants."""
    with fleet.untouched("paper_01"):
        fleet.new("compose")
        fleet.project.compose("up", "-d", "--force-recreate", "--no-deps", "paper_01")
        made = fleet.inspected()["paper_01"]["Id"]
        fleet.new("up")
        assert fleet.inspected()["paper_01"]["Id"] == made
