"""Which folders are to be looked into: never too few, and with a kernel that tells, no others."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from manager.util import folder_watch
from manager.util.folder_watch import FolderWatch, _Inotify

KEYS = ("one", "two", "three")


class Watched:
    """Three folders, of which the last is not there yet."""

    def __init__(self, parent: Path) -> None:
        self.parent = parent
        parent.mkdir(parents=True)
        for key in KEYS[:2]:
            (parent / key).mkdir()
        self.watch = FolderWatch()

    def due(self) -> set[str]:
        """The keys that are due now."""
        return set(self.watch.due({key: f"{self.parent / key}" for key in KEYS}))

    def write(self, key: str) -> None:
        """Write as a supervisor does."""
        (self.parent / key / "new").write_text("x")
        (self.parent / key / "new").replace(self.parent / key / "supervisor.json")


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    watched = Watched(tmp_path.resolve() / "volumes" / "state")
    assert watched.due() == set(KEYS), "at first, all"
    if watched.watch._kernel is None:
        pytest.skip("no inotify here")
    if watched.due():
        pytest.skip("this file system is not one on which the kernel sees all writing")
    return watched


def in_place(folder: Path) -> None:
    with (folder / "supervisor.json").open("r+") as stream:
        stream.write("y")


CHANGES: dict[str, Callable[[Path], object]] = {
    "replaced": lambda folder: (folder / "new").replace(folder / "supervisor.json"),
    "written in place": in_place,
    "made": lambda folder: (folder / "another").touch(),
    "linked": lambda folder: (folder / "another").hardlink_to(folder / "supervisor.json"),
    "removed": lambda folder: (folder / "supervisor.json").unlink(),
    "moved out": lambda folder: (folder / "supervisor.json").rename(folder.parent / "elsewhere"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_folder_is_due_once_after_a_change_in_it(
    watched: Watched, change: Callable[[Path], object]
) -> None:
    watched.write("two")
    (watched.parent / "two" / "new").touch()
    assert watched.due() == {"two"}
    change(watched.parent / "two")
    assert watched.due() == {"two"}
    assert watched.due() == set()


def test_a_symlink_that_comes_just_after_a_file_beside_it_is_not_overlooked(
    watched: Watched, tmp_path: Path
) -> None:
    """As where a bot's folder is moved to another disk while the fleet's own file is written."""
    (tmp_path / "other disk").mkdir()
    (watched.parent / "fleet.new").write_text("{}")
    (watched.parent / "fleet.new").replace(watched.parent / "fleet.json")
    (watched.parent / "three").symlink_to(tmp_path / "other disk")
    assert watched.due() == {"three"}
    watched.write("three")
    assert watched.due() == {"three"}, "what is written there is not told here"


def test_one_that_is_removed_and_made_anew_is_watched_again(watched: Watched) -> None:
    for _again in range(3):  # the file system gives it the number that it had
        shutil.rmtree(watched.parent / "one")
        (watched.parent / "one").mkdir()
        assert watched.due() == {"one"}
        assert watched.due() == set()
        watched.write("one")
        assert watched.due() == {"one"}
    shutil.rmtree(watched.parent / "one")
    assert watched.due() == {"one"}
    assert watched.due() == set()


def test_one_that_is_moved_away_and_back_is_watched_where_it_is(watched: Watched) -> None:
    aside = watched.parent.parent / "aside"
    (watched.parent / "two").rename(aside)
    assert watched.due() == {"two"}
    (aside / "new").touch()
    assert watched.due() == set()
    aside.rename(watched.parent / "two")
    assert watched.due() == {"two"}
    watched.write("two")
    assert watched.due() == {"two"}


def test_one_that_comes_later_is_watched_from_then_on(watched: Watched) -> None:
    (watched.parent / "three").mkdir()
    watched.write("three")
    assert watched.due() == {"three"}
    assert watched.due() == set()
    watched.write("three")
    assert watched.due() == {"three"}


def test_one_that_is_watched_no_longer_is_told_no_longer(watched: Watched) -> None:
    folders = {"one": f"{watched.parent / 'one'}"}
    assert set(watched.watch.due(folders)) == {"one"}
    watched.write("two")
    assert set(watched.watch.due(folders)) == set()
    watched.write("one")
    assert set(watched.watch.due(folders)) == {"one"}


def test_when_the_folder_above_is_another_one_all_are_looked_into(watched: Watched) -> None:
    watched.parent.rename(watched.parent.with_name("old"))
    for key in KEYS:
        (watched.parent / key).mkdir(parents=True)
    assert watched.due() == set(KEYS)
    assert watched.due() == set()
    watched.write("three")
    assert watched.due() == {"three"}


def test_when_all_of_it_is_another_one_that_is_seen_by_the_next_look_at_all(watched: Watched) -> None:
    whole = watched.parent.parent
    whole.rename(whole.with_name("old"))  # of which the kernel tells those who watch it alone
    for key in KEYS:
        (watched.parent / key).mkdir(parents=True)
    watched.watch._all_at = 0.0
    assert watched.due() == set(KEYS)
    watched.write("three")
    assert watched.due() == {"three"}


@pytest.mark.parametrize("read_bytes", [256, 1 << 22], ids=["too much to read", "lost by the kernel"])
def test_after_lost_events_all_are_looked_into(
    watched: Watched, read_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if read_bytes > 256 and most > 20_000:
        pytest.skip("it would take long to fill this kernel's queue")
    monkeypatch.setattr(folder_watch, "READ_BYTES", read_bytes)
    one, another = watched.parent / "one" / "a", watched.parent / "one" / "b"
    one.touch()
    for _number in range(100 if read_bytes == 256 else most // 4 + 10):
        os.rename(one, another)  # noqa: PTH104 - thousands
        os.rename(another, one)  # noqa: PTH104
    shutil.rmtree(watched.parent / "two")
    (watched.parent / "two").mkdir()
    assert watched.due() == set(KEYS)
    assert watched.due() == set()
    watched.write("two")
    assert watched.due() == {"two"}


def test_all_are_looked_into_now_and_then_whatever_was_seen(watched: Watched) -> None:
    watched.watch._all_at = 0.0
    assert watched.due() == set(KEYS)
    assert watched.due() == set()


@pytest.mark.parametrize("times", [1, 3])
def test_without_inotify_all_are_always_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    monkeypatch.setattr(_Inotify, "opened", lambda: None)
    watched = Watched(tmp_path / "state")
    assert [watched.due() for _time in range(times)] == [set(KEYS)] * times


def test_where_others_write_past_the_kernel_all_are_always_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_watch, "LOCAL", frozenset())
    watched = Watched(tmp_path / "state")
    assert [watched.due() for _time in range(2)] == [set(KEYS)] * 2


def test_one_for_which_no_watch_is_left_is_always_looked_into(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = _Inotify.watch

    def refuse(kernel: _Inotify, folder: str, mask: int) -> int | None:
        return None if folder.endswith("two") else watch(kernel, folder, mask)

    monkeypatch.setattr(_Inotify, "watch", refuse)
    watched.watch = FolderWatch()
    assert [watched.due() for _time in range(3)] == [set(KEYS), {"two"}, {"two"}]
    watched.write("one")
    assert watched.due() == {"one", "two"}
    monkeypatch.setattr(_Inotify, "watch", watch)
    watched.watch._all_at = 0.0
    watched.due()
    assert watched.due() == set()


def test_one_behind_a_symlink_is_always_looked_into(watched: Watched) -> None:
    (watched.parent / "three").symlink_to(watched.parent / "one")
    assert watched.due() == {"three"}
    assert watched.due() == {"three"}


def test_it_leaves_no_descriptor_behind(watched: Watched) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _again in range(20):
        Watched(watched.parent / f"more{_again}").due()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
