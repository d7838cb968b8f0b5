"""A bot that keeps no limit: the alert of those that are refused names it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_exchange.limits import Limits, Refusal, Rules, Scope, Window
from tests.fake_exchange.server import FakeExchange
from tests.fleet import Project, a_project, bridge_address, built, eventually
from tests.receiver import watching

pytestmark = pytest.mark.engine

VICTIM, QUIET, FLOOD = "live_01", "calm_01", "flood_01"
MESH = {"grid_upper_price": 156, "grid_lower_price": 144, "grid_num": 3, "order_quantity": 0.1}
ASKS = """
import sys, time, urllib.request
while True:
    try:
        urllib.request.urlopen(sys.argv[1] + "/api/v1/time", timeout=5).read()
    except OSError:
        pass
    time.sleep(0.05)
"""


class OneAddress(Limits):
    """Limits that see all containers at one address, as an exchange on the internet does."""

    def next(self, address: str, account: str | None, method: str, path: str) -> Refusal | None:
        return super().next("here", account, method, path)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Project]:
    """One live bot and two on paper, which ask nothing of themselves, at one address."""
    rules = Rules((Window(Scope.ADDRESS, 10, 60),))
    settings = 'variables = ["GRIDBOT_*", "*_API_URL"]\n[alerts]\nexchange_away_after = 1\n'
    with (
        FakeExchange(limits=OneAddress(rules), address=bridge_address()) as exchange,
        a_project(tmp_path / "fleet", built("bot")) as fleet,
    ):
        path = fleet.folder / "config" / "fleet.toml"
        path.write_text(path.read_text().replace('variables = ["GRIDBOT_*"]\n', settings))
        env = {"GRIDBOT_RETRY_CAP": "1", "GRIDBOT_OUT_OF_REACH": "1", **exchange.env}
        (fleet.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in env.items()))
        fleet.add(VICTIM, 0, mode="live", strategy_config=MESH)
        fleet.add(QUIET, 1)
        fleet.add(FLOOD, 2)
        fleet.manager("up", "--wait", timeout=300)
        asks = ["docker", "exec", fleet.container(FLOOD), "python", "-c", ASKS, exchange.url]
        with subprocess.Popen(asks, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as flood:
            try:
                yield fleet
            finally:
                flood.kill()


@pytest.mark.long_form  # what was sent within half a minute is compared
def test_the_alert_and_doctor_name_who_floods_the_address(sandbox: Project) -> None:
    told = f"probably because of {FLOOD}, which sends"
    with watching(sandbox) as watch:
        eventually(lambda: told in watch.text, 240, "the alert names who floods")
        (line,) = [line for line in watch.text.splitlines() if told in line]
        assert f"{VICTIM} cannot reach its exchange" in line
        assert watch.end() == 0
    report = sandbox.manager("doctor", code=None, timeout=240).out
    (line,) = [line for line in report.splitlines() if told in line]
    assert VICTIM in line
