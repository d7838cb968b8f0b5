"""Build the bot's arguments from strategy_config, by the contract of docker/README.md. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from manager.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel

    from manager.config.models import InstanceConfig, StrategyConfig

GRID_OPTIONS = (
    ("--grid-upper", ("grid_upper_price", "grid_upper")),
    ("--grid-lower", ("grid_lower_price", "grid_lower")),
    ("--grid-num", ("grid_num",)),
    ("--grid-mode", ("grid_mode",)),
    ("--grid-type", ("grid_type",)),
    ("--max-position", ("max_position",)),
    ("--quantity", ("order_quantity", "quantity")),
    ("--stop-loss", ("stop_loss",)),
    ("--take-profit", ("take_profit",)),
    ("--boundary-action", ("boundary_action",)),
    ("--boundary-tolerance", ("boundary_tolerance",)),
    ("--initial-position", ("initial_position",)),
    ("--max-range-moves", ("max_range_moves",)),
)
QUOTE_OPTIONS = (
    ("--spread", ("spread",)),
    ("--quantity", ("quantity", "order_quantity")),
    ("--max-orders", ("max_orders",)),
    ("--target-position", ("target_position",)),
    ("--max-position", ("max_position",)),
    ("--position-threshold", ("position_threshold",)),
    ("--inventory-skew", ("inventory_skew",)),
    ("--stop-loss", ("stop_loss",)),
    ("--take-profit", ("take_profit",)),
)
RUN_OPTIONS = (
    ("--duration", ("duration",)),
    ("--interval", ("interval",)),
    ("--cancel-all-after", ("cancel_all_after",)),
)

IDENTITY = ("--exchange", "--symbol", "--strategy", "--market-type")
FLAGS = ("--enable-boundary-check", "--disable-boundary-check", "--exclusive-account")

GRIDS = frozenset({"grid", "perp_grid"})
"""The strategies whose bot gets `GRID_OPTIONS`; the bundled one requires both bounds of them."""

Options = tuple[tuple[str, tuple[str, ...]], ...]


def bot_argv(config: InstanceConfig) -> tuple[str, ...]:
    """Return the arguments after `run.py`."""
    if config.bot_args is not None:
        return config.bot_args
    metadata, strategy = config.metadata, config.strategy_config
    arguments = [
        "--exchange",
        metadata.exchange,
        "--symbol",
        metadata.symbol,
        "--strategy",
        metadata.strategy,
    ]
    if metadata.market_type is not None:
        arguments += ["--market-type", metadata.market_type]
    if metadata.strategy in GRIDS:
        arguments += _options(GRID_OPTIONS, strategy)
        if strategy.enable_boundary_check is not None:
            arguments.append(
                "--enable-boundary-check" if strategy.enable_boundary_check else "--disable-boundary-check"
            )
    else:
        arguments += _options(QUOTE_OPTIONS, strategy)
    arguments += _options(RUN_OPTIONS, strategy)
    if strategy.exclusive_account:
        arguments.append("--exclusive-account")
    return tuple(arguments)


def other_arguments(command: Sequence[str]) -> list[str]:
    """Return the arguments that no key of a config becomes: only a config's own `bot_args` gives them."""
    with_value = {*IDENTITY, *(option for option, _keys in (*GRID_OPTIONS, *QUOTE_OPTIONS, *RUN_OPTIONS))}
    others, is_value = [], False
    for argument in command:
        if is_value:
            is_value = False
        elif argument in with_value:
            is_value = True
        elif argument not in FLAGS and argument.partition("=")[0] not in with_value:
            others.append(argument)
    return others


def keys_given(strategy: str) -> frozenset[str]:
    """Return the keys of strategy_config that become arguments of this strategy's bot."""
    own = GRID_OPTIONS if strategy in GRIDS else QUOTE_OPTIONS
    keys = {key for _option, names in (*own, *RUN_OPTIONS) for key in names}
    return frozenset(
        {*keys, "exclusive_account", *(("enable_boundary_check",) if own is GRID_OPTIONS else ())}
    )


def options_of(strategy: str) -> list[tuple[str, ...]]:
    """Return for each option of this strategy's bot the keys of strategy_config that become it."""
    own = GRID_OPTIONS if strategy in GRIDS else QUOTE_OPTIONS
    return [names for _option, names in (*own, *RUN_OPTIONS)]


def keys_of_option(option: str, strategy: str) -> tuple[str, ...]:
    """Return the keys of a config with sections, any of which becomes this option; none if none does."""
    own = GRID_OPTIONS if strategy in GRIDS else QUOTE_OPTIONS
    keys = {name: tuple(f"strategy_config.{key}" for key in names) for name, names in (*own, *RUN_OPTIONS)}
    if own is GRID_OPTIONS:
        keys |= dict.fromkeys(FLAGS[:2], ("strategy_config.enable_boundary_check",))
    keys |= {FLAGS[2]: ("strategy_config.exclusive_account",), "--market-type": ("metadata.market_type",)}
    return keys.get(option, ())


def keys_set(section: BaseModel) -> list[str]:
    """Return the known keys of strategy_config that the config has set."""
    return [name for name in type(section).model_fields if getattr(section, name) is not None]


def same_option(key: str) -> tuple[str, ...]:
    """Return the keys of strategy_config that become the same option as this one: the first one set wins."""
    options = (*GRID_OPTIONS, *QUOTE_OPTIONS, *RUN_OPTIONS)
    return next((names for _option, names in options if key in names), (key,))


def number_text(value: float) -> str:
    """Return a number in plain decimal notation: `180`, `0.00001`, never `180.0` or `1e-05`."""
    from decimal import Decimal  # 2 ms, needed only when a config has changed

    text = format(Decimal(repr(value)), "f")
    return text.removesuffix(".0")


def _options(options: Options, strategy: StrategyConfig) -> list[str]:
    """Return the options that are set; of several keys for one option the first one set wins."""
    arguments = []
    for option, keys in options:
        value = next((setting for key in keys if (setting := getattr(strategy, key)) is not None), None)
        if value is not None:
            arguments += [option, value if isinstance(value, str) else number_text(value)]
    return arguments
