"""Containers that were made by hand, or by Compose with a file of the user's own, are seen for what they are.

`docker compose -f compose.yaml -f my.yaml up -d` gave a bot `privileged: true` and a port on 0.0.0.0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from manager.engine import labels
from tests.fakes.sandbox import SOL, Sandbox


@pytest.fixture
def fleet(sandbox: Sandbox) -> Sandbox:
    """A fleet that runs."""
    sandbox.transcript("up")
    return sandbox


def _hand_made(**host: object) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    return lambda body: {**body, "HostConfig": {**body["HostConfig"], **host}}


def _with_label(body: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**body, "Labels": {**body["Labels"], labels.MODE: "live"}}


def _with_command(body: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**body, "Cmd": [*body["Cmd"], "--stop-loss", "1"]}


EVERYWHERE = {"5001/tcp": [{"HostIp": "0.0.0.0", "HostPort": "5001"}]}
HAND_MADE = {
    "Privileged": _hand_made(Privileged=True),
    "CapAdd": _hand_made(CapAdd=["SYS_ADMIN"]),
    "CapDrop": _hand_made(CapDrop=None),
    "SecurityOpt": _hand_made(SecurityOpt=None),
    "ReadonlyRootfs": _hand_made(ReadonlyRootfs=False),
    "PortBindings": _hand_made(PortBindings=EVERYWHERE),
    "Dns": _hand_made(Dns=["192.0.2.53"]),
    "ExtraHosts": _hand_made(ExtraHosts=["api.example.org:192.0.2.1"]),
    "LogConfig": _hand_made(LogConfig={"Type": "none", "Config": {}}),
    "Ulimits": _hand_made(Ulimits=[{"Name": "nofile", "Soft": 10, "Hard": 10}]),
    "Init": _hand_made(Init=False),
    "Tmpfs": _hand_made(Tmpfs={}),
    labels.MODE: _with_label,
    "Cmd": _with_command,
}


def _make(fleet: Sandbox, changed: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
    container = fleet.engine.find(SOL)
    container.body = changed(container.body)
    container.labels = container.body["Labels"]


@pytest.mark.parametrize("name", HAND_MADE)
def test_a_container_that_was_made_by_hand_is_named_and_made_anew_when_a_person_asks(
    fleet: Sandbox, name: str
) -> None:
    """Privileged, or published to the world, it was called as its config says, and no command undid it."""
    _make(fleet, HAND_MADE[name])
    assert "drifted: settings" in fleet.transcript("ps")
    assert f"bp_sol_01 ({name}): have container settings" in fleet.transcript("doctor")
    left = (
        "bp_sol_01: left alone: with container settings that are not its config's;"
        " `manager restart bp_sol_01` makes its container anew"
    )
    fleet.assert_left_alone("bp_sol_01", left)
    assert "bp_sol_01: recreated (with container settings" in fleet.transcript("restart bp_sol_01")
    assert "drifted" not in fleet.transcript("ps")


def test_whose_files_cannot_be_read_is_asked_of_other_settings_too(fleet: Sandbox) -> None:
    fleet.engine.has_readable_files = False
    _make(fleet, HAND_MADE["Privileged"])
    assert "with container settings that are not its config's" in fleet.transcript("plan")
    assert "recreated (with container settings" in fleet.transcript("restart bp_sol_01")
