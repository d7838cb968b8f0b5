"""A file that a bot can reach is written whatever the bot has put in its place."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supervisor import files

NOBODY = 65534


def folder_with_content(path: Path) -> None:
    path.mkdir()
    (path / "file").touch()


PLANTED: list[Callable[[Path], object]] = [
    lambda path: path.mkdir(),
    folder_with_content,
    lambda path: path.symlink_to("victim"),
    lambda path: path.symlink_to("nowhere"),
    lambda path: os.mkfifo(path),
    lambda path: os.link(path.parent / "victim", path),
]


@pytest.mark.parametrize("name", ["file", "file.tmp"])
@pytest.mark.parametrize("plant", PLANTED)
def test_what_lies_in_the_place_is_moved_aside(
    tmp_path: Path, plant: Callable[[Path], object], name: str
) -> None:
    (tmp_path / "victim").write_text("untouched")
    plant(tmp_path / name)
    files.replace(str(tmp_path / "file"), b"content", durable=True)
    assert (tmp_path / "file").read_text() == "content"
    assert not (tmp_path / "file").is_symlink()
    assert (tmp_path / "victim").read_text() == "untouched"
    assert not (tmp_path / "file.tmp").exists()


def test_a_folder_with_content_keeps_it(tmp_path: Path) -> None:
    folder_with_content(tmp_path / "file")
    files.replace(str(tmp_path / "file"), b"content", durable=False)
    (moved,) = tmp_path.glob("file.moved-*")
    assert (moved / "file").exists()


def test_a_link_is_not_read_where_a_bot_can_write(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "link").symlink_to("secret")
    assert files.read_small(str(tmp_path / "link")) == b"x"
    with pytest.raises(OSError, match="symbolic link"):
        files.read_small(str(tmp_path / "link"), follow=False)


@pytest.fixture
def folder_of_a_user() -> Iterator[Path]:
    """A folder, and this process as the ordinary user that it belongs to: root writes everywhere."""
    with tempfile.TemporaryDirectory() as made:
        folder, user = Path(made), os.geteuid() or NOBODY
        os.chown(folder, user, -1)
        before = os.geteuid()
        os.seteuid(user)
        try:
            yield folder
        finally:
            os.seteuid(before)
            folder.chmod(0o700)


@pytest.mark.parametrize("leftover", ["other", "file.tmp"])
def test_a_read_only_folder_is_made_writable(folder_of_a_user: Path, leftover: str) -> None:
    (folder_of_a_user / leftover).touch()
    folder_of_a_user.chmod(0o500)
    with pytest.raises(PermissionError):
        (folder_of_a_user / "another").touch()
    files.replace(str(folder_of_a_user / "file"), b"content", durable=False)
    assert (folder_of_a_user / "file").read_text() == "content"
