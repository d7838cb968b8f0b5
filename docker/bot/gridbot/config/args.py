"""Read `Settings` from argv and environment. Every fault is one line naming the option or the variable."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NoReturn

from gridbot.config.settings import (
    DEFAULT_INTERVAL_S,
    GRID_STRATEGIES,
    MAX_RANGE_MOVES,
    OUT_OF_REACH_S,
    POSITION_ORDERS,
    RETRY_CAP_S,
    STOP_WITHIN_S,
    Settings,
)
from gridbot.model.errors import ConfigError
from gridbot.model.types import ZERO, as_text

EXCHANGES = ("backpack", "aster", "paradex", "lighter", "apex")
BOUNDARY_ACTIONS = ("emergency_close", "adjust_range", "stop_only")
MIN_INTERVAL_S = 0.05
CANCEL_ALL_AFTER_S = (300, 1_296_000)
"""Lighter's own bounds: 5 minutes to 15 days. The other exchanges have no such call."""
MAX_LEVELS = 200


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(message)


def parse(argv: Sequence[str], env: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings that `argv` and `env` describe. Raises ConfigError."""
    options = _parser().parse_args(list(argv))
    if options.strategy == "maker_hedge":
        raise ConfigError("--strategy: this bot has no maker_hedge; use grid, perp_grid or standard")
    perp = (options.market_type or ("perp" if options.strategy == "perp_grid" else "spot")) == "perp"
    if options.strategy == "perp_grid" and not perp:
        raise ConfigError("--market-type: perp_grid trades perpetuals, not spot")
    mode = _one_of(env, "TRADING_MODE", ("paper", "live"))
    source = _one_of(env, "GRIDBOT_MARKET", ("auto", "live", "synthetic"))
    if options.replay and mode == "live":
        raise ConfigError("--replay: only in paper mode")
    if mode == "live" and not env.get("DB_PATH"):
        raise ConfigError("DB_PATH: live mode needs a database file to write its orders down in")
    settings = Settings(
        exchange=options.exchange,
        symbol=options.symbol,
        strategy=options.strategy,
        perp=perp,
        quantity=_quantity(options),
        shares=None if options.quantity is not None else _shares(options),
        initial_position=options.initial_position,
        max_position=options.max_position,
        stop_loss=abs(options.stop_loss) if options.stop_loss else None,
        take_profit=abs(options.take_profit) if options.take_profit else None,
        duration=options.duration or None,
        interval=options.interval if options.interval is not None else DEFAULT_INTERVAL_S,
        grid_upper=options.grid_upper if options.grid_upper is not None else ZERO,
        grid_lower=options.grid_lower if options.grid_lower is not None else ZERO,
        grid_num=options.grid_num,
        grid_mode=options.grid_mode,
        grid_type=options.grid_type,
        boundary_check=options.boundary_check,
        exclusive_account=options.exclusive_account,
        cancel_all_after=options.cancel_all_after,
        boundary_action=options.boundary_action,
        boundary_tolerance=options.boundary_tolerance,
        max_range_moves=options.max_range_moves,
        spread=options.spread,
        max_orders=options.max_orders,
        target_position=options.target_position,
        position_threshold=options.position_threshold,
        inventory_skew=options.inventory_skew,
        live=mode == "live",
        instance=env.get("BOTFLEET_INSTANCE") or "gridbot",
        source=source,
        replay=options.replay,
        db_path=Path(env.get("DB_PATH") or "logs/gridbot.db"),
        web_host=env.get("WEB_HOST") or "127.0.0.1",
        web_port=_port(env),
        web_token=env.get("BOT_WEB_TOKEN") or None,
        out_of_reach=_float(env.get("GRIDBOT_OUT_OF_REACH") or OUT_OF_REACH_S, "GRIDBOT_OUT_OF_REACH"),
        retry_cap=_float(env.get("GRIDBOT_RETRY_CAP") or RETRY_CAP_S, "GRIDBOT_RETRY_CAP"),
        others_position=_amount(env.get("GRIDBOT_OTHERS_POSITION"), "GRIDBOT_OTHERS_POSITION"),
        others_file=Path(env["BOTFLEET_OTHERS"]) if env.get("BOTFLEET_OTHERS") else None,
        other_bots_position=_amount(env.get("OTHER_BOTS_POSITION"), "OTHER_BOTS_POSITION"),
        stop_within=_float(env.get("GRIDBOT_STOP_WITHIN") or STOP_WITHIN_S, "GRIDBOT_STOP_WITHIN"),
    )
    _check(settings, given_upper=options.grid_upper is not None, given_lower=options.grid_lower is not None)
    return settings


def _one_of(env: Mapping[str, str], name: str, words: Sequence[str]) -> str:
    """Return a variable's word; the first one where it is not set."""
    word = env.get(name) or words[0]
    if word not in words:
        raise ConfigError(f"{name}: must be {', '.join(words[:-1])} or {words[-1]}, not {word}")
    return word


def _port(env: Mapping[str, str]) -> int:
    port = _int(env.get("WEB_PORT") or "0", "WEB_PORT")
    if not 0 <= port <= 65535:
        raise ConfigError(f"WEB_PORT: must be 1-65535, not {port}")
    return port


def _check(settings: Settings, *, given_upper: bool, given_lower: bool) -> None:
    if settings.quantity <= 0:
        raise ConfigError("--quantity: must be above 0")
    if settings.max_position is not None and settings.max_position <= 0:
        raise ConfigError("--max-position: must be above 0")
    if settings.interval < MIN_INTERVAL_S:
        raise ConfigError(f"--interval: must be at least {MIN_INTERVAL_S} s")
    if settings.cancel_all_after:
        _check_cancel_all_after(settings)
    if settings.is_grid:
        if not (given_upper and given_lower):
            raise ConfigError("--grid-upper and --grid-lower: a grid needs both")
        if not settings.grid_upper > settings.grid_lower >= 0:
            raise ConfigError("--grid-upper: must be above --grid-lower, and that not below 0")
        if not 2 <= settings.grid_num <= MAX_LEVELS:
            raise ConfigError(f"--grid-num: must be 2-{MAX_LEVELS}, not {settings.grid_num}")
        if settings.grid_type == "short" and not settings.perp:
            raise ConfigError("--grid-type: a spot market can't be sold short; use long, or a perpetual")
        _check_initial_position(settings)
        if settings.boundary_tolerance < 0:
            raise ConfigError("--boundary-tolerance: must not be below 0")
        if settings.max_range_moves < 0:
            raise ConfigError("--max-range-moves: must not be below 0")
        return
    if not 0 < settings.spread < 100:
        raise ConfigError("--spread: must be above 0 and below 100 (percent of the price)")
    if not 1 <= settings.max_orders <= MAX_LEVELS:
        raise ConfigError(f"--max-orders: must be 1-{MAX_LEVELS} (orders a side)")
    if not 0 <= settings.inventory_skew <= 1:
        raise ConfigError("--inventory-skew: must be 0-1")
    if settings.target_position < 0 and not settings.perp:
        raise ConfigError("--target-position: a spot market can't be sold short")
    if settings.max_position is not None and abs(settings.target_position) > settings.max_position:
        raise ConfigError("--target-position: must not be beyond --max-position")


def _quantity(options: argparse.Namespace) -> Decimal:
    """Return an order's quantity: the one given, else the share of --max-position that is an order's.

    It is what `--max-position` is computed from where only the quantity is given, the other way round.
    """
    if options.quantity is not None:
        return Decimal(options.quantity)
    if options.max_position is None or options.max_position <= 0:
        raise ConfigError(
            "--quantity: must be given and above 0, or --max-position, which it is computed from"
        )
    return Decimal(options.max_position) / _shares(options)


def _shares(options: argparse.Namespace) -> int:
    """Return how many orders --max-position is divided by where no quantity is given."""
    return max(options.grid_num - 1, 1) if options.strategy in GRID_STRATEGIES else POSITION_ORDERS


def _check_initial_position(settings: Settings) -> None:
    initial, most = settings.initial_position, settings.max_position
    if not initial:
        return
    if initial < 0:
        raise ConfigError("--initial-position: must not be below 0; --grid-type says which way it is")
    if settings.grid_type == "neutral" and settings.perp:
        raise ConfigError("--initial-position: only a long or a short grid begins with one")
    most = most or settings.quantity * (settings.grid_num - 1)
    if initial > most:
        raise ConfigError(f"--initial-position: must not be above --max-position, {as_text(most)}")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="run.py", allow_abbrev=False, description="A grid and quoting bot.")
    add = parser.add_argument
    add("--exchange", choices=EXCHANGES, required=True)
    add("--symbol", required=True)
    add("--strategy", choices=(*GRID_STRATEGIES, "standard", "maker_hedge"), required=True)
    add("--market-type", choices=("spot", "perp"))
    add("--quantity", type=to_decimal, help="base units of one order (default: from --max-position)")
    add("--max-position", type=to_decimal, help="base units, long or short")
    add(
        "--initial-position",
        type=to_decimal,
        default=ZERO,
        help="base units that a long grid buys, or a short one sells, at the market when it begins",
    )
    add("--stop-loss", type=to_decimal, help="end the run at this loss, in quote currency")
    add("--take-profit", type=to_decimal, help="end the run at this profit, in quote currency")
    add("--duration", type=_seconds, help="seconds of trading after which the run is complete; 0: no end")
    add(
        "--interval",
        type=_seconds,
        help=f"seconds between two ticks (default {DEFAULT_INTERVAL_S:g})",
    )
    _add_grid(add)
    _add_quotes(add)
    add(
        "--exclusive-account",
        action="store_true",
        help="nothing else trades on the account: a stop may cancel all orders of the market with one call",
    )
    add(
        "--cancel-all-after",
        type=int,
        default=0,
        metavar="SECONDS",
        help="lighter, live: it cancels all orders of the account when this bot has been silent for so long"
        " (default 0: off)",
    )
    add("--replay", type=Path, metavar="FILE", help="paper mode: prices from a CSV file, one row a tick")
    return parser


