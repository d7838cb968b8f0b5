"""Logs that nobody wants to wait for: what is asked for is found without reading what precedes it."""

from __future__ import annotations

import functools
import gzip
import math
import re
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from manager.monitor.logs import bots_zone, content, files, join
from manager.monitor.logs.content import Plain
from manager.monitor.logs.files import DatedFiles
from manager.monitor.logs.pattern import Pattern
from manager.monitor.logs.source import LogQuery, select_lines
from manager.util import formatting
from manager.util.time_parse import start_of_day

DAY = "2026-01-01"
LARGE = 20_000
COUNT = 40_000
"""Lines of a day, two seconds apart: 1.6 MB, a hundred times what is large here."""


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGE", LARGE)
    monkeypatch.setattr(files, "BLOCK", 4096)
    monkeypatch.setattr(files, "HEAD", 1000)
    monkeypatch.setattr(files, "MAX_LINE_BYTES", 4096)
    monkeypatch.setattr(join, "SEARCHED", 50_000)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of all reads of files."""
    sizes: list[int] = []
    plain = Plain.read

    def noted(self: Plain, start: int, size: int) -> bytes:
        sizes.append(size)
        return plain(self, start, size)

    monkeypatch.setattr(Plain, "read", noted)
    return sizes


def midnight() -> float:
    """In the time zone of the test, which is not that of its import."""
    return start_of_day(DAY)


def line(number: int) -> bytes:
    return _lines(tuple(time.tzname), midnight(), number, number + 1)


def text(first: int = 0, last: int = COUNT) -> bytes:
    return _lines(tuple(time.tzname), midnight(), first, last)


@functools.cache
def _lines(_zone: tuple[str, ...], begins: float, first: int, last: int) -> bytes:
    """Return lines of a day: forty thousand times are not written anew for each test."""
    return b"".join(
        f"{formatting.date_and_time(begins + 2 * number)} line {number:06}\n".encode()
        for number in range(first, last)
    )


@pytest.fixture
def day(tmp_path: Path) -> Path:
    made = tmp_path / DAY
    made.mkdir()
    return made


def selected(folder: Path, **query: float) -> Iterator[bytes]:
    with closing(DatedFiles(folder, "stdout")) as opened:
        for selected_line in select_lines(opened, "stdout", opened.size, None, LogQuery(**query)):  # type: ignore[arg-type]
            yield selected_line.text + b"\n"


@pytest.mark.parametrize("number", [0, 1, 777, 20_000, 39_999])
def test_the_first_line_since_a_time_is_found_at_once(
    number: int, tmp_path: Path, day: Path, read: list[int]
) -> None:
    (day / "bot_stdout.log").write_bytes(text())
    lines = selected(tmp_path, since=midnight() + 2 * number)
    assert next(lines) == line(number)
    assert sum(read) < 6 * LARGE
    assert b"".join([line(number), *lines]) == text(number)


def test_what_is_asked_for_up_to_a_time_ends_there(tmp_path: Path, day: Path, read: list[int]) -> None:
    (day / "bot_stdout.log").write_bytes(text())
    lines = selected(tmp_path, since=midnight() + 2000, until=midnight() + 2010)
    assert b"".join(lines) == text(1000, 1006)
    assert sum(read) < 12 * LARGE


@pytest.mark.parametrize("number", [0, 1, 100])
@pytest.mark.parametrize("since", [{}, {"since": 0}])
def test_a_time_near_the_beginning_ends_there_too(
    number: int, since: dict[str, int], tmp_path: Path, day: Path, read: list[int]
) -> None:
    (day / "bot_stdout.log").write_bytes(text())
    more = {name: midnight() + offset for name, offset in since.items()}
    assert b"".join(selected(tmp_path, until=midnight() + 2 * number, **more)) == text(0, number + 1)
    assert sum(read) < 12 * LARGE


def test_lines_up_to_a_time_are_shown_where_the_middle_tells_no_time(tmp_path: Path, day: Path) -> None:
    traceback = b"  a line of a very long traceback\n" * (20 * LARGE // 33)
    rows = [text(0, 200), traceback, text(200, 400)]
    (day / "bot_stdout.log").write_bytes(b"".join(rows))
    shown = b"".join(selected(tmp_path, until=midnight() + 2 * 299))
    assert shown == b"".join([*rows[:2], text(200, 300)])


def test_a_traceback_before_the_time_is_not_shown(tmp_path: Path, day: Path) -> None:
    rows = [line(number) + b"  continued\n" * (number % 7) for number in range(COUNT // 4)]
    (day / "bot_stdout.log").write_bytes(b"".join(rows))
    assert b"".join(selected(tmp_path, since=midnight() + 10_000)) == b"".join(rows[5000:])


def test_segments_before_the_time_are_not_expanded(
    tmp_path: Path, day: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expanded = set[int]()
    following = content.Compressed._next

    def noted(self: content.Compressed) -> bytes:
        expanded.add(id(self))
        return following(self)

    monkeypatch.setattr(content.Compressed, "_next", noted)
    monkeypatch.setattr(content.Compressed, "_expand", None)  # nothing is written to the disk
    for number in range(20):
        part = text(1000 * number, 1000 * number + 1000)
        (day / f"bot_stdout.log.{number + 1}.gz").write_bytes(gzip.compress(part))
    (day / "bot_stdout.log").write_bytes(text(20_000, 21_000))
    lines = selected(tmp_path, since=midnight() + 2 * 17_500)
    assert next(lines) == line(17_500)
    assert len(expanded) == 1
    assert b"".join([line(17_500), *lines]) == text(17_500, 21_000)
    assert len(expanded) == 3


def test_of_a_compressed_file_what_precedes_the_time_is_not_looked_at_line_by_line(
    tmp_path: Path, day: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor kept in memory."""
    monkeypatch.setattr(files, "STEP", 4096)
    monkeypatch.setattr(content, "PIECE", 4096)
    monkeypatch.setattr(content, "KEPT", 4096)
    looked = 0
    line_time = bots_zone.line_time

    def noted(line: bytes) -> float | None:
        nonlocal looked
        looked += 1
        return line_time(line)

    monkeypatch.setattr(bots_zone, "line_time", noted)
    (day / "bot_stdout.log.1.gz").write_bytes(gzip.compress(text()))
    with closing(DatedFiles(tmp_path, "stdout")) as opened:
        query = LogQuery(since=midnight() + 2 * 30_000)
        lines = select_lines(opened, "stdout", opened.size, None, query)
        assert next(lines).text + b"\n" == line(30_000)
        assert looked < 1000
        assert b"".join(line.text + b"\n" for line in lines) == text(30_001)
        (part,) = opened.parts
        assert isinstance(part.content, content.Compressed)
        assert len(part.content._window) < 20_000


