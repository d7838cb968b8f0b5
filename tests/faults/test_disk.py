"""The disk: full, without inodes, read-only, somebody else's, full of links. And a clock that steps."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults import bots, other_user
from tests.faults.conftest import Note, new_project
from tests.faults.engines import needs_root
from tests.fleet import Project
from tests.libfaketime import LIBFAKETIME

pytestmark = [pytest.mark.engine, needs_root]


@contextmanager
def a_small_disk(folder: Path, options: str) -> Iterator[Path]:
    """A file system of its own at `folder`, small enough to be filled."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


@pytest.fixture
def on_a_small_disk(tmp_path: Path, fault_image: str) -> Iterator[tuple[Project, Path]]:
    """Two instances, up and healthy, whose data folder is a disk of 8 MB and 400 inodes."""
    with (
        a_small_disk(tmp_path / "disk", "size=8m,nr_inodes=400,mode=755") as disk,
        new_project(tmp_path / "project", fault_image, f'data_dir = "{disk}"\n') as project,
    ):
        bots.add(project, "one", 0)
        bots.add(project, "two", 1)
        project.manager("up", "--wait")
        yield project, disk


def fill(disk: Path) -> Path:
    """Not one byte is left."""
    path = disk / "ballast"
    with path.open("wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(b"x" * 4096)
        except OSError:
            return path


def use_all_inodes(disk: Path) -> Path:
    """No file can be made any more."""
    folder = disk / "crumbs"
    folder.mkdir()
    try:
        for number in range(10_000):
            (folder / str(number)).touch()
    except OSError:
        pass
    return folder


@pytest.mark.parametrize("fault", [fill, pytest.param(use_all_inodes, marks=pytest.mark.long_form)])
def test_a_full_disk_keeps_no_fleet_from_being_seen_and_stopped(
    on_a_small_disk: tuple[Project, Path], fault: object, note: Note
) -> None:
    project, disk = on_a_small_disk
    before = {
        path: path.read_text() for path in (disk / "state" / "fleet.json", disk / "logs" / "instances.json")
    }
    assert callable(fault)
    ballast = fault(disk)
    time.sleep(2.5)  # two probes
    assert project.states() == {"one": "running", "two": "running"}
    project.change("one", strategy_config={"quantity": 7})
    done = project.manager("up", code=None)
    assert done.code in {0, 1}
    assert "Traceback" not in done.err
    assert done.code == 0 or "No space left on device" in done.err
    for path, text in before.items():  # whole, the old or the new
        assert json.loads(path.read_text()).keys() == json.loads(text).keys()
    done = project.manager("stop", code=None)
    assert bots.pids(project, "one") == bots.pids(project, "two") == []
    assert done.code in {0, 1}
    assert done.code == 0 or "No space left on device" in done.err
    shutil.rmtree(ballast) if ballast.is_dir() else ballast.unlink()
    project.manager("up", "one", "two", "--wait")
    assert project.states() == {"one": "running", "two": "running"}
    assert list(disk.rglob("*.tmp")) == []
    note(
        "the disk is full" if fault is fill else "the disk has no inodes left",
        "a tmpfs of 8 MB and 400 inodes",
        1,
        "bots trade on, `ps` shows them, `stop` stops them and says what it could not write; nothing lost,"
        " and `up` works afterwards",
    )


@pytest.mark.long_form
def test_a_disk_gone_read_only(tmp_path: Path, fault_image: str, note: Note) -> None:
    with (
        an_ext4(tmp_path / "image", tmp_path / "disk") as device,
        new_project(tmp_path / "project", fault_image, f'data_dir = "{tmp_path / "disk"}"\n') as project,
    ):
        bots.add(project, "one", 0)
        bots.add(project, "two", 1)
        project.manager("up", "--wait")
        Path("/sys/fs/ext4", device, "trigger_fs_error").write_text("a test")
        time.sleep(2)
        states = project.states()
        assert set(states) == {"one", "two"}
        assert set(states.values()) <= {"running", "unhealthy"}
        assert "Read-only file system" in project.manager("restart", "one", code=1).err
        done = project.manager("stop", code=1)
        assert "cannot write" in done.err
        assert "Read-only file system" in done.err
        assert bots.pids(project, "one") == bots.pids(project, "two") == []
        project.manager("down")
    note(
        "the disk fails and goes read-only",
        "an ext4 with errors=remount-ro, told to fail under a running fleet",
        1,
        "`ps`, `stop` and `down` work; what cannot be written is said",
    )


@contextmanager
def an_ext4(image: Path, folder: Path) -> Iterator[str]:
    """A file system that goes read-only at its first error, as most are set up to; its device's name."""
    image.write_bytes(b"")
    os.truncate(image, 16 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    folder.mkdir()
    subprocess.run(["mount", "-o", "loop,errors=remount-ro", str(image), str(folder)], check=True)
    try:
        listed = subprocess.run(["losetup", "-j", str(image)], check=True, capture_output=True, text=True)
        yield Path(listed.stdout.partition(":")[0]).name
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def test_links_and_files_in_the_way(project: Project, tmp_path: Path, note: Note) -> None:
    bots.add(project, "one", 0)
    data = project.folder / "volumes"
    outside = tmp_path / "outside"
    outside.mkdir()
    for relative in ("logs", "logs/one", "database/one", "secrets", "state/one"):
        link = data / relative
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_dir():
            shutil.rmtree(link)
        link.symlink_to(outside)
        done = project.manager("up", code=1)
        assert f"{link} is a symbolic link; replace it with a real folder" in done.err
        link.unlink()
        link.touch()
        done = project.manager("up", code=1)
        assert f"{link} exists and is not a folder; move it away" in done.err
        link.unlink()
    assert {path.name for path in outside.iterdir()} <= {"instances.json"}  # where a person has led logs/
    assert project.ids() == {}
    (data / "database" / "one.db").unlink(missing_ok=True)
    (data / "database" / "one.db").symlink_to("/etc/passwd")
    assert "links to /etc/passwd instead of one/one.db; remove the link" in project.manager("up", code=1).err
    (data / "database" / "one.db").unlink()
    project.manager("up", "--wait")
    note(
        "links and files where folders should be",
        "in each place of the data folder",
        11,
        "refused with the path, nothing written behind them",
    )


def test_a_folder_of_somebody_else(tmp_path: Path, fault_image: str, note: Note) -> None:
    with new_project(tmp_path / "project", fault_image) as project:
        bots.add(project, "one", 0)
        data = project.folder / "volumes"
        for relative in ("logs/one", "database/one", "state/one", "secrets/one"):
            (data / relative).mkdir(parents=True)
            os.chown(data / relative, 4242, 4242)
        kept = data / "database" / "one" / "old.db"
        kept.write_text("trades")
        kept.chmod(0o600)
        os.chown(kept, 4242, 4242)
        project.manager("up", "--wait")
        assert kept.read_text() == "trades"
        assert {(data / relative).stat().st_uid for relative in ("logs/one", "state/one")} == {10001}
        project.manager("down")
        for path in (
            project.folder,
            *project.folder.rglob("*"),
        ):  # now by a user who owns the project but not that folder
            os.chown(path, 4343, 4343, follow_symlinks=False)
        os.chown(data / "state" / "one", 4242, 4242)
        (data / "state" / "one").chmod(0o700)
        done = as_user(project, 4343, "up")
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert (
            "volumes/state/one belongs to uid 4242, but the bots run as uid 4343; change its owner with"
            " chown" in done.stderr
        )
        assert str(data) in done.stderr
        assert project.ids() == {}
    note(
        "folders that belong to somebody else",
        "chown, as root and as another user",
        2,
        "root gives them to the bots' user, content kept; another user is told whose they are",
    )


def as_user(project: Project, uid: int, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the manager as another user, who may talk to the engine."""
    group = Path("/var/run/docker.sock").stat().st_gid
    environ = {**os.environ, **project.environ, "HOME": str(project.folder)}
    return other_user.run(uid, [group], project.command(*args), project.folder, environ)


@pytest.mark.long_form
@pytest.mark.skipif(LIBFAKETIME is None, reason="needs the package faketime")
def test_a_clock_that_steps(project: Project, tmp_path: Path, note: Note) -> None:
    bots.add(project, "one", 0)
    for offset in ("+400d", "-400d"):
        faked = {"LD_PRELOAD": str(LIBFAKETIME), "FAKETIME": offset}
        for command in (["up", "--wait"], ["restart", "one"], ["stop"], ["start", "one", "--wait"]):
            project.manager(*command, environ=faked)
    clock = tmp_path / "clock"
    clock.write_text("+0")
    ended = threading.Event()

    def step() -> None:
        number = 0
        while not ended.wait(0.2):
            number += 1
            clock.write_text(("+400d", "-400d", "+0")[number % 3])

    stepping = threading.Thread(target=step)
    stepping.start()
    # time-outs of libfaketime itself fail on a clock that steps; the clock that waits go by never does
    faked = {
        "LD_PRELOAD": str(LIBFAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    try:
        for command in (["ps"], ["list"], ["status", "one"], ["export"], ["plan"]):
            project.manager(*command, environ=faked)
    finally:
        ended.set()
        stepping.join()
    assert project.states() == {"one": "running"}
    note(
        "the client's clock steps by 400 days, to and fro",
        "libfaketime, five steps a second",
        8,
        "every command does its work; waits and staleness go by clocks that never step",
    )
