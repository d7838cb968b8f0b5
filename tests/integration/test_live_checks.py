"""doctor --live and plan --live on a real engine, against a local exchange that containers can reach."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.fake_exchange.server import FakeExchange
from tests.integration.conftest import Project, eventually
from tests.integration.test_halt import MESH, everything, fake

__all__ = ["fake"]

pytestmark = pytest.mark.engine


@pytest.fixture
def live_project(project: Project, fake: FakeExchange) -> Iterator[Project]:
    """A live bot that was never started, and one on paper."""
    project.add("live_01", 0, mode="live", strategy_config=MESH)
    project.add("paper_01", 1)
    yield project
    assert fake.book.orders == {}, "asking places nothing"
    assert everything(project) == [], "the one-offs are gone"


def findings_of(project: Project, code: int | None) -> dict[str, dict[str, Any]]:
    lines = project.manager("doctor", "--live", "--json", code=code).json
    return {line["check"]: line for line in lines if line["check"].partition(".")[0] == "live"}


def test_before_the_first_start_the_exchange_is_asked(live_project: Project, fake: FakeExchange) -> None:
    sound = findings_of(live_project, None)
    assert {line["level"] for line in sound.values()} == {"ok"}, sound
    assert {"live.keys_trade", "live.funds", "live.profit", "live.clock"} <= sound.keys()
    plan = live_project.manager("plan", "--live").out
    assert "live_01: create" in plan
    assert "ok: the keys may trade" in plan
    assert not (live_project.folder / "volumes" / "secrets" / ".preflight").exists()

    fake.read_only, fake.book.equity = True, Decimal(1)
    broken = findings_of(live_project, 1)
    assert [broken[f"live.{code}"]["level"] for code in ("keys_read_only", "funds_short")] == ["fail"] * 2
    assert broken["live.funds_short"]["text"].startswith("live_01: 1 USDC is free, the worst case")
    fake.faults.down = True
    assert findings_of(live_project, 1)["live"]["text"].startswith(
        "live_01: cannot be checked: backpack does not answer"
    )


def test_what_the_bot_has_bound_is_known_by_its_record(project: Project, fake: FakeExchange) -> None:
    project.add("live_01", 0, mode="live", strategy_config=MESH)
    project.manager("up", "--wait")
    eventually(lambda: len(fake.book.own_open()) == 6, what="six orders")
    fake.book.move(Decimal(148))
    eventually(lambda: len(fake.book.own_open()) == 6 and fake.book.fills, what="a fill and its exit")
    assert fake.book.available() < 10000
    funds = "live_01: 10000 USDC is free, the worst case"
    assert findings_of(project, None)["live.funds"]["text"].startswith(funds), "while the bot runs"
    project.manager("stop", "live_01")
    assert fake.book.available() < 10000, "the position is still there"
    assert findings_of(project, None)["live.funds"]["text"].startswith(funds), "and its record is closed"
    fake.book.place("Bid", "Limit", Decimal(141), Decimal(100), 7, foreign=True)
    without = findings_of(project, None)["live.funds"]["text"]
    assert without.startswith("live_01: 9260 USDC is free"), (
        "100 of another program's at 148, at a leverage of 20"
    )
