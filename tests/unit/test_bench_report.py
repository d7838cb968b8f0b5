"""The report of the benchmark: a section that one run writes, and the others keep."""

from pathlib import Path

import pytest

from bench import __main__ as bench
from bench import report, restarts
from bench.measure import Comparison, Findings, Samples

ONE = Findings(
    [Comparison("restart of one", 10, Samples((0.6,)), "docker restart", Samples((0.5,)), restarts.AIM)]
)


def write(folder: Path, *, is_restarts: bool, date: str) -> str:
    bench._write(folder, ONE if is_restarts else Findings(), [("date", date)], is_restarts=is_restarts)
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
