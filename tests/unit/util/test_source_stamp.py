"""The program's own stamp changes with every source file of the rooms that are asked for, and with nothing
else.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from manager.util import source_stamp


def test_each_source_file_of_the_rooms_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_stamp, "PACKAGE", tmp_path)
    for name in ("errors.py", "util/a.py", "config/b.py", "config/notes.txt", "engine/c.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    before = source_stamp.stamp("config")
    assert source_stamp.stamp("config") == before != source_stamp.stamp("config", "engine")
    for name, counts in (
        ("errors.py", True),
        ("util/a.py", True),
        ("config/b.py", True),
        ("config/notes.txt", False),
        ("engine/c.py", False),
    ):
        path = tmp_path / name
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
        after = source_stamp.stamp("config")
        assert (after != before) is counts, name
        before = after
    (tmp_path / "config/new.py").write_text("")
    assert source_stamp.stamp("config") != before


def test_a_package_that_lies_in_no_folder_has_a_stamp_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_stamp, "PACKAGE", tmp_path / "x.zip")
    assert source_stamp.stamp("config") == 0
