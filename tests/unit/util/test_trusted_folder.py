"""Root writes into the folders of other users: whose links lead it where."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.fleet import event_spool, halt_mark, instances_json, lock, start_lock, state_file, tombstone
from manager.fleet.tombstone import Generation, Tombstone
from manager.ops.folders import bot_files, instance_folders
from manager.util import atomic_file, ownership
from manager.util.trusted_folder import open_in_trusted, trusted, trusted_target, unlink_in_trusted
from tests.builders import a_fleet, a_spec

OTHER = 12345
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="links of another user can only be made by root")


def link(path: Path, target: Path, uid: int) -> None:
    path.symlink_to(target)
    os.lchown(path, uid, uid)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder of root, where another user's link leads."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


@contextmanager
def refused(elsewhere: Path) -> Iterator[None]:
    before = sorted(path.name for path in elsewhere.rglob("*"))
    with pytest.raises(OSError, match="symbolic link") as raised:
        yield
    assert raised.value.errno == errno.ELOOP
    assert sorted(path.name for path in elsewhere.rglob("*")) == before


@needs_root
def test_another_users_link_is_not_followed(tmp_path: Path, elsewhere: Path) -> None:
    link(tmp_path / "state", elsewhere, OTHER)
    (elsewhere / "inner").mkdir()
    (elsewhere / "pid").write_text("1")
    for folder in (tmp_path / "state", tmp_path / "state" / "inner"):
        with refused(elsewhere):
            atomic_file.write_atomically(folder / "fleet.json", {})
        with refused(elsewhere):
            ownership.make_folder(folder / "new")
        with refused(elsewhere):
            open_in_trusted(folder / "lock", os.O_RDWR | os.O_CREAT)
        with refused(elsewhere):
            unlink_in_trusted(folder / "pid")


@needs_root
@pytest.mark.parametrize("maker", [0, OTHER])
def test_a_link_of_root_or_to_its_makers_own_folder_is_followed(
    tmp_path: Path, elsewhere: Path, maker: int
) -> None:
    """Such as one to a disk for logs: fleets that have one go on."""
    os.chown(elsewhere, maker, maker)
    link(tmp_path / "logs", elsewhere, maker)
    atomic_file.write_atomically(tmp_path / "logs" / "instances.json", {})
    assert (elsewhere / "instances.json").stat().st_uid == maker
    ownership.make_folder(tmp_path / "logs" / "a" / "b")
    assert (elsewhere / "a" / "b").stat().st_uid == maker


@needs_root
def test_a_link_of_root_cannot_be_lent_to_one_of_somebody_else(tmp_path: Path, elsewhere: Path) -> None:
    link(tmp_path / "mine", elsewhere, 0)
    link(tmp_path / "state", tmp_path / "mine", OTHER)
    with refused(elsewhere):
        atomic_file.write_atomically(tmp_path / "state" / "fleet.json", {})


@needs_root
def test_a_folder_that_is_replaced_meanwhile_is_not_left(tmp_path: Path, elsewhere: Path) -> None:
    (tmp_path / "state").mkdir()
    with trusted(tmp_path / "state") as folder:
        (tmp_path / "state").rename(tmp_path / "aside")
        link(tmp_path / "state", elsewhere, OTHER)
        (folder / "file").write_text("x")
    assert (tmp_path / "aside" / "file").exists()
    assert not list(elsewhere.iterdir())


@needs_root
def test_a_file_behind_a_link_is_written_to_if_it_is_its_makers(tmp_path: Path, elsewhere: Path) -> None:
    (elsewhere / "passwd").write_text("")
    link(tmp_path / ".env", elsewhere / "passwd", OTHER)
    with refused(elsewhere):
        trusted_target(tmp_path / ".env")
    os.chown(elsewhere / "passwd", OTHER, OTHER)
    assert trusted_target(tmp_path / ".env") == elsewhere / "passwd"
    (elsewhere / "passwd").unlink()
    with refused(elsewhere):
        trusted_target(tmp_path / ".env")
    assert trusted_target(tmp_path / "none") == tmp_path / "none"


def test_links_in_a_circle_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for use in (
        lambda: atomic_file.write_atomically(tmp_path / "a" / "x", {}),
        lambda: trusted_target(tmp_path / "a"),
    ):
        with pytest.raises(OSError, match=r".") as raised:
            use()
        assert raised.value.errno == errno.ELOOP


def test_an_error_names_the_file_and_no_descriptor(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match=r".") as raised:
        atomic_file.write_atomically(tmp_path / "file", {})
    assert raised.value.filename == str(tmp_path / "file")
    assert "/proc/" not in str(raised.value)
    with pytest.raises(FileNotFoundError) as missing:
        atomic_file.write_atomically(tmp_path / "none" / "file", {})
    assert "/proc/" not in str(missing.value)
    with pytest.raises(FileExistsError) as present:
        atomic_file.create(tmp_path / "file", b"")
    assert "/proc/" not in str(present.value)


WRITERS: dict[str, Callable[[Path], object]] = {
    "lock": lambda data: lock._open_if_possible(data / "state" / "fleet.lock"),
    "starts": lambda data: start_lock.open_file(data / "state" / "fleet.lock"),
    "events": lambda data: event_spool.note(
        fleet(data), [event_spool.happened("stop", "a", "stop", None, is_done=True)]
    ),
    "state": lambda data: state_file.update(fleet(data), lambda state: state.with_wish(["a"], "stopped")),
    "mark": lambda data: halt_mark.make(fleet(data), "a", "halt"),
    "mark of all": lambda data: halt_mark.make_of_fleet(fleet(data)),
    "prepared mark": lambda data: halt_mark.keep_ready(data / "secrets" / "a"),
    "tombstone": lambda data: tombstone.bury(fleet(data), "a", Tombstone(1, "b", "m")),
    "generation": lambda data: tombstone.settle(fleet(data), "a", Generation(1)),
    "share": lambda data: bot_files.replace(data / "secrets" / "a" / "requests.json", {}),
    "env": lambda data: instance_folders.stage_env(a_spec("a"), fleet(data), (0, 0), {"A": "b"}),
    "pid": lambda data: instances_json._pid_file(data / "logs" / "a" / "bot.pid", 4),
    "no pid": lambda data: instances_json._pid_file(data / "logs" / "a" / "daemon.pid", 0),
}


def fleet(data: Path) -> Fleet:
    return a_fleet(project_dir=data, data_dir=data)


@needs_root
@pytest.mark.parametrize("writer", WRITERS)
def test_no_writer_of_a_fleet_leaves_its_folder(tmp_path: Path, elsewhere: Path, writer: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, OTHER, OTHER)
    (elsewhere / "a").mkdir()
    for name in ("a/daemon.pid", "a/moved", "a/env.json", "daemon.pid"):
        (elsewhere / name).write_text("theirs")
    for name in ("state", "secrets", "logs"):
        link(data / name, elsewhere, OTHER)
    before = {str(path): path.lstat().st_mtime_ns for path in [elsewhere, *elsewhere.rglob("*")]}
    with suppress(OSError, ManagerError):  # some say it, and some do without
        WRITERS[writer](data)
    assert {str(path): path.lstat().st_mtime_ns for path in [elsewhere, *elsewhere.rglob("*")]} == before
