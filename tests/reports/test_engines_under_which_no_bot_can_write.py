"""With userns-remap no bot ever started, and nothing said why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from manager.errors import ManagerError
from manager.ops.folders import bot_user
from tests.builders import a_fleet
from tests.fakes.sandbox import Sandbox


@pytest.mark.parametrize("command", ["up", "start", "restart", "plan", "up --dry-run"])
def test_userns_remap_is_refused_in_one_line(sandbox: Sandbox, command: str) -> None:
    sandbox.engine.modes = ["seccomp,profile=builtin", "userns"]
    printed = sandbox.transcript(command)
    assert "error: the engine maps the users of containers to others (userns-remap)" in printed
    assert printed.count("error:") == 1
    assert sandbox.states() == {}
    assert "with userns-remap: no bot can write to its folders" in sandbox.transcript("doctor")


def test_a_running_bot_can_be_stopped_all_the_same(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.engine.modes = ["userns"]
    sandbox.transcript("stop")
    assert set(sandbox.states().values()) == {"exited"}


@pytest.mark.parametrize(("uid", "is_refused"), [(0, True), (1000, False)])
def test_a_rootless_engine_is_its_users(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, uid: int, is_refused: bool
) -> None:
    sandbox.engine.modes = ["rootless"]
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    printed = sandbox.transcript("up")
    assert ("the engine is rootless and belongs to another user" in printed) is is_refused
    assert ("create_network" in printed) is not is_refused
    assert ("another user: no bot can write to root's folders" in sandbox.transcript("doctor")) is is_refused


ROOTLESS = {"SecurityOptions": ["name=rootless"]}
ROOTFUL = {"SecurityOptions": ["name=seccomp"]}
WRITTEN = {"BOTFLEET_UID": "0", "BOTFLEET_GID": "0"}


def test_a_rootless_engine_starts_its_bots_a_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first `up` writes the container's root into `.env`, for Compose; each later start refused that."""
    fleet = a_fleet(project_dir=tmp_path, data_dir=tmp_path / "volumes")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    first = bot_user.bot_user(fleet, {}, ROOTLESS)
    assert bot_user.compose_variables(fleet, {}, first) == WRITTEN
    assert bot_user.bot_user(fleet, WRITTEN, ROOTLESS) == first
    assert bot_user.configured_user(fleet, WRITTEN) == first  # `restore` and `move` ask no engine
    with pytest.raises(ManagerError, match="BOTFLEET_UID must be a numeric id other than 0"):
        bot_user.bot_user(fleet, WRITTEN, ROOTFUL)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(ManagerError, match="BOTFLEET_UID must be a numeric id other than 0"):
        bot_user.configured_user(fleet, WRITTEN)
    with pytest.raises(ManagerError, match="belongs to another user"):  # the variable is not what is wrong
        bot_user.bot_user(fleet, WRITTEN, ROOTLESS)
