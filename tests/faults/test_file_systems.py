"""A fleet whose data folder is no local disk: what works there, and what is refused before a bot is made."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.conftest import Note
from tests.faults.engines import needs_root
from tests.fleet import Project, a_project, built

pytestmark = [pytest.mark.engine, pytest.mark.long_form, needs_root]

SAID = {
    "tmpfs": "is in memory: its content is lost on reboot",
    "overlay": "is on overlay: SQLite can lose data there",
    "bindfs": "is on fuse",
}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with a_project(tmp_path / "project", built("bot")) as made:
        made.add("one")
        yield made


@pytest.mark.parametrize("kind", SAID)
def test_bots_live_there_and_doctor_says_what_it_is(
    tmp_path: Path, project: Project, note: Note, kind: str
) -> None:
    with _mounted(kind, project.folder / "volumes", tmp_path):
        project.manager("up", "--wait")
        project.manager("restart", "one", "--wait")
        assert "running" in project.manager("ps").out
        assert "one: 2 files" in project.manager("backup").out
        assert SAID[kind] in project.manager("doctor", code=None).out
        assert "one: removed" in project.manager("down").out
    note(f"the data folder on {kind}", "a fleet on it", 1, "bots run, a backup is whole, `doctor` names it")


def test_one_that_gives_new_files_to_another_user_is_refused(
    tmp_path: Path, project: Project, note: Note
) -> None:
    """As NFS with all_squash does, and sshfs: databases are made there, and cannot be opened again."""
    squashing = ("--create-for-user=root",)
    with _mounted("bindfs", project.folder / "volumes", tmp_path, squashing):
        done = project.manager("up", code=1)
        assert "a container cannot open again what it has made in" in done.err
        assert not project.docker("ps", "--all", "--quiet", "--filter", f"name={project.name}").strip()
        project.manager("down")
    note("a file system with all_squash", "bindfs", 1, "`up` says in one line why no bot could run")


@contextmanager
def _mounted(kind: str, at: Path, folder: Path, options: Sequence[str] = ()) -> Iterator[None]:
    if kind == "bindfs" and shutil.which(kind) is None:
        pytest.fail("a file system of a user's program needs bindfs: run `apt install bindfs`")
    shutil.rmtree(at, ignore_errors=True)  # FUSE mounts over nothing but an empty folder
    layers = [folder / name for name in ("lower", "upper", "work")]
    for path in (at, *layers):
        path.mkdir(exist_ok=True)
    lower, upper, work = layers
    command = {
        "tmpfs": ["mount", "-t", "tmpfs", "-o", "size=256m,mode=755", "tmpfs"],
        "overlay": ["mount", "-t", "overlay", "-o", f"lowerdir={lower},upperdir={upper},workdir={work}", "o"],
        "bindfs": ["bindfs", "-o", "allow_other", *options, str(upper)],
    }[kind]
    subprocess.run([*command, str(at)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)
