"""`stats` and `top` on a real engine: the figures agree with the engine's own, and the keys do what the
commands do.
"""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from fcntl import ioctl
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Log, Static

from bench.proxy import counting
from manager.engine import endpoint
from manager.fleet.selection import EVERYTHING
from manager.fleet.session import Session
from manager.monitor.stats.sampler import Sampler
from manager.monitor.top import table
from manager.monitor.top.app import Top
from manager.monitor.top.screens import InstanceLog, Question
from manager.monitor.top.source import Source
from tests.fleet import a_project
from tests.integration.conftest import Project, eventually

INTERVAL_S = 0.5


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, bot_image: str) -> Iterator[Project]:
    with a_project(tmp_path_factory.mktemp("figures") / "project", bot_image) as made:
        yield made


@pytest.fixture
def fleet(shared: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Two instances, up and healthy, whatever an earlier test has done to them; this process has their
    project's environment.
    """
    for name, value in shared.environ.items():
        monkeypatch.setenv(name, value)
    shared.add("bp_sol_01", 0, daemon_config={"max_restart_attempts": 0})
    shared.add("bp_eth_01", 1)
    shared.manager("up", "--wait", "bp_sol_01", "bp_eth_01")
    return shared


@pytest.fixture
def session(fleet: Project) -> Iterator[Session]:
    """A command line of this process in the fleet's project."""
    made = Session(fleet.folder)
    yield made
    made.close()


def test_stats_say_what_docker_stats_says(fleet: Project, session: Session) -> None:
    rows = {row["id"]: row for row in fleet.manager("stats", "--json").json}
    names = [fleet.container(instance_id) for instance_id in rows]
    form = "{{.Name}} {{.MemUsage}} {{.PIDs}}"
    for line in fleet.docker("stats", "--no-stream", "--format", form, *names).splitlines():
        name, used, _slash, limit, pids = line.split()
        ours = rows[name.removeprefix(f"{fleet.name}-")]
        assert float(used.removesuffix("MiB")) == pytest.approx(ours["memory_bytes"] / (1 << 20), rel=0.1)
        assert limit == "256MiB"
        assert int(pids) == pytest.approx(ours["pids"], abs=2)  # a health check comes and goes
    for row in rows.values():
        assert (row["state"], row["health"], row["mode"]) == ("running", "healthy", "paper")
        assert row["cpu_percent"] is not None
        assert (row["quote"], row["reported_mode"]) == ("USDC", "paper")
        assert float(row["pnl"]) > -1000
        assert row["open_orders"] > 0

    from_files, from_engine = Sampler(session.engine().statistics), Sampler(session.engine().statistics)
    from_engine._mounts = {}  # as where the files are out of sight
    containers = fleet.ids().values()
    by_files, by_engine = from_files.measure(containers), from_engine.measure(containers)
    assert set(by_files) == set(by_engine) == set(containers)
    for container in containers:
        ours, theirs = by_files[container].last, by_engine[container].last
        assert ours.memory == pytest.approx(theirs.memory, rel=0.1)
        assert ours.cpu_s == pytest.approx(theirs.cpu_s, abs=0.5)
        assert ours.memory_limit == theirs.memory_limit
        assert ours.pids == pytest.approx(theirs.pids, abs=2)
        assert ours.received == pytest.approx(theirs.received, rel=0.3)

    fleet.manager("stop", "bp_sol_01")
    stopped = fleet.manager("stats", "bp_sol_01", "--json").json[0]
    assert stopped["state"] == "stopped"
    assert [stopped[key] for key in ("cpu_percent", "memory_bytes", "uptime_s")] == [None] * 3
    assert stopped["pnl"] is not None, "the last report outlives the bot"
    assert (stopped["report_is_live"], stopped["market"]) == (False, "synthetic")
    shown = fleet.manager("stats").out
    assert shown.splitlines()[-1].startswith("total: 1 running, 1 stopped; P&L synthetic ")
    assert "did you mean bp_sol_01?" in fleet.manager("stats", "bp_sol_1", code=2).err


def test_keys_do_what_the_commands_do(fleet: Project, session: Session) -> None:
    async def use(pilot: Pilot[None], app: Top) -> None:
        shown = app.query_one(table.FleetTable)
        await until(lambda: shown.ids == ["bp_eth_01", "bp_sol_01"] and shown.cursor == "bp_eth_01")
        await pilot.press("less_than_sign", "less_than_sign")  # by id: what is stopped would go down
        assert app._order.key == "id"
        await pilot.press("slash", *"xsr")  # in the box they are letters, and stop nothing
        await until(lambda: not shown.ids)
        await pilot.press("escape", "slash", *"eth")
        await until(lambda: shown.ids == ["bp_eth_01"])
        await pilot.press("escape")
        await until(lambda: len(shown.ids) == 2 and shown.cursor == "bp_eth_01")
        assert not app.running

        await pilot.press("x")
        await until(lambda: "manager stop bp_eth_01: exit code 0" in app.messages, app)
        stopped = [line for line in app.messages if line.startswith("bp_eth_01: stopped")]
        assert any("open orders left" in line for line in stopped)
        await until(lambda: state_of(shown, "bp_eth_01") == "stopped", app)
        assert fleet.ps()["bp_eth_01"]["wish"] == "stopped"

        config = fleet.folder / "config" / "active" / "bp_eth_01.json"
        config.write_text(
            json.dumps({**json.loads(config.read_text()), "mode": "live"})
        )  # a start would make it so
        await until(lambda: shown.rows[0].is_live)
        await pilot.press("s")
        assert isinstance(app.screen, Question)
        await pilot.press("enter")  # only y is a yes
        assert not app.running
        await pilot.press("s", "y")
        await until(lambda: "manager start bp_eth_01: exit code 4" in app.messages, app)
        assert any("BACKPACK_KEY" in line for line in app.messages)  # its error, whole
        assert fleet.states()["bp_eth_01"] == "stopped"

        await pilot.press("end", "l")
        assert isinstance(app.screen, InstanceLog)
        await until(lambda: any("placed" in line for line in app.screen.query_one(Log).lines))
        await pilot.press("q")

        os.kill(fleet.manager("status", "bp_sol_01").json["pid"], signal.SIGKILL)
        await until(lambda: state_of(shown, "bp_sol_01") == "failed")
        alarm = shown.render_line(1 + shown.ids.index("bp_sol_01"))
        assert alarm.text.startswith(">!bp_sol_01")
        assert {segment.style.bgcolor for segment in alarm if segment.style} == {
            table.ALARM_AT_CURSOR.bgcolor
        }
        await pilot.press("r")
        await until(lambda: state_of(shown, "bp_sol_01") == "running", app)

    watch(session, use)


def test_an_engine_that_goes_away_and_comes_back(
    fleet: Project, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = endpoint.of(os.environ).socket
    assert there is not None
    ours = tmp_path / "engine.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{ours}")

    async def use(pilot: Pilot[None], app: Top) -> None:
        shown, banner = app.query_one(table.FleetTable), app.query_one("#banner", Static)
        await until(lambda: len(shown.rows) == 2 and not banner.display)
        engine.close()
        await until(lambda: banner.display and shown.is_old)
        assert "no Docker Engine answers" in str(banner.render())
        assert "ago" in str(banner.render())
        assert len(shown.rows) == 2
        await pilot.press("down", "question_mark", "q", "greater_than_sign")  # it still takes keys
        engine.enter_context(counting(there, ours))
        await until(lambda: not banner.display and not shown.is_old)

    with ExitStack() as engine:
        engine.enter_context(counting(there, ours))
        watch(session, use)


def test_in_a_real_terminal(fleet: Project) -> None:
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with subprocess.Popen(
        fleet.command("top"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=fleet.folder,
        start_new_session=True,
        env={**os.environ, "TERM": "screen", "NO_COLOR": "1"},
    ) as process:
        os.close(theirs)
        os.set_blocking(ours, False)
        printed = bytearray()

        def has(word: bytes) -> bool:
            printed.extend(read(ours))
            return word in printed

        eventually(lambda: has(b"bp_sol_01"), what="the fleet is drawn")
        os.write(ours, b"q")
        eventually(lambda: has(b"\x1b[?1049l"), what="the terminal is given back")
        assert process.wait(30) == 0
    os.close(ours)


def watch(session: Session, use: Callable[[Pilot[None], Top], Coroutine[Any, Any, None]]) -> None:
    """Runs the view, without a terminal, for as long as `use` needs it."""

    async def run() -> None:
        app = Top(session.chosen_dir, Source(session, EVERYTHING, INTERVAL_S), INTERVAL_S)
        async with app.run_test(size=(140, 30)) as pilot:
            await use(pilot, app)
        if app.bug is not None:
            raise app.bug

    asyncio.run(run())


async def until(check: Callable[[], bool], app: Top | None = None, timeout: float = 60) -> None:
    """As `eventually`, in the view's own loop."""
    deadline = time.monotonic() + timeout
    while not check():
        assert time.monotonic() < deadline, f"not within {timeout} s; {app.messages if app else ''}"
        await asyncio.sleep(0.05)


def state_of(shown: table.FleetTable, instance: str) -> str:
    return next(row.view.status.state for row in shown.rows if row.id == instance)


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # nothing there now, or nobody at the other end any more
        return b""
