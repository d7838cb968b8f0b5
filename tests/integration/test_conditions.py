"""Each condition of a bot made to happen, and what every command and alert then says: row by row as
docs/conditions.md has it.

`pytest -s` prints what the table is made of.
"""

from __future__ import annotations

import os
import signal
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests import cases
from tests.fake_exchange.book import RefusalError
from tests.fake_exchange.server import FakeExchange
from tests.faults.bots import give_addresses
from tests.fleet import a_project, bridge_address, built
from tests.integration import conditions_table
from tests.integration.conditions_table import Row, agrees
from tests.integration.conftest import ROOT, Project, eventually
from tests.integration.test_halt import MESH, fake

__all__ = ["fake"]

pytestmark = pytest.mark.engine

ALERTS = """
[alerts]
exchange_away_after = 1
out_of_range_after = 1
unhealthy_after = 1
down_after = 1
recovered_after = 1
crash_loop_restarts = 100
endless_restarts = 2
"""
BOT = "live_01"
TOKEN = "a-word-of-the-test"
FUNDS = RefusalError("INSUFFICIENT_FUNDS", "Insufficient funds")
ROWS = conditions_table.rows()
LIVE = (
    "an exchange that answers",
    "no answer to any request",
    "answers again",
    "the price above the grid",
    "every new order refused",
    "SIGKILL of the bot, no restart left",
    "a bound with `stop_only`",
    "the end of its `duration`",
    "`manager down` after that",
)
SHORT = (*LIVE[:4], LIVE[5])
"""What needs no further start of the bot."""
RISKS = (
    "a pause on the bot's page",
    "somebody else trades on its account",
    "a position that cannot be read",
    "a stop loss",
    "a take profit",
    "`docker kill` of its container",
    "`docker rm -f` of its container",
    "SIGKILL, no restart left, and no answer to the cancel program",
)
SPOT = ("a stop loss on spot, with fees in what was bought",)
OLD = (
    "a bot of contract 1 that trades",
    "503 on its `/health`",
    "it cannot start any more, and has not been healthy since",
    "an end with exit code 0, without a report",
)


def test_the_tests_make_every_row_of_the_table_happen() -> None:
    assert [*LIVE, *RISKS, *SPOT, *OLD] == list(ROWS)


class WatchedProject:
    """A project with a `watch` that prints its alerts, and the rows of the table that have happened."""

    def __init__(self, project: Project, *, shows: bool) -> None:
        self.project, self.shows = project, shows
        self.seen: list[str] = []
        self._read = 0

    def alerts(self) -> str:
        return (self.project.folder / "watch.log").read_text()

    def until(self, cause: str, bot: str = BOT) -> dict[str, Any]:
        """Wait until the bot is as the row says, and the alert is out; return it as in `ps --json`."""
        row, project = ROWS[cause], self.project

        def is_there() -> dict[str, Any] | None:
            ps_row: dict[str, Any] = project.ps()[bot]
            return ps_row if (ps_row["doing"], ps_row["state"]) == (row.doing, row.state) else None

        ps_row: dict[str, Any] = eventually(is_there, 90, what=f"{row.state}, {row.doing}: {cause}")
        note = self.note(bot)
        eventually(lambda: agrees(self.note(bot), row.note, whole=True), 20, f"{row.note}, not {note}")
        self.compare(row, ps_row)
        try:
            eventually(
                lambda: not row.alert or agrees(self.alerts()[self._read :], of(row.alert, bot), whole=False),
                60,
                what=row.alert,
            )
        except AssertionError as error:
            raise AssertionError(f"{error}; printed: {self.alerts()[self._read :]}") from None
        if self.shows:
            self.show(cause, ps_row)
        self.seen.append(cause)
        self._read = len(self.alerts())
        return ps_row

    def until_over(self) -> None:
        """Wait until the last alert is over: the next one of its kind is told then."""
        eventually(lambda: f"{BOT} is running again" in self.alerts()[self._read :], 90, "running again")
        self._read = len(self.alerts())

    def compare(self, row: Row, ps_row: dict[str, Any]) -> None:
        bot, project = ps_row["id"], self.project
        assert ps_row["severity"] == row.severity
        assert project.manager("status", bot, code=None).code == row.exit_code
        assert {row["severity"] for row in project.manager("stats", "--json", bot).json} <= {row.severity}
        listed = [line for line in project.manager("list").out.splitlines() if bot in line]
        assert [light for line in listed for light in "🟢🔴" if light in line] == [*row.light]

    def note(self, bot: str) -> str:
        """Return what `ps` says about it, uncut."""
        head, *lines = self.project.manager("ps", "--format", "tsv").out.splitlines()
        at = [cell.strip() for cell in head.split("\t")].index("NOTE")
        cells = next(line.split("\t") for line in lines if line.split("\t")[0].strip() == bot)
        return cells[at].strip() if at < len(cells) else ""

    def show(self, cause: str, ps_row: dict[str, Any]) -> None:
        print(f"\n== {cause}: {ps_row['state']}, {ps_row['doing']}, {ps_row['severity']}")
        print(self.project.manager("ps").out, self.project.manager("stats").out, sep="")
        print(self.alerts()[self._read :])

    def again(self, fake: FakeExchange, price: str = "150", **strategy: Any) -> None:
        """Start afresh, with these changes of the strategy."""
        self.project.manager("down")
        fake.book.move(Decimal(price))
        self.project.change(BOT, strategy_config=strategy)
        self.project.manager("up", "--wait")
        eventually(lambda: len(fake.book.own_open()) == 6, what="six orders")


