"""Define the keys of an instance config and their valid ranges, as pydantic models.

These models are the project's only validator of one file; conflicts between two files are found in loader.py.
"""

from __future__ import annotations

import os
import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from manager.config.fleet import HOST_PATTERN
from manager.i18n import Text, mark

ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
ID_RULE = mark("must be 1 to 63 characters of A-Z a-z 0-9 _ . - and start with a letter or digit")
WORD_PATTERN = re.compile(r"[^\s\x00-\x1f\x7f]{1,200}")
BUNDLED_EXCHANGES = ("backpack", "aster", "paradex", "lighter", "apex")
BUNDLED_STRATEGIES = ("standard", "grid", "perp_grid", "maker_hedge")

Mode = Literal["paper", "live"]
Completion = Literal["exit", "duration", "never"]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class Fault(ValueError):
    """Signal an invalid value: a translatable template and its parameters."""

    def __init__(self, message: str, /, **params: object) -> None:
        super().__init__(message.format(**params))
        self.text = Text(message, **params)


class Section(BaseModel):
    """Serve as the base of all sections.

    Unknown keys are kept (loader.py warns about them); a null means the same as no key.
    """

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: item for key, item in value.items() if item is not None}
        return value


class Metadata(Section):
    """Identify the instance. All keys but the descriptive ones become labels."""

    instance_id: str | None = Field(
        default=None,
        description=mark(
            "the instance's id, used for its container, folders and commands; defaults to the file's name"
        ),
    )
    name: str | None = Field(default=None, description=mark("a display name for the instance"))
    exchange: str = Field(description=mark("the exchange's name, as the bot expects it"))
    symbol: str = Field(description=mark("the market to trade, as the exchange spells it"))
    market_type: Literal["spot", "perp"] | None = Field(
        default=None, description=mark("the type of market; defaults to what the symbol's suffix indicates")
    )
    strategy: str = Field(description=mark("the strategy's name, as the bot expects it"))
    description: str | None = Field(
        default=None, description=mark("what the instance is for; does not affect the container")
    )
    tags: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description=mark("tags to group instances by; they do not affect the container"),
    )
    version: str | None = Field(default=None, description=mark("the version of this config, informational"))
    author: str | None = Field(default=None, description=mark("who wrote this config"))
    created_at: str | None = Field(default=None, description=mark("when this config was created"))
    updated_at: str | None = Field(default=None, description=mark("when this config was last changed"))

    @field_validator("instance_id")
    @classmethod
    def _valid_id(cls, value: str | None) -> str | None:
        if value is not None and not ID_PATTERN.fullmatch(value):
            raise Fault(ID_RULE)
        return value

    @field_validator("exchange", "symbol", "strategy")
    @classmethod
    def _one_word(cls, value: str) -> str:
        if not WORD_PATTERN.fullmatch(value):
            raise Fault("must be a single word without spaces")
        if value.startswith("-"):
            raise Fault("must not begin with -, which begins an option of the bot")
        return value


HEALTH_PATH_PATTERN = re.compile(r"/[!-~]{0,199}")


