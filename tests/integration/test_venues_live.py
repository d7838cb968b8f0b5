"""Live bots in containers on simulated paradex, lighter and apex: from the first order to the last close."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from tests.bot.kits.apex import Apex
from tests.bot.kits.lighter import Lighter
from tests.bot.kits.paradex import Paradex
from tests.bot.kits.served import ServedApex, ServedKit, ServedLighter, ServedParadex
from tests.fake_exchange.book import RefusalError
from tests.fleet import ROOT, RUN_ID, a_project, bridge_address
from tests.integration.conftest import Project, eventually

# The quicker tests are tests/bot/test_kits.py and test_served_kits.py, and backpack's way through containers.
pytestmark = [pytest.mark.engine, pytest.mark.long_form]

MESH = {"grid_upper_price": 156, "grid_lower_price": 144, "grid_num": 7, "order_quantity": 0.1}
ACCEPTED = "accept_unverified = true\n"


@contextmanager
def served(project: Project, venue: ServedKit) -> Iterator[ServedKit]:
    """Serve a kit at the engine's own bridge to a bot, `live_01`; its exchange is not accepted yet."""
    with venue:
        write_variables(project, venue.env)
        settings = project.folder / "config" / "fleet.toml"
        name = venue.kit.name
        names = f'["GRIDBOT_*", "{name.upper()}_*"]'
        settings.write_text(settings.read_text().replace('["GRIDBOT_*"]', names))
        metadata = {"exchange": name, "symbol": venue.kit.symbol}
        path = project.add("live_01", 0, mode="live", metadata=metadata, strategy_config=MESH)
        keys = {field: f"${{{variable}}}" for field, variable in venue.named.items()}
        path.write_text(json.dumps(json.loads(path.read_text()) | {"exchange_config": keys}))
        yield venue


@pytest.fixture
def signing_project(tmp_path: Path, signing_image: str) -> Iterator[Project]:
    """An empty project whose image has the signing libraries of lighter and apex."""
    with a_project(tmp_path / "project", signing_image) as made:
        yield made


@pytest.fixture(scope="session")
def signing_image(bot_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Add the exchanges' own libraries to the bot's image, as docs/exchanges.md (Signing libraries) says."""
    folder = tmp_path_factory.mktemp("signers")
    document = (ROOT / "docs" / "exchanges.md").read_text().partition("## Signing libraries")[2]
    script = document.partition("```sh\n")[2].partition("```")[0].partition("docker build")[0]
    script = script.replace("my-fleet-bot:local", bot_image).replace("pip ", f"{sys.executable} -m pip ", 1)
    done = subprocess.run(["sh", "-ec", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"the signing libraries come from PyPI: {done.stderr}"
    tag = f"botfleet-test-signers:{RUN_ID}"
    subprocess.run(["docker", "build", "-q", "-t", tag, "."], cwd=folder / "signers", check=True)
    yield tag
    subprocess.run(["docker", "rmi", tag], capture_output=True, check=False)


def write_variables(project: Project, variables: dict[str, str]) -> None:
    """Write what the bots are given; their pace is the machine's."""
    lines = {**variables, "GRIDBOT_RATE_LIMIT_MS": "2"}
    (project.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))


def accept(project: Project) -> None:
    settings = project.folder / "config" / "fleet.toml"
    settings.write_text(settings.read_text() + ACCEPTED)


def has_orders(venue: ServedKit, count: int) -> None:
    eventually(lambda: len(venue.book.own_open()) == count, what=f"{count} orders")


def buy_one(venue: ServedKit) -> None:
    """Let the market fall to the bot's next order below, which is filled and answered by a counter order."""
    price = max(order.price for order in venue.book.own_open() if order.side == "Bid" and order.price)
    venue.book.move(price)
    assert len(venue.book.own_open()) == 5
    has_orders(venue, 6)


def reported(project: Project) -> Decimal:
    """Return what `ps` shows as held."""
    return Decimal(project.ps()["live_01"]["last_position"])


