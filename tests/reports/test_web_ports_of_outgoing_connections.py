"""A web port among those that the kernel gives to outgoing connections is taken now and then at a start."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.fleet import host
from tests.fakes.sandbox import Sandbox

WARNING = (
    "config/active/bp_sol_01.json: daemon_config.web_port: the kernel gives 40001 to outgoing connections too"
)


@pytest.fixture
def ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The kernel's settings of a usual machine."""
    folder = tmp_path / "ports"
    folder.mkdir()
    (folder / "ip_local_port_range").write_text("32768\t60999\n")
    (folder / "ip_local_reserved_ports").write_text("\n")
    monkeypatch.setattr(host, "PORTS", folder)
    return folder


def test_it_is_warned_about_where_it_is_asked_for(sandbox: Sandbox, ports: Path) -> None:
    assert WARNING not in sandbox.transcript("up")
    sandbox.config("bp_sol_01", 40001)
    assert WARNING in sandbox.transcript("up")
    assert WARNING in sandbox.transcript("config --check")
    assert WARNING not in sandbox.transcript("up bp_eth_02")


@pytest.mark.parametrize("reserved", ["40001", "8080,40000-40010", "40001-40001,50000"])
def test_a_port_that_was_reserved_for_it_is_well_chosen(sandbox: Sandbox, ports: Path, reserved: str) -> None:
    (ports / "ip_local_reserved_ports").write_text(f"{reserved}\n")
    sandbox.config("bp_sol_01", 40001)
    assert WARNING not in sandbox.transcript("up")


def test_a_machine_that_does_not_say_warns_of_nothing(sandbox: Sandbox, ports: Path) -> None:
    (ports / "ip_local_port_range").unlink()
    sandbox.config("bp_sol_01", 40001)
    assert WARNING not in sandbox.transcript("up")
