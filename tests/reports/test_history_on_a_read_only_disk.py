"""A failing disk was mounted read-only: `history` could not read the database that `watch` had left there."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from manager.util import scratch
from tests.fakes.sandbox import Sandbox
from tests.faults.engines import needs_root

WRITER = """
import os, sqlite3, sys
from pathlib import Path
from manager.monitor.history import database
db, _aside = database.open_for_writing(Path(sys.argv[1]))
db.execute("INSERT INTO watched VALUES (1, 2)")
for at, pnl in ((1600009200, "0"), (1600009260, "12.5")):
    db.execute("INSERT INTO samples (instance, at, state, kind, run, pnl, quote, from_bot)"
               " VALUES ('bp_sol_01', ?, 'running', 'paper', 1600009000, ?, 'USDC', 1)", (at, pnl))
if sys.argv[2] == "closed":
    db.close()
os._exit(0)
"""


def _written(path: Path, how: str) -> None:
    """Write a history, as a watch that was killed leaves it, or one that has ended."""
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-c", WRITER, str(path), how], check=True)
    if how == "after a reboot":
        path.with_name(f"{path.name}-shm").unlink()


@needs_root
@pytest.mark.parametrize("how", ["closed", "killed", "after a reboot"])
def test_is_read_with_what_is_in_its_wal(sandbox: Sandbox, how: str) -> None:
    state = sandbox.folder / "volumes" / "state"
    _written(state / "history.db", how)
    subprocess.run(["mount", "--bind", state, state], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", state], check=True)
        printed = sandbox.transcript("history")
    finally:
        subprocess.run(["umount", "--lazy", state], check=True)
    assert "12.5" in printed
    assert "cannot read" not in printed
    assert not [*Path(tempfile.gettempdir()).glob(".history.*/copy")]


def test_without_any_folder_to_write_to_the_one_in_memory_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    assert scratch.folder() == Path("/dev/shm")
    assert os.access(scratch.folder(), os.W_OK)
