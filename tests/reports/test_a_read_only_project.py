"""A disk that fails is mounted read-only by the kernel: `doctor` found nothing wrong with the project."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.sandbox import Sandbox
from tests.faults.engines import needs_root


def test_doctor_names_it(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs

    def of_a_failing_disk(path: str | Path) -> Any:
        facts = real(path)
        if not str(path).startswith(str(sandbox.folder)):
            return facts
        return os.statvfs_result((*tuple(facts)[:8], facts.f_flag | os.ST_RDONLY, facts.f_namemax))

    assert "read-only" not in sandbox.transcript("doctor")
    monkeypatch.setattr(os, "statvfs", of_a_failing_disk)
    printed = sandbox.transcript("doctor")
    assert "DIR is on a file system that is mounted read-only" in printed
    assert sandbox.exit_code == 1


@needs_root
def test_down_has_done_what_it_was_asked_for_and_says_what_it_could_not_write(sandbox: Sandbox) -> None:
    """It ends with 0: the containers are gone. (`stop` ends with 1: that they stay down is not on record.)"""
    sandbox.transcript("up")
    sandbox.transcript("stop")
    subprocess.run(["mount", "--bind", sandbox.folder, sandbox.folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", sandbox.folder], check=True)
        printed = sandbox.transcript("down")
    finally:
        subprocess.run(["umount", "--lazy", sandbox.folder], check=True)
    assert "warning: cannot write DIR/volumes/logs/instances.json: Read-only file system" in printed
    assert sandbox.exit_code == 0
    assert sandbox.states() == {}
