"""Who owns what is made, and what git sees of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from manager.config.fleet import Fleet
from manager.ops.folders import instance_folders
from manager.util import atomic_file
from tests.builders import a_spec

ME = (os.getuid(), os.getgid())


@pytest.mark.parametrize("name", ["state", "secrets"])
def test_git_takes_neither_state_nor_secrets(tmp_path: Path, name: str) -> None:
    fleet = Fleet("desk", tmp_path, tmp_path)
    instance_folders.prepare(a_spec(), fleet, ME)
    assert (tmp_path / name / ".gitignore").read_text() == "*\n"
    (tmp_path / name / ".gitignore").write_text("mine\n")
    instance_folders.prepare(a_spec(), fleet, ME)
    assert (tmp_path / name / ".gitignore").read_text() == "mine\n"


def test_a_users_file_keeps_the_users_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_chown(*_arguments: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", no_chown)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    atomic_file.write_atomically(tmp_path / "a", {}, owner=(1000, 5))
    with pytest.raises(PermissionError, match=str(tmp_path / "a")):
        atomic_file.write_atomically(tmp_path / "a", {}, owner=(1001, 5))
