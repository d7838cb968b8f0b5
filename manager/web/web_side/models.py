"""Describe the answers of the API for its OpenAPI document. tests hold them to what the answers have.

Amounts are exact decimal strings, null is unknown. Times are Unix seconds, those of `ps --json` ISO 8601.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

Amount = str | None
Time = float | None
InstanceId = Annotated[str, Path(max_length=200, description="the instance's id")]


class Answer(BaseModel):
    """Omit keys that no model describes: one more key must not make the whole answer fail."""

    model_config = ConfigDict(extra="ignore")


class LastExit(Answer):
    """Describe how the bot last ended."""

    code: int | None
    signal: str | None
    oom: bool
    why: str
    stderr_tail: list[str]
    at: str


class Cancel(Answer):
    """Describe the progress of cancelling a failed live bot's orders."""

    state: str
    open_orders_left: int | None
    tries: int
    why: str | None


class Today(Answer):
    """Describe what an instance earned today, of one kind and currency."""

    kind: str
    quote: str | None
    pnl: Amount
    is_uncertain: bool = Field(description="a part is missing, or may belong to another day")


class InAll(Answer):
    """Describe what all runs have earned, of one kind and currency."""

    kind: str
    quote: str
    pnl: Amount


class Range(Answer):
    """Describe the bounds of the bot's range, as it reports them."""

    lower: Amount
    upper: Amount


class Alert(Answer):
    """Describe an alert that `manager watch` has open: `told_at` is null until it is sent."""

    kind: str
    text: str
    since: float
    told_at: Time
    left_until: Time


class Instance(Answer):
    """Describe one instance: what `ps --json` and `stats --json` say of it, and what the page adds."""

    id: str
    state: str
    word: str | None
    why: str | None
    doing: str | None
    doing_code: str | None
    doing_params: dict[str, Any] | None
    doing_why: str | None
    severity: Literal["bad", "warn", "note", "calm", "off"]
    open_orders_left: int | None = Field(
        description="what a live bot that no longer runs has left; null while it runs and where nobody knows"
    )
    market: str | None
    report_is_old: bool = Field(description="whether P&L and position are not, or not yet, a running bot's")
    price_at: str | None = Field(description="when the price was read from which P&L is")
    price_is_old: bool = Field(description="whether that is too long ago for what runs: P&L and position too")
    report_age_s: int | None
    last_pnl: Amount
    last_position: Amount
    cancel: Cancel | None
    drifted: bool
    drift: list[str]
    mode: str | None
    exchange: str | None
    symbol: str | None
    strategy: str | None
    tags: list[str]
    web_port: int | None
    health: str | None
    restarts: int
    since: str | None
    last_exit: LastExit | None
    wish: str
    halted: bool
    is_left_unknown: bool = Field(
        description="whether its exchange was asked in vain what it has left, and has not answered since"
    )
    config_file: str | None
    container: str | None
    container_id: str | None
    moved_to: str | None
    unfinished_move: str | None = Field(description="what a move that was interrupted has left of it here")
    cpu_percent: float | None
    memory_bytes: int | None
    memory_limit_bytes: int | None
    memory_percent: float | None
    pids: int | None
    network_received_bytes: int | None
    network_sent_bytes: int | None
    disk_read_bytes: int | None
    disk_written_bytes: int | None
    folders_bytes: int | None
    folders_files: int | None
    folders_growth_bytes: int | None
    uptime_s: int | None
    pnl: Amount
    quote: str | None
    position: Amount
    base: str | None
    open_orders: int | None
    trades: int | None
    reported_mode: str | None
    report_is_live: bool = Field(description="whether the bot has just answered, rather than its last report")
    realized: Amount
    unrealized: Amount
    fees: Amount
    funding: Amount
    entry_price: Amount
    maker_share: Amount
    reject_rate: Amount
    max_drawdown: Amount
    profit_per_grid: Amount
    apr: Amount
    order_latency: Amount
    state_text: str = Field(description="the state in the reader's language")
    doing_text: str
    mode_text: str
    note: str = Field(description="why it is in its state, as the NOTE of `ps`")
    is_live: bool = Field(description="whether it trades real money now or after its next start")
    is_up: bool
    mode_mismatch: str | None
    needs_person: bool
    left_until: Time = Field(description="until when a person has left it as it is (`manager alert snooze`)")
    alerts: list[Alert]
    urgency: list[int] = Field(description="the order of `ps --sort worst`: lower comes first")
    price: Amount
    range: Range | None
    last_fill: Time
    reported_at: Time
    is_artificial: bool = Field(description="whether its prices are no market's: P&L is then no result")
    web_url: str | None
    in_all: list[InAll] = Field(description="P&L of all its runs, as the history has them")
    today: list[Today]
    trend: list[Amount] = Field(description="P&L over the last day, evenly spaced; null: not observed")


class Instances(Answer):
    """List all instances, worst first. `event`: the last event that is already in them."""

    looked_at: Time
    event: str
    instances: list[Instance]


class Watch(Answer):
    """Describe whether `manager watch` runs, how many of its messages wait, when the last was delivered."""

    is_alive: bool
    undelivered: int | None
    delivered_at: Time


class Counts(Answer):
    """Describe how many instances there are."""

    instances: int
    live: int
    paper: int
    trading: int
    trading_live: int
    need_person: int
    left_unknown: int = Field(description="those of which nobody knows what they have left")
    left: int = Field(description="those that a person has left as they are until a time")
    states: dict[str, int]


class Pnl(Answer):
    """Describe P&L of one kind and currency: nothing is added to another. `run`: of the present or last runs,
    `in_all`: of all runs, those of stopped and removed instances too. `realized`, `unrealized`, `fees`: parts
    of `run`, null where a bot does not report its own.
    """

    kind: str
    quote: str
    run: Amount
    in_all: Amount
    today: Amount
    is_uncertain: bool
    realized: Amount
    unrealized: Amount
    fees: Amount


class Total(Answer):
    """Describe a sum by the rates of `[sums]`. `missing`: currencies without a rate, which it lacks."""

    kind: str
    currency: str
    run: Amount
    today: Amount
    missing: list[str]


class Value(Answer):
    """Describe what a position is worth, in one currency."""

    quote: str
    value: Amount


class Exposure(Answer):
    """Describe what the live bots hold of one asset. `values`: at the prices of their last reports."""

    base: str
    net: Amount
    long: Amount
    short: Amount
    without_bot: Amount = Field(
        description="the part of it that no bot trades: its bot is down, or has ended"
    )
    bots_gone: list[str] = Field(description="whose positions these are")
    values: list[Value]


class NetValue(Answer):
    """Describe what live positions are worth in one currency, at the prices of the bots' last reports."""

    quote: str
    net: Amount
    long: Amount
    short: Amount
    without_bot: Amount


class Worth(Answer):
    """Describe what all positions are worth. `unknown`: the assets without a known price, in no sum."""

    values: list[NetValue]
    unknown: list[str]


class Fleet(Answer):
    """Describe the fleet. `error`: why it cannot be seen since `error_since`; the rest is old then."""

    name: str
    version: str
    looked_at: Time
    error: str | None
    error_since: Time
    problems: list[str]
    watch: Watch
    counts: Counts
    pnl: list[Pnl]
    totals: list[Total]
    exposure: list[Exposure]
    worth: Worth
    figures_at: Time
    notes: list[str]


class Problem(BaseModel):
    """Describe an error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str | None = None
