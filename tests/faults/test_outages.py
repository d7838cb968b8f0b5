"""An exchange that goes away: afterwards every bot trades again with nobody's help, whichever version of the
contract it keeps, and no restart budget is spent.

Time is scaled by the settings that there are: the bots' longest pause, their restart delay.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.fake_exchange.faults import Fault, Faults
from tests.fake_exchange.server import FakeExchange
from tests.faults import bots
from tests.faults.conftest import Note, new_project
from tests.fleet import Project, a_project, bridge_address, built, eventually

pytestmark = pytest.mark.engine

MESH = {"grid_upper_price": 156, "grid_lower_price": 144, "grid_num": 7, "order_quantity": 0.1}
ORDERS = 6
BUNDLED = [f"live_{number:02}" for number in range(1, 6)]
OLD = [f"old_{number:02}" for number in range(1, 6)]
SICK = "sick_01"
"""A bot of version 1 that starts without an exchange, too, and answers 503 from then on; the other old ones
end with 1.
"""
BACK_S = 120
RETRY_CAP_S = 0.6
RETRY_AFTER_S = 2
APART_S = RETRY_CAP_S / 60
"""A second, as the bundled bot's longest pause is a minute where no setting says otherwise."""


@dataclass
class Recorded(Faults):
    """Faults that remember when they were asked, and what they answered."""

    asked: list[tuple[float, Fault]] = field(default_factory=list)

    def next(self, path: str) -> tuple[Fault, float]:
        chosen = super().next(path)
        self.asked.append((time.monotonic(), chosen[0]))
        return chosen


@dataclass(frozen=True)
class Outage:
    """How long an exchange is away, and what it answers meanwhile."""

    name: str
    fault: Fault
    seconds: float


OLD_RESTART_DELAY_S = 0.5
"""What an old bot's restart delay of a minute becomes."""
OLD_APART_S = 1
"""How far apart five old bots come back at least."""
OUTAGES = (
    Outage("a maintenance of 30 minutes", Fault.UNAVAILABLE, 15),
    Outage("a ban with Retry-After", Fault.BANNED, 30),
    Outage("a day without an answer", Fault.DROP_BEFORE, 720),
)


class Fleets:
    """A fleet for each bundled bot, since a fleet has one address of an exchange, and one of the old bots."""

    def __init__(self, bundled: dict[str, Project], old: Project, exchanges: dict[str, FakeExchange]) -> None:
        self.bundled, self.old, self.exchanges = bundled, old, exchanges

    def all(self, act: Callable[[Project], Any]) -> list[Any]:
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(act, (*self.bundled.values(), self.old)))

    def ps(self) -> dict[str, dict[str, Any]]:
        return {instance_id: row for fleet in self.all(Project.ps) for instance_id, row in fleet.items()}

    def faults(self, instance: str) -> Recorded:
        faults = self.exchanges[instance].faults
        assert isinstance(faults, Recorded)
        return faults

    def restarts(self, instance: str) -> dict[str, Any]:
        fleet = self.bundled.get(instance, self.old)
        return dict(fleet.supervisor(instance)["restarts"])

    def answered_since(self, instance: str, moment: float) -> float | None:
        """Return when a bot got its first answer after `moment`."""
        return next(
            (at for at, fault in self.faults(instance).asked if at > moment and fault is Fault.NONE), None
        )


@pytest.fixture
def fleets(tmp_path: Path, fault_image: str) -> Iterator[Fleets]:
    """Five live bots with their orders in the market, and six of version 1."""
    with some_fleets(tmp_path, fault_image, BUNDLED, [*OLD, SICK]) as made:
        yield made


@contextmanager
def some_fleets(
    tmp_path: Path, fault_image: str, live_bots: Sequence[str], old_bots: Sequence[str]
) -> Iterator[Fleets]:
    """These bots, each with an exchange of its own."""
    instances = [*live_bots, *old_bots]
    with ExitStack() as stack:
        exchanges = {
            instance_id: stack.enter_context(
                FakeExchange(faults=Recorded(retry_after=RETRY_AFTER_S), address=bridge_address())
            )
            for instance_id in instances
        }
        bundled = {
            instance_id: stack.enter_context(a_project(tmp_path / instance_id, built("bot")))
            for instance_id in live_bots
        }
        old = stack.enter_context(new_project(tmp_path / "old", fault_image))
        quick = {
            "GRIDBOT_RETRY_CAP": str(RETRY_CAP_S),
            "GRIDBOT_OUT_OF_REACH": "0.3",
            "GRIDBOT_RATE_LIMIT_MS": "2",
        }
        for instance_id, fleet in bundled.items():
            env = {**quick, **exchanges[instance_id].env}
            (fleet.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in env.items()))
            settings = fleet.folder / "config" / "fleet.toml"
            settings.write_text(settings.read_text().replace('"GRIDBOT_*"', '"GRIDBOT_*", "*_API_URL"'))
            fleet.add(instance_id, 0, mode="live", strategy_config=MESH)
        bots.give_addresses(
            old,
            {f"FAULT_AT_{number}": exchanges[instance_id].url for number, instance_id in enumerate(old_bots)},
        )
        for number, instance_id in enumerate(old_bots):
            bots.add(
                old,
                instance_id,
                number,
                "asks" if instance_id == SICK else "needs",
                daemon_config={"restart_delay": OLD_RESTART_DELAY_S, "unhealthy_probes": 2},
                environment={"FAULT_EXCHANGE": f"FAULT_AT_{number}"},
            )
        made = Fleets(bundled, old, exchanges)
        made.all(lambda fleet: fleet.manager("up", "--wait"))
        for instance_id in live_bots:
            wait_for_orders(exchanges[instance_id], instance_id)
        yield made


