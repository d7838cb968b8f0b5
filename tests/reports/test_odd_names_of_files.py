"""A config may be named as people name files: a blank of Chinese keyboards, an emoji, bytes of an old system.

One such name made a backup that nobody could read, and ended `import` and `backup` as bugs.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from manager.cli.main import main
from manager.errors import BAD_CONFIG, FAILED, OK
from manager.ops.backup import archive
from manager.web import protocol
from tests.builders import a_config, write_config
from tests.unit.ops.backup.test_restore import a_project, backup_of, enter_project, restored

PRINTABLE = [
    "網格\N{IDEOGRAPHIC SPACE}1",
    "grid\N{NO-BREAK SPACE}1",
    "a\N{ZERO WIDTH SPACE}b",
    "\U0001fae9",
    "g (1)",
]
UNPRINTABLE = [os.fsdecode(b"bad\xff"), "two\nlines", "\x1b[31m"]


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return enter_project(tmp_path, monkeypatch)


def rename(sandbox: Path, stem: str) -> Path:
    config = sandbox / "config" / "active" / "bp_sol_01.json"
    return config.rename(config.with_name(f"{stem}.json"))


@pytest.mark.parametrize("stem", PRINTABLE, ids=ascii)
def test_a_config_of_any_printable_name_is_backed_up_and_restored(
    sandbox: Path, tmp_path: Path, stem: str
) -> None:
    config = rename(sandbox, stem)
    result = backup_of(sandbox)
    assert result.faults == ()
    there = a_project(tmp_path / "there")
    restored(result.path, there, tmp_path / "work")
    assert (there / "config" / "active" / config.name).read_bytes() == config.read_bytes()


@pytest.mark.parametrize("stem", UNPRINTABLE, ids=ascii)
def test_one_of_another_name_is_left_out_aloud_and_the_rest_can_be_restored(
    sandbox: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], stem: str
) -> None:
    rename(sandbox, stem)
    assert main(["backup"]) == FAILED
    assert "the file name contains unprintable characters; rename it" in capsys.readouterr().err
    (made,) = (sandbox / "volumes" / "backups").glob("*.tar.gz")
    assert not archive.read(made).is_complete
    there = a_project(tmp_path / "there")
    steps = restored(made, there, tmp_path / "work")
    assert "new config/active/bp_eth_01.json" in " ".join(steps)
    assert (there / "volumes" / "database" / "bp_sol_01" / "bp_sol_01.db").exists()


@pytest.mark.parametrize("stem", [*PRINTABLE, *UNPRINTABLE], ids=ascii)
def test_the_page_can_show_it(stem: str) -> None:
    """One name that no answer can have was an answer of none, for all instances."""
    answer = protocol.answer(protocol.line({"answer": [{"config_file": f"config/active/{stem}.json"}]}))
    assert (
        answer[0]["config_file"].encode().decode() == f"config/active/{stem.replace(chr(0xDCFF), '?')}.json"
    )


@pytest.mark.parametrize("stem", UNPRINTABLE, ids=ascii)
def test_an_old_folder_with_such_a_name_is_imported_without_it(
    sandbox: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], stem: str
) -> None:
    old = tmp_path / "old"
    for number, name in enumerate(("good_01", stem)):
        write_config(old, a_config(f"old_{number}", 5050 + number), name)
    assert main(["import", str(old), "--dry-run"]) == BAD_CONFIG
    printed = capsys.readouterr()
    assert "the file name contains unprintable characters; rename it" in printed.out + printed.err
    assert main(["import", str(old), "--yes"]) == BAD_CONFIG
    capsys.readouterr()
    assert main(["import", str(old), "old_0", "--yes"]) == OK
    assert (sandbox / "config" / "active" / "good_01.json").exists()
