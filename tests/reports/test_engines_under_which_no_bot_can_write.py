"""With userns-remap no bot ever started, and nothing said why."""

from __future__ import annotations

import os

import pytest

from tests.fakes.desk import Desk


@pytest.mark.parametrize("command", ["up", "start", "restart"])
def test_userns_remap_is_refused_in_one_line(desk: Desk, command: str) -> None:
    desk.engine.modes = ["seccomp,profile=builtin", "userns"]
    printed = desk.play(command)
    assert "error: the engine maps the users of containers to others (userns-remap)" in printed
    assert printed.count("error:") == 1
    assert desk.states() == {}
    assert "with userns-remap: no bot can write to its folders" in desk.play("doctor")


def test_a_running_bot_can_be_stopped_all_the_same(desk: Desk) -> None:
    desk.play("up")
    desk.engine.modes = ["userns"]
    desk.play("stop")
    assert set(desk.states().values()) == {"exited"}


@pytest.mark.parametrize(("uid", "is_refused"), [(0, True), (1000, False)])
def test_a_rootless_engine_is_its_users(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, uid: int, is_refused: bool
) -> None:
    desk.engine.modes = ["rootless"]
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    printed = desk.play("up")
    assert ("the engine is rootless and belongs to another user" in printed) is is_refused
    assert ("create_network" in printed) is not is_refused