class DaemonConfig(Section):
    """Configure how the instance runs. Times in seconds, sizes in MiB, CPU in percent of one core."""

    python_path: str | None = Field(
        default=None,
        description=mark("a key of the old system: accepted and shown, but determined by the image"),
    )
    script_path: str | None = Field(
        default=None,
        description=mark("a key of the old system: accepted and shown, but determined by the image"),
    )
    working_dir: str | None = Field(
        default=None,
        description=mark("a key of the old system: accepted and shown, but determined by the image"),
    )
    log_dir: str | None = Field(
        default=None, description=mark("the log folder below logs/; defaults to logs/ID")
    )
    db_path: str | None = Field(
        default=None, description=mark("the SQLite database below database/; defaults to database/ID.db")
    )
    web_port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        default=None,
        description=mark(
            "the port of the bot's web page and health check; defaults to the lowest free port from 5001"
        ),
    )
    memory_limit_mb: Annotated[int, Field(ge=32, le=1 << 30)] = Field(
        default=2048, description=mark("memory limit in MiB; a bot that exceeds it is killed and restarted")
    )
    cpu_limit_percent: Annotated[float, Field(ge=1)] = Field(
        default=80, description=mark("CPU limit in percent of one core; at most 100 per core of the machine")
    )
    auto_restart: bool = Field(default=True, description=mark("whether to restart a bot that crashed"))
    max_restart_attempts: Annotated[int, Field(ge=0, le=100)] = Field(
        default=3, description=mark("consecutive restarts before the instance is marked as failed")
    )
    restart_delay: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=60, description=mark("seconds between a crash and the restart")
    )
    health_check_interval: Annotated[float, Field(ge=1, le=300)] = Field(
        default=30, description=mark("seconds between two probes of the bot's /health")
    )
    health_path: str = Field(
        default="/health",
        description=mark("the path that is probed; a bot that answers 200 there is healthy"),
    )
    unhealthy_probes: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=5,
        description=mark("consecutive failed probes before an unresponsive bot is restarted; 0: never"),
    )
    log_cleanup_interval: Annotated[float, Field(ge=1, le=31_536_000)] = Field(
        default=86400, description=mark("seconds between two clean-ups of the dated log folders")
    )
    log_retention_days: Annotated[int, Field(ge=0, le=36500)] = Field(
        default=2, description=mark("days to keep dated log folders, in addition to today's")
    )
    bot_stop_timeout: Annotated[int, Field(ge=1, le=3600)] = Field(
        default=45, description=mark("seconds a bot has to cancel its orders before it is killed")
    )
    crash_exit_codes: tuple[Annotated[int, Field(ge=0, le=255)], ...] | None = Field(
        default=None,
        strict=False,
        description=mark(
            "the exit codes that count as crashes, all others count as completions; by default all but 0 "
            "are crashes"
        ),
    )
    completion: Completion = Field(
        default="exit",
        description=mark(
            "when exit code 0 means completed instead of crashed: always, after the strategy's duration, or "
            "never"
        ),
    )

    @field_validator("health_path")
    @classmethod
    def _valid_path(cls, value: str) -> str:
        if not HEALTH_PATH_PATTERN.fullmatch(value):
            raise Fault("must be a path such as /health, without spaces")
        return value

    @field_validator("log_dir", "db_path")
    @classmethod
    def _plain_path(cls, value: str | None) -> str | None:
        return value and value.removeprefix("./").rstrip("/")

    @field_validator("cpu_limit_percent")
    @classmethod
    def _within_cores(cls, value: float) -> float:
        most = 100 * (os.cpu_count() or 1)
        if value > most:
            raise Fault("must be {range}, not {value}", range=f"1-{most}", value=f"{value:g}")
        return value