def test_one_bot_of_each_version_trades_again_after_an_outage(tmp_path: Path, fault_image: str) -> None:
    """The short form: no time is set, each step waits for what the one before has to lead to."""
    live, old = BUNDLED[0], OLD[0]
    with some_fleets(tmp_path, fault_image, [live], [old]) as fleets:
        for fleets_of in (live, old):
            fleets.faults(fleets_of).down = True
        away = eventually(
            lambda: (row := fleets.ps()[live])["doing"] == "exchange away" and row,
            BACK_S,
            "the outage is seen",
        )
        assert away["state"] == "running", "an outage is not a hang"
        assert "orders rest there" in away["doing_why"]
        eventually(lambda: fleets.restarts(old)["total"] > 0, BACK_S, "a bot of version 1 is restarted")
        for fleets_of in (live, old):
            fleets.faults(fleets_of).down = False
        back = {live: ("running", "trading"), old: ("running", "unknown")}
        eventually(
            lambda: (
                {instance_id: (row["state"], row["doing"]) for instance_id, row in fleets.ps().items()}
                == back
            ),
            BACK_S,
            "both are back",
        )
        trades_on(fleets.exchanges[live], live)
        assert fleets.restarts(live)["total"] == 0
        assert fleets.restarts(old)["in_a_row"] == 0, "an outage spends no budget"
        assert fleets.exchanges[live].book.violations == []


@pytest.mark.long_form  # outages that can be looked at on a busy machine take minutes
def test_every_bot_trades_again_after_an_outage_with_nobodys_help(fleets: Fleets, note: Note) -> None:
    for outage in OUTAGES:
        until_back(fleets, outage)
        note(
            outage.name,
            f"{outage.seconds:g} s of “{outage.fault}” for five live bots and six of version 1 together",
            len(fleets.exchanges),
            "all trade again, no restart is counted, they do not come back together",
        )
    fell = {instance_id: fleets.restarts(instance_id)["total"] for instance_id in [*OLD, SICK]}
    assert all(fell.values()), f"a bot of version 1 was never restarted: {fell}"
    for instance_id in BUNDLED:
        assert fleets.exchanges[instance_id].book.violations == []


def until_back(fleets: Fleets, outage: Outage) -> None:
    """Take all exchanges away together, and look at the bots while they are and when they are back."""
    begun, seconds = time.monotonic(), outage.seconds
    for instance_id in fleets.exchanges:
        fleets.faults(instance_id).away_for(seconds, outage.fault)
    away = eventually(lambda: is_away(rows := fleets.ps()) and rows, seconds, f"{outage.name} is seen")
    assert {away[instance_id]["state"] for instance_id in BUNDLED} == {"running"}
    assert all("orders rest there" in away[instance_id]["doing_why"] for instance_id in BUNDLED)
    while (left := begun + seconds - time.monotonic()) > 0:
        time.sleep(min(left, 10))
        assert "failed" not in {row["state"] for row in fleets.ps().values()}
    ended = begun + seconds

    moments = {
        instance_id: eventually(
            partial(fleets.answered_since, instance_id, ended),
            max(BACK_S, seconds),
            f"{instance_id} asks",
        )
        for instance_id in fleets.exchanges
    }
    eventually(lambda: is_trading(fleets.ps()), BACK_S, "every bot trades")
    for instance_id in BUNDLED:
        trades_on(fleets.exchanges[instance_id], instance_id)
    counted = {instance_id: fleets.restarts(instance_id) for instance_id in fleets.exchanges}
    assert {instance_id: restarts["in_a_row"] for instance_id, restarts in counted.items()} == dict.fromkeys(
        counted, 0
    )
    assert {counted[instance_id]["total"] for instance_id in BUNDLED} == {0}

    for fleet, apart in ((BUNDLED, APART_S), (OLD, OLD_APART_S)):
        span = max(moments[instance_id] for instance_id in fleet) - min(
            moments[instance_id] for instance_id in fleet
        )
        assert span > apart, f"{outage.name}: {fleet} came back within {span:.3f} s"
    if outage.fault is Fault.BANNED:
        for instance_id in BUNDLED:
            refused = [
                at for at, fault in fleets.faults(instance_id).asked if at > begun and fault is Fault.BANNED
            ]
            pauses = [later - earlier for earlier, later in itertools.pairwise(refused)]
            assert all(pause < 0.5 or pause >= RETRY_AFTER_S for pause in pauses), (instance_id, pauses)


def is_away(rows: dict[str, dict[str, Any]]) -> bool:
    return all(rows[instance_id]["doing"] == "exchange away" for instance_id in BUNDLED)


def is_trading(rows: dict[str, dict[str, Any]]) -> bool:
    return {row["state"] for row in rows.values()} == {"running"} and all(
        rows[instance_id]["doing"] == "trading" for instance_id in BUNDLED
    )


def trades_on(fake: FakeExchange, instance: str) -> None:
    """The market moves to one of its orders: it is filled, and the bot places the next one."""
    wait_for_orders(fake, instance)
    book = fake.book
    before, price = len(book.fills), book.price
    book.move(price + (Decimal("2.1") if price <= 150 else Decimal("-2.1")))
    assert len(book.fills) > before, f"{instance} has no order within a step"
    wait_for_orders(fake, instance)


def wait_for_orders(fake: FakeExchange, instance: str) -> None:
    """Wait until all orders of a bot are in the market."""
    eventually(lambda: len(fake.book.own_open()) == ORDERS, what=f"{ORDERS} orders of {instance}")
