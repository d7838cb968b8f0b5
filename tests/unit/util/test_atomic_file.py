"""A file is on the disk before it has its name: a power cut leaves the old content or the new one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from manager.util import atomic_file


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done with the file, in order."""
    calls: list[str] = []
    sync, replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        calls.append("sync")
        sync(descriptor)

    def rename(self: Path, target: Path) -> Path:
        calls.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", rename)
    return calls


def test_a_file_is_synced_before_it_gets_its_name(tmp_path: Path, steps: list[str]) -> None:
    atomic_file.replace(
        tmp_path / "a.json", lambda fd: atomic_file.write_all(fd, b"{}"), 0o644, put=lambda a, b: a.replace(b)
    )
    assert steps == ["sync", "rename"]
    assert (tmp_path / "a.json").read_bytes() == b"{}"


def test_what_means_nothing_after_a_power_cut_is_not_synced(tmp_path: Path, steps: list[str]) -> None:
    atomic_file.replace_bytes(tmp_path / "a.pid", b"1", 0o644, durable=False)
    assert "sync" not in steps
    atomic_file.write_atomically(tmp_path / "cache.json", {}, durable=False)
    assert "sync" not in steps
