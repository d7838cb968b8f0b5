"""Where containers cannot write to the folders, bots only restarted: the first `up` tries it, and says so."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from manager.config.container_paths import DATA_AT, LOGS_AT, SECRETS_AT, STATE_AT
from manager.errors import EngineError
from manager.ops.folders import mount_probe
from manager.ops.folders.mount_probe import CANNOT_WRITE, GIVES_AWAY
from tests.fakes.sandbox import Sandbox

DENIED = "sh: can't create /data/.botfleet-probe: Permission denied\n"


@pytest.fixture
def new(sandbox: Sandbox) -> Sandbox:
    """A fleet on an engine that never made a container of it."""
    sandbox.is_engine_new = True
    return sandbox


def test_it_is_tried_once_for_each_engine_and_folder(new: Sandbox) -> None:
    first = new.transcript("up")
    assert first.count("engine: create desk-mount-probe-") == 1
    assert first.count("engine: discard desk-mount-probe-") == 1
    new.transcript("down")
    assert "mount-probe" not in new.transcript("up")


def test_what_cannot_be_written_ends_the_first_up_before_any_bot_is_made(new: Sandbox) -> None:
    new.bots.shell = (CANNOT_WRITE, DENIED)
    printed = new.transcript("up")
    assert "a container cannot write to the bots' folders: can't create DIR/volumes/database/" in printed
    assert ": Permission denied; uid " in printed
    assert "must be allowed to write to DIR/volumes: look at its owner and its file system" in printed
    assert printed.count("error:") == 1
    assert new.states() == {}
    new.bots.shell = (0, "")
    assert "mount-probe" in new.transcript("up")  # what failed is tried again
    assert set(new.states().values()) == {"running"}


def test_a_file_system_that_gives_new_files_to_another_user_is_refused(new: Sandbox) -> None:
    """sshfs: each bot made its database, could not open it, and was restarted without end."""
    new.bots.shell = (GIVES_AWAY, DENIED)
    printed = new.transcript("up")
    assert (
        "a container cannot open again what it has made in DIR/volumes: the file system gives it to"
        in printed
    )
    assert printed.count("error:") == 1
    assert new.states() == {}


TARGETS = (LOGS_AT, DATA_AT, STATE_AT, SECRETS_AT)
GIVES_ITS_FILES_AWAY = "echo() { printf x; chmod 0 /proc/self/fd/1; }"


@pytest.mark.parametrize(("before", "code"), [("", 0), (GIVES_ITS_FILES_AWAY, GIVES_AWAY)])
def test_it_is_seen_by_opening_a_file_twice(before: str, code: int) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o777)
        script = re.sub(rf" ({'|'.join(TARGETS)})\b", f" {folder}", mount_probe.SCRIPT)
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
        done = subprocess.run([*nobody, "sh", "-c", f"{before}{script}"], check=False, capture_output=True)
        assert (done.returncode, [*Path(folder).iterdir()]) == (code, []), done.stderr


@pytest.mark.parametrize("why", ["No space left on device", "Disk quota exceeded"])
def test_a_full_disk_is_called_full(new: Sandbox, why: str) -> None:
    new.bots.shell = (CANNOT_WRITE, DENIED.replace("Permission denied", why))
    printed = new.transcript("up")
    assert f": {why}; that disk is full: free space on it, or inodes" in printed
    assert "owner" not in printed


RLIMITS = (
    "OCI runtime create failed: error setting rlimits for ready process: error setting rlimit type 7:"
    " operation not permitted: unknown"
)
OF_THE_ENGINE = [
    ("start", RLIMITS),
    ("start", "unable to join session keyring: create session key: disk quota exceeded: unknown"),
    ("start", "mkdir /sys/fs/cgroup/memory/docker/1: no space left on device: unknown"),
    ("start", 'error mounting "proc" to rootfs at "/proc": operation not permitted: unknown'),
    ("start", "unable to apply cgroup configuration: permission denied"),
    ("create", "No such image: desk-bot:local"),
    ("create", "bind source path does not exist: /volumes/database"),
]


@pytest.mark.parametrize("modes", [[], ["selinux"]])
@pytest.mark.parametrize(("call", "why"), OF_THE_ENGINE)
def test_what_has_nothing_to_do_with_writing_is_shown_without_advice(
    new: Sandbox, call: str, why: str, modes: list[str]
) -> None:
    """The engine's own limits were one: uid 10001 “must be allowed to write”, it said."""
    new.engine.modes = modes
    new.engine.fails(call, EngineError(why))
    (line,) = [line for line in new.transcript("up").splitlines() if "error:" in line]
    assert line.endswith(f"a container with the bots' folders cannot be made: {why}")
    assert "bp_eth_02" not in new.states()


@pytest.mark.parametrize("why", ["I/O error", "Stale file handle", "Too many open files", "Is a directory"])
def test_what_writing_failed_of_and_no_owner_mends_is_shown_without_advice(new: Sandbox, why: str) -> None:
    new.bots.shell = (CANNOT_WRITE, DENIED.replace("Permission denied", why))
    (line,) = [line for line in new.transcript("up").splitlines() if "error:" in line]
    assert line.endswith(why)


def test_a_file_system_that_is_mounted_read_only_is_called_so(new: Sandbox) -> None:
    new.bots.shell = (CANNOT_WRITE, DENIED.replace("Permission denied", "Read-only file system"))
    printed = new.transcript("up")
    assert "Read-only file system; it is mounted read-only: mount it so that it can be written" in printed
    assert "owner" not in printed


