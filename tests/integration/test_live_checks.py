"""doctor --live and plan --live on a real engine, against a local exchange that containers can reach."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.fake_exchange.server import FakeExchange
from tests.integration.conftest import Project
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
