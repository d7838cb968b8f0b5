"""A halt, a stop and a down are refused for no disk, no path and no lock; and they act on the engine that
is named.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.faults import bots
from tests.faults.conftest import Note
from tests.faults.engines import needs_root
from tests.faults.test_disk import fill, on_a_small_disk, use_all_inodes  # noqa: F401
from tests.fleet import Project, eventually

pytestmark = pytest.mark.engine
SUPERVISED_S = 3.0
"""After so long a supervisor has started its bot, unless it is halted."""


@needs_root
@pytest.mark.parametrize("fault", [pytest.param(fill, marks=pytest.mark.long_form), use_all_inodes])
def test_a_halt_on_a_full_disk_is_not_forgotten(
    on_a_small_disk: tuple[Project, Path],  # noqa: F811
    fault: object,
    note: Note,
) -> None:
    project, disk = on_a_small_disk
    assert callable(fault)
    ballast = fault(disk)
    done = project.manager("halt")
    assert bots.pids(project, "one") == bots.pids(project, "two") == []
    assert project.manager("up", code=None).out.count("halted; `manager resume` starts what ran") == 2
    project.docker("start", *(project.container(instance) for instance in ("one", "two")))
    time.sleep(SUPERVISED_S)
    assert bots.pids(project, "one") == bots.pids(project, "two") == []
    shutil.rmtree(ballast) if ballast.is_dir() else ballast.unlink()
    assert bots.pids(project, "one") == bots.pids(project, "two") == [], done.err
    project.manager("resume", "--wait")
    assert project.states() == {"one": "running", "two": "running"}
    note(
        "a halt on a disk that is full" if fault is fill else "a halt on a disk without inodes",
        "a tmpfs of 8 MB and 400 inodes",
        1,
        "exit code 0, `up` leaves all alone, `docker start` starts no bot, `resume` starts what ran",
    )


def test_a_folder_reached_through_a_link_is_ours(project: Project, tmp_path: Path, note: Note) -> None:
    bots.add(project, "one", 0)
    project.manager("compose")
    project.manager("up", "--wait")
    before = project.ids()
    link = tmp_path / "link"
    link.symlink_to(project.folder)
    through = Project(link, project.name, project.first_port, {**project.environ, "PWD": str(link)})
    subprocess.run(
        ["docker", "compose", "up", "-d"],
        cwd=link,
        check=True,
        capture_output=True,
        env={**os.environ, **through.environ},
    )
    assert project.ids() == before
    assert through.states() == {"one": "running"}
    assert "nothing to do" in through.manager("up").out
    through.manager("halt")
    assert project.ids() == {}
    note(
        "the project folder through a link",
        "compose, up, ps, halt there",
        1,
        "the same containers, none refused",
    )


def test_a_moved_folder_is_stopped_and_brought_up(project: Project, tmp_path: Path, note: Note) -> None:
    bots.add(project, "one", 0)
    bots.add(project, "two", 1)
    project.manager("up", "--wait")
    moved = Project(tmp_path / "moved", project.name, project.first_port, project.environ)
    project.folder.rename(moved.folder)
    assert moved.states() == {"one": "running", "two": "running"}
    moved.manager("stop", "two")
    assert bots.pids(project, "two") == []
    assert "one: recreated (moved" in moved.manager("up", "--wait").out
    assert moved.states() == {"one": "running", "two": "stopped"}
    moved.manager("start", "two", "--wait")
    again = Project(tmp_path / "again", project.name, project.first_port, project.environ)
    moved.folder.rename(again.folder)
    again.manager("halt")
    assert again.ids() == {}
    again.manager("resume", "--wait")
    assert again.states() == {"one": "running", "two": "running"}
    last = Project(tmp_path / "last", project.name, project.first_port, project.environ)
    again.folder.rename(last.folder)
    last.manager("down")
    assert last.docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={project.name}") == ""
    last.folder.rename(project.folder)
    note(
        "a moved project folder",
        "ps, stop, up, start, halt, resume, down there",
        1,
        "works; `up` recreates and says so",
    )


@pytest.mark.long_form  # of a new folder in its place: the test below
def test_a_copy_of_a_moved_folder_takes_nothing(project: Project, tmp_path: Path, note: Note) -> None:
    """Nothing is in the old place, and both folders' files name the container: it has mounted only one."""
    bots.add(project, "one", 0)
    project.manager("up", "--wait")
    before = project.ids()
    moved = Project(tmp_path / "moved", project.name, project.first_port, project.environ)
    copy = Project(tmp_path / "copy", project.name, project.first_port, project.environ)
    project.folder.rename(moved.folder)
    shutil.copytree(moved.folder, copy.folder, symlinks=True)
    theirs = f"belongs to {moved.folder}/volumes/database/one"
    for command, code in {"up": 4, "restart": 4, "halt": 4, "stop": 0, "down": 0}.items():
        done = copy.manager(command, code=code)
        assert theirs in done.out + done.err, command
    assert moved.ids() == before
    assert "its folder was moved: `manager up` recreates it" in moved.manager("ps").out
    moved.manager("halt")
    assert moved.ids() == {}
    note("a copy of a moved folder", "up, restart, halt, stop, down there", 1, "refused, and touches nothing")


