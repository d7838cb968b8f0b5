"""Where containers cannot write to the folders, bots only restarted: the first `up` tries it, and says so."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from manager.ops.folders import mount_probe
from manager.ops.folders.mount_probe import CANNOT_WRITE
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


@pytest.mark.parametrize("why", ["No space left on device", "Disk quota exceeded"])
def test_a_full_disk_is_called_full(new: Sandbox, why: str) -> None:
    new.bots.shell = (CANNOT_WRITE, DENIED.replace("Permission denied", why))
    printed = new.transcript("up")
    assert f": {why}; that disk is full: free space on it, or inodes" in printed
    assert "owner" not in printed


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
