"""The table of docs/conditions.md, as what the tests expect: a row that is not so fails."""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.fleet import ROOT

PAGE = ROOT / "docs" / "conditions.md"
FIGURE = re.compile(r"(-?\d+(?:\.\d+)?)(?:[smhd]\b)?")


class Row(NamedTuple):
    """What every command says of a bot to which something has happened. `doing` is None where nothing is
    done any more, `light` the circle of `list`, "" where it is not listed.
    """

    cause: str
    state: str
    doing: str | None
    severity: str
    note: str
    light: str
    exit_code: int
    alert: str


def rows() -> dict[str, Row]:
    """Return the rows, by what makes them happen."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]
    return {row.cause: row for row in map(_row, cells)}


def _row(cells: list[str]) -> Row:
    cause, state, doing, severity, note, listed, alert = cells
    light = next((light for light in "🟢🔴" if light in listed), "")
    quoted = re.search("`([^`]*)`", alert)
    return Row(
        cause,
        state,
        doing or None,
        severity,
        note,
        light,
        int(listed.split()[-1]),
        quoted.group(1) if quoted else "",
    )


def agrees(text: str, with_cell: str, *, whole: bool) -> bool:
    """Return whether a text is what a cell says: with other figures, and anything in the place of `…`."""
    parts = FIGURE.split(with_cell)
    pattern = "".join(
        r"-?\d[\d.]*\w*" if at % 2 else re.escape(part).replace("…", ".*") for at, part in enumerate(parts)
    )
    return bool((re.fullmatch if whole else re.search)(pattern, text))
