"""Gather every command with its options, in the order and under the headings of `manager --help`.

No command's module is imported here: `manager ps` must not load what only `manager top` needs.
"""

from __future__ import annotations

from collections.abc import Mapping

from manager.cli.command_options import Command
from manager.cli.fleet_commands import FLEET_GROUPS
from manager.cli.upkeep_commands import UPKEEP_GROUPS

GROUPS: Mapping[str, Mapping[str, Command]] = {**FLEET_GROUPS, **UPKEEP_GROUPS}
"""Every command, in the order and under the heads of `manager --help`.

A command of two words is written as two.
"""

COMMANDS: Mapping[str, Command] = {
    name: command for group in GROUPS.values() for name, command in group.items()
}