def _add_grid(add: Callable[..., argparse.Action]) -> None:
    """Add the options of the grids."""
    add("--grid-upper", type=to_decimal)
    add("--grid-lower", type=to_decimal)
    add("--grid-num", type=int, default=10, help="number of price levels, both bounds included (default 10)")
    add("--grid-mode", choices=("arithmetic", "geometric"), default="arithmetic")
    add("--grid-type", choices=("neutral", "long", "short"), default="neutral")
    add("--boundary-action", choices=BOUNDARY_ACTIONS, default="emergency_close")
    add(
        "--boundary-tolerance",
        type=to_decimal,
        default=ZERO,
        help="share of the bound's price, 0.01 is one percent",
    )
    add(
        "--max-range-moves",
        type=int,
        default=MAX_RANGE_MOVES,
        help=f"how often a day adjust_range may move the range (default {MAX_RANGE_MOVES})",
    )
    add("--enable-boundary-check", dest="boundary_check", action="store_true", default=False)
    add("--disable-boundary-check", dest="boundary_check", action="store_false")


def _add_quotes(add: Callable[..., argparse.Action]) -> None:
    """Add the options of the quoting strategy."""
    add("--spread", type=to_decimal, default=Decimal("0.2"), help="percent between bid and ask (default 0.2)")
    add("--max-orders", type=int, default=3, help="orders a side (default 3)")
    add("--target-position", type=to_decimal, default=ZERO)
    add(
        "--position-threshold",
        type=to_decimal,
        help="beyond this distance from the target only the way back is quoted",
    )
    add(
        "--inventory-skew", type=to_decimal, default=ZERO, help="0-1: how far the position shifts both quotes"
    )


