"""List the kinds of alerts: their words for people, and how each is told. The rules are in alert_rules and
machine_rules.
"""

from collections.abc import Mapping
from typing import Literal

from manager.i18n import mark

InstanceKind = Literal[
    "down",
    "failed",
    "completed",
    "restarting",
    "unhealthy",
    "oom",
    "no_progress",
    "exchange_away",
    "out_of_range",
    "orders_refused",
    "ledger_differs",
    "stopped_out",
    "restart_loop",
    "cancel",
    "account_loss",
    "logs",
    "growth",
]
MachineKind = Literal[
    "disk",
    "inodes",
    "engine",
    "fleet_loss",
    "limits",
    "configs",
    "egress",
    "twin",
    "shared_account",
    "lost",
    "move",
]
Kind = Literal[InstanceKind, MachineKind]

KIND_WORDS: Mapping[Kind, str] = {
    "down": mark("down"),
    "failed": mark("failed"),
    "completed": mark("completed"),
    "restarting": mark("crashing"),
    "unhealthy": mark("unhealthy"),
    "oom": mark("out of memory"),
    "no_progress": mark("not trading"),
    "exchange_away": mark("exchange away"),
    "out_of_range": mark("out of range"),
    "orders_refused": mark("orders refused"),
    "ledger_differs": mark("ledger differs"),
    "stopped_out": mark("stopped out"),
    "restart_loop": mark("never healthy"),
    "cancel": mark("orders not cancelled"),
    "account_loss": mark("account's loss limit"),
    "logs": mark("log files at their limit"),
    "growth": mark("disk use"),
    "fleet_loss": mark("fleet's loss limit"),
    "limits": mark("loss limits not watched"),
    "configs": mark("configs not loaded"),
    "egress": mark("egress rules"),
    "twin": mark("two of one instance"),
    "shared_account": mark("two bots on one account"),
    "lost": mark("moved and not there"),
    "move": mark("move not finished"),
    "disk": mark("disk"),
    "inodes": mark("inodes"),
    "engine": mark("engine"),
}
"""What an alert of this kind is called where several come together."""

ENDED: frozenset[Kind] = frozenset({"down", "failed", "completed", "stopped_out"})
"""Conditions in which no bot runs that could manage its orders."""

WAITING: frozenset[Kind] = frozenset({"down", "unhealthy"})
"""Conditions that another manager at work causes temporarily."""

PASSING: frozenset[Kind] = frozenset({"oom", "account_loss", "logs", "growth"})
"""Events rather than states: they do not prevent an instance from being well."""

NEVER_REMINDED: frozenset[Kind] = frozenset({"completed", "oom", "account_loss", "fleet_loss", "logs"})
"""Conditions that need no reminder, because nothing can be done about them."""

BACK: Mapping[Kind, str] = {
    "configs": mark("the configs of all that runs can be loaded again"),
    "egress": mark("the egress rules are in force again"),
    "twin": mark("no older copy of a moved instance trades any longer"),
    "shared_account": mark("no live bots of different machines trade on one account any longer"),
    "lost": mark("every moved live instance is known where it went, or is here again"),
    "move": mark("no move is left unfinished any longer"),
    "disk": mark("there is enough disk space again"),
    "inodes": mark("there are enough inodes again"),
    "engine": mark("the Docker Engine is back after {time}"),
    "fleet_loss": mark("the fleet's loss of this day is within its limit"),
    "limits": mark("the daily loss limits are watched again"),
}
"""What is said when a condition of the machine is over. Of an instance the text is the same for all kinds."""
