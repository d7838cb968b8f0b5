"""What was read is kept only while the file is the same one."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

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
