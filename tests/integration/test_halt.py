"""The kill switch on a real engine, and live against a local exchange that bots in containers can reach."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.fake_exchange.server import FakeExchange
from tests.fleet import bridge_address
from tests.integration.conftest import Project, eventually
from tests.terminal import on_terminal

pytestmark = pytest.mark.engine

MESH = {"grid_upper_price": 156, "grid_lower_price": 144, "grid_num": 7, "order_quantity": 0.1}


@pytest.fixture
def fake(project: Project) -> Iterator[FakeExchange]:
    """An exchange at the engine's own bridge, which only this machine and its containers see."""
    with FakeExchange(address=bridge_address()) as served:
        variables = {**served.env, "GRIDBOT_RATE_LIMIT_MS": "2", "GRIDBOT_RECV_WINDOW_MS": "1000"}
        text = "".join(f"{name}={value}\n" for name, value in variables.items())
        (project.folder / ".env").write_text(text)
        settings = project.folder / "config" / "fleet.toml"
        settings.write_text(settings.read_text().replace('["GRIDBOT_*"]', '["GRIDBOT_*", "*_API_URL"]'))
        yield served


@pytest.fixture
def live_project(project: Project, fake: FakeExchange) -> Project:
    """One bot that trades live, with its six orders in the market, and one on paper."""
    project.add("live_01", 0, mode="live", strategy_config=MESH)
    project.add("paper_01", 1)
    project.manager("up", "--wait")
    eventually(lambda: len(fake.book.own_open()) == 6, what="six orders")
    return project


def halted(project: Project, code: int) -> dict[str, dict[str, Any]]:
    """Halts; instance → what was said of it."""
    return {row["id"]: row for row in project.manager("halt", "--json", code=code).json}


def everything(project: Project) -> list[str]:
    label = f"label=com.docker.compose.project={project.name}"
    return project.docker("ps", "-a", "--filter", label, "--format", "{{.Names}}").split()


def test_what_is_left_at_the_exchange_is_asked_and_named(live_project: Project, fake: FakeExchange) -> None:
    fake.book.place("Bid", "Limit", Decimal(141), Decimal(1), 7, foreign=True)
    outcomes = halted(live_project, 0)
    assert {instance_id: outcomes[instance_id]["how"] for instance_id in outcomes} == {
        "live_01": "stopped",
        "paper_01": "stopped",
    }
    assert (outcomes["live_01"]["open_orders_at_exchange"], outcomes["live_01"]["orders_of_others"]) == (0, 1)
    assert not outcomes["paper_01"]["asked"]
    assert live_project.manager("up").out.count("halted; `manager resume` starts what ran") == 2
    assert {row["halted"] for row in live_project.ps().values()} == {True}

    live_project.manager("resume", "live_01", "--wait")
    eventually(lambda: len(fake.book.own_open()) == 6, what="six orders")
    live_project.docker("kill", live_project.container("live_01"))
    done = live_project.manager("halt", code=1)
    assert "live_01: 6 ORDERS ARE STILL OPEN at backpack, SOL_USDC_PERP: cancel them there (" in done.err
    assert "buy 0.1 @ 144" in done.err
    assert len(fake.book.own_open()) == 6, "asking cancels nothing"

    fake.faults.down = True
    unknown = halted(live_project, 1)["live_01"]
    assert unknown["open_orders_at_exchange"] is None
    assert "backpack does not say which orders are open" in unknown["why"]
    assert "manager resume" in live_project.manager("up").out
    assert sorted(everything(live_project)) == [
        live_project.container("live_01"),
        live_project.container("paper_01"),
    ]
    assert fake.secret not in json.dumps(unknown) + done.out + done.err
    assert fake.book.violations == []


