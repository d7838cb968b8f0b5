"""The benchmark's report is of one machine, and keeps what it told of the others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench import other_machines, report, restarts
from bench.measure import Comparison, Findings, Samples, Table, Trouble
from tests.fleet import ROOT

HERE = {"date": "30 November", "CPU": "2 × AMD EPYC", "RAM": "23.5 GiB", "kernel": "Linux 6.18-b", "run": "b"}
THERE = {**HERE, "date": "29 November", "kernel": "Linux 6.18-a", "run": "a"}
THIRD = {**HERE, "CPU": "8 × Neoverse | N1"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "results.md"


def write(file: Path, machine: dict[str, str], seconds: float, kept: Sequence[str] = ()) -> str:
    """Write the report of a run in which `up` took so many seconds. Return it."""
    ours, theirs = Samples((seconds,)), Samples((1.0,))
    findings = Findings([Comparison("up", 40, ours, "compose | up", theirs, 1.05)])
    findings.tables.append(Table("Growth", ["N"], [[f"grown {seconds:.2f}"]]))
    findings.troubles.append(Trouble("a row", "skipped", "why"))
    return report.write(file, findings, [*machine.items()], kept).read_text()


def ratios(text: str) -> list[str]:
    return re.findall(r"\*\*(.*) ×\*\*", text)


def test_machine_and_ratios_of_each_other_machine_are_kept_from_its_last_report(file: Path) -> None:
    alone = write(file, THERE, 1.01)
    assert other_machines.TITLE not in re.findall("^## (.*)", alone, re.MULTILINE)
    assert ratios(write(file, HERE, 1.02)) == ["1.02", "1.01"]
    assert ratios(write(file, HERE, 1.03)) == ["1.03", "1.01"]
    assert ratios(write(file, THIRD, 1.04)) == ["1.04", "1.03", "1.01"]
    text = write(file, THERE, 1.05)
    assert ratios(text) == ["1.05", "1.04", "1.03"]
    assert [text.count(f"| {machine['date']} |") for machine in (HERE, THERE)] == [2, 1]
    assert re.findall("grown .*[0-9]", text) == ["grown 1.05"], "the newest run whole, the others in short"
    titles = re.findall("^###? (.*)", text, re.MULTILINE)
    assert titles == [
        *("Machine", "Side by side", "Growth", "Rows that are not here", other_machines.TITLE),
        "8 × Neoverse \\| N1, 23.5 GiB, Linux 6.18-b",
        "2 × AMD EPYC, 23.5 GiB, Linux 6.18-b",
    ]
    assert text.count("| up | 40 | 1.030 | compose \\| up | 1.000 | **1.03 ×** | ≤ 1.05 | met |") == 1


def test_written_again_nothing_grows(file: Path) -> None:
    for machine in (THERE, HERE, THIRD):
        once = write(file, machine, 1.0)
    assert write(file, THIRD, 1.0) == once


def test_figures_that_mean_nothing_are_not_kept(file: Path) -> None:
    write(file, THERE, 1.01)
    assert ratios(write(file, {**HERE, other_machines.MEANS_NOTHING: "side by side"}, 9.0)) == [
        "9.00",
        "1.01",
    ]
    assert ratios(write(file, THIRD, 1.02)) == ["1.02", "1.01"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"# Benchmark\n", b"## Machine\n## Side by side\n"])
def test_a_file_that_is_no_report_is_replaced(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert ratios(write(file, HERE, 1.0)) == ["1.00"]


def test_the_report_of_this_repository_can_be_carried_over(tmp_path: Path) -> None:
    text = (ROOT / "bench" / "results.md").read_text()
    copy = tmp_path / "results.md"
    copy.write_text(text)
    own = report.part(text, restarts.TITLE)  # stays as it is, before what is told of other machines
    kept = ratios(write(copy, HERE, 1.0, [restarts.TITLE]))
    assert kept == ["1.00", *ratios(own), *ratios(text.replace(own, ""))]
