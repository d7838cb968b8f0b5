"""Files without a name take space as well, and are counted for the bot that has them open."""

from __future__ import annotations

import ctypes
import mmap
import os
import tempfile
from pathlib import Path

import pytest

from manager.monitor.disk.growth import Sample
from manager.monitor.watch import deleted_files
from manager.util.folder_size import FolderSize

MB = 1 << 20


def test_what_is_deleted_and_open_is_counted_once(tmp_path: Path) -> None:
    devices = frozenset({tmp_path.stat().st_dev})
    before = deleted_files.size_of([os.getpid()], devices)
    with (tmp_path / "kept").open("wb") as kept, tempfile.TemporaryFile(dir=tmp_path) as hidden:
        for stream in (kept, hidden):
            stream.write(os.urandom(2 * MB))
            stream.flush()
        again = os.dup(hidden.fileno())
        now = deleted_files.size_of([os.getpid(), os.getpid()], devices)
        elsewhere = deleted_files.size_of([os.getpid()], frozenset())
        os.close(again)
    assert 2 * MB <= now.size - before.size < 3 * MB
    assert now.files - before.files == 1
    assert elsewhere == FolderSize(0, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="the kernel shows mapped files to root only")
def test_what_is_deleted_closed_and_mapped_is_counted(tmp_path: Path) -> None:
    devices = frozenset({tmp_path.stat().st_dev})
    before = deleted_files.size_of([os.getpid()], devices)
    libc = ctypes.CDLL(None)  # Python's own mmap keeps the descriptor
    libc.mmap.restype = ctypes.c_void_p
    with tempfile.TemporaryFile(dir=tmp_path) as hidden:
        hidden.write(os.urandom(2 * MB))
        hidden.flush()
        mapped = libc.mmap(None, 4096, mmap.PROT_READ, mmap.MAP_SHARED, hidden.fileno(), ctypes.c_long(0))
    now = deleted_files.size_of([os.getpid()], devices)
    libc.munmap(ctypes.c_void_p(mapped), 4096)
    assert 2 * MB <= now.size - before.size < 3 * MB


def test_a_process_that_has_ended_has_none(tmp_path: Path) -> None:
    assert deleted_files.size_of([1], frozenset({1}), proc=tmp_path) == FolderSize(0, 0)


def test_it_adds_to_what_the_folders_have() -> None:
    sample = Sample(1.0, 10, 2)
    assert sample.with_more(FolderSize(5, 1)) == Sample(1.0, 15, 3)
    assert sample.with_more(FolderSize(5, 1, is_whole=False)) == Sample(1.0, 15, 3, is_whole=False)
