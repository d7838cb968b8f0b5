"""The halt marks: made whatever the disk says, and removed only by who has read them."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manager.config.fleet import Fleet
from manager.fleet import halt_mark, tombstone
from manager.fleet.state_file import FleetState, InstanceState
from manager.fleet.tombstone import Tombstone
from manager.util import moment


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    for name in ("a", "b"):
        (tmp_path / "volumes" / "secrets" / name).mkdir(parents=True)
    return Fleet("desk", tmp_path, tmp_path / "volumes")


def folder(fleet: Fleet, instance: str = "a") -> Path:
    return fleet.secrets_dir(instance)


def test_a_mark_is_the_file_that_was_kept_ready(fleet: Fleet) -> None:
    halt_mark.keep_ready(folder(fleet))
    ready = (folder(fleet) / ".halt-ready").stat()
    halt_mark.make(fleet, "a", "stop", did_run=True)
    made = folder(fleet) / "halted"
    assert made.stat().st_ino == ready.st_ino
    content = json.loads(made.read_text())
    assert (content["by"], content["ran"]) == ("stop", True)
    assert sorted(content) == ["at", "boot", "by", "nonce", "ran", "uptime_s"]
    assert made.stat().st_mode & 0o777 == 0o600
    mark = halt_mark.find(fleet, "a")
    assert mark == halt_mark.HaltMark(content["nonce"], "stop", did_run=True, at=moment.decoded(content))
    assert halt_mark.find(fleet, "b") is None


@pytest.mark.parametrize("refused", ["write", "inode"])
def test_a_full_disk_refuses_none(fleet: Fleet, monkeypatch: pytest.MonkeyPatch, refused: str) -> None:
    """Nothing is ready: an empty file, or a second name of the env file, counts as well."""
    (folder(fleet) / "env.json").write_text('{"KEY": "x"}')

    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    really = os.open

    def no_inode(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        return full() if flags & os.O_CREAT else really(path, flags, *rest, **options)

    if refused == "write":
        monkeypatch.setattr(os, "write", full)
    else:
        monkeypatch.setattr(os, "open", no_inode)
    halt_mark.make(fleet, "a", "halt")
    first = halt_mark.find(fleet, "a")
    assert first is not None
    assert first.by == "halt"
    assert (folder(fleet) / "halted").stat().st_nlink == (1 if refused == "write" else 2)
    halt_mark.make(fleet, "a", "halt")
    second = halt_mark.find(fleet, "a")
    assert second is not None
    assert second.identity != first.identity
    assert halt_mark.lift(fleet, "a", first) is False
    assert halt_mark.lift(fleet, "a", second) is True


def test_without_an_inode_and_without_second_names_what_is_there_becomes_the_mark(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tmpfs counts a second name as a file."""

    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    really = os.open
    monkeypatch.setattr(os, "link", full)

    def no_inode(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        return full() if flags & os.O_CREAT else really(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", no_inode)
    with pytest.raises(OSError, match="No space left"):
        halt_mark.make(fleet, "a", "halt")
    for expendable in ("requests.json", ".halt-lifted"):
        (folder(fleet) / expendable).write_text("{}")
        (folder(fleet) / "halted").unlink(missing_ok=True)
        halt_mark.make(fleet, "a", "halt")
        mark = halt_mark.find(fleet, "a")
        assert mark is not None
        assert mark.by == "halt"
        assert not (folder(fleet) / expendable).exists()


@pytest.mark.parametrize("lifter", [False, True])
def test_a_second_halt_without_an_inode_is_another_mark(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, lifter: bool
) -> None:
    """A `resume` that has read the first one and waits for the lock must not lift the second one."""
    (folder(fleet) / "env.json").write_text('{"KEY": "x"}')
    halt_mark.make(fleet, "a", "halt", did_run=True)
    first = halt_mark.find(fleet, "a")
    assert first is not None
    really, write = os.open, os.pwrite

    def no_inode(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, "No space left on device")
        return really(path, flags, *rest, **options)

    def lifted_just_before(descriptor: int, content: bytes, offset: int) -> int:
        monkeypatch.setattr(os, "pwrite", write)
        halt_mark.lift(fleet, "a", first)
        return write(descriptor, content, offset)

    monkeypatch.setattr(os, "open", no_inode)
    if lifter:
        monkeypatch.setattr(os, "pwrite", lifted_just_before)
    halt_mark.make(fleet, "a", "halt")
    second = halt_mark.find(fleet, "a")
    assert second is not None
    assert second.identity != first.identity
    assert second.did_run
    assert halt_mark.lift(fleet, "a", first) is False
    assert halt_mark.lift(fleet, "a", second) is True
    assert (folder(fleet) / "env.json").read_text() == '{"KEY": "x"}'


def test_a_lifted_mark_becomes_the_file_of_the_next_one(fleet: Fleet) -> None:
    """On a disk that has become full meanwhile, no file could be made for it."""
    (folder(fleet) / "env.json").write_text('{"KEY": "x"}')
    halt_mark.keep_ready(folder(fleet))
    inode = (folder(fleet) / ".halt-ready").stat().st_ino
    for by in ("down", "stop", "halt"):
        halt_mark.make(fleet, "a", by)
        made = halt_mark.find(fleet, "a")
        assert made is not None
        assert halt_mark.lift(fleet, "a", made)
        ready = folder(fleet) / ".halt-ready"
        assert ready.stat().st_ino == inode
        content = json.loads(ready.read_text())
        assert (content["by"], content["nonce"] != made.identity) == ("halt", True)
    ready.unlink()
    for is_env in (False, True):
        if is_env:
            (folder(fleet) / "halted").hardlink_to(folder(fleet) / "env.json")
        else:
            (folder(fleet) / "halted").touch()
        made = halt_mark.find(fleet, "a")
        assert made is not None
        assert halt_mark.lift(fleet, "a", made)
        assert not ready.exists()
    assert (folder(fleet) / "env.json").read_text() == '{"KEY": "x"}'


def test_only_the_mark_that_was_read_is_removed(fleet: Fleet) -> None:
    halt_mark.make(fleet, "a", "halt")
    read = halt_mark.find(fleet, "a")
    assert read is not None
    halt_mark.make(fleet, "a", "halt")
    assert halt_mark.lift(fleet, "a", read) is False
    now = halt_mark.find(fleet, "a")
    assert now is not None
    assert halt_mark.lift(fleet, "a", now) is True
    assert [file.name for file in folder(fleet).iterdir()] == [".halt-ready"]
    assert halt_mark.lift(fleet, "a", now) is True


def test_a_resume_that_is_killed_in_the_middle_leaves_the_mark(fleet: Fleet) -> None:
    halt_mark.make(fleet, "a", "halt")
    (folder(fleet) / "halted").rename(folder(fleet) / ".halt-lifting")
    mark = halt_mark.find(fleet, "a")
    assert mark is not None
    assert halt_mark.lift(fleet, "a", mark) is True


def test_whatever_lies_there_is_a_mark(fleet: Fleet) -> None:
    (folder(fleet) / "halted").mkdir()
    (folder(fleet, "b") / "halted").symlink_to("nowhere")
    assert sorted(halt_mark.find_all(fleet)) == ["a", "b"]


@pytest.mark.parametrize("name", [".halt-lifting", ".halt-lifted", "halted"])
def test_a_folder_in_the_place_of_a_mark_is_lifted_and_kept(fleet: Fleet, name: str) -> None:
    (folder(fleet) / "env.json").write_text("{}")
    (folder(fleet) / name).mkdir()
    (folder(fleet) / name / "notes").write_text("mine")
    halt_mark.make_of_fleet(fleet)
    halt_mark.make(fleet, "a", "halt")
    mark = halt_mark.find(fleet, "a")
    assert mark is not None
    assert halt_mark.lift(fleet, "a", mark) is True
    assert halt_mark.find(fleet, "a") is None
    assert [file.read_text() for file in folder(fleet).glob("*/notes")] == ["mine"]
    halt_mark.make(fleet, "a", "halt")
    assert (folder(fleet) / "halted").is_file()


@pytest.mark.parametrize("place", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_nothing_is_waited_for_in_the_place_of_what_was_lifted(
    fleet: Fleet, place: Callable[[Path], None]
) -> None:
    """`watch` once read /dev/zero there, until its memory was 15 GB."""
    place(folder(fleet) / ".halt-lifted")
    halt_mark.make_of_fleet(fleet)
    mark = halt_mark.find(fleet, "a")
    assert mark is not None
    assert halt_mark.lift(fleet, "a", mark) is True


def test_a_supervisor_sees_the_fleets_mark_in_its_own_folder(fleet: Fleet) -> None:
    """Compose can start an instance that comes later, and asks no manager."""
    halt_mark.make_own_of_fleets(fleet, "a")
    assert halt_mark.own(fleet, "a") is None
    halt_mark.make_of_fleet(fleet)
    whole = halt_mark.find(fleet, "b")
    assert whole is not None
    assert halt_mark.lift(fleet, "b", whole), "resumed by name"
    for instance in ("a", "b"):
        halt_mark.make_own_of_fleets(fleet, instance)
    own = halt_mark.own(fleet, "a")
    assert own is not None
    assert (own.by, own.did_run, halt_mark.own(fleet, "b")) == ("halt", False, None)
    halt_mark.make_own_of_fleets(fleet, "a")
    assert halt_mark.own(fleet, "a") == own


def test_the_fleets_mark_is_for_those_that_come_later(fleet: Fleet) -> None:
    (fleet.data_dir / "secrets" / "halted").mkdir()  # an instance may have this name
    assert halt_mark.of_fleet(fleet) is None
    halt_mark.make_of_fleet(fleet)
    whole = halt_mark.of_fleet(fleet)
    assert whole is not None
    for name in ("new", "b"):
        assert halt_mark.find(fleet, name) == whole._replace(of_all=whole.identity)
    halt_mark.make(fleet, "a", "halt")
    both = halt_mark.find(fleet, "a")
    assert both is not None
    assert (both.identity != whole.identity, both.of_all) == (True, whole.identity)
    assert halt_mark.lift(fleet, "a", both) is True
    assert halt_mark.find(fleet, "a") is None
    assert halt_mark.find(fleet, "b") is not None
    halt_mark.make_of_fleet(fleet)
    assert halt_mark.find(fleet, "a") is not None, "another halt of the whole fleet"
    halt_mark.lift_of_fleet(fleet, whole)
    assert halt_mark.of_fleet(fleet) is not None
    now = halt_mark.of_fleet(fleet)
    assert now is not None
    halt_mark.lift_of_fleet(fleet, now)
    assert halt_mark.of_fleet(fleet) is None


def test_what_is_remembered_says_what_the_marks_say(fleet: Fleet) -> None:
    for name in ("c", "d", "f", "g"):
        folder(fleet, name).mkdir()
    halt_mark.make(fleet, "a", "halt", did_run=True)
    halt_mark.make(fleet, "b", "stop")
    halt_mark.make(fleet, "c", "down")
    halt_mark.make(fleet, "d", "halt", did_run=False)
    halt_mark.make(fleet, "f", "halt", did_run=True)
    halt_mark.make(fleet, "g", "halt")  # whether it ran is not known: a resume must not leave it down
    state = FleetState("desk", {"a": InstanceState(halted="down")})
    overlaid = halt_mark.overlaid(state, fleet, ["e"])
    assert [overlaid.of(name).halted for name in "abcde"] == ["down", None, None, "down", None]
    assert [overlaid.of(name).halted for name in "fg"] == ["ran", "ran"]
    assert [overlaid.of(name).wish for name in "abcde"] == ["run", "stopped", "run", "run", "run"]


def test_a_second_halt_keeps_who_ran_before_the_first(fleet: Fleet) -> None:
    halt_mark.make(fleet, "a", "halt", did_run=True)
    halt_mark.make(fleet, "a", "halt", did_run=False)
    kept_mark = halt_mark.find(fleet, "a")
    assert kept_mark is not None
    assert kept_mark.did_run


def test_a_mark_says_when_it_was_made(fleet: Fleet) -> None:
    before = moment.now()
    time.sleep(0.02)
    halt_mark.make(fleet, "a", "halt")
    time.sleep(0.02)
    mark = halt_mark.find(fleet, "a")
    assert mark is not None
    assert mark.at.is_after(before)
    assert moment.now().is_after(mark.at)
    assert not halt_mark.HaltMark("of the first version").at.is_after(before)


def test_a_tombstone_keeps_the_mark_that_older_supervisors_look_for(fleet: Fleet) -> None:
    halt_mark.make(fleet, "a", "halt")
    own = halt_mark.own(fleet, "a")
    assert own is not None
    tombstone.bury(fleet, "a", Tombstone(3, "tokyo", "m1"))
    assert halt_mark.lift(fleet, "a", own) is False
    assert halt_mark.own(fleet, "a") == own
