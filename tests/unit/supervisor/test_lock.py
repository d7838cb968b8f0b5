"""The lock survives what a bot does to its file."""

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supervisor.lock import Lock, LockedError
from tests.supervisor.harness import inheritable


def lock(root: Path) -> Lock:
    (root / "state").mkdir(exist_ok=True)
    (root / "secrets").mkdir(exist_ok=True)
    return Lock(str(root / "state/supervisor.lock"), str(root / "secrets"))


@pytest.fixture(autouse=True)
def _nothing_stays_locked() -> Iterator[None]:
    """Close what a supervisor keeps until its end: children of later tests would inherit it."""
    before = inheritable()
    yield
    for fd in inheritable() - before:
        os.close(fd)


def folder_with_content(path: Path) -> None:
    path.mkdir()
    (path / "file").touch()


REPLACEMENTS: list[Callable[[Path], object]] = [
    lambda path: None,
    lambda path: path.touch(),
    lambda path: path.symlink_to("elsewhere"),
    lambda path: path.symlink_to(path.parent),
    lambda path: path.mkdir(),
    folder_with_content,
    lambda path: os.mkfifo(path),
]


@pytest.mark.parametrize("replace", REPLACEMENTS)
def test_a_replaced_file_is_put_back_and_excludes(tmp_path: Path, replace: Callable[[Path], object]) -> None:
    held = lock(tmp_path)
    held.acquire()
    path = tmp_path / "state/supervisor.lock"
    path.unlink()
    replace(path)
    assert held.repair()
    assert path.is_file()
    assert len(held.fds) == 2
    assert not path.is_symlink()
    assert os.path.samestat(path.stat(), os.fstat(held.fd))
    assert not held.repair()
    with pytest.raises(LockedError):
        Lock(str(path), str(tmp_path / "missing")).acquire()
    held.kill_leftovers(print)
    assert len(held.fds) == 1, "each bot inherits one, however often the file was replaced"
    assert os.get_inheritable(held.fd)


@pytest.mark.parametrize("replace", REPLACEMENTS)
def test_what_lies_there_at_the_start_does_not_keep_a_supervisor_out(
    tmp_path: Path, replace: Callable[[Path], object]
) -> None:
    held = lock(tmp_path)
    replace(tmp_path / "state/supervisor.lock")
    held.acquire()
    assert not held.repair()


def test_a_replaced_file_lets_no_second_supervisor_in(tmp_path: Path) -> None:
    first, second = lock(tmp_path), lock(tmp_path)
    first.acquire()
    (tmp_path / "state/supervisor.lock").unlink()
    with pytest.raises(LockedError):
        second.acquire()
    assert not (tmp_path / "state/supervisor.lock").exists(), "the second one writes nothing"


def test_who_waits_for_the_file_does_not_hold_the_folder(tmp_path: Path) -> None:
    first, second = lock(tmp_path), lock(tmp_path)
    path = str(tmp_path / "state/supervisor.lock")
    Lock(path, str(tmp_path / "missing")).acquire()  # as a supervisor of contract 1 does
    with pytest.raises(LockedError):
        first.acquire()
    (tmp_path / "state/supervisor.lock").unlink()
    second.acquire()


def test_without_a_secrets_folder_the_file_alone_excludes(tmp_path: Path) -> None:
    lock(tmp_path)
    path = str(tmp_path / "state/supervisor.lock")
    Lock(path, str(tmp_path / "missing")).acquire()
    with pytest.raises(LockedError):
        Lock(path, str(tmp_path / "missing")).acquire()


def test_where_a_folder_cannot_be_locked_the_file_alone_excludes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network file systems lock only what is open for writing."""
    really = fcntl.flock

    def of_files_only(fd: int, operation: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EBADF, "not open for writing")
        really(fd, operation)

    monkeypatch.setattr(fcntl, "flock", of_files_only)
    lock(tmp_path).acquire()
    with pytest.raises(LockedError):
        lock(tmp_path).acquire()


def test_a_link_at_the_temporary_name_is_not_followed(tmp_path: Path) -> None:
    held = lock(tmp_path)
    held.acquire()
    (tmp_path / "state/supervisor.lock").unlink()
    (tmp_path / "victim").write_text("x")
    (tmp_path / "state/supervisor.lock.new").symlink_to(tmp_path / "victim")
    assert held.repair()
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["supervisor.lock"]
    assert (tmp_path / "victim").read_text() == "x"


def test_holders_of_a_replaced_file_are_found(tmp_path: Path) -> None:
    held = lock(tmp_path)
    held.acquire()
    pid = os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
    try:
        (tmp_path / "state/supervisor.lock").unlink()
        held.repair()
        assert held.other_holders() == [pid]
        held.drop_replaced()
        assert held.other_holders() == []
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
