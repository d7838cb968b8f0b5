"""Keep what the report in place tells of other machines: a new report is of one machine only."""

from __future__ import annotations

import re
from collections.abc import Sequence

TITLE = "Other machines"
WORDS = """\
Of the last report of each: what machine it was, and what stood side by side there. The benchmark takes it
from the report that was here before. Machines are told apart by CPU, RAM and kernel.
"""
TOLD_APART_BY = ("CPU", "RAM", "kernel")
MEANS_NOTHING = "sections"
"""The fact that only a report has whose figures are of no use: nothing is kept of it."""


def carried_over(report: str, facts: Sequence[tuple[str, str]]) -> str:
    """Return the section for the new report, empty where no other machine is known.

    `report`: the one in place; `facts`: those of the machine that was measured now.
    """
    old = _parts(report, "## ")
    machines: dict[str, str] = {}
    machine, side_by_side = old.get("Machine", ""), old.get("Side by side", "")
    if (its_facts := _facts(machine)) and MEANS_NOTHING not in its_facts:
        machines[_name(its_facts)] = f"{machine}\n\n{side_by_side}"
    for name, text in in_section(old.get(TITLE, "")).items():
        machines.setdefault(name, text)
    parts = without(machines, facts)
    return "\n".join([f"## {TITLE}\n", WORDS, *parts]) if parts else ""


def without(machines: dict[str, str], facts: Sequence[tuple[str, str]]) -> list[str]:
    """Return what is told of each machine, under its name, except of the one with these facts."""
    own = machine_name(facts)
    return [f"### {name}\n\n{text}\n" for name, text in machines.items() if name != own]


def in_section(section: str) -> dict[str, str]:
    """Return what a section tells of each machine, by its name."""
    return _parts(section, "### ")


def machine_name(facts: Sequence[tuple[str, str]]) -> str:
    """Return what tells a machine from others."""
    return _name({fact: value.replace("|", "\\|") for fact, value in facts})  # as in a table


def _parts(text: str, mark: str) -> dict[str, str]:
    """Return what follows each heading that begins with `mark`, up to the next of them."""
    words = re.split(rf"^{mark}(.*)\n", text, flags=re.MULTILINE)
    return {title.strip(): part.strip() for title, part in zip(words[1::2], words[2::2], strict=True)}


def _facts(table: str) -> dict[str, str]:
    rows = [line.strip("|").split(" | ", 1) for line in table.splitlines() if line.startswith("|")]
    return {row[0].strip(): row[1].strip() for row in rows[2:] if len(row) == 2}


def _name(facts: dict[str, str]) -> str:
    return ", ".join(facts.get(fact, "?") for fact in TOLD_APART_BY)
