"""strategy_config → the bot's argv, by the contract of docker/README.md. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
RUN_OPTIONS = (("--duration", ("duration",)), ("--interval", ("interval",)))

Options = tuple[tuple[str, tuple[str, ...]], ...]


def bot_argv(config: InstanceConfig) -> tuple[str, ...]:
    """The words after `run.py`."""
    if config.bot_args is not None:
        return config.bot_args
    metadata, strategy = config.metadata, config.strategy_config
    words = ["--exchange", metadata.exchange, "--symbol", metadata.symbol, "--strategy", metadata.strategy]
    if metadata.market_type is not None:
        words += ["--market-type", metadata.market_type]
    if metadata.strategy in {"grid", "perp_grid"}:
        words += _options(GRID_OPTIONS, strategy)
        if strategy.enable_boundary_check is not None:
            words.append(
                "--enable-boundary-check" if strategy.enable_boundary_check else "--disable-boundary-check"
            )
    else:
        words += _options(QUOTE_OPTIONS, strategy)
    return (*words, *_options(RUN_OPTIONS, strategy))


def number_text(value: float) -> str:
    """A number as a person writes it: `180`, `0.00001`, never `180.0` or `1e-05`."""
    from decimal import Decimal  # 2 ms, and only what reads a changed config comes here

    text = format(Decimal(repr(value)), "f")
    return text.removesuffix(".0")


def _options(options: Options, strategy: StrategyConfig) -> list[str]:
    """The first key that is there wins; what is not there is not passed."""
    words = []
    for option, keys in options:
        value = next((found for key in keys if (found := getattr(strategy, key)) is not None), None)
        if value is not None:
            words += [option, value if isinstance(value, str) else number_text(value)]
    return words
