"""The report of the benchmark: a section that one run writes, and the others keep."""

import re
import resource
from pathlib import Path

import pytest

from bench import __main__ as bench
from bench import other_machines, report, restarts
from bench.measure import Comparison, Findings, Samples

ONE = Findings(
    [Comparison("restart of one", 10, Samples((0.6,)), "docker restart", Samples((0.5,)), restarts.AIM)]
)


def write(folder: Path, *, is_restarts: bool, date: str, cpu: str = "2 × EPYC") -> str:
    findings, facts = ONE if is_restarts else Findings(), [("date", date), ("CPU", cpu)]
    bench._write(folder, findings, facts, is_restarts=is_restarts)
    return (folder / "results.md").read_text()


def test_the_restarts_have_a_section_that_other_runs_keep(tmp_path: Path) -> None:
    whole = write(tmp_path, is_restarts=False, date="day 1")
    assert restarts.TITLE not in whole
    with_restarts = write(tmp_path, is_restarts=True, date="day 2")
    assert with_restarts.startswith(whole.rstrip())
    assert (
        "| restart of one | 10 | 0.600 | docker restart | 0.500 | **1.20 ×** | ≤ 1.20 | met |"
        in with_restarts
    )
    later = write(tmp_path, is_restarts=False, date="day 3")
    assert "day 1" not in later
    assert report.part(later, restarts.TITLE) == report.part(with_restarts, restarts.TITLE)
    assert "day 2" in report.part(later, restarts.TITLE)


def test_the_restarts_replace_their_section_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, is_restarts=False, date="day 1")
    write(tmp_path, is_restarts=True, date="day 2")
    path = tmp_path / "results.md"
    path.write_text(f"{path.read_text().rstrip()}\n\n## Another\n\nwords\n")
    text = write(tmp_path, is_restarts=True, date="day 3")
    assert "day 1" in text
    assert "day 2" not in text
    assert "day 3" in text
    assert text.endswith("\n## Another\n\nwords\n")
    assert text.count(f"## {restarts.TITLE}\n") == 1


def test_the_sizes_are_those_that_are_promised() -> None:
    extent, _out = bench._arguments(["--restart"])
    assert list(extent.restarts) == [10, 40, 100]
    assert extent.rounds == restarts.ROUNDS
    assert bench._arguments(["--restart", "--sizes", "3,5"])[0].restarts == [3, 5]


@pytest.mark.parametrize("words", [[], ["--full"], ["--smallest"]])
def test_other_runs_measure_everything_else(words: list[str]) -> None:
    assert not bench._arguments(words)[0].restarts


def test_the_restarts_of_another_machine_are_kept_from_its_last_run(tmp_path: Path) -> None:
    for day, cpu in enumerate(("2 × EPYC", "8 × N1 | a", "8 × N1 | a", "2 × EPYC", "8 × N1 | a")):
        text = write(tmp_path, is_restarts=True, date=f"day {day}", cpu=cpu)
    assert re.findall("^### (.*),.*,", text, re.MULTILINE) == ["8 × N1 \\| a", "2 × EPYC"]
    assert re.findall("day .", text) == ["day 4", "day 3"]
    assert text.count("| restart of one | 10 |") == 2


def test_other_machines_stand_behind_the_restarts(tmp_path: Path) -> None:
    write(tmp_path, is_restarts=False, date="day 1")
    write(tmp_path, is_restarts=False, date="day 2", cpu="8 × N1")
    titles = ["Machine", "Side by side", restarts.TITLE, other_machines.TITLE]
    for is_restarts in (True, False):
        text = write(tmp_path, is_restarts=is_restarts, date="day 3", cpu="8 × N1")
        assert re.findall("^## (.*)", text, re.MULTILINE) == titles


@pytest.mark.parametrize("is_restarts", [True, False])
def test_a_file_that_is_no_report_costs_no_run_its_figures(tmp_path: Path, *, is_restarts: bool) -> None:
    (tmp_path / "results.md").write_bytes(b"# Benchmark \xff\xfe\n")
    assert "day 1" in write(tmp_path, is_restarts=is_restarts, date="day 1")


@pytest.mark.parametrize("is_restarts", [True, False])
def test_a_full_disk_costs_no_machine_its_figures(tmp_path: Path, *, is_restarts: bool) -> None:
    write(tmp_path, is_restarts=True, date="day 1")
    before = write(tmp_path, is_restarts=False, date="day 2")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write(tmp_path, is_restarts=is_restarts, date="day 3", cpu="8 × N1")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "results.md").read_text() == before
    assert len([*tmp_path.iterdir()]) == 1
