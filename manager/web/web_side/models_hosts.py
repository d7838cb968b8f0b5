"""Describe the answers about the trader's other machines for the API's document."""

from __future__ import annotations

from pydantic import Field

from manager.web.web_side.models import Amount, Answer, Time


class HostInstance(Answer):
    """Describe one instance of another machine, as its `ps --json` has it."""

    host: str
    id: str
    state: str = Field(description="`unreachable` where the machine does not answer, never `stopped`")
    state_text: str
    last_state_text: str | None = Field(description="the state in which it was last seen")
    mode: str | None
    mode_text: str | None
    doing: str | None = Field(description="what its bot does, or did when it was last seen")
    doing_text: str | None
    pnl: Amount
    position: Amount
    quote: str | None
    base: str | None
    market: str | None
    symbol: str | None
    exchange: str | None
    is_left_unknown: bool = Field(description="whether nobody knows what it has left at its exchange")
    note: str | None


class Host(Answer):
    """Describe one machine. `seen_at`: when it answered last."""

    name: str
    is_up: bool
    why: str | None
    seen_at: Time
    is_asked: bool = Field(description="whether it is being asked now")
    instances: list[HostInstance]


class Hosts(Answer):
    """Describe the other machines of config/hosts.toml. `asked_at`: null before the first answers."""

    asked_at: Time
    error: str | None
    twins: list[str] = Field(description="older copies of moved instances that trade")
    shared_accounts: list[str] = Field(description="live bots of different machines on one account")
    lost: list[str] = Field(description="moved live instances that are no longer where they went")
    hosts: list[Host]