def of(alert: str, bot: str) -> str:
    """Return an alert of the table, which is of `live_01`, as it is of another bot."""
    return alert.replace(BOT, bot)


@contextmanager
def watched(project: Project, *, shows: bool) -> Iterator[WatchedProject]:
    """Run `watch` over a project; `shows` prints what the commands say."""
    watch = project.begin("watch", output=project.folder / "watch.log")
    live_fleet = WatchedProject(project, shows=shows)
    try:
        eventually(lambda: "watching" in live_fleet.alerts())
        yield live_fleet
    finally:
        watch.terminate()
        watch.wait(30)


def set_alerts(project: Project) -> None:
    settings = project.folder / "config" / "fleet.toml"
    settings.write_text(settings.read_text() + ALERTS)


@pytest.fixture
def live_fleet(project: Project, fake: FakeExchange, pytestconfig: pytest.Config) -> Iterator[WatchedProject]:
    """One bot that trades live, with its six orders in the market."""
    set_alerts(project)
    settings = project.folder / "config" / "fleet.toml"
    settings.write_text(settings.read_text().replace('"GRIDBOT_*"', '"GRIDBOT_*", "BOT_WEB_TOKEN"'))
    with (project.folder / ".env").open("a") as env:
        env.write(f"BOT_WEB_TOKEN={TOKEN}\n")
    daemon = {"max_restart_attempts": 0}
    project.add(BOT, 0, mode="live", strategy_config=MESH, daemon_config=daemon)
    project.manager("up", "--wait")
    eventually(lambda: len(fake.book.own_open()) == 6, what="six orders")
    with watched(project, shows=is_shown(pytestconfig)) as made:
        yield made


def is_shown(config: pytest.Config) -> bool:
    """Return whether anybody would see it: `pytest -s`."""
    return bool(config.getoption("capture") == "no")


@pytest.fixture
def old_fleet(tmp_path: Path, pytestconfig: pytest.Config) -> Iterator[WatchedProject]:
    """A project of bots that know contract 1 only."""
    image = built("faultbot", "--bot", str(ROOT / "tests" / "faults" / "bot"))
    with a_project(tmp_path / "project", image, 'bot_dir = "its-own"\n') as project:
        set_alerts(project)
        with watched(project, shows=is_shown(pytestconfig)) as made:
            yield made


def test_what_a_live_bot_meets(live_fleet: WatchedProject, fake: FakeExchange) -> None:
    project = live_fleet.project
    ps_row = live_fleet.until("an exchange that answers")
    assert (ps_row["mode"], ps_row["market"]) == ("live", "live")

    fake.faults.down = True
    live_fleet.until("no answer to any request")
    fake.faults.down = False
    live_fleet.until("answers again")
    assert project.ps()[BOT]["restarts"] == 0

    fake.book.move(Decimal("157.5"))
    live_fleet.until("the price above the grid")

    if cases.is_long:
        project.change(BOT, strategy_config={"stop_loss": 0.01})
        assert "--stop-loss none → 0.01" in project.manager("plan").out
        fake.refusal = FUNDS
        project.manager("down")
        fake.book.move(Decimal(150))
        project.change(BOT, strategy_config={"stop_loss": None})
        project.manager("up")
        live_fleet.until("every new order refused")
        fake.refusal = None
        eventually(lambda: project.ps()[BOT]["doing"] == "trading", what="trading")

    # of one that is killed before it has told of its fills, the alert knows no position
    eventually(lambda: Decimal(project.ps()[BOT]["last_position"] or 0) < 0, what="a report of the fills")
    os.kill(project.instances()[BOT]["bot_pid"], signal.SIGKILL)
    eventually(lambda: (project.supervisor(BOT)["cancel"] or {}).get("state") == "confirmed", 90)
    ps_row = live_fleet.until("SIGKILL of the bot, no restart left")
    assert (ps_row["cancel"]["state"], fake.book.own_open()) == ("confirmed", [])

    if not cases.is_long:
        assert live_fleet.seen == [*SHORT]
        return
    live_fleet.again(fake, enable_boundary_check=True, boundary_action="stop_only")
    fake.book.move(Decimal("157.5"))
    ps_row = live_fleet.until("a bound with `stop_only`")
    assert Decimal(ps_row["last_position"]) < 0

    live_fleet.again(fake, enable_boundary_check=False, boundary_action=None, duration=25)
    fake.book.move(Decimal("152.1"))
    live_fleet.until("the end of its `duration`")
    project.manager("down")
    ps_row = live_fleet.until("`manager down` after that")
    assert ps_row["last_pnl"] is not None
    assert fake.book.violations == []
    assert live_fleet.seen == [*LIVE]


