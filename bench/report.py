"""Write the findings into results.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.measure import Comparison, Findings, Samples, Table, Trouble
from bench.other_machines import MEANS_NOTHING as MEANS_NOTHING
from bench.other_machines import TITLE as OTHER_MACHINES
from bench.other_machines import carried_over
from manager.util.atomic_file import replace_bytes

HEAD = """\
# Benchmark

Made by `make bench`, not by hand. Side by side in one run on one engine: the same image, the same container
settings, the order turned round after each round. Each figure is a median, with the smallest and the largest
of the rounds in brackets; times are those of whole commands, from their start to their end, in seconds. What
the rows mean: [README.md](README.md). Other machines, where there are any, stand at the end.
"""
RATIO = "Ratio: ours ÷ theirs, less than 1 is faster than they are."
NEXT = "\n## "
"""Where the next section of the report begins."""


def write(file: Path, findings: Findings, facts: Sequence[tuple[str, str]], kept: Sequence[str] = ()) -> Path:
    """Write the report in place of the former one, with what that one tells of other machines.

    `kept`: titles of sections that other runs write, which stay as they are.
    """
    former = in_place(file)
    sections = [*(part(former, title) for title in kept), carried_over(former, facts)]
    return _put(file, _markdown(findings, facts, [section for section in sections if section]))


def write_part(file: Path, title: str, section: str) -> Path:
    """Write one section into the report in place; all others stay as they are."""
    return _put(file, with_part(in_place(file) or HEAD, title, section))


def in_place(file: Path) -> str:
    """Return the report that is there; empty where none is, or another file."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _put(file: Path, text: str) -> Path:
    """Replace the file as a whole: what it tells of other machines stands nowhere else."""
    replace_bytes(file, text.encode(), 0o644)
    return file


def _markdown(findings: Findings, facts: Sequence[tuple[str, str]], kept: Sequence[str]) -> str:
    parts = [HEAD, _facts(facts), comparisons("Side by side", RATIO, findings.comparisons)]
    parts += [_table(table) for table in findings.tables]
    if findings.troubles:
        rows = [[trouble.row, trouble.kind, trouble.why] for trouble in findings.troubles]
        parts.append(_table(Table("Rows that are not here", ["row", "", "why"], rows)))
    return "\n".join([*parts, *kept])


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    return _table(Table("Machine", ["", ""], facts))


def comparisons(
    title: str,
    words: str,
    measured: Sequence[Comparison],
    troubles: Sequence[Trouble] = (),
    mark: str = "##",
) -> str:
    """Return a table of comparisons with its heading, and below it the rows that are not in it."""
    rows = [
        [
            comparison.work,
            "" if comparison.size is None else str(comparison.size),
            _samples(comparison.ours),
            comparison.against,
            _samples(comparison.theirs),
            f"**{comparison.result:.2f} ×**",
            "" if comparison.limit is None else f"≤ {comparison.limit:.2f}",
            {True: "met", False: "missed", None: ""}[comparison.is_met],
        ]
        for comparison in measured
    ]
    heads = ["work", "N", "ours", "against", "theirs", "ratio", "aim", ""]
    text = _table(Table(title, heads, rows, words), mark)
    missing = "".join(f"\nNot here: {trouble.row}: {trouble.kind}: {trouble.why}\n" for trouble in troubles)
    return text + missing


def part(text: str, title: str) -> str:
    """Return the section with this title of a report; empty if it has none."""
    _before, heading, rest = text.partition(f"\n## {title}\n")
    return f"{heading.lstrip()}{rest.partition(NEXT)[0].rstrip()}\n" if heading else ""


def with_part(text: str, title: str, section: str) -> str:
    """Return the report with this section: in the place of an earlier one with its title, else behind all
    others of this machine.
    """
    before, heading, rest = text.partition(f"\n## {title}\n")
    if not heading:
        before, heading, rest = text.partition(f"\n## {OTHER_MACHINES}\n")
        return f"{before.rstrip()}\n\n{section.rstrip()}\n{heading}{rest}"
    _old, following, after = rest.partition(NEXT)
    tail = f"{following}{after}" if following else ""
    return f"{before}\n{section.rstrip()}\n{tail}"


def _samples(samples: Samples) -> str:
    low, high = min(samples.values), max(samples.values)
    if len(samples.values) == 1:
        return f"{samples.median:.3f}"
    return f"{samples.median:.3f} ({low:.3f}–{high:.3f})"


def _table(table: Table, mark: str = "##") -> str:
    lines = [f"{mark} {table.title}", ""]
    if table.words:
        lines += [table.words, ""]
    rows = [table.heads, ["---"] * len(table.heads), *table.rows]
    return "\n".join([*lines, *(f"| {' | '.join(map(_cell, row))} |" for row in rows), ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
