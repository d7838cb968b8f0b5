"""Tell for what the bundled bot would refuse a config: it ends with exit code 2 then, at each start. Pure.

These are the rules of docker/bot/gridbot/config/args.py, in its words, as far as a config that loads can
break them; the manager imports nothing of a bot. tests/bot/test_bot_refusals.py holds both together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation

from manager.config import bot_argv
from manager.config.bot_argv import GRIDS
from manager.errors import Problem
from manager.i18n import mark

MIN_INTERVAL_S = Decimal("0.05")
MAX_LEVELS = 200
DEFAULT_GRID_NUM = 10
REQUIRED = ("--exchange", "--symbol", "--strategy")
REPLAY = "--replay"
"""The bot's only option that no key of a config becomes and that a flat config may give."""
MESSAGE = mark("the bot will end with exit code 2, for “{why}”")

Numbers = Callable[[str], "Decimal | None"]


def problems(file: str, command: Sequence[str], *, is_flat: bool = False) -> Iterator[Problem]:
    """Yield a warning for each of the bot's rules that these arguments break, in the bot's order.

    The bot ends with the first one. `is_flat`: the config's own `bot_args` are what has to be changed.
    """
    options = _options(command)
    strategy = options.get("--strategy", "")
    for why in (*_unknown(command, options), *_faults(options, strategy)):
        path = "bot_args" if is_flat else _key(why, strategy)
        yield Problem.at(file, path, MESSAGE, why=why)


def among(warnings: Iterable[Problem]) -> list[Problem]:
    """Return those of a config's warnings that tell what its bot would end for."""
    return [problem for problem in warnings if problem.text.message == MESSAGE]


def _key(why: str, strategy: str) -> str:
    """Return the config's key that the bot's line is about."""
    option = why.split(":")[0].split(" ")[0]
    keys = ("metadata.strategy",) if option == "--strategy" else bot_argv.keys_of_option(option, strategy)
    return keys[0] if keys else ""


def _unknown(command: Sequence[str], options: Mapping[str, str]) -> Iterator[str]:
    """Yield what the bot says of options that it lacks, or does not have; without their values, which may be
    secret.
    """
    if missing := [name for name in REQUIRED if name not in options]:
        yield f"the following arguments are required: {', '.join(missing)}"
    names = [word.partition("=")[0] for word in bot_argv.other_arguments(command) if word.startswith("--")]
    if unknown := [name for name in names if name != REPLAY]:
        yield f"unrecognized arguments: {' '.join(unknown)}"


def _options(command: Sequence[str]) -> Mapping[str, str]:
    """Return option → value; of one given twice the last counts, as it does for the bot."""
    options, words = dict[str, str](), list(command)
    while words:
        name, is_joined, value = words.pop(0).partition("=")
        if name.startswith("--"):
            has_value = not is_joined and name not in bot_argv.FLAGS and bool(words)
            options[name] = words.pop(0) if has_value else value
    return options


def _faults(options: Mapping[str, str], strategy: str) -> Iterator[str]:
    def number(option: str) -> Decimal | None:
        try:
            return Decimal(options[option])
        except (KeyError, InvalidOperation):
            return None

    if strategy == "maker_hedge":
        yield "--strategy: this bot has no maker_hedge; use grid, perp_grid or standard"
        return
    market = options.get("--market-type")
    perp = market == "perp" or (market is None and strategy == "perp_grid")
    if strategy == "perp_grid" and not perp:
        yield "--market-type: perp_grid trades perpetuals, not spot"
    most, quantity = number("--max-position"), number("--quantity")
    if quantity is None and most is None:
        yield "--quantity: must be given and above 0, or --max-position, which it is computed from"
    interval = number("--interval")
    if interval is not None and interval < MIN_INTERVAL_S:
        yield f"--interval: must be at least {MIN_INTERVAL_S} s"
    if number("--cancel-all-after") and options.get("--exchange") != "lighter":
        exchange = options.get("--exchange")
        yield f"--cancel-all-after: {exchange} has no such call, only lighter has"
    if strategy in GRIDS:
        yield from _grid_faults(options, number, perp=perp)
    else:
        yield from _quote_faults(number, perp=perp)


def _grid_faults(options: Mapping[str, str], number: Numbers, *, perp: bool) -> Iterator[str]:
    if number("--grid-upper") is None or number("--grid-lower") is None:
        yield "--grid-upper and --grid-lower: a grid needs both"
    kind = options.get("--grid-type", "neutral")
    if kind == "short" and not perp:
        yield "--grid-type: a spot market can't be sold short; use long, or a perpetual"
    initial = number("--initial-position")
    if not initial:
        return
    if kind == "neutral" and perp:
        yield "--initial-position: only a long or a short grid begins with one"
    most, quantity = number("--max-position"), number("--quantity")
    if most is None and quantity is not None:
        most = quantity * ((number("--grid-num") or DEFAULT_GRID_NUM) - 1)
    if most is not None and initial > most:
        yield f"--initial-position: must not be above --max-position, {format(most.normalize(), 'f')}"


def _quote_faults(number: Numbers, *, perp: bool) -> Iterator[str]:
    spread, orders, skew = number("--spread"), number("--max-orders"), number("--inventory-skew")
    target, most = number("--target-position") or Decimal(0), number("--max-position")
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
