"""The shape of an instance config: what the JSON file may say, in which ranges.

These models are the only validator of the project. They know one file; what two files must not share is in load.py.
"""

from __future__ import annotations

import os
import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from manager.i18n import mark

ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
ID_RULE = mark("must be 1 to 63 of the letters A-Z a-z, digits, _ . -, the first a letter or digit")
WORD_PATTERN = re.compile(r"[^\s\x00-\x1f\x7f]{1,200}")
BUNDLED_EXCHANGES = ("backpack", "aster", "paradex", "lighter", "apex")
BUNDLED_STRATEGIES = ("standard", "grid", "perp_grid", "maker_hedge")

Mode = Literal["paper", "live"]
Completion = Literal["exit", "duration", "never"]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class Fault(ValueError):
    """What a validator found: a translatable template and what goes into it."""

    def __init__(self, message: str, /, **params: object) -> None:
        super().__init__(message.format(**params))
        self.message = message
        self.params = params


class Section(BaseModel):
    """Unknown keys are kept (and warned about by load.py); a null is the same as no key."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: item for key, item in value.items() if item is not None}
        return value


class Metadata(Section):
    """Who the instance is. Everything but `description` and the like becomes a label."""

    instance_id: str | None = None
    name: str | None = None
    exchange: str
    symbol: str
    market_type: Literal["spot", "perp"] | None = None
    strategy: str
    description: str | None = None
    tags: tuple[str, ...] = Field(default=(), strict=False)
    version: str | None = None
    author: str | None = None
    created_at: str | None = None
    updated_at: str | None = None

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
            raise Fault("must be one word without spaces")
        return value


class DaemonConfig(Section):
    """How the instance runs. Times in seconds, sizes in MiB, CPU in percent of one core."""

    python_path: str | None = None
    script_path: str | None = None
    working_dir: str | None = None
    log_dir: str | None = None
    db_path: str | None = None
    web_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    memory_limit_mb: Annotated[int, Field(ge=32, le=1 << 30)] = 2048
    cpu_limit_percent: Annotated[float, Field(ge=1)] = 80
    auto_restart: bool = True
    max_restart_attempts: Annotated[int, Field(ge=0, le=100)] = 3
    restart_delay: Annotated[float, Field(ge=0, le=3600)] = 60
    health_check_interval: Annotated[float, Field(ge=1, le=300)] = 30
    unhealthy_probes: Annotated[int, Field(ge=0, le=1000)] = 5
    log_cleanup_interval: Annotated[float, Field(ge=1, le=31_536_000)] = 86400
    log_retention_days: Annotated[int, Field(ge=0, le=36500)] = 2
    bot_stop_timeout: Annotated[int, Field(ge=1, le=3600)] = 45
    crash_exit_codes: tuple[Annotated[int, Field(ge=0, le=255)], ...] | None = Field(
        default=None, strict=False
    )
    completion: Completion = "exit"

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
    """The strategy's parameters. Aliases of the old configs stand beside the names that win."""

    grid_upper_price: NotNegative | None = None
    grid_upper: NotNegative | None = None
    grid_lower_price: NotNegative | None = None
    grid_lower: NotNegative | None = None
    grid_num: Annotated[int, Field(ge=2, le=200)] | None = None
    grid_mode: Literal["arithmetic", "geometric"] | None = None
    grid_type: Literal["neutral", "long", "short"] | None = None
    max_position: Positive | None = None
    order_quantity: Positive | None = None
    quantity: Positive | None = None
    stop_loss: float | None = None
    take_profit: float | None = None
    boundary_action: Literal["emergency_close", "adjust_range", "stop_only"] | None = None
    boundary_tolerance: NotNegative | None = None
    enable_boundary_check: bool | None = None
    duration: NotNegative | None = None
    interval: Positive | None = None
    spread: NotNegative | None = None
    max_orders: Annotated[int, Field(ge=1)] | None = None
    target_position: float | None = None
    position_threshold: NotNegative | None = None
    inventory_skew: float | None = None

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


class InstanceConfig(Section):
    """One file of config/active, in the sectioned form."""

    metadata: Metadata
    daemon_config: DaemonConfig = DaemonConfig()
    exchange_config: dict[str, Any] = Field(default_factory=dict)
    strategy_config: StrategyConfig = StrategyConfig()
    mode: Mode | None = None
    bot_args: tuple[str, ...] | None = Field(default=None, exclude=True, strict=False)
    environment: dict[str, str] = Field(default_factory=dict, exclude=True)


LEGACY_KEYS = ("bot_args", "environment")
CARRIED_OVER = ("environment", "mode", "exchange_config")
"""What a flat file says in the same words as a sectioned one."""


def is_legacy(raw: dict[str, Any]) -> bool:
    """Whether this is the old flat file: daemon keys at the top, `environment`, `bot_args`."""
    return "metadata" not in raw and any(key in raw for key in (*LEGACY_KEYS, *DaemonConfig.model_fields))


def from_legacy(raw: dict[str, Any]) -> dict[str, Any]:
    """The flat file in the sectioned form. What its `bot_args` say of the bot becomes the metadata."""
    known = {"metadata", *LEGACY_KEYS, *CARRIED_OVER}
    args = raw.get("bot_args")
    words = args if isinstance(args, list) else []
    metadata = {
        key: _option(words, f"--{key.replace('_', '-')}") or default
        for key, default in (
            ("exchange", "unknown"),
            ("symbol", "unknown"),
            ("strategy", "standard"),
            ("market_type", None),
        )
    }
    if "instance_id" in raw:
        known.add("instance_id")
        metadata["instance_id"] = raw["instance_id"]
    result: dict[str, Any] = {
        "metadata": metadata,
        "daemon_config": {key: value for key, value in raw.items() if key not in known},
        "bot_args": args if args is not None else [],
    }
    for key in CARRIED_OVER:
        if key in raw:
            result[key] = raw[key]
    return result


def _option(words: list[Any], name: str) -> Any:
    for index, word in enumerate(words[:-1]):
        if word == name:
            return words[index + 1]
    for word in words:
        if isinstance(word, str) and word.startswith(f"{name}="):
            return word.partition("=")[2]
    return None
