"""The yearly rate of a run that is older than an hour: by its definition, and one number in every place.

Its capital is what the largest position was worth at the run's first price, its time that in which it traded.
"""

from __future__ import annotations

import json
import sqlite3
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from tests.fake_exchange.server import FakeExchange
from tests.integration.conftest import Project, eventually
from tests.integration.test_run_figures import fake, metrics, pnl
from tests.integration.test_serve import serving

__all__ = ["fake"]

pytestmark = pytest.mark.engine

HOUR_S, YEAR_S = 3600, 365 * 86400
CLOSE_MESH = {"grid_upper_price": 150.5, "grid_lower_price": 149.5, "grid_num": 41, "order_quantity": 0.1}


def record(project: Project, instance: str) -> Path:
    [path] = (project.folder / "volumes").rglob(f"*{instance}*/*.db")
    return path


def asked(project: Project, instance: str, query: str) -> Any:
    db = sqlite3.connect(record(project, instance))
    try:
        return db.execute(query).fetchone()[0]
    finally:
        db.close()


def make_older(project: Project, instance: str) -> None:
    """Set the record back by two hours, in which the bot has traded, as far as its record tells."""
    assert project.manager("stop", instance).code == 0
    db = sqlite3.connect(record(project, instance))
    with db:
        db.execute("UPDATE runs SET started_at = started_at - ?1, ran_s = ran_s + ?1", (2 * HOUR_S,))
        db.execute("UPDATE equity SET at = at - ?", (2 * HOUR_S,))
    db.close()
    assert project.manager("start", instance).code == 0


def rates(project: Project, instance: str) -> list[float | None]:
    """Return what each place says that tells of a bot that runs: all of them a rate, or none does."""
    with serving(project) as serve:
        client = serve.client()

        def everywhere() -> list[float | None] | None:
            [row] = client.get("/api/v1/instances")[2]["instances"]
            values = [
                metrics(project).get("apr"),
                project.manager("stats", "--json").json[0]["apr"],
                row.get("apr"),
                client.get(f"/api/v1/instances/{instance}")[2]["report"].get("apr"),
            ]
            told = [None if value is None else float(value) for value in values]
            return told if None not in told or not any(told) else None

        return list(eventually(everywhere, what="a rate in every place, or in none"))


def rate_of_the_stopped(project: Project, instance: str) -> float:
    """Return the one number that the kept report, `stats` and the page say of a run that goes on no more."""
    assert project.manager("stop", instance).code == 0
    path = project.folder / "volumes" / "state" / instance / "report.json"
    kept = float(json.loads(path.read_text())["report"]["apr"])
    assert float(project.manager("stats", "--json").json[0]["apr"]) == kept
    with serving(project) as serve:
        [row] = serve.client().get("/api/v1/instances")[2]["instances"]
    assert float(row["apr"]) == kept
    return kept


def test_live_it_is_the_exchanges_profit_a_year(project: Project, fake: FakeExchange) -> None:
    for price in ("148", "146", "150"):
        fake.book.move(Decimal(price))
        eventually(lambda: metrics(project)["trades_total"] == len(fake.book.fills), what="its fills")
        eventually(lambda: len(fake.book.own_open()) == 6, what="counter orders")
    signed = [fill.qty if fill.order.side == "Bid" else -fill.qty for fill in fake.book.fills]
    capital = max(abs(position) for position in accumulate(signed)) * 150
    eventually(lambda: metrics(project)["pnl"] == round(pnl(fake), 8), what="the P&L of the exchange")
    assert set(rates(project, "live_01")) == {None}, "no hour is over"
    make_older(project, "live_01")
    eventually(lambda: "apr" in metrics(project), what="a rate")
    running = rates(project, "live_01")
    stopped = rate_of_the_stopped(project, "live_01")
    # While it runs its time goes on, by seconds of two hours.
    assert running == pytest.approx([stopped] * len(running), rel=0.1)
    ran_s = asked(project, "live_01", "SELECT ran_s FROM runs")
    assert 2 * HOUR_S < ran_s < 3 * HOUR_S
    assert stopped == pytest.approx(float(pnl(fake) / capital) * YEAR_S / ran_s, rel=1e-6, abs=2e-8)
    assert fake.book.violations == []


def test_on_paper_it_is_that_of_the_runs_record(project: Project) -> None:
    project.add("paper_01", 0, strategy_config=CLOSE_MESH)
    project.manager("up", "--wait")
    eventually(lambda: metrics(project)["trades_total"] > 0, what="a trade")
    assert set(rates(project, "paper_01")) == {None}, "no hour is over"
    make_older(project, "paper_01")
    eventually(lambda: "apr" in metrics(project), what="a rate")
    assert None not in rates(project, "paper_01")
    stopped = rate_of_the_stopped(project, "paper_01")
    profit = asked(project, "paper_01", "SELECT pnl FROM equity ORDER BY at DESC LIMIT 1")
    most = asked(project, "paper_01", "SELECT max(abs(CAST(position AS REAL))) FROM trades")
    first = asked(project, "paper_01", "SELECT price FROM equity ORDER BY at LIMIT 1")
    ran_s = asked(project, "paper_01", "SELECT ran_s FROM runs")
    assert stopped == pytest.approx(profit / (most * first) * YEAR_S / ran_s, rel=1e-6, abs=2e-8)
