"""A disk that fails is mounted read-only by the kernel: `doctor` found nothing wrong with the project."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.desk import Desk
from tests.faults.engines import needs_root


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


@needs_root
def test_down_has_done_what_it_was_asked_for_and_says_what_it_could_not_write(desk: Desk) -> None:
    """It ends with 0: the containers are gone. (`stop` ends with 1: that they stay down is not on record.)"""
    desk.play("up")
    desk.play("stop")
    subprocess.run(["mount", "--bind", desk.folder, desk.folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", desk.folder], check=True)
        printed = desk.play("down")
    finally:
        subprocess.run(["umount", "--lazy", desk.folder], check=True)
    assert "warning: cannot write DIR/volumes/logs/instances.json: Read-only file system" in printed
    assert desk.exit_code == 0
    assert desk.states() == {}
