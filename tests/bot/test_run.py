"""The bot as the supervisor sees it: argv, environment, signals, files, exit codes. On paper, offline."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from decimal import Decimal
from pathlib import Path

import pytest

from tests.bot.bots import GRID, RUN, BotFactory

IS_FORKED = False
PYTHONS = [Path("/usr/bin", f"python3.{minor}") for minor in (14, 13, 12, 11)]
EVERYBODYS_PYTHON = next((path for path in PYTHONS if path.exists()), None)
LINE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (INFO|WARNING|ERROR) +\S")
FILLED = re.compile(r"filled (BUY |SELL) [\d.]+ @ [\d.]+  position -?[\d.]+ SOL  P&L [+-][\d.]+ USDC")


def replay(folder: Path, *prices: object) -> tuple[str, ...]:
    file = folder / "prices.csv"
    file.write_text("price\n" + "".join(f"{price}\n" for price in prices))
    return (*GRID, "--interval", "0.05", "--replay", str(file))


def test_trades_within_seconds_and_stops_clean(start_bot: BotFactory) -> None:
    bot = start_bot(*GRID, "--interval", "0.5")
    bot.wait_healthy(within=10)
    code, health = bot.get("/health")
    assert (code, health["status"], health["running"]) == (200, "healthy", True)
    assert abs(health["timestamp"] - time.time()) < 5
    bot.wait_for(lambda: bot.status()["trades"] >= 1, within=30)
    assert bot.stop() == 0

    assert bot.last_words()["open_orders_left"] == 0
    assert bot.query("SELECT count(*) FROM orders WHERE state IN ('new', 'open')") == [(0,)]
    assert bot.query("SELECT count(*) > 0 FROM trades") == [(1,)]
    lines = bot.output().splitlines()
    assert all(LINE.match(line) for line in lines), lines
    assert any(FILLED.search(line) for line in lines), lines
    assert "0 open orders left" in lines[-1]


def test_the_synthetic_market_needs_no_ccxt(start_bot: BotFactory) -> None:
    bot = start_bot(*GRID, "--interval", "0.2", GRIDBOT_MARKET="synthetic")
    bot.wait_healthy()
    maps = Path(f"/proc/{bot.process.pid}/maps").read_text()
    assert "cryptography" not in maps
    rss = next(
        line for line in Path(f"/proc/{bot.process.pid}/status").read_text().splitlines() if "VmRSS" in line
    )
    assert int(rss.split()[1]) < 60 * 1024, rss


def test_a_second_sigterm_changes_nothing(start_bot: BotFactory) -> None:
    bot = start_bot(*GRID, "--interval", "0.2")
    bot.wait_healthy()
    bot.term()
    while bot.process.poll() is None:
        bot.process.send_signal(signal.SIGTERM)
        time.sleep(0.001)
    assert bot.wait_end() == 0
    assert bot.last_words()["open_orders_left"] == 0


@pytest.mark.parametrize("after", [0.05, 0.1, 0.15, 0.2, 0.3, 0.4])
def test_sigterm_in_the_first_moments(start_bot: BotFactory, after: float) -> None:
    bot = start_bot(*GRID)
    time.sleep(after)
    bot.term()
    code = bot.wait_end(10)
    # Before Python has run the first line nothing can be caught, and nothing has been done.
    assert code == 0 or (code == -signal.SIGTERM and not bot.db.exists()), bot.output()


def test_a_restart_goes_on_with_position_and_profit(start_bot: BotFactory) -> None:
    bot = start_bot(*GRID, "--interval", "0.2")
    bot.wait_for(lambda: bot.status().get("trades", 0) >= 1, within=60)
    bot.kill()
    [(trades, run)] = bot.query("SELECT count(*), max(run_id) FROM trades")
    [(position,)] = bot.query("SELECT position FROM trades ORDER BY rowid DESC LIMIT 1")
    bot = start_bot(*GRID, "--interval", "0.2")
    bot.wait_healthy()
    assert "resuming neutral arithmetic grid" in bot.output()
    status = bot.status()
    assert status["trades"] >= trades
    assert status["trades"] > trades or status["position"] == position
    assert bot.stop() == 0
    assert bot.query("SELECT count(*) FROM runs") == [(run,)]


def test_a_changed_grid_carries_the_position_over(start_bot: BotFactory, tmp_path: Path) -> None:
    bot = start_bot(*GRID, "--interval", "0.2")
    bot.wait_for(lambda: Decimal(bot.status().get("position", "0")) != 0, within=60)
    assert bot.stop() == 0
    [(position,)] = bot.query("SELECT position FROM trades ORDER BY rowid DESC LIMIT 1")
    changed = [*GRID[:-1], "0.05"]
    bot = start_bot(*changed, "--interval", "60")
    bot.wait_for(lambda: bot.status().get("open_orders"))
    assert bot.status()["position"] == position
    cells = bot.query("SELECT qty FROM cells WHERE generation = 2")
    assert sum(Decimal(qty) for (qty,) in cells) == Decimal(position)
    assert bot.stop() == 0


def test_a_replay_is_exact_and_ends(start_bot: BotFactory, tmp_path: Path) -> None:
    bot = start_bot(*replay(tmp_path, 150, 148.9, 147.9, 149.1, 150.1, 151.1, 149.9))
    assert bot.wait_end() == 0
    rows = bot.query("SELECT side, price, qty, position FROM trades ORDER BY rowid")
    assert rows == [
        ("buy", "149", "0.1", "0.1"),
        ("buy", "148", "0.1", "0.2"),
        ("sell", "149", "0.1", "0.1"),
        ("sell", "150", "0.1", "0"),
        ("sell", "151", "0.1", "-0.1"),
        ("buy", "150", "0.1", "0"),
    ]
    assert bot.last_words()["why"] == "the replay is over"
    [(why,)] = bot.query("SELECT ended_why FROM runs")
    assert why == "the replay is over"


def test_stop_loss_closes_the_position(start_bot: BotFactory, tmp_path: Path) -> None:
    bot = start_bot(*replay(tmp_path, 150, 148, 146, 144, 142, 142, 142, 142), "--stop-loss", "1")
    assert bot.wait_end() == 0
    assert bot.last_words()["why"].startswith("stop loss: P&L -1.")
    assert bot.query("SELECT position FROM trades ORDER BY rowid DESC LIMIT 1") == [("0",)]
    assert bot.last_words()["open_orders_left"] == 0


def test_take_profit_ends_the_run(start_bot: BotFactory, tmp_path: Path) -> None:
    swings = [150, 148.5, 150.5] * 8
    bot = start_bot(*replay(tmp_path, *swings), "--take-profit", "0.5")
    assert bot.wait_end() == 0
    assert bot.last_words()["why"].startswith("take profit: P&L 0.")
    assert bot.last_words()["condition"]["params"]["by"] == "take_profit"


def test_a_finished_run_is_not_taken_up_again(start_bot: BotFactory) -> None:
    bot = start_bot(*GRID, "--interval", "0.1", "--duration", "1")
    assert bot.wait_end() == 0
    assert bot.last_words()["why"] == "duration of 1 s is over"
    bot = start_bot(*GRID, "--interval", "0.1", "--duration", "1")
    assert bot.wait_end() == 0
    assert bot.query("SELECT count(*) FROM runs") == [(2,)]


def test_duration_counts_across_restarts(start_bot: BotFactory) -> None:
    bot = start_bot(*GRID, "--interval", "0.1", "--duration", "4")
    bot.wait_healthy()
    bot.wait_for(lambda: bot.query("SELECT ran_s > 1.5 FROM runs") == [(1,)])
    bot.kill()
    [(killed_at,)] = bot.query("SELECT max(at) FROM equity")
    bot = start_bot(*GRID, "--interval", "0.1", "--duration", "4")
    assert bot.wait_end() == 0
    [(ran, runs)] = bot.query("SELECT sum(ran_s), count(*) FROM runs")
    assert runs == 1
    assert ran < 6
    [(since,)] = bot.query("SELECT max(at) - min(at) FROM equity WHERE at > ?", killed_at)
    assert since < 3.5


BOUNDARY = [150, 148, 145, 142, 139.9, 139, 139, 139, 139]


@pytest.mark.parametrize(
    ("action", "why", "flat"),
    [("emergency_close", "below the lower bound 140", True), ("stop_only", "below", False)],
)
def test_boundary_actions_that_end(
    start_bot: BotFactory, tmp_path: Path, action: str, why: str, flat: bool
) -> None:
    bot = start_bot(*replay(tmp_path, *BOUNDARY), "--enable-boundary-check", "--boundary-action", action)
    assert bot.wait_end() == 0
    assert why in bot.last_words()["why"]
    [(position,)] = bot.query("SELECT position FROM trades ORDER BY rowid DESC LIMIT 1")
    assert (position == "0") is flat
    assert bot.last_words()["open_orders_left"] == 0


def test_boundary_tolerance_and_no_check_wait(start_bot: BotFactory, tmp_path: Path) -> None:
    for more in (("--enable-boundary-check", "--boundary-tolerance", "0.01"), ("--disable-boundary-check",)):
        bot = start_bot(*replay(tmp_path, *BOUNDARY), *more, "--boundary-action", "emergency_close")
        assert bot.wait_end() == 0
        assert bot.last_words()["why"] == "the replay is over"


def test_boundary_action_adjust_range(start_bot: BotFactory, tmp_path: Path) -> None:
    prices = [*BOUNDARY, 140, 141, 139]
    bot = start_bot(
        *replay(tmp_path, *prices), "--enable-boundary-check", "--boundary-action", "adjust_range"
    )
    assert bot.wait_end() == 0
    assert "moving the range" in bot.output()
    assert "21 levels 129.9-149.9" in bot.output()
    new = bot.query("SELECT DISTINCT price FROM orders WHERE generation = 2")
    assert new
    assert all(Decimal("129.9") <= Decimal(price) <= Decimal("149.9") for (price,) in new)
    # What was bought is sold step by step in the new range, none of it is forgotten.
    assert bot.query("SELECT count(*) > 0 FROM trades WHERE side = 'sell'") == [(1,)]


def test_standard_quotes_trade(start_bot: BotFactory) -> None:
    bot = start_bot(
        "--exchange",
        "backpack",
        "--symbol",
        "SOL_USDC_PERP",
        "--strategy",
        "standard",
        "--market-type",
        "perp",
        "--spread",
        "0.2",
        "--quantity",
        "0.5",
        "--max-orders",
        "2",
        "--max-position",
        "2",
        "--inventory-skew",
        "0.5",
        "--interval",
        "0.2",
    )
    bot.wait_for(lambda: bot.status().get("trades", 0) >= 1, within=60)
    assert bot.stop() == 0
    positions = bot.query("SELECT position FROM trades")
    assert all(abs(Decimal(p)) <= 2 for (p,) in positions)


# exit codes


def test_bad_arguments_exit_2_with_one_line(start_bot: BotFactory) -> None:
    bot = start_bot(*GRID, "--grid-num", "1")
    assert bot.wait_end() == 2
    [line] = bot.output().splitlines()
    assert line.endswith("ERROR   --grid-num: must be 2-200, not 1")


def test_a_strategy_it_does_not_have_exits_2(start_bot: BotFactory) -> None:
    bot = start_bot(
        "--exchange", "backpack", "--symbol", "SOL_USDC", "--strategy", "maker_hedge", "--quantity", "1"
    )
    assert bot.wait_end() == 2
    assert len(bot.output().splitlines()) == 1


def test_a_taken_port_exits_6(start_bot: BotFactory) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        bot = start_bot(*GRID, WEB_PORT=str(port))
        assert bot.wait_end() == 6
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in bot.output()


def test_a_database_in_use_exits_5(start_bot: BotFactory) -> None:
    first = start_bot(*GRID)
    first.wait_healthy()
    second = start_bot(*GRID)
    assert second.wait_end() == 5
    assert "another bot is running on it" in second.output()
    assert first.get("/health")[0] == 200


def test_a_broken_database_exits_5(start_bot: BotFactory, tmp_path: Path) -> None:
    (tmp_path / "bot.db").write_text("garbage " * 100)
    bot = start_bot(*GRID)
    assert bot.wait_end() == 5


def test_a_bug_exits_1_with_a_traceback_and_a_report(start_bot: BotFactory, tmp_path: Path) -> None:
    shim = tmp_path / "shim"
    shim.mkdir()
    (shim / "sitecustomize.py").write_text(
        "import gridbot.trading.engine as e\n"
        "def broken(self): raise RuntimeError('boom')\n"
        "e.Engine._check_account = lambda self, now: broken(self)\n"
    )
    path = os.pathsep.join([str(shim), str(RUN.parent)])
    bot = start_bot(*GRID, PYTHONPATH=path)
    assert bot.wait_end() == 1
    assert "RuntimeError: boom" in bot.output()
    assert bot.last_words()["open_orders_left"] == 0


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")
@pytest.mark.skipif(EVERYBODYS_PYTHON is None, reason="needs a Python that every user may run")
def test_runs_as_a_stranger_on_a_read_only_tree() -> None:
    """Another user, who may only write into the database's folder, and no package of ours installed."""
    with tempfile.TemporaryDirectory() as name:
        app, data = Path(name, "app"), Path(name, "data")
        shutil.copytree(RUN.parent, app, ignore=shutil.ignore_patterns("__pycache__"))
        Path(name).chmod(0o755)
        data.mkdir()
        os.chown(data, 10001, 10001)
        process = subprocess.Popen(
            [str(EVERYBODYS_PYTHON), "-u", app / "run.py", *GRID, "--interval", "0.1", "--duration", "1"],
            env={
                "HOME": "/tmp",
                "DB_PATH": str(data / "bot.db"),
                "GRIDBOT_MARKET": "synthetic",
                "BOTFLEET_REPORT": str(data / "report.json"),
            },
            cwd=app,
            user=10001,
            group=10001,
            extra_groups=[],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 0, output
        assert (data / "report.json").exists()
        assert list(app.glob("**/*.pyc")) == []
