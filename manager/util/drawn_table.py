"""Tables drawn by tabulate, in whichever of its formats: for every table but those that `ps` and `list` show at once.

To load it takes 60 ms, as long as all the rest of `ps`; text_table.py fits a table into a terminal without.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from manager.util.text_table import COLOUR

PLAIN = "plain"
UNPADDED = frozenset({"tsv"})
"""Formats for programs: cells hold nothing but the content, and every line has all of them."""
PIPED = frozenset({"github", "pipe", "colon_grid", "orgtbl", "presto", "psql", "pretty", "jira", "asciidoc"})
"""Formats whose cells end at `|`. Markdown's own way to write it in a cell is read by people in the others too."""


def formats() -> list[str]:
    """Return the names of all formats."""
    import tabulate

    return sorted(tabulate.tabulate_formats)


def draw(
    heads: Sequence[str], rows: Iterable[Sequence[object]], style: str = PLAIN, numbers: Collection[int] = ()
) -> str:
    """Return the table. `numbers`: the columns that are aligned at the right. Colours survive only in `plain`."""
    import tabulate

    tabulate.MIN_PADDING = 0  # the two spaces between columns are enough, also under a long head
    cells = [[_cell(str(value), style) for value in row] for row in rows]
    sides = ["right" if index in numbers else "left" for index in range(len(heads))]
    is_padded = style not in UNPADDED
    text = tabulate.tabulate(
        cells, list(heads), tablefmt=style, disable_numparse=True,
        stralign="left" if is_padded else None, colalign=sides if cells and is_padded else None,
    )  # fmt: skip
    if style == PLAIN:
        return "\n".join(line.rstrip() for line in text.splitlines())
    if style in UNPADDED:  # tabulate takes empty cells at a line's end for space
        return "\n".join(line + "\t" * (len(heads) - 1 - line.count("\t")) for line in text.splitlines())
    return text


def _cell(text: str, style: str) -> str:
    """The text in one line, so that a cell stays a cell."""
    if style != PLAIN:
        text = COLOUR.sub("", text)
    text = re.sub(r"[\t\r\n\v\f]+", " ", text)
    return text.replace("|", r"\|") if style in PIPED else text
