"""What a view reads of a command that it has started."""

from __future__ import annotations

import sys

import pytest

from manager.monitor.top import commands
from manager.monitor.top.commands import Running

COUNT = 40_000
WRITER = f"import os\nfor n in range({COUNT}):\n os.write(1, b'line %05d' % n)\n os.write(1, b'\\n')"


def test_reading_what_a_command_prints_changes_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have the same open file: to read at another place must not move where the command writes."""
    monkeypatch.setattr(commands, "manager", lambda *_words: [sys.executable, "-c", WRITER])
    running, lines = Running(None, "ps"), list[str]()
    while running.exit_code is None:
        lines += running.new_lines()
    lines += running.new_lines()
    assert lines == [f"line {number:05}" for number in range(COUNT)]


def test_a_view_that_lays_out_tables_gets_their_cells() -> None:
    """What fits a terminal is not what fits a phone."""
    running = Running(None, "new", "--list", tables="tsv")
    assert running.wait() == 0
    heads, *rows = running.new_lines()
    assert heads.split("\t")[0] == "TEMPLATE"
    assert {row.count("\t") for row in rows} == {heads.count("\t")}
