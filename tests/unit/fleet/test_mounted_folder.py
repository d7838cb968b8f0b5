"""Whose folder a running container has, where the path is another folder's by now."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.fleet import mounted_folder

CONTAINER = "c" * 64


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A process of the container, whose `/data` is `mounted`, and one of another container."""
    (tmp_path / "mounted").mkdir()
    for pid, container in ((7, "d" * 64), (12, CONTAINER)):
        folder = tmp_path / "proc" / str(pid)
        (folder / "root").mkdir(parents=True)
        (folder / "cgroup").write_text(f"0::/system.slice/docker-{container}.scope\n")
        (folder / "mountinfo").write_text(f"31 1 8:1 {tmp_path}/mounted /data rw - ext4 /dev/a rw\n")
    (tmp_path / "proc" / "12" / "root" / "data").symlink_to(tmp_path / "mounted")
    return tmp_path / "proc"


def test_a_folder_that_was_moved_is_named(proc: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    assert mounted_folder.other_folder(CONTAINER, tmp_path / "new", proc) == str(tmp_path / "mounted")
    assert mounted_folder.other_folder(CONTAINER, tmp_path / "not-there", proc) == str(tmp_path / "mounted")
    (proc / "12" / "mountinfo").write_text("31 1 8:1 /of/another/disk /data rw - ext4 /dev/a rw\n")
    assert (
        mounted_folder.other_folder(CONTAINER, tmp_path / "new", proc)
        == "a folder that was moved away from here"
    )


@pytest.mark.parametrize(
    ("folder", "mount"),
    [
        ("/mounted", "/ {}"),  # a disk of its own for /home
        ("/@home/trader/mounted", "/@home/trader {}"),  # a subvolume of Btrfs
        ("/srv/machine/mounted", "/srv/machine {}"),  # a machine in a folder of another one
    ],
)
def test_its_file_system_may_be_mounted_anywhere(proc: Path, tmp_path: Path, folder: str, mount: str) -> None:
    (proc / "12" / "mountinfo").write_text(f"31 1 8:2 {folder} /data rw - ext4 /dev/b rw\n")
    (proc / "self").mkdir()
    (proc / "self" / "mountinfo").write_text(
        f"20 1 8:1 / / rw - ext4 /dev/a rw\n21 1 8:2 /another /var rw - ext4 /dev/b rw\n"
        f"22 1 8:2 {mount.format(tmp_path)} rw - ext4 /dev/b rw\n"
    )
    assert mounted_folder.other_folder(CONTAINER, tmp_path / "new", proc) == str(tmp_path / "mounted")


def test_our_own_folder_is_ours_and_so_is_what_cannot_be_seen(proc: Path, tmp_path: Path) -> None:
    assert mounted_folder.other_folder(CONTAINER, tmp_path / "mounted", proc) is None
    assert mounted_folder.other_folder("e" * 64, tmp_path / "proc", proc) is None
    (proc / "12" / "root" / "data").unlink()
    assert mounted_folder.other_folder(CONTAINER, tmp_path / "proc", proc) is None


def test_a_path_with_a_blank(proc: Path, tmp_path: Path) -> None:
    (tmp_path / "mounted").rename(tmp_path / "my desk")
    (proc / "12" / "root" / "data").unlink()
    (proc / "12" / "root" / "data").symlink_to(tmp_path / "my desk")
    (proc / "12" / "mountinfo").write_text(f"31 1 8:1 {tmp_path}/my\\040desk /data rw - ext4 /dev/a rw\n")
    (tmp_path / "new").mkdir()
    assert mounted_folder.other_folder(CONTAINER, tmp_path / "new", proc) == str(tmp_path / "my desk")
