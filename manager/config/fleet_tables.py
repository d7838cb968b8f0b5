"""Declare the tables of config/fleet.toml: each key with its type, range and default."""

from __future__ import annotations

import ipaddress
import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from manager.config.exchanges import EXCHANGES
from manager.config.fleet import (
    DEFAULT_LOG_DAY_MB,
    DEFAULT_PARALLELISM,
    DEFAULT_PASSED_VARIABLES,
    HOST_PATTERN,
    NAME_PATTERN,
    Alerts,
    DiskRules,
    HistoryRules,
)
from manager.config.models import Fault, Mode
from manager.config.variables import is_reference

IMAGE_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,511}")
"""Excludes characters that would break a line or an argument; the engine checks the rest."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", strict=True)


class ContainerTable(_Table):
    """Declare `[container]`: settings of every container of the fleet."""

    pids_limit: Annotated[int, Field(ge=16, le=100_000)] = 256
    tmp_size_mb: Annotated[int, Field(ge=1, le=65536)] = 64
    log_max_size_mb: Annotated[int, Field(ge=1, le=10_000)] = 10
    log_max_files: Annotated[int, Field(ge=1, le=100)] = 3
    log_day_mb: Annotated[int, Field(ge=0, le=1_000_000)] = DEFAULT_LOG_DAY_MB
    engine_health_interval: Annotated[int, Field(ge=0, le=86400)] = 60
    egress: bool | tuple[str, ...] = False

    @field_validator("egress", mode="before")
    @classmethod
    def _targets(cls, value: object) -> object:
        if isinstance(value, bool):
            return value
        if isinstance(value, list) and value and all(_is_target(item) for item in value):
            return tuple(value)
        raise Fault(
            'must be true, false, or a list of IPv4 addresses and networks such as ["203.0.113.7:443", '
            '"198.51.100.0/24"]'
        )


def _is_target(item: object) -> bool:
    """Return whether it is `ADDRESS[/BITS][:PORT]`."""
    address, colon, port = item.partition(":") if isinstance(item, str) else ("", "", "")
    try:
        ipaddress.IPv4Network(address, strict=False)
    except ValueError:
        return False
    return not colon or (port.isascii() and port.isdigit() and 0 < int(port) < 65536)


class BackupTable(_Table):
    """Declare `[backup]`: how many backups to keep, and for how many days; 0 keeps all."""

    keep: Annotated[int, Field(ge=0, le=100_000)] = 0
    keep_days: Annotated[int, Field(ge=0, le=100_000)] = 0


Seconds = Annotated[int, Field(ge=0, le=7 * 86400)]
CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]|")


class AlertsTable(_Table):
    """Declare `[alerts]`: see `fleet.Alerts`."""

    urls: tuple[str, ...] = Field(default=(), strict=False)
    down_after: Seconds = Alerts().down_after
    unhealthy_after: Seconds = Alerts().unhealthy_after
    crash_loop_restarts: Annotated[int, Field(ge=1, le=100)] = Alerts().crash_loop_restarts
    crash_loop_window: Annotated[int, Field(ge=1, le=86400)] = Alerts().crash_loop_window
    exchange_away_after: Seconds = Alerts().exchange_away_after
    out_of_range_after: Seconds = Alerts().out_of_range_after
    endless_restarts: Annotated[int, Field(ge=0, le=1000)] = Alerts().endless_restarts
    engine_away_after: Seconds = Alerts().engine_away_after
    disk_free_mb: Annotated[int, Field(ge=0, le=100_000_000)] = Alerts().disk_free_mb
    inodes_free_percent: Annotated[int, Field(ge=0, le=100)] = Alerts().inodes_free_percent
    no_tick_after: Seconds = Alerts().no_tick_after
    no_trade_after: Seconds = Alerts().no_trade_after
    no_log_after: Seconds = Alerts().no_log_after
    recovered_after: Seconds = Alerts().recovered_after
    remind_after: Seconds = Alerts().remind_after
    message_interval: Annotated[int, Field(ge=1, le=86400)] = Alerts().message_interval
    digest_at: str = Alerts().digest_at
    heartbeat: str = Alerts().heartbeat

    @field_validator("heartbeat", mode="before")
    @classmethod
    def _only_an_address(cls, value: object) -> object:
        """Run before every other check, because their messages would show the value."""
        if not isinstance(value, str) or not (
            value == "" or is_reference(value) or value.startswith(("https://", "http://"))
        ):
            raise Fault('must be an http or https address, or a reference such as "${{HEARTBEAT_URL}}"')
        return value

    @field_validator("urls", mode="before")
    @classmethod
    def _only_references(cls, value: object) -> object:
        """Run before every other check, because their messages would show the value."""
        if not isinstance(value, list) or not all(
            isinstance(item, str) and is_reference(item) for item in value
        ):
            raise Fault(
                'must be a list of references such as ["${{ALERT_URL}}"], because an address contains '
                "credentials; write ALERT_URL=… in .env"
            )
        return value

    @field_validator("digest_at")
    @classmethod
    def _clock(cls, value: str) -> str:
        if not CLOCK.fullmatch(value):
            raise Fault("must be a time of day such as 08:00, or empty to disable")
        return value


Amount = Annotated[Decimal, Field(ge=0, le=10**12, strict=False)]
Rate = Annotated[Decimal, Field(gt=0, le=10**12, strict=False)]
CURRENCY = re.compile(r"[A-Za-z0-9._-]{1,12}")


class SumsTable(_Table):
    """Declare `[sums]`: see `fleet.Sums`."""

    currency: str = ""
    rates: dict[str, Rate] = Field(default_factory=dict)

    @field_validator("currency")
    @classmethod
    def _valid_currency(cls, value: str) -> str:
        if value and not CURRENCY.fullmatch(value):
            raise Fault("must be a currency such as USDC")
        return value

    @field_validator("rates")
    @classmethod
    def _valid_currencies(cls, value: dict[str, Decimal]) -> dict[str, Decimal]:
        if not all(map(CURRENCY.fullmatch, value)):
            raise Fault("must name currencies such as USDT")
        return value


class LimitsTable(_Table):
    """Declare `[limits]`: see `fleet.Limits`."""

    fleet_daily_loss: Amount = Decimal(0)
    account_daily_loss: Amount = Decimal(0)
    on_loss: Literal["alert", "halt"] = "alert"


class HistoryTable(_Table):
    """Declare `[history]`: see `fleet.HistoryRules`."""

    keep_days: Annotated[int, Field(ge=2, le=36500)] = HistoryRules().keep_days
    max_mb: Annotated[int, Field(ge=1, le=100_000)] = HistoryRules().max_mb


Requests = Annotated[float, Field(ge=0, le=1_000_000, strict=False)]


class RequestsTable(_Table):
    """Declare `[requests.EXCHANGE]`: see `request_limits.ExchangeLimits`."""

    address: Requests | None = None
    account: Requests | None = None
    orders: Requests | None = None
    tick: Requests | None = None
    start: Requests | None = None


REQUEST_KEYS = set(RequestsTable.model_fields)


Megabytes = Annotated[int, Field(ge=0, le=100_000_000)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]


class DiskTable(_Table):
    """Declare `[disk]`: see `fleet.DiskRules`."""

    growth_mb: Megabytes = DiskRules().growth_mb
    growth_files: Count = DiskRules().growth_files
    instance_mb: Megabytes = DiskRules().instance_mb
    instance_files: Count = DiskRules().instance_files
    keep_free_mb: Megabytes = DiskRules().keep_free_mb
    keep_free_inodes_percent: Annotated[int, Field(ge=0, le=50)] = DiskRules().keep_free_inodes_percent


class FleetFile(_Table):
    """Hold the whole file."""

    name: str | None = None
    host: str = ""
    data_dir: str = "volumes"
    mode: Mode = "paper"
    image: str = ""
    bot_dir: str = ""
    bind_address: str = "127.0.0.1"
    variables: tuple[str, ...] = Field(default=DEFAULT_PASSED_VARIABLES, strict=False)
    config_variables: tuple[str, ...] = Field(default=(), strict=False)
    secret_variables: tuple[str, ...] = Field(default=(), strict=False)
    parallelism: Annotated[int, Field(ge=1, le=256)] = DEFAULT_PARALLELISM
    allow_shared_credentials: bool = False
    strict_configs: bool = False
    accept_unverified: bool | tuple[str, ...] = False
    container: ContainerTable = ContainerTable()
    backup: BackupTable = BackupTable()
    alerts: AlertsTable = AlertsTable()
    sums: SumsTable = SumsTable()
    limits: LimitsTable = LimitsTable()
    history: HistoryTable = HistoryTable()
    disk: DiskTable = DiskTable()
    requests: dict[str, RequestsTable] = Field(default_factory=dict)
    defaults: dict[str, Any] = Field(default_factory=dict)

    @field_validator("accept_unverified", mode="before")
    @classmethod
    def _exchanges(cls, value: object) -> object:
        if isinstance(value, bool):
            return value
        if isinstance(value, list) and all(item in EXCHANGES for item in value):
            return tuple(value)
        raise Fault("must be true, false or a list of exchanges: {known}", known=", ".join(EXCHANGES))

    @field_validator("name")
    @classmethod
    def _valid_name(cls, value: str | None) -> str | None:
        if value is not None and not NAME_PATTERN.fullmatch(value):
            raise Fault("must match {pattern}", pattern=NAME_PATTERN.pattern)
        return value

    @field_validator("host")
    @classmethod
    def _valid_host(cls, value: str) -> str:
        if value and not HOST_PATTERN.fullmatch(value):
            raise Fault("must match {pattern}", pattern=HOST_PATTERN.pattern)
        return value

    @field_validator("image")
    @classmethod
    def _valid_image(cls, value: str) -> str:
        if value and not IMAGE_PATTERN.fullmatch(value):
            raise Fault("must be an image name such as registry.example/bot:1.2")
        return value

    @field_validator("bind_address")
    @classmethod
    def _valid_address(cls, value: str) -> str:
        try:
            ipaddress.ip_address(value)
        except ValueError:
            raise Fault("must be an IP address") from None
        return value
