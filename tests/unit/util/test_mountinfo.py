"""What is mounted where, as the kernel writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.util import mountinfo
from manager.util.mountinfo import Mount


def test_a_line_of_each_kind() -> None:
    table = (
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "24 23 8:2 /@home /home rw,noatime shared:1 master:2 - btrfs /dev/sdb rw,space_cache\n"
        "30 24 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
        "31 24 0:27 / /srv rw - tmpfs  rw\n"
    )
    assert list(mountinfo.parsed(table)) == [
        Mount("8:1", "/", "/", "ext4", "rw"),
        Mount("8:2", "/@home", "/home", "btrfs", "rw,space_cache"),
        Mount("0:26", "/", "/sys/fs/cgroup/cpu", "cgroup", "rw,cpu,cpuacct"),
        Mount("0:27", "/", "/srv", "tmpfs", "rw"),
    ]


@pytest.mark.parametrize(
    ("written", "path"),
    [
        (r"/my\040desk", "/my desk"),
        (r"/größe\040und\011tab", "/größe und\ttab"),
        (r"/a\134b\012c", "/a\\b\nc"),
        ("/交易\u3000一", "/交易\u3000一"),
        ("/of\u00a0one\u2028word", "/of\u00a0one\u2028word"),
    ],
)
def test_a_path_is_as_the_user_wrote_it(written: str, path: str) -> None:
    (mount,) = mountinfo.parsed(f"31 1 8:1 {written} {written} rw - ext4 /dev/a rw\n")
    assert (mount.root, mount.at, mount.type) == (path, path, "ext4")


def test_a_path_in_no_encoding(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_bytes(b"31 1 8:1 / /\xff rw - ext4 /dev/a rw\n")
    (mount,) = mountinfo.read(tmp_path)
    assert mount.at.encode(errors="surrogateescape") == b"/\xff"


def test_what_is_cut_off_or_not_there_is_no_mount(tmp_path: Path) -> None:
    assert list(mountinfo.parsed("31 1 8:1 / /srv rw - ext4\ngarbage\n\n")) == []
    assert mountinfo.read(tmp_path) == []


def test_this_machines_own() -> None:
    assert "/" in [mount.at for mount in mountinfo.read()]
