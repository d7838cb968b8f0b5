"""Stopping: as fast as the slowest bot, and honest about what was left behind."""

from __future__ import annotations

import time

import pytest

from tests.faults import bots
from tests.faults.conftest import Note
from tests.fleet import Project

pytestmark = pytest.mark.engine

SLOW_BOT_S = 3.0
PARALLELISM = 1


def test_a_fleet_ends_as_fast_as_its_slowest_bot(project: Project, note: Note, is_long: bool) -> None:
    count = 30 if is_long else 4
    (project.folder / "config" / "fleet.toml").open("a").write(f"parallelism = {PARALLELISM}\n")
    for number in range(count):
        bots.add(project, f"bot{number:02}", None, "slow", daemon_config={"memory_limit_mb": 64})
    project.manager("up", "--wait", "--wait-timeout", "300", timeout=400)
    began = time.monotonic()
    done = project.manager("down", timeout=300)
    took = time.monotonic() - began
    assert took < SLOW_BOT_S * count / PARALLELISM, "as if only so many bots could end at once"
    assert done.out.count("0 open orders left") == count
    assert project.ids() == {}
    note(
        f"`down` of {count} bots that need 3 s each",
        "with parallelism = 1, which bounds only what costs the engine work",
        1,
        f"{took:.1f} s in all, not {count} × 3 s",
    )


def test_a_bot_that_had_to_be_killed_is_named_with_its_orders(project: Project, note: Note) -> None:
    quick = {"bot_stop_timeout": 2}
    bots.add(project, "well", 0, daemon_config=quick)
    bots.add(project, "deaf", 1, "deaf", daemon_config=quick)
    bots.add(project, "mute", 2, "mute", daemon_config=quick)
    project.manager("up", "--wait")
    done = project.manager("stop", code=6)
    assert "deaf did not stop in time and was killed; it reported 7 open orders left" in done.err
    assert (
        "mute did not stop in time and was killed; it did not report its orders: check the exchange"
        in done.err
    )
    assert "well" not in done.err
    assert "well: stopped" in done.out
    project.manager("start", "deaf", "--wait")
    rows = project.manager("down", "deaf", "--json", code=6).json
    assert [(row["id"], row["killed"], row["open_orders_left"]) for row in rows] == [("deaf", True, 7)]
    assert bots.pids(project, "deaf") == []
    note(
        "a bot that ignores SIGTERM",
        "with and without a report of open orders",
        2,
        "killed at its time-out, named, exit code 6, with the orders it reported or that it reported none",
    )