class StrategyConfig(Section):
    """Hold the strategy's parameters. The old configs' aliases are defined beside the names that win."""

    grid_upper_price: NotNegative | None = Field(
        default=None, description=mark("the upper bound of the grid, a price")
    )
    grid_upper: NotNegative | None = Field(default=None, description=mark("another name of grid_upper_price"))
    grid_lower_price: NotNegative | None = Field(
        default=None, description=mark("the lower bound of the grid, a price")
    )
    grid_lower: NotNegative | None = Field(default=None, description=mark("another name of grid_lower_price"))
    grid_num: Annotated[int, Field(ge=2, le=200)] | None = Field(
        default=None, description=mark("the number of price levels of the grid, including both bounds")
    )
    grid_mode: Literal["arithmetic", "geometric"] | None = Field(
        default=None, description=mark("arithmetic: equal price steps; geometric: equal price ratios")
    )
    grid_type: Literal["neutral", "long", "short"] | None = Field(
        default=None,
        description=mark(
            "long: buys first; short: sells first; neutral: buys below and sells above the first price"
        ),
    )
    max_position: Positive | None = Field(
        default=None, description=mark("the maximum position, in the base currency")
    )
    order_quantity: Positive | None = Field(
        default=None,
        description=mark(
            "the quantity of one order, in the base currency; without one, max_position divided by the "
            "number of orders"
        ),
    )
    quantity: Positive | None = Field(default=None, description=mark("another name of order_quantity"))
    initial_position: NotNegative | None = Field(
        default=None,
        description=mark(
            "what a long grid buys, or a short one sells, at the market when it begins, in the base currency"
        ),
    )
    stop_loss: float | None = Field(
        default=None,
        description=mark("the loss, in the quote currency, at which the position is closed and the run ends"),
    )
    take_profit: float | None = Field(
        default=None,
        description=mark(
            "the profit, in the quote currency, at which the position is closed and the run ends"
        ),
    )
    boundary_action: Literal["emergency_close", "adjust_range", "stop_only"] | None = Field(
        default=None,
        description=mark(
            "what to do when the price leaves the grid: close the position and stop, move the grid, or only "
            "stop"
        ),
    )
    boundary_tolerance: NotNegative | None = Field(
        default=None, description=mark("how far the price may leave the grid, as a fraction: 0.01 is 1 %")
    )
    max_range_moves: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description=mark("how often in 24 hours adjust_range may move the grid")
    )
    enable_boundary_check: bool | None = Field(
        default=None, description=mark("whether to take the boundary_action")
    )
    duration: NotNegative | None = Field(
        default=None,
        description=mark("trading time in seconds after which the run is complete; 0: unlimited"),
    )
    interval: Positive | None = Field(
        default=None, description=mark("seconds between two updates of the market data")
    )
    exclusive_account: bool | None = Field(
        default=None,
        description=mark(
            "whether nothing else trades on the account; a stop may then cancel all orders of the market "
            "with one call, if every order listed is the bot's own"
        ),
    )
    cancel_all_after: Annotated[int, Field(ge=300, le=1_296_000)] | None = Field(
        default=None,
        description=mark(
            "seconds of silence after which the exchange cancels every order of the account; only Lighter has"
            " this, and it needs exclusive_account"
        ),
    )
    spread: NotNegative | None = Field(
        default=None, description=mark("the distance between our bid and ask, in percent of the price")
    )
    max_orders: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description=mark("the number of orders on each side")
    )
    target_position: float | None = Field(
        default=None, description=mark("the position that the quotes steer towards")
    )
    position_threshold: NotNegative | None = Field(
        default=None,
        description=mark(
            "the distance from the target position beyond which only orders that reduce it are placed"
        ),
    )
    inventory_skew: float | None = Field(
        default=None, description=mark("how strongly the position shifts both quotes, from 0 to 1")
    )

    @model_validator(mode="after")
    def _upper_above_lower(self) -> Self:
        upper = self.grid_upper_price if self.grid_upper_price is not None else self.grid_upper
        lower = self.grid_lower_price if self.grid_lower_price is not None else self.grid_lower
        if upper is not None and lower is not None and upper <= lower:
            raise Fault(
                "grid_upper_price must be above grid_lower_price, {upper} is not above {lower}",
                upper=f"{upper:g}",
                lower=f"{lower:g}",
            )
        return self

    @model_validator(mode="after")
    def _whole_account_needs_consent(self) -> Self:
        if self.cancel_all_after is not None and not self.exclusive_account:
            raise Fault(
                "cancel_all_after cancels the orders of everything that trades on the account, so it needs"
                " exclusive_account: true"
            )
        return self


class InstanceConfig(Section):
    """Hold one file of config/active, in the sectioned form."""

    metadata: Metadata = Field(description=mark("the instance's identity"))
    daemon_config: DaemonConfig = Field(default=DaemonConfig(), description=mark("how to run the instance"))
    exchange_config: dict[str, Any] = Field(
        default_factory=dict,
        description=mark(
            "the variables that the bot receives; write credentials only as ${NAME}, with NAME=value in .env"
        ),
    )
    strategy_config: StrategyConfig = Field(
        default=StrategyConfig(), description=mark("the strategy's parameters")
    )
    mode: Mode | None = Field(
        default=None,
        description=mark(
            "paper trades without real money, live with it; defaults to the mode in config/fleet.toml, "
            "which defaults to paper"
        ),
    )
    host: str | None = Field(
        default=None,
        description=mark(
            "the machine that the instance belongs to; on any other one it is left alone. Without it, the "
            "instance belongs to every machine that has this file"
        ),
    )
    bot_args: tuple[str, ...] | None = Field(
        default=None,
        exclude=True,
        strict=False,
        description=mark("the bot's command line, passed as is; replaces strategy_config"),
    )
    environment: dict[str, str] = Field(
        default_factory=dict,
        exclude=True,
        description=mark(
            "additional variables for the bot, NAME to value; write credentials only as ${NAME}"
        ),
    )

    @field_validator("host")
    @classmethod
    def _valid_host(cls, value: str | None) -> str | None:
        if value is not None and not HOST_PATTERN.fullmatch(value):
            raise Fault("must match {pattern}", pattern=HOST_PATTERN.pattern)
        return value
