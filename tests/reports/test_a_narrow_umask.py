"""A umask that takes away even the owner's rights, or those of all others, leaves nothing half made."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from manager.config.spec import BOT_ID
from tests import oldsystem
from tests.builders import a_config
from tests.fakes.sandbox import Sandbox

MASKS = (0o777, 0o077, 0o027)


def run(folder: Path, mask: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `manager` with this umask, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "manager", "--project-dir", str(folder), *arguments],
        capture_output=True,
        text=True,
        umask=mask,
        check=False,
    )


def require_usable(folder: Path) -> None:
    """Assert that its owner may read and write everything below a folder."""
    for root, folders, files in os.walk(folder):
        for name in folders:
            assert stat.S_IMODE(Path(root, name).lstat().st_mode) & 0o700 == 0o700, name
        for name in files:
            assert stat.S_IMODE(Path(root, name).lstat().st_mode) & 0o400, name


@pytest.mark.parametrize("mask", MASKS, ids=oct)
def test_init_and_new_make_what_their_owner_can_read(tmp_path: Path, mask: int) -> None:
    folder = tmp_path / "fleet"
    done = run(tmp_path, mask, "init", str(folder))
    assert (done.returncode, done.stderr) == (0, "")
    done = run(folder, mask, "new", "--template", "spot_grid", "--symbol", "SOL_USDC", "--id", "bp_sol_09")
    assert done.returncode == 0, done.stderr
    require_usable(folder)
    assert json.loads((folder / "config/active/bp_sol_09.json").read_text(encoding="utf-8"))
    assert run(folder, mask, "config", "--check").returncode == 0


@pytest.mark.parametrize("mask", MASKS, ids=oct)
def test_an_import_copies_all_or_nothing(tmp_path: Path, mask: int) -> None:
    old = oldsystem.OldFolder(tmp_path / "old")
    old.add("bp_btc_07", a_config("bp_btc_07", 5021))
    fleet = tmp_path / "fleet"
    assert run(tmp_path, mask, "init", str(fleet)).returncode == 0
    done = run(fleet, mask, "import", str(old.folder), "--logs", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    require_usable(fleet)
    database = fleet / "volumes" / "database" / "bp_btc_07.db"
    assert b"SQLite" in database.read_bytes()[:16]
    assert list((fleet / "volumes" / "logs" / "bp_btc_07").glob("*/*"))


@pytest.fixture
def narrow_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("narrow_umask")
def test_up_makes_folders_for_the_bots_user(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    assert set(sandbox.states().values()) == {"running"}
    require_usable(sandbox.folder)
    owner = BOT_ID if os.geteuid() == 0 else os.geteuid()
    for name in ("logs", "database", "state", "secrets"):
        assert (sandbox.folder / "volumes" / name / "bp_sol_01").stat().st_uid == owner
