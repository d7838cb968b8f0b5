"""The benchmark, as small as it can be: that every row can be measured. Never how fast anything was."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.integration.conftest import ROOT

pytestmark = [pytest.mark.engine, pytest.mark.long_form]

COMPARED = {
    "up from nothing": {"compose up -d", "the floor", "docker run, a loop", "docker run, xargs -P"},
    "up of a new fleet": {"compose up -d"},
    "up, nothing to do": {"compose up -d", "python -c pass"},
    "down": {"compose down", "the floor"},
    "ps": {"compose ps", "compose -p NAME ps", "python -c pass"},
    "ps --json": {"compose ps --format json"},
    "list": {"manager ps", "python -c pass"},
    "logs --tail 100": {"docker logs --tail 100"},
    "restart of one": {"docker restart"},
    "status of one": {"python -c pass"},
    "stats": {"docker stats --no-stream"},
    "1 MB through the supervisor, no CPU limit": {"straight to the log driver"},
    "1 MB through the supervisor, 80 % of a core for both": {"straight to the log driver"},
}
TABLES = {
    "Machine",
    "Side by side",
    "Parallelism",
    "Resident processes of the manager",
    "Engine calls",
    "Growth",
    "Image and start",
    "The first `up`",
    "Whole tasks",
    "Halt",
    "The fleet's page",
}
TASKS = {
    "fill → counter order, websocket",
    "fill → counter order, polling",
    "fill → counter order, spot",
    "fill → counter order, standard",
    "backtest",
    "upgrade of 1",
    "backup of 1",
}
NEED_ROOT = {"Memory of an idle instance", "CPU of an idle instance"}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """results.md of the smallest run, and where it is."""
    out = tmp_path_factory.mktemp("bench")
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--smallest", "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return (out / "results.md").read_text(), out


def test_every_row_is_there_and_none_failed(report: tuple[str, Path]) -> None:
    text, _out = report
    assert "| failed |" not in text
    compared: dict[str, set[str]] = {}
    for work, _size, _ours, against, *_rest in _rows(text, "Side by side"):
        compared.setdefault(work, set()).add(re.sub(r"(xargs -P) \d+", r"\1", against))
    assert compared == COMPARED


def test_every_table_has_rows(report: tuple[str, Path]) -> None:
    text, _out = report
    titles = {re.sub(r",.*", "", title) for title in re.findall(r"^## (.*)$", text, re.MULTILINE)}
    expected = TABLES if "only root" in text else TABLES | NEED_ROOT
    assert titles - {"Rows that are not here"} == expected
    for title in expected:
        assert _rows(text, title), title


def test_every_task_is_measured(report: tuple[str, Path]) -> None:
    assert {row[0] for row in _rows(report[0], "Whole tasks")} == TASKS
    assert _rows(report[0], "Halt")[-1][1] == "0", "no order is left"


def test_a_fleet_at_rest_has_no_resident_manager(report: tuple[str, Path]) -> None:
    assert [row[1] for row in _rows(report[0], "Resident processes of the manager")] == ["0"]


def test_the_picture_is_drawn(report: tuple[str, Path]) -> None:
    _text, out = report
    picture = ElementTree.parse(out / "growth.svg")
    assert len(picture.findall("{http://www.w3.org/2000/svg}polyline")) == 4


def test_nothing_is_left(report: tuple[str, Path]) -> None:
    """By its run's label: another benchmark may run on the same engine."""
    text, _out = report
    run_id = _rows(text, "Machine")[-1]
    assert run_id[0] == "run"
    for words in (["ps", "-aq"], ["network", "ls", "-q"], ["images", "-q"]):
        name = f"reference=bfb-{run_id[1]}*" if words[0] == "images" else f"name=bfb-{run_id[1]}"
        left = subprocess.run(
            ["docker", *words, "--filter", name], capture_output=True, text=True, check=True, timeout=60
        )
        assert left.stdout == ""


def _rows(text: str, title: str) -> list[list[str]]:
    """The cells of the table under this heading, without its head."""
    section = re.search(rf"^## {re.escape(title)}.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section, title
    lines = [line for line in section[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
