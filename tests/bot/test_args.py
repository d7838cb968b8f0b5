"""argv and environment: every option of the contract, and one line for every fault."""

from __future__ import annotations

import shlex
from decimal import Decimal
from pathlib import Path

import pytest

from gridbot.config import args
from gridbot.config.settings import Settings
from gridbot.model.errors import ConfigError

D = Decimal
BASE = "--exchange backpack --symbol SOL_USDC"
GRID = f"{BASE} --strategy grid --grid-upper 170 --grid-lower 130 --quantity 0.1"
QUOTES = f"{BASE} --strategy standard --quantity 1"


def parse(line: str, **env: str) -> Settings:
    return args.parse(shlex.split(line), env)


def test_every_grid_option() -> None:
    s = parse(
        "--exchange aster --symbol SOLUSDT --strategy perp_grid --market-type perp"
        " --grid-upper 170 --grid-lower 130"
        " --grid-num 20 --grid-mode geometric --grid-type short --max-position 2 --quantity 0.1"
        " --stop-loss 50"
        " --take-profit 80 --boundary-action adjust_range --boundary-tolerance 0.01 --enable-boundary-check"
        " --duration 3600 --interval 10"
    )
    assert (s.exchange, s.symbol, s.perp, s.is_grid) == ("aster", "SOLUSDT", True, True)
    assert (s.grid_upper, s.grid_lower, s.grid_num, s.grid_mode, s.grid_type) == (
        D(170),
        D(130),
        20,
        "geometric",
        "short",
    )
    assert (s.max_position, s.quantity, s.stop_loss, s.take_profit) == (D(2), D("0.1"), D(50), D(80))
    assert (s.boundary_check, s.boundary_action, s.boundary_tolerance) == (
        True,
        "adjust_range",
        Decimal("0.01"),
    )
    assert (s.duration, s.interval) == (3600.0, 10.0)


def test_every_standard_option() -> None:
    s = parse(
        f"{QUOTES} --spread 0.5 --max-orders 4 --target-position 1 --max-position 5 --position-threshold 2"
        " --inventory-skew 0.3 --stop-loss 1 --take-profit 2 --duration 60 --interval 2"
    )
    assert (s.spread, s.max_orders, s.target_position) == (D("0.5"), 4, D(1))
    assert (s.max_position, s.position_threshold, s.inventory_skew) == (D(5), D(2), D("0.3"))


def test_a_quantity_is_computed_from_the_maximum_position() -> None:
    grid = f"{BASE} --strategy grid --grid-upper 170 --grid-lower 130"
    assert parse(f"{grid} --grid-num 21 --max-position 2").quantity == D("0.1")
    assert parse(f"{grid} --grid-num 21 --max-position 2 --quantity 0.3").quantity == D("0.3")
    assert parse(f"{BASE} --strategy standard --max-position 5").quantity == D("0.5")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            "--initial-position=-1",
            "--initial-position: must not be below 0; --grid-type says which way it is",
        ),
        ("--initial-position 1", "--initial-position: only a long or a short grid begins with one"),
        (
            "--initial-position 3 --grid-type short",
            "--initial-position: must not be above --max-position, 2",
        ),
    ],
)
def test_impossible_initial_positions_are_refused(more: str, message: str) -> None:
    line = GRID.replace("--strategy grid", "--strategy perp_grid --max-position 2")
    with pytest.raises(ConfigError) as failure:
        parse(f"{line} {more}")
    assert str(failure.value) == message
    assert parse(f"{line} --grid-type short --initial-position 2").initial_position == 2


def test_defaults_are_paper_without_an_end() -> None:
    s = parse(GRID)
    assert (s.live, s.perp, s.duration, s.stop_loss, s.boundary_check) == (False, False, None, None, False)
    assert parse(f"{GRID} --duration none").duration is None
    assert parse(f"{GRID} --duration 0 --disable-boundary-check").duration is None


def test_the_environment() -> None:
    s = parse(
        GRID,
        WEB_PORT="5001",
        WEB_HOST="0.0.0.0",
        DB_PATH="/data/x.db",
        TRADING_MODE="live",
        BOTFLEET_INSTANCE="a",
        GRIDBOT_RETRY_CAP="7",
        BOT_WEB_TOKEN="t",
        GRIDBOT_MARKET="live",
    )
    assert (s.web_port, s.web_host, s.db_path, s.live) == (5001, "0.0.0.0", Path("/data/x.db"), True)
    assert (s.instance, s.retry_cap, s.web_token, s.source) == ("a", 7, "t", "live")


@pytest.mark.parametrize(
    ("line", "env", "message"),
    [
        (f"{GRID} --colour red", {}, "unrecognized arguments: --colour red"),
        (f"{BASE} --strategy grid --quantity 1", {}, "--grid-upper and --grid-lower: a grid needs both"),
        (f"{GRID} --grid-num 1", {}, "--grid-num: must be 2-200, not 1"),
        (f"{GRID} --grid-num 201", {}, "--grid-num: must be 2-200, not 201"),
        (f"{GRID} --grid-lower 170", {}, "--grid-upper: must be above --grid-lower, and that not below 0"),
        (f"{GRID} --grid-lower=-1", {}, "--grid-upper: must be above --grid-lower, and that not below 0"),
        (
            f"{GRID} --grid-type short",
            {},
            "--grid-type: a spot market can't be sold short; use long, or a perpetual",
        ),
        (f"{GRID} --quantity 0", {}, "--quantity: must be above 0"),
        (
            f"{BASE} --strategy grid --grid-upper 2 --grid-lower 1",
            {},
            "--quantity: must be given and above 0, or --max-position, which it is computed from",
        ),
        (f"{GRID} --quantity nan", {}, "argument --quantity: 'nan' is not a finite number"),
        (f"{GRID} --quantity x", {}, "argument --quantity: 'x' is not a number"),
        (f"{GRID} --max-position 0", {}, "--max-position: must be above 0"),
        (f"{GRID} --interval 0", {}, "--interval: must be at least 0.05 s"),
        (f"{GRID} --duration=-1", {}, "argument --duration: must not be below 0"),
        (f"{QUOTES} --spread 0", {}, "--spread: must be above 0 and below 100 (percent of the price)"),
        (f"{QUOTES} --inventory-skew 2", {}, "--inventory-skew: must be 0-1"),
        (f"{QUOTES} --target-position=-1", {}, "--target-position: a spot market can't be sold short"),
        (
            f"{BASE} --strategy maker_hedge",
            {},
            "--strategy: this bot has no maker_hedge; use grid, perp_grid or standard",
        ),
        (
            f"{BASE} --strategy perp_grid --market-type spot",
            {},
            "--market-type: perp_grid trades perpetuals, not spot",
        ),
        (GRID, {"TRADING_MODE": "demo"}, "TRADING_MODE: must be paper or live, not demo"),
        (
            GRID,
            {"TRADING_MODE": "live"},
            "DB_PATH: live mode needs a database file to write its orders down in",
        ),
        (GRID, {"WEB_PORT": "x"}, "WEB_PORT: 'x' is not a whole number"),
        (GRID, {"WEB_PORT": "70000"}, "WEB_PORT: must be 1-65535, not 70000"),
        (GRID, {"GRIDBOT_MARKET": "moon"}, "GRIDBOT_MARKET: must be auto, live or synthetic, not moon"),
    ],
)
def test_faults_are_one_line(line: str, env: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as failure:
        parse(line, **env)
    assert str(failure.value) == message
    assert failure.value.exit_code == 2
