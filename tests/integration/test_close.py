"""Closing positions by the image's own program, on a real engine and against a local exchange."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.fake_exchange.server import FakeExchange
from tests.fake_exchange.socket import FakeSocket
from tests.fleet import bridge_address
from tests.integration.conftest import Project, eventually
from tests.terminal import on_terminal

pytestmark = pytest.mark.engine

MESH = {"grid_upper_price": 156, "grid_lower_price": 144, "grid_num": 7, "order_quantity": 0.1}


@pytest.fixture
def fake(project: Project) -> Iterator[FakeExchange]:
    """An exchange and its websocket at the engine's own bridge."""
    address = bridge_address()
    with FakeExchange(address=address) as served, FakeSocket(served, address=address) as socket:
        variables = {**served.env, **socket.env, "GRIDBOT_RATE_LIMIT_MS": "2"}
        (project.folder / ".env").write_text(
            "".join(f"{name}={value}\n" for name, value in variables.items())
        )
        settings = project.folder / "config" / "fleet.toml"
        names = '["GRIDBOT_*", "*_API_URL", "*_WS_URL"]'
        settings.write_text(settings.read_text().replace('["GRIDBOT_*"]', names))
        served.book.mark = Decimal(150)
        project.add("live_01", 0, mode="live", strategy_config=MESH)
        project.manager("up", "--wait")
        eventually(lambda: len(served.book.own_open()) == 6, what="six orders")
        eventually(lambda: socket.subscribed, what="the image's bot listens to the websocket")
        yield served


def buy_one(fake: FakeExchange) -> None:
    """Let the market fall to the bot's next order below, which is filled and answered by a counter order."""
    price = max(order.price for order in fake.book.own_open() if order.side == "Bid" and order.price)
    fake.book.mark = price
    fake.book.move(price)
    assert len(fake.book.own_open()) == 5
    eventually(lambda: len(fake.book.own_open()) == 6, what="the counter order")


def reported(fleet: Project) -> Decimal:
    """Return what `ps` shows as held."""
    return Decimal(fleet.ps()["live_01"]["last_position"])


def test_what_halted_bots_hold_is_closed_when_a_person_agrees(project: Project, fake: FakeExchange) -> None:
    buy_one(fake)
    project.manager("halt")
    assert reported(project) == Decimal("0.1")
    assert "use --yes" in project.manager("close", "live_01", code=2).err
    drawn, code = on_terminal(project, "close", "live_01", until="[yes/no]", press=b"no\n")
    assert "live_01: sell 0.1 SOL at backpack, SOL_USDC_PERP" in drawn
    assert (code, fake.book.position()) == (1, Decimal("0.1"))
    drawn, code = on_terminal(project, "close", "live_01", until="[yes/no]", press=b"yes\n")
    assert "live_01: closed 0.1 SOL at 148, left: 0 SOL" in drawn
    assert [code, fake.book.position(), reported(project)] == [0, 0, 0]
    assert fake.book.violations == []


@pytest.mark.long_form  # the same with a signal in the middle: the next test
def test_a_halt_closes_what_bots_hold(project: Project, fake: FakeExchange) -> None:
    buy_one(fake)
    assert fake.book.position() == Decimal("0.1")
    closing = project.manager("halt", "--close-positions", "--yes", "--json").json[0]["closing"]
    assert (closing["closed"], closing["position"], closing["done"]) == ("0.1", "0", True)
    assert [fake.book.position(), reported(project)] == [0, 0]
    assert fake.book.own_open() == []
    assert fake.book.violations == []


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("close", "live_01"), marks=pytest.mark.long_form),
        ("halt", "--close-positions"),
    ],
    ids=" ".join,
)
def test_a_signal_while_the_order_is_on_its_way_lets_it_be_closed_and_told(
    project: Project, fake: FakeExchange, words: tuple[str, ...]
) -> None:
    """It ended at once, and nobody was told what was closed."""
    buy_one(fake)
    if words[0] == "close":
        project.manager("halt")
    ended: list[int] = []

    def end(when: str) -> None:
        """Send SIGTERM twice, as `timeout` does, when the closing order has been filled and not answered."""
        if when == "after" and fake.requests[-1] == ("POST", "/api/v1/order") and not ended:
            ended.append(process.pid)
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGTERM)
            time.sleep(1)

    process = subprocess.Popen(
        project.command(*words, "--yes"),
        cwd=project.folder,
        env={**os.environ, **project.environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    fake.tap = end
    out, err = process.communicate(timeout=300)
    assert ended, (out, err)
    assert process.returncode == 128 + signal.SIGTERM, (out, err)
    assert "live_01: closed 0.1 SOL at" in out
    assert "interrupted: what had begun was finished" in err
    assert [fake.book.position(), reported(project)] == [0, 0]
