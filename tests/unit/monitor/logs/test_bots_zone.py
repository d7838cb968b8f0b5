"""Lines whose times name no zone are read by the bots', which is the machine's, whatever the reader's is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from manager.monitor.logs import bots_zone
from manager.monitor.logs.files import DatedFiles
from manager.monitor.logs.source import LogQuery, select_lines

ZONE = bots_zone.zone
NIGHT = datetime(2026, 3, 7, 22, 30, tzinfo=UTC).timestamp()
"""Already the next day in Taipei."""


@pytest.fixture(autouse=True)
def _machine_in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(bots_zone, "time_zone", lambda: "UTC")
    monkeypatch.setattr(bots_zone, "zone", ZONE)
    bots_zone._zone.cache_clear()
    yield
    monkeypatch.undo()
    time.tzset()
    bots_zone._zone.cache_clear()


@pytest.mark.parametrize("reader", ["Asia/Taipei", "America/New_York", "UTC"])
def test_since_finds_the_same_lines_from_everywhere(
    reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", reader)
    time.tzset()
    for day, hours in (("2026-03-07", (21, 22, 23)), ("2026-03-08", (0, 1))):
        (tmp_path / day).mkdir()
        lines = "".join(f"{day} {hour:02}:00:00 INFO    {hour}\n" for hour in hours)
        (tmp_path / day / "bot_stdout.log").write_text(lines)
    with closing(DatedFiles(tmp_path, "stdout")) as opened:
        shown = [
            (line.text.split()[-1], line.moment)
            for line in select_lines(
                opened, "stdout", opened.size, None, LogQuery(since=NIGHT, until=NIGHT + 3 * 3600)
            )
        ]
    assert shown == [(b"23", NIGHT + 1800), (b"0", NIGHT + 5400), (b"1", NIGHT + 9000)]


def test_a_zone_in_the_line_counts_and_a_machine_without_a_zones_name_reads_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "Asia/Taipei")
    time.tzset()
    assert bots_zone.line_time(b"2026-03-07T22:30:00Z x") == NIGHT
    assert bots_zone.line_time(b"2026-03-07 22:30:00 x") == NIGHT
    assert bots_zone.line_time(b"x") is None
    monkeypatch.setattr(bots_zone, "time_zone", lambda: "CST-8")
    bots_zone._zone.cache_clear()
    assert bots_zone.line_time(b"2026-03-08 06:30:00 x") == NIGHT
