"""Draw tables with tabulate, in any of its formats.

Loading it takes 60 ms, as long as the rest of `ps`; text_table.py fits a table to a terminal without it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from manager.util.text_table import COLOUR

PLAIN = "plain"
TSV = "tsv"
UNPADDED = frozenset({TSV})
"""Formats for programs: cells contain only their content, and every line has all of them."""
PIPED = frozenset({"github", "pipe", "colon_grid", "orgtbl", "presto", "psql", "pretty", "jira", "asciidoc"})
"""Formats that end cells with `|`. All of them escape it like Markdown, which users understand in the others
too."""


def formats() -> list[str]:
    """Return the names of all formats."""
    import tabulate

    return sorted(tabulate.tabulate_formats)


def draw(
    heads: Sequence[str], rows: Iterable[Sequence[object]], style: str = PLAIN, numbers: Collection[int] = ()
) -> str:
    """Return the table. Colours are kept in `plain` only.

    `numbers`: the columns to align right.
    """
    import tabulate

    tabulate.MIN_PADDING = 0  # the two spaces between columns are enough, also below a long header
    cells = [[_cell(str(value), style) for value in row] for row in rows]
    sides = ["right" if index in numbers else "left" for index in range(len(heads))]
    is_padded = style not in UNPADDED
    text = tabulate.tabulate(
        cells,
        list(heads),
        tablefmt=style,
        disable_numparse=True,
        stralign="left" if is_padded else None,
        colalign=sides if cells and is_padded else None,
    )
    if style == PLAIN:
        return "\n".join(line.rstrip() for line in text.splitlines())
    if style in UNPADDED:  # tabulate strips empty cells at a line's end
        return "\n".join(line + "\t" * (len(heads) - 1 - line.count("\t")) for line in text.splitlines())
    return text


def _cell(text: str, style: str) -> str:
    """Return the text as a single line, so that it stays one cell."""
    if style != PLAIN:
        text = COLOUR.sub("", text)
    text = re.sub(r"[\t\r\n\v\f]+", " ", text)
    return text.replace("|", r"\|") if style in PIPED else text
