"""A folder takes another's place: whole at every moment, whenever it is killed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from manager.ops.backup import swap

OWNER = (os.geteuid(), os.getegid())


@pytest.fixture
def target(tmp_path: Path) -> Path:
    made = tmp_path / "bp_sol_01"
    made.mkdir()
    (made / "a.db").write_text("old")
    (made / "a.db-wal").write_text("old")
    return made


def restored(target: Path, aside: str = "aside") -> None:
    staging, away = target.with_name(".restoring"), target.with_name(aside)
    new, _had_old = swap.begin(staging, target.with_name(f"{aside}-interrupted"))
    (new / "a.db").write_text("new")
    swap.commit(staging, target, away, OWNER)


def test_the_new_one_is_there_and_the_old_one_aside(target: Path) -> None:
    restored(target)
    assert {path.name: path.read_text() for path in target.iterdir()} == {"a.db": "new"}
    assert {path.name for path in target.with_name("aside").iterdir()} == {"a.db", "a.db-wal"}
    assert not target.with_name(".restoring").exists()


def test_where_nothing_was(tmp_path: Path) -> None:
    restored(tmp_path / "fresh" / "bp_sol_01")
    assert (tmp_path / "fresh" / "bp_sol_01" / "a.db").read_text() == "new"


def test_a_file_system_that_cannot_exchange(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swap, "_exchange", lambda *_: False)
    restored(target)
    assert (target / "a.db").read_text() == "new"
    assert (target.with_name("aside") / "a.db").read_text() == "old"


def test_what_is_no_folder_is_not_exchanged(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "bp_sol_01").symlink_to("elsewhere")
    with pytest.raises(NotADirectoryError):
        restored(tmp_path / "bp_sol_01")
    assert (tmp_path / "bp_sol_01").is_symlink()


def test_killed_at_every_step_and_run_again(target: Path) -> None:
    """A real process dies at each system call that changes a name or a file; the next run finds either
    folder whole.
    """
    for step in range(1, 200):
        before = (target / "a.db").read_text()
        pid = os.fork()
        if pid == 0:
            _die_at(step)
            restored(target, f"aside-{step}")
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        names = {path.name for path in target.iterdir()}
        assert (target / "a.db").read_text() in {before, "new"}
        assert names == ({"a.db"} if (target / "a.db").read_text() == "new" else {"a.db", "a.db-wal"})
        restored(target, f"again-{step}")
        olds = [path for path in target.parent.rglob("a.db") if path.read_text() == "old"]
        assert len(olds) == step, "each old one is kept"
        (target / "a.db").write_text("old")
        (target / "a.db-wal").write_text("old")
        if code == 0:
            assert step > 10, "it was killed in the middle"
            return
    raise AssertionError("it never came to its end")


def _die_at(step: int) -> None:
    left = step

    def audit(event: str, _args: tuple[object, ...]) -> None:
        nonlocal left
        if event in {
            "os.rename",
            "os.mkdir",
            "os.remove",
            "os.rmdir",
            "os.chown",
            "open",
            "ctypes.dlopen",
            "shutil.rmtree",
        }:
            left -= 1
            if left == 0:
                os._exit(9)

    hook: Callable[[str, tuple[object, ...]], None] = audit
    sys.addaudithook(hook)
