"""Tell for what the bundled bot would refuse a config: it ends with exit code 2 then, at each start. Pure.

These are the rules of docker/bot/gridbot/config/args.py and of its strategies, in its words, as far as a
config alone can break them; the manager imports nothing of a bot. tests/bot/test_bot_refusals.py holds both
together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from manager.config import bot_argv, bot_words
from manager.config.bot_argv import GRIDS
from manager.config.bot_words import Value
from manager.errors import Problem
from manager.i18n import mark

MIN_INTERVAL_S = 0.05
CANCEL_ALL_AFTER_S = (300, 1_296_000)
MAX_LEVELS = 200
DEFAULT_GRID_NUM = 10
MESSAGE = mark("the bot will end with exit code 2, for “{why}”")
ZERO = Decimal(0)

Numbers = Callable[[str], "Decimal | None"]


def problems(
    file: str, command: Sequence[str], *, is_flat: bool = False, is_live: bool = False
) -> Iterator[Problem]:
    """Yield a warning for each of the bot's rules that these arguments break, in the bot's order.

    The bot ends with the first one. `is_flat`: the config's own `bot_args` are what has to be changed.
    """
    words = bot_words.read(command)
    strategy = str(words.values.get("--strategy", ""))
    # What is no value at all says nothing about the rules.
    for why in tuple(bot_words.refusals(words)) or _faults(words.values, strategy, is_live=is_live):
        path = "bot_args" if is_flat else _key(why, strategy)
        yield Problem.at(file, path, MESSAGE, why=why)


def among(warnings: Iterable[Problem]) -> list[Problem]:
    """Return those of a config's warnings that tell what its bot would end for."""
    return [problem for problem in warnings if problem.text.message == MESSAGE]


def _key(why: str, strategy: str) -> str:
    """Return the config's key that the bot's line is about."""
    option = why.removeprefix("argument ").split(":")[0].split(" ")[0]
    keys = ("metadata.strategy",) if option == "--strategy" else bot_argv.keys_of_option(option, strategy)
    return keys[0] if keys else ""


def _faults(values: Mapping[str, Value], strategy: str, *, is_live: bool) -> Iterator[str]:
    def number(option: str) -> Decimal | None:
        value = values.get(option)
        return value if isinstance(value, Decimal) else None

    if strategy == "maker_hedge":
        yield "--strategy: this bot has no maker_hedge; use grid, perp_grid or standard"
        return
    market = values.get("--market-type")
    perp = market == "perp" or (market is None and strategy == "perp_grid")
    if strategy == "perp_grid" and not perp:
        yield "--market-type: perp_grid trades perpetuals, not spot"
    if is_live and values.get(bot_words.REPLAY):
        yield "--replay: only in paper mode"
    most, quantity = number("--max-position"), number("--quantity")
    if quantity is None and (most is None or most <= 0):
        yield "--quantity: must be given and above 0, or --max-position, which it is computed from"
    if quantity is not None and quantity <= 0:
        yield "--quantity: must be above 0"
    if most is not None and most <= 0:
        yield "--max-position: must be above 0"
    interval = number("--interval")
    if interval is not None and float(interval) < MIN_INTERVAL_S:
        yield f"--interval: must be at least {MIN_INTERVAL_S} s"
    yield from _cancel_all_after_faults(values, number)
    if strategy in GRIDS:
        yield from _grid_faults(values, number, perp=perp)
    else:
        yield from _quote_faults(number, perp=perp)


def _cancel_all_after_faults(values: Mapping[str, Value], number: Numbers) -> Iterator[str]:
    seconds, (least, longest) = number("--cancel-all-after"), CANCEL_ALL_AFTER_S
    if not seconds:
        return
    if (exchange := values.get("--exchange")) != "lighter":
        yield f"--cancel-all-after: {exchange} has no such call, only lighter has"
    elif not least <= seconds <= longest:
        yield f"--cancel-all-after: must be 0 or {least}-{longest} s, not {seconds}"
    elif "--exclusive-account" not in values:
        yield (
            "--cancel-all-after: it cancels the orders of everything that trades on the account, so it needs"
            " --exclusive-account"
        )


def _grid_faults(values: Mapping[str, Value], number: Numbers, *, perp: bool) -> Iterator[str]:
    upper, lower, count = number("--grid-upper"), number("--grid-lower"), number("--grid-num")
    if upper is None or lower is None:
        yield "--grid-upper and --grid-lower: a grid needs both"
    elif not upper > lower >= 0:
        yield "--grid-upper: must be above --grid-lower, and that not below 0"
    if count is not None and not 2 <= count <= MAX_LEVELS:
        yield f"--grid-num: must be 2-{MAX_LEVELS}, not {count}"
    kind = values.get("--grid-type", "neutral")
    if kind == "short" and not perp:
        yield "--grid-type: a spot market can't be sold short; use long, or a perpetual"
    most, quantity = number("--max-position"), number("--quantity")
    cells = (DEFAULT_GRID_NUM if count is None else count) - 1
    largest = most or (None if quantity is None else quantity * cells)
    has_no_side = kind == "neutral" and perp
    yield from _initial_position_faults(number("--initial-position"), largest, has_no_side=has_no_side)
    if (number("--boundary-tolerance") or ZERO) < 0:
        yield "--boundary-tolerance: must not be below 0"
    if (number("--max-range-moves") or ZERO) < 0:
        yield "--max-range-moves: must not be below 0"
    if lower == 0 and values.get("--grid-mode") == "geometric":
        yield "--grid-lower: a geometric grid needs a lower price above 0"
    if quantity is not None and most is not None and 0 < most < quantity:
        yield "--max-position: must be at least --quantity"


def _initial_position_faults(
    initial: Decimal | None, largest: Decimal | None, *, has_no_side: bool
) -> Iterator[str]:
    if not initial:
        return
    if initial < 0:
        yield "--initial-position: must not be below 0; --grid-type says which way it is"
    if has_no_side:
        yield "--initial-position: only a long or a short grid begins with one"
    if largest is not None and initial > largest:
        yield f"--initial-position: must not be above --max-position, {format(largest.normalize(), 'f')}"


def _quote_faults(number: Numbers, *, perp: bool) -> Iterator[str]:
    spread, orders, skew = number("--spread"), number("--max-orders"), number("--inventory-skew")
    target, most = number("--target-position") or ZERO, number("--max-position")
    if spread is not None and not 0 < spread < 100:
        yield "--spread: must be above 0 and below 100 (percent of the price)"
    if orders is not None and not 1 <= orders <= MAX_LEVELS:
        yield f"--max-orders: must be 1-{MAX_LEVELS} (orders a side)"
    if skew is not None and not 0 <= skew <= 1:
        yield "--inventory-skew: must be 0-1"
    if target < 0 and not perp:
        yield "--target-position: a spot market can't be sold short"
    if most is not None and abs(target) > most:
        yield "--target-position: must not be beyond --max-position"
