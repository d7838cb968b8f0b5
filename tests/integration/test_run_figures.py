"""How a run goes, live on a local exchange: one number wherever it is asked for, and the exchange's own."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.fake_exchange.book import RefusalError
from tests.fake_exchange.server import FakeExchange
from tests.fleet import bridge_address
from tests.integration.conftest import Project, eventually
from tests.integration.test_serve import serving

pytestmark = pytest.mark.engine

MESH = {"grid_upper_price": 156, "grid_lower_price": 144, "grid_num": 7, "order_quantity": 0.1}
PAID = Decimal("-0.0125")
AT_EVERY_TICK = (
    *("pnl", "realized", "unrealized", "fees", "funding", "max_drawdown"),
    *("order_latency", "trades"),
)
# These are read from all of the record: in a report once a minute, or more rarely, and at the end.
FIGURES = (*AT_EVERY_TICK, "profit_per_grid", "maker_share", "reject_rate", "apr")
METRICS = {
    "realized": "pnl_realized",
    "unrealized": "pnl_unrealized",
    "trades": "trades_total",
    "order_latency": "order_latency_seconds",
}


@pytest.fixture
def fake(project: Project) -> Iterator[FakeExchange]:
    with FakeExchange(address=bridge_address()) as served:
        variables = {**served.env, "GRIDBOT_RATE_LIMIT_MS": "2"}
        env = "".join(f"{name}={value}\n" for name, value in variables.items())
        (project.folder / ".env").write_text(env)
        settings = project.folder / "config" / "fleet.toml"
        settings.write_text(settings.read_text().replace('["GRIDBOT_*"]', '["GRIDBOT_*", "*_API_URL"]'))
        served.book.funding = [(time.time(), PAID)]
        project.add("live_01", 0, mode="live", strategy_config=MESH)
        project.manager("up", "--wait")
        eventually(lambda: len(served.book.own_open()) == 6, what="six orders")
        yield served


def metrics(project: Project) -> dict[str, Decimal]:
    """Return what the bot's /metrics says now."""
    with urllib.request.urlopen(f"http://127.0.0.1:{project.first_port}/metrics", timeout=10) as answer:
        lines = [line.split() for line in answer.read().decode().splitlines() if not line.startswith("#")]
    return {line[0].removeprefix("gridbot_"): Decimal(line[1]) for line in lines if "{" not in line[0]}


def pnl(fake: FakeExchange) -> Decimal:
    """Return what the exchange's record makes of the account, funding included."""
    cash = sum(
        (
            (-1 if fill.order.side == "Bid" else 1) * fill.qty * fill.price - fill.fee
            for fill in fake.book.fills
        ),
        PAID,
    )
    return cash + fake.book.position() * fake.book.price


def sent(fake: FakeExchange) -> int:
    """Return how many orders the exchange was sent, those that it refused too."""
    return fake.requests.count(("POST", "/api/v1/order"))


def rounded(value: Any) -> Decimal | None:
    return None if value is None else round(Decimal(str(value)), 8)


def assert_falls(project: Project, deepest: Decimal) -> None:
    eventually(lambda: metrics(project)["max_drawdown"] == rounded(deepest), what=f"a fall of {deepest}")


def test_one_number_wherever_it_is_asked_for(project: Project, fake: FakeExchange) -> None:
    # The check before the first order has sent one that cannot be placed.
    posts, placed = sent(fake), len(fake.book.orders)
    peak, deepest = Decimal(0), -PAID
    for price in ("148", "146", "143", "150", "152"):
        if price == "146":
            fake.refusal = RefusalError("INSUFFICIENT_FUNDS", "Insufficient funds")
        fake.book.move(Decimal(price))
        if fake.refusal is not None:
            eventually(lambda: metrics(project)["reject_rate"] > 0, what="a refused order")
            fake.refusal = None
        eventually(lambda: metrics(project)["trades_total"] == len(fake.book.fills), what="its fills")
        eventually(lambda: len(fake.book.own_open()) == 6, what="counter orders")
        peak = max(peak, pnl(fake))
        deepest = max(deepest, peak - pnl(fake))
        eventually(lambda: metrics(project)["pnl"] == rounded(pnl(fake)), what="the P&L of the exchange")
        assert_falls(project, deepest)
    accepted = len(fake.book.orders)
    refused = sent(fake) - posts - (accepted - placed)
    asked = metrics(project)
    expected = {
        "pnl": pnl(fake),
        "fees": sum(fill.fee for fill in fake.book.fills),
        "funding": PAID,
        "max_drawdown": deepest,
        "maker_share": Decimal(1),
        "reject_rate": Decimal(refused) / (accepted + refused),
    }
    assert {name: rounded(value) for name, value in expected.items()} == {
        name: asked[name] for name in expected
    }
    assert "apr" not in asked, "no hour is over"

    def of_the_bot() -> dict[str, Decimal | None]:
        now = metrics(project)
        return {name: rounded(now.get(METRICS.get(name, name))) for name in FIGURES}

    def agrees(row: dict[str, Any]) -> bool:
        now = of_the_bot()
        return {name: rounded(row[name]) for name in AT_EVERY_TICK} == {
            name: now[name] for name in AT_EVERY_TICK
        }

    eventually(
        lambda: agrees(project.manager("stats", "--json").json[0]), what="stats says what /metrics says"
    )
    with serving(project) as serve:
        client = serve.client()
        eventually(
            lambda: agrees(client.get("/api/v1/instances")[2]["instances"][0]), what="so does the page's API"
        )
        assert agrees(client.get("/api/v1/instances/live_01")[2]["report"])
        [total] = client.get("/api/v1/fleet")[2]["pnl"]
        assert rounded(total["run"]) == rounded(pnl(fake)), total
    last = of_the_bot()
    project.manager("stop", "live_01")
    report = json.loads((project.folder / "volumes" / "state" / "live_01" / "report.json").read_text())[
        "report"
    ]
    assert {name: rounded(report[name]) for name in FIGURES} == last
    stopped = project.manager("stats", "--json").json[0]
    assert {name: rounded(stopped[name]) for name in FIGURES} == last
    assert rounded(project.ps()["live_01"]["last_pnl"]) == last["pnl"]
    assert fake.book.violations == []
