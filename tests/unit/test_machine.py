"""The guard itself: what a unit test may not ask of the machine, and what it gets instead."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from pathlib import Path

import pytest
from hypothesis import settings

from manager.engine import endpoint
from manager.fleet import host, time_zone
from tests.unit import machine
from tests.unit.machine import ReadsTheMachine


def test_it_has_an_empty_home_of_its_own(own_home: Path) -> None:
    assert Path.home() == own_home != machine.REAL_HOME
    assert list(own_home.iterdir()) == []
    assert not {
        name for name in os.environ if name.startswith(("PIP_", "LC_", "BOTFLEET_", "SUDO_", "MANAGER_"))
    }


def test_its_zone_is_nobodys() -> None:
    assert time.localtime(0).tm_gmtoff == 20_700
    assert time_zone.time_zone() == "UTC"


def test_no_engine_is_there(own_home: Path) -> None:
    assert endpoint.of(os.environ).socket == f"{own_home}/no-engine.sock"


def test_every_port_is_free_unless_the_test_says_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert host.is_port_free("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize(
    ("family", "verb", "address", "reason"),
    [
        (socket.AF_UNIX, "connect", "/var/run/docker.sock", "connects /"),
        (socket.AF_UNIX, "connect", "/run/user/1000/docker.sock", "connects /run/user/1000/docker.sock"),
        (socket.AF_INET, "bind", ("127.0.0.1", 5001), "binds port 5001"),
        (socket.AF_INET6, "bind", ("::1", 5001), "binds port 5001"),
        (socket.AF_INET, "connect", ("127.0.0.1", 5001), "connects to port 5001"),
        (socket.AF_INET, "connect", ("192.0.2.1", 443), "connects to 192.0.2.1:443"),
    ],
)
def test_sockets_of_the_machine_are_refused(
    family: socket.AddressFamily, verb: str, address: object, reason: str
) -> None:
    with (
        machine.guarded() as touched,
        socket.socket(family) as used,
        pytest.raises(ReadsTheMachine, match=reason),
    ):
        getattr(used, verb)(address)
    assert len(touched) == 1


def test_the_users_settings_are_refused() -> None:
    with machine.guarded() as touched, pytest.raises(ReadsTheMachine):
        (machine.REAL_HOME / ".docker" / "config.json").read_text()
    assert touched == [f"opens {machine.REAL_HOME}/.docker/config.json"]


def test_what_swallows_the_refusal_does_not_hide_it() -> None:
    with machine.guarded() as touched, contextlib.suppress(ReadsTheMachine):
        socket.create_server(("127.0.0.1", 5001)).close()
    assert touched == ["binds port 5001"]


def test_what_a_test_makes_itself_is_allowed(tmp_path: Path) -> None:
    with machine.guarded() as touched:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            socket.create_connection(listening.getsockname()).close()
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(tmp_path / "s"))
    assert touched == []


def test_no_random_case_fails_because_the_machine_is_busy() -> None:
    assert settings().deadline is None
