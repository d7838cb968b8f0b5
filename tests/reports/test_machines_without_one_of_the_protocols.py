"""Without IPv6, or with IPv6 alone: ports were said to be “in use”, and `serve` ended as a bug."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from typing import Any

import pytest

from manager.errors import ManagerError
from manager.fleet import host
from manager.monitor.doctor import checks_host
from manager.monitor.doctor.facts import HostFacts
from manager.web import keeper
from tests.faults.engines import needs_root
from tests.fleet import ROOT

LOOK = """
from manager.errors import ManagerError
from manager.fleet import host
from manager.monitor.doctor import checks_host, probe_host
from manager.web import keeper
for address in ("127.0.0.1", "::1"):
    try:
        keeper._listening(address, 5001).close()
        listens = True
    except ManagerError as error:
        listens = str(error)
    print(address, host.is_port_free(address, 5001), host.why_unusable(address) or "usable", listens, sep="|")
print([finding.check for finding in checks_host.routes(probe_host.probe())])
"""


def looked(preparation: str) -> list[str]:
    """Return what a manager sees in a network of its own that was prepared by these commands."""
    shell = f"ip link set lo up && {preparation} && exec {sys.executable} -c '{LOOK}'"
    done = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", f"mount -t sysfs s /sys && {shell}"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@needs_root
def test_ipv6_that_is_switched_off() -> None:
    assert looked("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6") == [
        "127.0.0.1|True|usable|True",
        "::1|True|Cannot assign requested address|cannot listen on [::1]:5001: "
        "Cannot assign requested address; choose another with --listen HOST:PORT",
        "[]",
    ]


@needs_root
def test_ipv6_alone() -> None:
    way_out = (
        "ip link add way type veth peer name gate && ip link set gate up && ip link set way up &&"
        " ip address add fd00:b::2/64 dev way && ip -6 route add default via fd00:b::1"
    )
    assert looked(way_out) == ["127.0.0.1|True|usable|True", "::1|True|usable|True", "['routes']"]
    assert (
        looked(f"{way_out} && ip address add 192.0.2.2/24 dev way && ip route add default dev way")[-1]
        == "[]"
    )


def test_a_kernel_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket

    def made(family: int = socket.AF_INET, *arguments: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        return real(family, *arguments)

    monkeypatch.setattr(socket, "socket", made)
    assert host.is_port_free("::1", 5001)
    assert host.why_unusable("::1") == "Address family not supported by protocol"
    with pytest.raises(ManagerError, match=r"cannot listen on \[::1\]:5001: Address family not supported"):
        keeper._listening("::1", 5001)


def test_a_port_that_only_root_may_use_is_not_called_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_socket: socket.socket, _address: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refused)
    assert host.is_port_free("127.0.0.1", 80)


@pytest.mark.parametrize(("ipv4", "ipv6"), [(True, True), (False, False), (True, False), (None, None)])
def test_no_word_of_routes_where_there_are_some_or_none(*, ipv4: bool | None, ipv6: bool | None) -> None:
    facts = HostFacts(1, 1, 0.0, has_ipv4_route=ipv4, has_ipv6_route=ipv6)
    assert [*checks_host.routes(facts)] == []
