"""A user who may not look at a lock is told so, and not that a bot runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from manager.fleet import hidden_lock
from manager.fleet.supervisor_state import LOCK_FILE


def test_a_lock_that_can_be_read_or_is_missing_is_not_hidden(tmp_path: Path) -> None:
    assert hidden_lock.hidden_text("a", tmp_path) is None
    (tmp_path / LOCK_FILE).touch()
    assert hidden_lock.hidden_text("a", tmp_path) is None
    (tmp_path / LOCK_FILE).unlink()
    (tmp_path / LOCK_FILE).symlink_to("/nowhere")
    assert hidden_lock.hidden_text("a", tmp_path) is None


def test_a_lock_of_another_user_is_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / LOCK_FILE).touch()
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)  # root may read everything
    assert "cannot be seen" in str(hidden_lock.hidden_text("a", tmp_path))


def test_a_lock_in_a_folder_of_another_user_is_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "lstat", refuse)
    assert "cannot be seen" in str(hidden_lock.hidden_text("a", tmp_path))