def is_left_alone(venue: ServedKit) -> None:
    """Check that nothing of the bot's is left, and that others' orders are."""
    assert venue.book.open_orders() == venue.kit.others
    assert venue.book.violations == []


def trade_to_the_end(project: Project, venue: ServedKit) -> None:
    """Start, fill, stop, start, halt with the position closed, start, halt, close."""
    refused = project.manager("up", code=None)
    assert "accept_unverified" in refused.out + refused.err
    assert "live_01" not in project.ids()
    accept(project)
    project.manager("up", "--wait")
    has_orders(venue, 6)
    buy_one(venue)
    project.manager("stop", "live_01")
    is_left_alone(venue)
    assert reported(project) == venue.book.position() == Decimal("0.1")

    project.manager("start", "live_01", "--wait")
    eventually(lambda: len(venue.book.own_open()) >= 5, what="the grid again, with the position's exit")
    closing = project.manager("halt", "--close-positions", "--yes", "--json").json[0]["closing"]
    assert (closing["position"], closing["done"]) == ("0", True), closing
    assert [venue.book.position(), reported(project)] == [0, 0]
    is_left_alone(venue)

    venue.book.move(Decimal(150))
    project.manager("resume", "live_01", "--wait")
    has_orders(venue, 6)
    buy_one(venue)
    project.manager("halt")
    is_left_alone(venue)
    assert reported(project) == venue.book.position() == Decimal("0.1")
    assert "live_01: closed 0.1 SOL at" in project.manager("close", "live_01", "--yes").out
    assert [venue.book.position(), reported(project)] == [0, 0]
    is_left_alone(venue)


def be_refused(project: Project, venue: ServedKit, code: str) -> None:
    """Take the running bot's permission to trade, and then its funds: each is told in words, and passes.

    `code`: the exchange's own for too little funds.
    """
    accept(project)
    project.manager("up", "--wait")
    has_orders(venue, 6)

    def is_refused(words: str) -> bool:
        row = project.ps()["live_01"]
        return row["doing"] == "orders refused" and row["severity"] == "bad" and words in row["doing_why"]

    for words in ("the keys may not trade", "the funds do not suffice"):
        if "keys" in words:
            venue.read_only = True
        else:
            venue.refusal = RefusalError(code, "too little", 400)
        venue.book.move(min(order.price for order in venue.book.own_open() if order.price) - 1)
        eventually(lambda words=words: is_refused(words), 120, what=words)  # type: ignore[misc]
        assert project.ps()["live_01"]["restarts"] == 0
        venue.read_only, venue.refusal = False, None
        eventually(
            lambda: project.ps()["live_01"]["doing"] != "orders refused", 180, what="an accepted order"
        )
        venue.book.move(Decimal(150))
        has_orders(venue, 6)
    project.manager("halt", "--close-positions", "--yes")
    is_left_alone(venue)
    assert venue.book.position() == 0


def test_paradex_refuses_a_running_bot(project: Project) -> None:
    with served(project, ServedParadex(Paradex(), bridge_address())) as venue:
        be_refused(project, venue, "NOT_ENOUGH_MARGIN")


def test_lighter_refuses_a_running_bot(signing_project: Project) -> None:
    with served(signing_project, ServedLighter(Lighter(), bridge_address())) as venue:
        be_refused(signing_project, venue, "21739")


def test_apex_refuses_a_running_bot(signing_project: Project) -> None:
    with served(signing_project, ServedApex(Apex(), bridge_address())) as venue:
        be_refused(signing_project, venue, "ORDER_POSSIBLE_LEAD_TO_ACCOUNT_LIQUIDATED")


def test_paradex(project: Project) -> None:
    with served(project, ServedParadex(Paradex(), bridge_address())) as venue:
        trade_to_the_end(project, venue)


def test_lighter(signing_project: Project) -> None:
    with served(signing_project, ServedLighter(Lighter(), bridge_address())) as venue:
        trade_to_the_end(signing_project, venue)


def test_apex(signing_project: Project) -> None:
    with served(signing_project, ServedApex(Apex(), bridge_address())) as venue:
        trade_to_the_end(signing_project, venue)