def test_a_one_off_is_stopped_too_whatever_is_locked_broken_or_missing(
    live_project: Project, fake: FakeExchange
) -> None:
    live_project.manager("stop", "live_01")
    live_project.manager("compose")
    live_project.compose("run", "-d", "live_01")
    eventually(lambda: len(fake.book.own_open()) == 6, what="six orders of the one-off")
    (live_project.folder / "config" / "active" / "worse.json").write_text("{")
    with (live_project.folder / "volumes" / "state" / "fleet.lock").open() as taken:
        fcntl.flock(taken, fcntl.LOCK_EX)
        done = live_project.manager("halt", code=0)
    assert f"{live_project.name}-live_01-run-" in done.out
    assert "worse.json: is not JSON" in done.err
    assert (live_project.ids(), fake.book.own_open()) == ({}, [])

    (live_project.folder / "config" / "active" / "worse.json").unlink()
    assert "live_01: left alone: it did not run when it was halted" in live_project.manager("resume").out
    shutil.rmtree(live_project.folder / "volumes" / "state")
    settings = live_project.folder / "config" / "fleet.toml"
    settings.write_text(settings.read_text() + "[alerts]\ndown_aftr = 3\n")
    done = live_project.manager("halt", "paper_01")
    assert live_project.ids() == {}
    assert "config/fleet.toml: alerts.down_aftr: is not a known key" in done.err


def test_a_halt_that_is_killed_in_the_middle_forgets_nothing(project: Project) -> None:
    for number, name in enumerate(["a", "b"]):
        project.add(name, number)
    project.manager("up", "--wait")
    project.manager("stop", "b")
    remembered = Path(project.folder, "volumes", "state", "fleet.json")
    halt = project.begin("halt")
    eventually(lambda: '"halted": "ran"' in remembered.read_text(), what="the list is written")
    halt.kill()
    halt.wait()
    project.manager("halt")
    assert project.ids() == {}
    project.manager("stop")
    project.manager("resume", "--wait")
    assert project.states() == {"a": "running", "b": "stopped"}
    assert "nothing is halted" in project.manager("resume").out


def test_what_ends_live_bots_asks_on_a_terminal_and_the_kill_switch_does_not(live_project: Project) -> None:
    before = live_project.ids()
    for command in ("stop", "restart", "down"):
        drawn, code = on_terminal(live_project, command, until="[yes/no]", press=b"no\n")
        assert "live_01" in drawn
        assert "paper_01" not in drawn
        assert code != 0
        assert live_project.ids() == before, f"{command} did what it was told not to"
    drawn, code = on_terminal(live_project, "stop", until="[yes/no]", press=b"yes\n")
    assert (code, live_project.states()) == (0, {"live_01": "stopped", "paper_01": "stopped"})
    live_project.manager("start", "live_01", "--wait")
    drawn, code = on_terminal(live_project, "halt")
    assert "[yes/no]" not in drawn
    assert (code, live_project.states()) == (0, {"live_01": "stopped", "paper_01": "stopped"})


@pytest.mark.long_form
def test_a_moved_folder_asks_with_its_own_keys_whatever_is_in_its_old_place(
    live_project: Project, fake: FakeExchange, tmp_path: Path
) -> None:
    """The container names folders by their old path, where there are others now, without the keys."""
    before = live_project.folder
    live_project.docker("kill", live_project.container("live_01"))
    moved = Project(tmp_path / "moved", live_project.name, live_project.first_port, live_project.environ)
    before.rename(moved.folder)
    for name in ("database", "secrets", "state"):
        (before / "volumes" / name / "live_01").mkdir(parents=True)
    named = "live_01: 6 ORDERS ARE STILL OPEN at backpack, SOL_USDC_PERP: cancel them there ("
    try:
        assert named in moved.manager("stop", "--yes", code=1).err
        assert named in moved.manager("halt", code=1).err
        moved.manager("start", "live_01", "--wait")
        eventually(lambda: moved.states()["live_01"] == "running", what="it trades from the new place")
        moved.docker("kill", moved.container("live_01"))
        assert "ORDERS ARE STILL OPEN" in moved.manager("down", "--yes", code=1).err
        assert (everything(moved), len(fake.book.own_open())) == ([], 6), "asking cancels nothing"
    finally:
        shutil.rmtree(before)
        moved.folder.rename(before)