@pytest.mark.long_form
def test_what_ends_or_holds_a_live_bot(live_fleet: WatchedProject, fake: FakeExchange) -> None:
    project = live_fleet.project
    press(project, "pause")
    live_fleet.until("a pause on the bot's page")
    assert fake.book.own_open() == []
    press(project, "resume")
    eventually(lambda: len(fake.book.own_open()) == 6, what="six orders")

    fake.book.place("Bid", "Market", None, Decimal(2), foreign=True)
    live_fleet.until("somebody else trades on its account")
    fake.position = [{"symbol": "SOL_USDC_PERP", "netQuantity": None}]
    live_fleet.until("a position that cannot be read")  # it is told although the other one is not over
    fake.position = None
    fake.book.place("Ask", "Market", None, Decimal(2), foreign=True)

    live_fleet.again(fake, stop_loss=0.05)
    fake.book.move(Decimal("157.5"))
    live_fleet.until("a stop loss")

    live_fleet.again(fake, stop_loss=None, take_profit=0.05)
    fake.book.move(Decimal("152"))
    eventually(lambda: project.ps()[BOT]["last_position"] is not None, what="a report")
    fake.book.move(Decimal("149.9"))
    live_fleet.until("a take profit")

    live_fleet.again(fake, take_profit=None)
    fake.book.move(Decimal("152.1"))
    eventually(lambda: Decimal(project.ps()[BOT]["last_position"] or 0) < 0, what="a report of the fill")
    project.docker("kill", project.container(BOT))
    live_fleet.until("`docker kill` of its container")
    project.manager("up", "--wait")
    live_fleet.until_over()
    project.docker("rm", "-f", project.container(BOT))
    live_fleet.until("`docker rm -f` of its container")
    project.manager("up", "--wait")

    live_fleet.again(fake)
    fake.faults.down = True
    os.kill(project.instances()[BOT]["bot_pid"], signal.SIGKILL)
    live_fleet.until("SIGKILL, no restart left, and no answer to the cancel program")
    assert project.ps()[BOT]["cancel"]["state"] != "confirmed"
    assert len(fake.book.own_open()) == 6, "the table speaks of orders that are there"
    assert live_fleet.seen == [*RISKS]


@pytest.mark.long_form
def test_what_a_spot_bot_leaves(project: Project, fake: FakeExchange, pytestconfig: pytest.Config) -> None:
    """What is bought is paid for in it, so that less than the smallest order is left of it."""
    set_alerts(project)
    fake.book.symbol, fake.book.base_fees = "SOL_USDC", True
    market = {"symbol": "SOL_USDC", "market_type": "spot", "strategy": "grid"}
    strategy = {**MESH, "stop_loss": 0.2}
    project.add(BOT, 0, mode="live", metadata=market, strategy_config=strategy)
    project.manager("up", "--wait")
    eventually(lambda: len(fake.book.own_open()) == 3, what="three orders")
    with watched(project, shows=is_shown(pytestconfig)) as live_fleet:
        fake.book.move(Decimal(145))
        ps_row = live_fleet.until(SPOT[0])
        assert 0 < Decimal(ps_row["last_position"]) < Decimal("0.01")
        assert live_fleet.seen == [*SPOT]


def press(project: Project, button: str) -> None:
    """Press a button of the bot's page."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{project.first_port}/api/{button}",
        method="POST",
        headers={"Authorization": f"Bearer {TOKEN}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 202


@pytest.mark.long_form
def test_what_a_bot_of_contract_1_meets(old_fleet: WatchedProject) -> None:
    project = old_fleet.project
    with FakeExchange(address=bridge_address()) as fake:
        give_addresses(project, {"FAULT_AT": fake.url})
        project.add(
            "old_01",
            0,
            metadata={"strategy": "needs"},
            environment={"FAULT_EXCHANGE": "FAULT_AT"},
            daemon_config={"unhealthy_probes": 20, "restart_delay": 6},
        )
        project.manager("up", "--wait")
        old_fleet.until("a bot of contract 1 that trades", "old_01")
        fake.faults.down = True
        old_fleet.until("503 on its `/health`", "old_01")
        old_fleet.until("it cannot start any more, and has not been healthy since", "old_01")
    project.add("done_01", 1, metadata={"strategy": "done"})
    project.manager("up", "done_01")
    old_fleet.until("an end with exit code 0, without a report", "done_01")
    assert old_fleet.seen == [*OLD]