def test_a_folder_that_the_engine_may_not_mount_has_its_advice(new: Sandbox) -> None:
    folder = new.folder / "volumes" / "database"
    why = f'error mounting "{folder}" to rootfs at "/data": stat {folder}: permission denied: unknown'
    new.engine.fails("start", EngineError(why))
    assert "must be allowed to write to DIR/volumes: look at its owner" in new.transcript("up")


def test_with_docker_desktop_an_unseen_folder_is_to_be_shared(new: Sandbox) -> None:
    new.engine.system = "Docker Desktop"
    new.engine.fails("create", EngineError("Mounts denied: the path is not shared"))
    assert "share DIR/volumes with Docker Desktop" in new.transcript("up")


def test_each_disk_is_tried_and_one_that_refuses_keeps_no_other_bot_back(
    new: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data of one bot are on a disk of their own: mounted read-only, or by NFS."""
    new.config("bp_btc_03", 5003)
    own = new.folder / "volumes" / "database" / "bp_eth_02"
    points = (str(own), "/")
    monkeypatch.setattr(mount_probe, "mount_points", lambda: points)
    tried: list[str] = []
    create = new.engine.create

    def made(name: str, body: dict[str, Any]) -> str:
        if mount_probe.NAME in name:
            tried.append(name)
            new.bots.shell = (CANNOT_WRITE, DENIED) if len(tried) == 2 else (0, "")
        return create(name, body)

    monkeypatch.setattr(new.engine, "create", made)
    printed = new.transcript("up")
    assert printed.count("engine: create desk-mount-probe-") == 2
    assert "a container cannot write to the bots' folders: can't create DIR/volumes/database/" in printed
    assert new.states() == {"bp_btc_03": "running", "bp_sol_01": "running"}
    again = new.transcript("up")
    assert again.count("engine: create desk-mount-probe-") == 1
    assert new.states()["bp_eth_02"] == "running"
    new.transcript("down")
    assert "mount-probe" not in new.transcript("up")


def test_what_an_earlier_version_tried_is_not_tried_again(new: Sandbox) -> None:
    new.transcript("up")
    new.transcript("down")
    file = new.folder / "volumes" / "state" / "probed.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps({"engines": content["engines"]}))
    assert "mount-probe" not in new.transcript("up")


def test_a_path_is_on_the_longest_mount_above_it(tmp_path: Path) -> None:
    points = ("/srv/desk/volumes/database", "/srv/desk", "/srv/d", "/")
    assert mount_probe.mount_of(Path("/srv/desk/volumes/database/a"), points) == "/srv/desk/volumes/database"
    assert mount_probe.mount_of(Path("/srv/desk/volumes/databases"), points) == "/srv/desk"
    assert mount_probe.mount_of(Path("/srv/desktop"), points) == "/"
    assert "/" in mount_probe.mount_points()
    (tmp_path / "link").symlink_to("/srv/d")
    assert mount_probe.mount_of(tmp_path / "link" / "x", points) == "/srv/d"


def test_with_selinux_the_label_is_named(new: Sandbox) -> None:
    new.engine.modes = ["seccomp,profile=builtin", "selinux"]
    new.bots.shell = (CANNOT_WRITE, DENIED)
    assert "run `chcon -R -t container_file_t DIR/volumes`" in new.transcript("up")


def test_with_docker_desktop_its_sharing_is_named(new: Sandbox) -> None:
    new.engine.system = "Docker Desktop"
    new.bots.shell = (CANNOT_WRITE, DENIED)
    assert "share DIR/volumes with Docker Desktop" in new.transcript("up")


def test_where_a_bot_has_written_nothing_is_tried(sandbox: Sandbox) -> None:
    """A fleet of an earlier version: its bots run, and no `up` of this one makes a container more."""
    sandbox.transcript("up")
    sandbox.is_engine_new = True
    sandbox.config("bp_btc_03", 5003)
    assert "mount-probe" not in sandbox.transcript("up")
    sandbox.transcript("down")
    assert "mount-probe" not in sandbox.transcript("up")


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user")
@pytest.mark.parametrize("command", ["restart bp_sol_01", "restart", "start bp_sol_01"])
def test_whose_folder_was_given_to_another_user_is_made_for_that_one(sandbox: Sandbox, command: str) -> None:
    """`sudo chown -R me .`, after root had made the fleet: the bot could not even say why it did nothing."""
    sandbox.transcript("up")
    supervisor = sandbox.folder / "volumes" / "state" / "bp_sol_01" / "supervisor.json"
    os.utime(supervisor, (1, 1))
    for path in (sandbox.folder, *sandbox.folder.rglob("*")):
        os.chown(path, 4711, 4711, follow_symlinks=False)
    if command.startswith("start"):
        sandbox.transcript("stop bp_sol_01")
        os.utime(supervisor, (1, 1))
        os.chown(supervisor, 4711, 4711)
    printed = sandbox.transcript(command)
    assert "bp_sol_01: recreated (not as its user" in printed
    assert sandbox.engine.inspect("desk-bp_sol_01")["Config"]["User"] == "4711:4711"


@pytest.mark.parametrize("code", [1, 126, 127])
def test_an_image_that_has_no_shell_prevents_no_bot(new: Sandbox, code: int) -> None:
    new.bots.shell = (code, "sh: not found\n")
    new.transcript("up")
    assert set(new.states().values()) == {"running"}