def _check_cancel_all_after(settings: Settings) -> None:
    if settings.exchange != "lighter":
        raise ConfigError(f"--cancel-all-after: {settings.exchange} has no such call, only lighter has")
    if not CANCEL_ALL_AFTER_S[0] <= settings.cancel_all_after <= CANCEL_ALL_AFTER_S[1]:
        raise ConfigError(
            f"--cancel-all-after: must be 0 or {CANCEL_ALL_AFTER_S[0]}-{CANCEL_ALL_AFTER_S[1]} s,"
            f" not {settings.cancel_all_after}"
        )
    if not settings.exclusive_account:
        raise ConfigError(
            "--cancel-all-after: it cancels the orders of everything that trades on the account, so it needs"
            " --exclusive-account"
        )


def to_decimal(text: str) -> Decimal:
    """Return the finite number of an option's value. Raises ArgumentTypeError."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not value.is_finite():
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number")
    return value


def _seconds(text: str) -> float:
    if text.lower() == "none":
        return 0.0
    value = float(to_decimal(text))
    if value < 0:
        raise argparse.ArgumentTypeError("must not be below 0")
    return value


def _int(text: str, name: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ConfigError(f"{name}: {text!r} is not a whole number") from None


def _amount(text: str | None, name: str) -> Decimal | None:
    try:
        return to_decimal(text) if text else None
    except argparse.ArgumentTypeError as err:
        raise ConfigError(f"{name}: {err}") from None


def _float(text: str | float, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 86400:
        raise ConfigError(f"{name}: must be a number of seconds above 0, not {text}")
    return value
