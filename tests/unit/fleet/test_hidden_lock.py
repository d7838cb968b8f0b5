"""A user who may not look at a lock is told so, and not that a bot runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from manager.fleet import hidden_lock, supervisor_state
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


def test_what_cannot_be_looked_at_is_not_known_to_be_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bot may run there: nothing is started beside it, and no database of it is replaced."""
    state_dir = tmp_path / "state" / "a"
    state_dir.mkdir(parents=True)
    (state_dir / LOCK_FILE).touch()
    assert not supervisor_state.is_locked(state_dir)

    def refuse(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(Path, "lstat", refuse)
    monkeypatch.setattr(os, "open", refuse)
    assert supervisor_state.is_locked(state_dir)
