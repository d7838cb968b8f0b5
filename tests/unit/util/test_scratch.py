"""Temporary files go where they fit: `top`, `move`, `host deploy` and `backup verify` ended as bugs."""

from __future__ import annotations

import ast
import subprocess
import tempfile
from pathlib import Path

import pytest

from manager.compat.configs import ConfigManager
from manager.monitor.top.commands import Running
from manager.ops.backup import verify
from manager.ops.hosts import ssh
from manager.ops.move.sides import Side
from manager.util import scratch
from tests.faults.engines import needs_root
from tests.fleet import ROOT
from tests.unit.syntax import last_name, parsed

MAKERS = {
    "TemporaryFile",
    "NamedTemporaryFile",
    "SpooledTemporaryFile",
    "TemporaryDirectory",
    "mkdtemp",
    "mkstemp",
}


def _without_folder(source: str) -> list[int]:
    """Return the lines that make a temporary file without saying where, or ask for the usual folder."""
    calls = [node for node in ast.walk(parsed(source)) if isinstance(node, ast.Call)]
    names = [(call, last_name(call.func)) for call in calls]
    return [
        call.lineno
        for call, name in names
        if name == "gettempdir" or (name in MAKERS and "dir" not in {word.arg for word in call.keywords})
    ]


def test_each_module_says_where_its_temporary_files_go() -> None:
    assert _without_folder("with tempfile.TemporaryDirectory(prefix='x') as folder: pass") == [1]
    lines_by_file = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / "manager").rglob("*.py")
        if path.name != "scratch.py" and (lines := _without_folder(path.read_text(encoding="utf-8")))
    }
    assert lines_by_file == {}


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder that `tempfile` knows takes a file."""
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", list)
    monkeypatch.setattr(tempfile, "tempdir", None)
    with pytest.raises(FileNotFoundError):
        tempfile.gettempdir()


@pytest.mark.usefixtures("nowhere")
def test_memory_is_used_where_no_disk_takes_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert scratch.folder() == scratch.IN_MEMORY
    assert Running(tmp_path, "--version").wait() == 0
    with verify.workspace(Path("/proc/backup.tar.gz")) as work:
        assert work.parent == scratch.IN_MEMORY
    assert Side(tmp_path, None)._scratch() == scratch.IN_MEMORY
    assert ConfigManager(tmp_path / "config").validate_config({}).errors
    options = ssh._kept_connection()
    assert options["ControlMaster"] == "auto"
    assert options["ControlPath"].startswith("/dev/shm/")


@needs_root
@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_disk_that_fails_later_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)], check=True)
    try:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        assert scratch.folder() == tmp_path
        if fault == "full":
            (tmp_path / "filler").write_bytes(bytes(220 * 1024))
        else:
            subprocess.run(["mount", "-o", "remount,ro", str(tmp_path)], check=True)
        assert scratch.folder() == scratch.folder(tmp_path) == scratch.IN_MEMORY
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def test_a_folder_that_takes_files_is_preferred(tmp_path: Path) -> None:
    assert scratch.folder(tmp_path) == tmp_path
    assert not [*tmp_path.iterdir()]
    assert scratch.folder(tmp_path / "missing") == Path(tempfile.gettempdir())