def test_a_new_folder_in_the_old_place_takes_nothing(project: Project, tmp_path: Path, note: Note) -> None:
    """Its paths are those of the running containers, whose mounts have followed the folder that was moved."""
    bots.add(project, "one", 0)
    project.manager("up", "--wait")
    before = project.ids()
    moved = Project(tmp_path / "moved", project.name, project.first_port, project.environ)
    project.folder.rename(moved.folder)
    (project.folder / "volumes").mkdir(parents=True)
    shutil.copytree(moved.folder / "config", project.folder / "config")
    theirs = f"belongs to {moved.folder}/volumes/database/one"
    for command, code in {"up": 4, "restart": 4, "halt": 4, "stop": 0, "down": 0}.items():
        done = project.manager(command, code=code)
        assert theirs in done.out + done.err, command
    assert project.ids() == before
    assert moved.states() == {"one": "running"}
    assert "one: stopped (requested" in moved.manager("stop").out
    assert project.ids() == {}
    moved.manager("down")
    project.manager("start", "one", "--wait")
    assert f"belongs to {project.folder}" in moved.manager("up", code=4).err
    project.manager("down")
    note(
        "a new folder in the place of one that was moved, with its name",
        "up, restart, halt, stop, down there",
        1,
        "none touches the moved one's bots, which it stops itself",
    )


def test_a_copy_is_told_apart_and_may_halt_its_own(project: Project, tmp_path: Path, note: Note) -> None:
    bots.add(project, "one", 0)
    project.manager("up", "--wait")
    copy = Project(tmp_path / "copy", project.name, project.first_port, project.environ)
    shutil.copytree(project.folder, copy.folder, symlinks=True)
    assert "belongs to" in copy.manager("up", code=4).err
    for command, code in {"halt": 4, "stop": 0, "down": 0}.items():
        done = copy.manager(command, code=code)
        assert "belongs to" in done.out + done.err
    assert project.states() == {"one": "running"}
    note(
        "a copy of a project folder",
        "up, halt, stop, down there",
        1,
        "`up` is refused; none touches the other's bots",
    )


def test_the_engine_is_the_one_that_is_named(project: Project, tmp_path: Path, note: Note) -> None:
    bots.add(project, "one", 0)
    project.manager("up", "--wait")
    folder = tmp_path / "docker"
    subprocess.run(
        ["docker", "context", "create", "away", "--docker", "host=ssh://trader@203.0.113.1"],
        check=True,
        capture_output=True,
        env={**os.environ, "DOCKER_CONFIG": str(folder)},
    )
    (folder / "config.json").unlink(missing_ok=True)
    cases = {
        "ssh://trader@203.0.113.1": {"DOCKER_CONFIG": str(folder), "DOCKER_CONTEXT": "away"},
        "nowhere": {"DOCKER_CONFIG": str(folder), "DOCKER_CONTEXT": "nowhere"},
        "ssh://elsewhere": {"DOCKER_HOST": "ssh://elsewhere"},
        "unix:///nowhere.sock": {"DOCKER_HOST": "unix:///nowhere.sock"},
    }
    for named, environ in cases.items():
        for client in ("socket", "sdk"):
            for command in ("stop", "ps") if client == "socket" else ("stop",):
                done = project.manager(command, code=5, environ={**environ, "BOTFLEET_ENGINE_CLIENT": client})
                assert named in done.err
                assert "SSHHTTPAdapter" not in done.err
    assert len(bots.pids(project, "one")) == 1
    note(
        "another engine is named",
        "contexts and DOCKER_HOST, that cannot be reached",
        4,
        "exit code 5 with the endpoint; the local engine is not touched",
    )


@needs_root
def test_nobody_locks_the_manager_out(project: Project, note: Note) -> None:
    bots.add(project, "one", 0)
    project.manager("up", "--wait")
    lock = project.folder / "volumes" / "state" / "fleet.lock"
    lock.chmod(0o644)
    project.manager("up")
    assert lock.stat().st_mode & 0o777 == 0o600
    with subprocess.Popen(["flock", "-s", str(lock), "sleep", "60"]) as holder:
        eventually(lambda: Path(f"/proc/{holder.pid}/cmdline").read_bytes().startswith(b"flock"))
        done = project.manager("up", code=7)
        assert "(pid " in done.err
        project.manager("stop")
        assert bots.pids(project, "one") == []
        holder.terminate()
    note("another program holds the lock", "flock -s", 1, "0600, named with its pid; `stop` passes it")


def test_what_cannot_be_looked_at_does_not_run(project: Project, note: Note) -> None:
    bots.add(project, "one", 0)
    project.manager("up", "--wait")
    state = project.folder / "volumes" / "state" / "one"
    project.docker("kill", project.container("one"))
    eventually(lambda: bots.pids(project, "one") == [])
    for place in (lambda path: path.symlink_to("nowhere"), lambda path: path.mkdir(), os.mkfifo):
        for name in ("supervisor.lock", "supervisor.json"):
            path = state / name
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
            place(path)
        assert "STILL RUNS" not in project.manager("halt").err
        project.manager("stop")
    for name in ("supervisor.lock", "supervisor.json"):
        (state / name).unlink()
    project.manager("start", "one", "--wait")
    supervised = json.loads((state / "supervisor.json").read_text())
    (state / "supervisor.json").unlink()
    (state / "supervisor.json").mkdir()
    project.manager("restart", "one", "--wait")
    assert (
        json.loads((state / "supervisor.json").read_text())["bot_started_at"] > supervised["bot_started_at"]
    )
    note(
        "links, folders, FIFOs in the place of the supervisor's files",
        "by hand",
        3,
        "`halt` and `stop` end with 0; `restart` restarts",
    )
