"""Segments that the supervisor has set aside and compressed, in a folder that a bot can write."""

from __future__ import annotations

import gzip
import os
from contextlib import closing
from pathlib import Path

import pytest

from manager.monitor.logs import content, files, join
from manager.monitor.logs.content import Compressed
from manager.monitor.logs.files import DatedFiles
from supervisor.clock import LocalDate
from supervisor.dated import DatedFile
from supervisor.day_budget import DayBudget

DAY = "2026-01-01"


@pytest.fixture
def day(tmp_path: Path) -> Path:
    made = tmp_path / DAY
    made.mkdir()
    return made


def lines_of(folder: Path) -> list[bytes]:
    with closing(DatedFiles(folder, "stdout")) as opened:
        return [line for _part, lines in opened.blocks(0, opened.size) for line in lines]


def numbered(first: int, last: int) -> bytes:
    return b"".join(b"line %06d\n" % number for number in range(first, last))


def test_segments_are_one_text_with_the_file_itself(tmp_path: Path, day: Path) -> None:
    (day / "bot_stdout.log.1.gz").write_bytes(gzip.compress(numbered(0, 500)))
    (day / "bot_stdout.log.2").write_bytes(numbered(500, 600))
    (day / "bot_stdout.log.2.gz").write_bytes(b"not complete yet")
    (day / "bot_stdout.log.10.gz").write_bytes(gzip.compress(numbered(600, 900)))
    (day / "bot_stdout.log").write_bytes(numbered(900, 1000))
    (day / "bot_stdout.log.x").write_bytes(b"somebody else's")
    assert lines_of(tmp_path) == numbered(0, 1000).splitlines()
    with closing(DatedFiles(tmp_path, "stdout")) as opened:
        assert opened.size == len(numbered(0, 1000))
        assert [
            line
            for _part, lines in opened.blocks(opened.tail_start(450, opened.size), opened.size)
            for line in lines
        ] == (numbered(550, 1000).splitlines())
        assert opened.rfind(b"line 000004\n", opened.size) == 4 * len(b"line 000000\n")


def test_a_segment_that_is_compressed_meanwhile_is_found(
    tmp_path: Path, day: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (day / "bot_stdout.log.1").write_bytes(numbered(0, 10))
    listed = files._with_segments

    def late(folder: int, name: str) -> list[str]:
        names = listed(folder, name)
        (day / "bot_stdout.log.1").rename(day / "aside")
        (day / "bot_stdout.log.1.gz").write_bytes(gzip.compress(numbered(0, 10)))
        return names

    monkeypatch.setattr(files, "_with_segments", late)
    assert lines_of(tmp_path) == numbered(0, 10).splitlines()


@pytest.fixture(params=["short", "no gzip", "cut", "claims"])
def bad(request: pytest.FixtureRequest) -> bytes:
    whole = gzip.compress(os.urandom(5000))
    return {
        "short": b"x",
        "no gzip": b"x" * 100,
        "cut": whole[:2000],
        "claims": whole[:-4] + b"\xff\xff\xff\xff",
    }[str(request.param)]


def test_a_bad_segment_hides_no_other_line(
    bad: bytes, tmp_path: Path, day: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "MAX_EXPANDED", 1 << 20)
    (day / "bot_stdout.log.1.gz").write_bytes(bad)
    (day / "bot_stdout.log").write_bytes(numbered(0, 3))
    assert lines_of(tmp_path)[-3:] == numbered(0, 3).splitlines()


def test_a_bomb_is_bounded(day: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "MAX_EXPANDED", 1 << 20)
    (day / "bomb.gz").write_bytes(gzip.compress(bytes(10 << 20)))
    descriptor = os.open(day / "bomb.gz", os.O_RDONLY)
    with closing(Compressed(descriptor)) as bomb:
        assert len(bomb.read(0, 10 << 20)) == bomb.size == 1 << 20
    os.close(descriptor)


def test_the_engines_log_begins_where_a_day_reached_its_limit(tmp_path: Path) -> None:
    """As the supervisor writes it."""
    file = DatedFile(
        str(tmp_path), "bot_stdout.log", LocalDate(), lambda _: None, DayBudget(1, lambda _: None, tuple, ())
    )
    for number in range(200):
        file.write(numbered(1000 * number, 1000 * number + 1000))
    file.close()
    with closing(DatedFiles(tmp_path, "stdout")) as opened:
        assert opened.ends_at_limit()
        today = opened.parts[-1].day
        start = join.LogStart(f"{today}T12:00:00.000000000Z", b"line 199000\nline 199001")
        seam = join.find_seam(opened, start, lambda: 10_000)
    assert seam == join.Seam(opened.size, True)
