"""Each condition of a live bot made to happen, and what every command and alert then says: docs/conditions.md
is from here.

`pytest -s` prints what the table is made of.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.fake_exchange.book import RefusalError
from tests.fake_exchange.server import FakeExchange
from tests.integration.conftest import Project, eventually
from tests.integration.test_halt import MESH, fake

__all__ = ["fake"]

pytestmark = pytest.mark.engine

ALERTS = """
[alerts]
exchange_away_after = 1
unhealthy_after = 1
down_after = 1
recovered_after = 1
"""
BOT = "live_01"
FUNDS = RefusalError("INSUFFICIENT_FUNDS", "Insufficient funds")


@pytest.fixture
def desk(project: Project, fake: FakeExchange) -> Iterator[Project]:
    """One bot that trades live, with its six orders in the market, and a `watch` that prints its alerts."""
    settings = project.folder / "config" / "fleet.toml"
    settings.write_text(settings.read_text() + ALERTS)
    daemon = {"max_restart_attempts": 0}
    project.add(BOT, 0, mode="live", strategy_config=MESH, daemon_config=daemon)
    project.manager("up", "--wait")
    eventually(lambda: len(fake.book.own_open()) == 6, what="six orders")
    with Path(project.folder / "watch.log").open("w") as log:
        watch = subprocess.Popen(
            project.command("watch"),
            cwd=project.folder,
            stdout=log,
            stderr=log,
            env={**os.environ, **project.environ, "PYTHONUNBUFFERED": "1"},
        )
        try:
            eventually(lambda: "watching" in alerts(project))
            yield project
        finally:
            watch.send_signal(signal.SIGTERM)
            watch.wait(30)


def alerts(project: Project) -> str:
    return (project.folder / "watch.log").read_text()


def until(project: Project, doing: str | None, state: str = "running", alert: str = "") -> dict[str, Any]:
    """Wait until the bot is doing this, and the alert is out; print what every command says then."""

    def is_so() -> dict[str, Any] | None:
        found = project.ps()[BOT]
        return found if (found["doing"], found["state"]) == (doing, state) else None

    found = dict(eventually(is_so, 90, what=f"{doing}, {state}"))
    eventually(lambda: alert in alerts(project), 60, what=alert)
    status = project.manager("status", BOT, code=None)
    print(f"\n== {state}, {doing}, {found['severity']}")
    print(project.manager("ps").out, end="")
    print(project.manager("stats").out, end="")
    print(project.manager("list").out.splitlines()[-1][:12], "status exit code", status.code)
    print(alerts(project).splitlines()[-1])
    assert (status.code == 0) == (found["severity"] != "bad" and state == "running")
    assert ("🟢" in project.manager("list").out) == (status.code == 0)
    return found


def again(project: Project, fake: FakeExchange, price: str = "150", **strategy: Any) -> None:
    """Start afresh, with these changes of the strategy."""
    project.manager("down")
    fake.book.move(Decimal(price))
    project.change(BOT, strategy_config=strategy)
    project.manager("up", "--wait")
    until(project, "trading")


def test_what_a_live_bot_meets(desk: Project, fake: FakeExchange) -> None:
    found = until(desk, "trading")
    assert (found["severity"], found["mode"], found["market"]) == ("calm", "live", "live")

    fake.faults.down = True
    found = until(desk, "exchange away", alert="cannot reach its exchange")
    assert found["severity"] == "warn"
    assert "6 orders rest there" in found["doing_why"]
    fake.faults.down = False
    until(desk, "trading", alert="is running again")
    assert desk.ps()[BOT]["restarts"] == 0

    fake.book.move(Decimal("157.5"))
    found = until(desk, "out of range")
    assert (found["severity"], found["doing_why"]) == ("note", "price 157.5 is above 156")

    desk.change(BOT, strategy_config={"stop_loss": 0.01})
    assert "--stop-loss none → 0.01" in desk.manager("plan").out
    fake.refusal = FUNDS
    desk.manager("down")
    fake.book.move(Decimal(150))
    desk.change(BOT, strategy_config={"stop_loss": None})
    desk.manager("up")
    found = until(desk, "orders refused", alert="the funds do not suffice")
    assert found["severity"] == "bad"
    fake.refusal = None
    until(desk, "trading")

    os.kill(desk.instances()[BOT]["bot_pid"], signal.SIGKILL)
    eventually(lambda: (desk.supervisor(BOT)["cancel"] or {}).get("state") == "confirmed", 90)
    found = until(desk, None, "failed", alert="failed")
    assert (found["cancel"]["state"], fake.book.own_open()) == ("confirmed", [])

    again(desk, fake, enable_boundary_check=True, boundary_action="stop_only")
    fake.book.move(Decimal("157.5"))
    found = until(desk, "stopped out", "completed", alert="has stopped out")
    assert (found["severity"], Decimal(found["last_position"]) < 0) == ("bad", True)
    assert "position left: " in desk.manager("ps").out

    again(desk, fake, enable_boundary_check=False, boundary_action=None, duration=25)
    found = until(desk, "finished", "completed", alert="has finished as planned")
    assert found["severity"] in {"calm", "warn"}
    desk.manager("down")
    found = until(desk, "finished", "missing")
    assert found["last_pnl"] is not None
    assert fake.book.violations == []