def test_no_more_than_usual_is_read_however_much_it_is(
    tmp_path: Path, day: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limits are for bombs: of days of a bot that says much the first lines were left out."""
    monkeypatch.setattr(files, "MAX_INFLATED", 100_000)
    monkeypatch.setattr(files, "MAX_INFLATED_S", 0.0)
    for number in range(10):
        part = text(2000 * number, 2000 * number + 2000)
        (day / f"bot_stdout.log.{number + 1}.gz").write_bytes(gzip.compress(part))
    assert b"".join(selected(tmp_path, since=midnight())) == text(0, 20_000)


def test_what_no_pattern_can_match_is_passed_over(tmp_path: Path, day: Path) -> None:
    rows = [line(number) + b"  continued %d\n" % number * (number % 3) for number in range(COUNT)]
    (day / "bot_stdout.log.1.gz").write_bytes(gzip.compress(b"".join(rows[:30_000])))
    (day / "bot_stdout.log").write_bytes(b"".join(rows[30_000:]))
    query = LogQuery(since=midnight() + 20_000, until=midnight() + 70_000)
    with closing(DatedFiles(tmp_path, "stdout")) as opened:
        every = list(select_lines(opened, "stdout", opened.size, None, query))
        for wanted in ("9 line", "continued 2", "nothing", "23:59"):
            expected = [line for line in every if wanted.encode() in line.text]
            quick = query._replace(may_match=Pattern(re.compile(wanted)).may_match)
            shown = list(select_lines(opened, "stdout", opened.size, None, quick))
            assert [line for line in shown if wanted.encode() in line.text] == expected
            assert len(shown) - len(expected) < 2_000, "the last of each block"


def test_the_end_of_a_time_may_be_far_inside_a_segment(tmp_path: Path, day: Path) -> None:
    """A compressed one is not searched: all of it up to the time is shown."""
    for number in range(4):
        part = text(4000 * number, 4000 * number + 4000)
        (day / f"bot_stdout.log.{number + 1}.gz").write_bytes(gzip.compress(part))
    (day / "bot_stdout.log").write_bytes(text(16_000, 17_000))
    lines = selected(tmp_path, since=midnight() + 2 * 3000, until=midnight() + 2 * 11_000)
    assert b"".join(lines) == text(3000, 11_001)


def bombs(folder: Path, count: int, size: int) -> None:
    """Days of segments that are small on the disk and large when they are read."""
    bomb = gzip.compress(b"\n" * size)
    for number in range(count):
        at = folder / f"2026-01-{number // 10 + 1:02}"
        at.mkdir(exist_ok=True)
        (at / f"bot_stdout.log.{number % 10 + 1}.gz").write_bytes(bomb)


def test_of_gzip_bombs_only_the_newest_are_read_and_the_others_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_INFLATED", 300_000)
    bombs(tmp_path, 40, 100_000)
    (tmp_path / "2026-01-01" / "bot_stdout.log").write_bytes(b"a plain line\n")
    (tmp_path / "2026-01-04" / "bot_stdout.log").write_bytes(b"the last line\n")
    with closing(DatedFiles(tmp_path, "stdout")) as opened:
        rows = [text for _part, lines in opened.blocks(0, opened.size) for text in lines]
        assert [row for row in rows if row] == [b"a plain line", b"the last line"]
        assert len(rows) == 300_002
        left_out = [part.name for part in opened.left_out]
    assert left_out[0] == "2026-01-01/bot_stdout.log.1.gz"
    assert left_out[-1] == "2026-01-04/bot_stdout.log.7.gz"
    assert len(left_out) == 37


def test_a_file_with_holes_is_read_at_its_end(
    tmp_path: Path, day: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_INFLATED", 1 << 20)
    with (day / "bot_stdout.log").open("wb") as stream:
        stream.seek(1 << 40)
        stream.write(b"\nthe last line\n")
    with closing(DatedFiles(tmp_path, "stdout")) as opened:
        *_zeros, last = (text for _part, lines in opened.blocks(0, opened.size) for text in lines)
        assert last == b"the last line"
        assert [part.day for part in opened.left_out] == [DAY]


def test_bombs_do_not_take_more_than_their_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_INFLATED_S", 0.1)
    bombs(tmp_path, 100, 100_000)
    (tmp_path / "2026-01-10" / "bot_stdout.log").write_bytes(b"the last line\n")
    with closing(DatedFiles(tmp_path, "stdout")) as opened:
        *_rows, last = (text for _part, lines in opened.blocks(0, opened.size) for text in lines)
        assert last == b"the last line"
        assert 0 < len(opened.left_out) < 100


@pytest.mark.parametrize("stamped", [0, 1])
def test_lines_without_a_time_are_all_shown(stamped: int, tmp_path: Path, day: Path) -> None:
    """Those of the day, and of the days after it, cannot be excluded."""
    plain = b"no time here\n" * 10_000
    (day / "bot_stdout.log.1").write_bytes(text() if stamped else plain)
    (day / "bot_stdout.log").write_bytes(plain)
    later = tmp_path / "2026-01-02"
    later.mkdir()
    (later / "bot_stdout.log").write_bytes(plain)
    shown = b"".join(selected(tmp_path, since=midnight() + 2 * 30_000))
    assert shown == (text(30_000) if stamped else plain) + 2 * plain


def test_a_day_after_is_found_without_the_day_before(tmp_path: Path, day: Path, read: list[int]) -> None:
    (day / "bot_stdout.log").write_bytes(text())
    later = tmp_path / "2026-01-02"
    later.mkdir()
    (later / "bot_stdout.log").write_bytes(text(43_200, 44_000))
    lines = selected(tmp_path, since=midnight() + 2 * 43_500)
    assert next(lines) == line(43_500)
    assert sum(read) < 6 * LARGE


@pytest.mark.parametrize("number", [39_000, 30_000])
def test_the_start_of_the_engines_log_is_found_near_the_end(
    number: int, tmp_path: Path, day: Path, read: list[int]
) -> None:
    (day / "bot_stdout.log").write_bytes(text())
    stamp = f"{DAY}T{formatting.clock(midnight() + 2 * number)}.000000000Z"
    start = join.LogStart(stamp, text(number, number + 20))
    with closing(DatedFiles(tmp_path, "stdout")) as opened:
        seam = join.find_seam(opened, start, lambda: len(text(number)))
    assert seam == join.Seam(len(text(0, number)), True)
    assert sum(read) < 2.5 * len(text(number)) + 10 * LARGE


def test_an_engines_log_that_is_not_in_the_files_costs_no_search_of_all(
    tmp_path: Path, day: Path, read: list[int]
) -> None:
    (day / "bot_stdout.log").write_bytes(text())
    start = join.LogStart(f"{DAY}T12:00:00.000000000Z", b"what the file has lost")
    with closing(DatedFiles(tmp_path, "stdout")) as opened:
        seam = join.find_seam(opened, start, lambda: 1000)
    assert not seam.is_exact
    assert sum(read) < 10 * LARGE


def test_no_moment_is_no_search(tmp_path: Path, day: Path) -> None:
    (day / "bot_stdout.log").write_bytes(text())
    with closing(DatedFiles(tmp_path, "stdout")) as opened:
        assert opened.seek(-math.inf, 0, opened.size) == 0
        assert opened.seek(math.inf, 0, opened.size) > opened.size - 2 * LARGE
