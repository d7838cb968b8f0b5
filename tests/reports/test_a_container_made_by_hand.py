"""Containers that were made by hand, or by Compose with a file of the user's own, are seen for what they are.

`docker compose -f compose.yaml -f my.yaml up -d` gave a bot `privileged: true` and a port on 0.0.0.0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from manager.engine import labels
from tests.builders import write_config
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


def _with(**keys: object) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    return lambda body: {**body, **keys}


def _with_variable(entry: str) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    name = entry.partition("=")[0]
    return lambda body: {
        **body,
        "Env": [*(own for own in body["Env"] if own.partition("=")[0] != name), entry],
    }


def _without_variable(name: str) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    return lambda body: {**body, "Env": [own for own in body["Env"] if own.partition("=")[0] != name]}


EVERYWHERE = {"5001/tcp": [{"HostIp": "0.0.0.0", "HostPort": "5001"}]}
NANOSECONDS = {"Interval": 60_000_000_000, "Timeout": 10_000_000_000, "StartPeriod": 60_000_000_000}
LOG_CONFIG = {"Type": "local", "Config": {"compress": "false", "max-file": "3", "max-size": "10m"}}
"""What Docker 20.10 makes of ours if its settings say `log-driver` local, and `log-opts` compress=false."""
HAND_MADE = {
    "Privileged": _hand_made(Privileged=True),
    "CapAdd": _hand_made(CapAdd=["SYS_ADMIN"]),
    "CapDrop": _hand_made(CapDrop=None),
    "SecurityOpt": _hand_made(SecurityOpt=None),
    "ReadonlyRootfs": _hand_made(ReadonlyRootfs=False),
    "PortBindings": _hand_made(PortBindings=EVERYWHERE),
    "Dns": _hand_made(Dns=["192.0.2.53"]),
    "ExtraHosts": _hand_made(ExtraHosts=["api.example.org:192.0.2.1"]),
    "LogConfig": _hand_made(LogConfig={**LOG_CONFIG, "Type": "none"}),
    "Init": _hand_made(Init=False),
    "Tmpfs": _hand_made(Tmpfs={}),
    labels.MODE: _with_label,
    "Cmd": _with_command,
    "Entrypoint": _with(Entrypoint=["/bin/my", "wrapper of mine", "supervisor"]),
    "Healthcheck": _with(Healthcheck={"Test": ["CMD", "true"], "Interval": 5_000_000_000}),
    "StopTimeout": _with(StopTimeout=1),
    "StopSignal": _with(StopSignal="SIGKILL"),
    "WorkingDir": _with(WorkingDir="/tmp"),
    "Tty": _with(Tty=True),
    "Env DEBUG": _with_variable("DEBUG=1"),
    "Env TRADING_MODE": _with_variable("TRADING_MODE=live"),
    "Env BOTFLEET_BOT_COMMAND": _with_variable("BOTFLEET_BOT_COMMAND=/app/my.py"),
    "Env BOTFLEET_STOP_TIMEOUT": _without_variable("BOTFLEET_STOP_TIMEOUT"),
}


WHOLE = ("Privileged", "Cmd", "Env DEBUG")
"""Of a part of each kind every command is tried."""
LEFT_ALONE = (
    "bp_sol_01: left alone: with container settings that are not its config's;"
    " `manager restart bp_sol_01` makes its container anew"
)


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
    assert LEFT_ALONE in fleet.transcript("plan")
    if name in WHOLE:
        fleet.assert_left_alone("bp_sol_01", LEFT_ALONE)
    assert "bp_sol_01: recreated (with container settings" in fleet.transcript("restart bp_sol_01")
    assert "drifted" not in fleet.transcript("ps")


def test_whose_files_cannot_be_read_is_asked_of_other_settings_too(fleet: Sandbox) -> None:
    fleet.engine.has_readable_files = False
    _make(fleet, HAND_MADE["Privileged"])
    assert "with container settings that are not its config's" in fleet.transcript("plan")
    assert "recreated (with container settings" in fleet.transcript("restart bp_sol_01")


def test_whose_files_cannot_be_read_shows_another_entrypoint_by_the_engine_s_list(fleet: Sandbox) -> None:
    fleet.engine.has_readable_files = False
    _make(fleet, HAND_MADE["Entrypoint"])
    assert "drifted: settings" in fleet.transcript("ps")


@pytest.mark.parametrize(
    "change",
    [
        _with_variable("HTTPS_PROXY=http://proxy.example.org:3128"),
        _with_variable("no_proxy=localhost"),
        _with(Healthcheck={"Test": ["CMD", "/opt/botfleet/healthcheck"], **NANOSECONDS, "Retries": 1}),
        _hand_made(Ulimits=[{"Name": "nofile", "Soft": 65535, "Hard": 65535}]),
        _hand_made(LogConfig=LOG_CONFIG),
    ],
    ids=[
        "the docker command's proxy",
        "in small letters",
        "a health check without StartInterval",
        "default-ulimits of the engine",
        "log-opts of the engine",
    ],
)
def test_what_compose_and_older_engines_make_of_it_is_no_drift(
    fleet: Sandbox, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> None:
    _make(fleet, change)
    assert "drifted" not in fleet.transcript("ps")
    assert "have container settings" not in fleet.transcript("doctor")


@pytest.mark.parametrize("name", ["Entrypoint", "WorkingDir", "Env BOTFLEET_BOT_COMMAND"])
def test_what_an_older_image_gave_to_its_containers_is_no_drift(fleet: Sandbox, name: str) -> None:
    _make(fleet, HAND_MADE[name])
    fleet.new_image()
    assert "drifted: image" in (printed := fleet.transcript("ps"))
    assert "settings" not in printed
    assert "have container settings" not in fleet.transcript("doctor")


def test_an_empty_argument_at_the_end_is_no_drift(sandbox: Sandbox) -> None:
    """The engine's list then shows the command with a blank at its end."""
    config = {"web_port": 5003, "bot_args": ["--exchange", "backpack", "--symbol", "SOL_USDC", "--note", ""]}
    write_config(sandbox.folder, config, "bp_sol_03")
    sandbox.transcript("up bp_sol_03")
    assert sandbox.states() == {"bp_sol_03": "running"}
    assert "drifted" not in sandbox.transcript("ps bp_sol_03")
