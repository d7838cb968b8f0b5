"""Who owns what is made, and what git sees of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


def test_git_is_told_again_where_a_full_disk_has_left_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").touch()
    instance_folders.keep_from_git(tmp_path)
    assert (tmp_path / ".gitignore").read_text() == "*\n"


def test_others_may_not_say_what_git_takes(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        instance_folders.keep_from_git(tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / ".gitignore").stat().st_mode & 0o777 == 0o644
    (tmp_path / ".gitignore").chmod(0o666)
    instance_folders.keep_from_git(tmp_path)
    assert (tmp_path / ".gitignore").stat().st_mode & 0o777 == 0o644, "an earlier version's"


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
def test_a_folder_that_becomes_a_link_leads_no_owner_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, outside = tmp_path / "mine" / "inner", tmp_path / "outside"
    (inner / "deep").mkdir(parents=True)
    (outside / "deep").mkdir(parents=True)
    walk = os.fwalk

    def swapping(*given: Any, **options: Any) -> Iterator[Any]:
        for step in walk(*given, **options):
            if step[0].endswith("deep"):
                inner.rename(tmp_path / "aside")
                inner.symlink_to(outside)
            yield step

    monkeypatch.setattr(os, "fwalk", swapping)
    instance_folders.give_away(tmp_path / "mine", (12345, 12345))
    assert (outside / "deep").stat().st_uid == 0
    assert (tmp_path / "aside" / "deep").stat().st_uid == 12345


def test_a_users_file_keeps_the_users_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_chown(*_arguments: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", no_chown)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    atomic_file.write_atomically(tmp_path / "a", {}, owner=(1000, 5))
    with pytest.raises(PermissionError, match=str(tmp_path / "a")):
        atomic_file.write_atomically(tmp_path / "a", {}, owner=(1001, 5))


def test_a_process_that_has_a_file_open_is_seen(tmp_path: Path) -> None:
    one, other = tmp_path / "one.db", tmp_path / "other.db"
    other.touch()
    with one.open("w"):
        assert instance_folders.processes_with_open([one, other]) == {one: os.getpid()}
    assert instance_folders.process_with_open(one) is None
