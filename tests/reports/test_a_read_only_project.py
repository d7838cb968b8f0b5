"""A disk that fails is mounted read-only by the kernel: `doctor` found nothing wrong with the project."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.desk import Desk


def test_doctor_names_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs

    def of_a_failing_disk(path: str | Path) -> Any:
        found = real(path)
        if not str(path).startswith(str(desk.folder)):
            return found
        return os.statvfs_result((*tuple(found)[:8], found.f_flag | os.ST_RDONLY, found.f_namemax))

    assert "read-only" not in desk.play("doctor")
    monkeypatch.setattr(os, "statvfs", of_a_failing_disk)
    printed = desk.play("doctor")
    assert "DIR is on a file system that is mounted read-only" in printed
    assert desk.exit_code == 1
