"""Write the findings into results.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.measure import Comparison, Findings, Samples, Table
from bench.other_machines import MEANS_NOTHING as MEANS_NOTHING
from bench.other_machines import carried_over

HEAD = """\
# Benchmark

Made by `make bench`, not by hand. Side by side in one run on one engine: the same image, the same container
settings, the order turned round after each round. Each figure is a median, with the smallest and the largest
of the rounds in brackets; times are those of whole commands, from their start to their end, in seconds. What
the rows mean: [README.md](README.md). Other machines, where there are any, stand at the end.
"""


def write(file: Path, findings: Findings, facts: Sequence[tuple[str, str]]) -> Path:
    """Write the report in place of the former one, with what that one tells of other machines."""
    file.write_text(_markdown(findings, facts, carried_over(file, facts)), encoding="utf-8")
    return file


def _markdown(findings: Findings, facts: Sequence[tuple[str, str]], other_machines: str) -> str:
    parts = [HEAD, _facts(facts), _comparisons(findings.comparisons)]
    parts += [_table(table) for table in findings.tables]
    if findings.troubles:
        rows = [[trouble.row, trouble.kind, trouble.why] for trouble in findings.troubles]
        parts.append(_table(Table("Rows that are not here", ["row", "", "why"], rows)))
    if other_machines:
        parts.append(other_machines)
    return "\n".join(parts)


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    return _table(Table("Machine", ["", ""], facts))


def _comparisons(comparisons: Sequence[Comparison]) -> str:
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
        for comparison in comparisons
    ]
    words = "Ratio: ours ÷ theirs, less than 1 is faster than they are."
    heads = ["work", "N", "ours", "against", "theirs", "ratio", "aim", ""]
    return _table(Table("Side by side", heads, rows, words))


def _samples(samples: Samples) -> str:
    low, high = min(samples.values), max(samples.values)
    if len(samples.values) == 1:
        return f"{samples.median:.3f}"
    return f"{samples.median:.3f} ({low:.3f}–{high:.3f})"


def _table(table: Table) -> str:
    lines = [f"## {table.title}", ""]
    if table.words:
        lines += [table.words, ""]
    rows = [table.heads, ["---"] * len(table.heads), *table.rows]
    return "\n".join([*lines, *(f"| {' | '.join(map(_cell, row))} |" for row in rows), ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
