"""What was read is kept only while the file is the same one."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from manager.util import kept_content
from manager.util.kept_content import SETTLED_NS, KeptContent


def settle() -> None:
    time.sleep(SETTLED_NS / 1e9 + 0.05)


def test_a_file_is_read_once_until_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    reads: list[str] = []

    def read(name: str) -> str:
        reads.append(name)
        return Path(name).read_text()

    kept = KeptContent(read)
    path.write_text("one")
    assert [kept.of(str(path)), kept.of(str(path)), len(reads)] == ["one", "one", 2]  # it has just changed
    settle()
    assert [kept.of(str(path)), kept.of(str(path)), len(reads)] == ["one", "one", 3]
    times = path.stat()
    path.write_text("two")  # of the same size, and in the next line with the same time
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert kept.of(str(path)) == "two"
    settle()
    assert kept.of(str(path)) == "two"
    new = tmp_path / "new"
    new.write_text("six")
    new.rename(path)
    assert kept.of(str(path)) == "six"
    path.unlink()
    with pytest.raises(FileNotFoundError):
        kept.of(str(path))


def test_a_reader_that_is_slow_does_not_make_a_file_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under load, a long time may pass between the look at a file and the end of reading it: what is written
    by then within the same tick of the file system's clock bears the same time.
    """
    path = tmp_path / "file"
    path.write_text("one")
    now = path.stat().st_ctime_ns

    def read(name: str) -> str:
        nonlocal now
        content = Path(name).read_text()
        now += 10 * SETTLED_NS  # this process is not run for a second
        return content

    kept = KeptContent(read)
    monkeypatch.setattr(kept_content, "file_time_ns", lambda: now)
    monkeypatch.setattr(kept_content, "_stamp", lambda _status: (0,))  # one tick of its clock
    assert kept.of(str(path)) == "one"
    path.write_text("two")
    assert kept.of(str(path)) == "two"


def test_what_the_file_systems_clock_says_is_what_files_bear(tmp_path: Path) -> None:
    """That clock goes in ticks, and stands still where they are late: a file's time is never ahead of it."""
    path = tmp_path / "file"
    before = kept_content.file_time_ns()
    path.write_text("one")
    assert before <= path.stat().st_ctime_ns
