"""Engines that nobody here has: their `info` as documentation shows it, written down by us, not recorded.

So what is held here is that each is told apart and answered in one line, and not that bots run there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from manager.monitor.doctor import checks_engine, probe_engine
from tests.fakes.sandbox import Sandbox

COMMON = {
    "ID": "7TRN:IPZB",
    "Driver": "overlay2",
    "LoggingDriver": "json-file",
    "LiveRestoreEnabled": True,
    "MemoryLimit": True,
    "PidsLimit": True,
    "BridgeNfIptables": True,
    "NCPU": 4,
    "MemTotal": 8 << 30,
}
SELINUX = {
    **COMMON,
    "OperatingSystem": "Fedora Linux 40 (Server Edition)",
    "CgroupDriver": "systemd",
    "CgroupVersion": "2",
    "SecurityOptions": ["name=seccomp,profile=builtin", "name=selinux", "name=cgroupns"],
}
DESKTOP = {
    **COMMON,
    "OperatingSystem": "Docker Desktop",
    "Driver": "overlayfs",
    "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
    "CgroupVersion": "2",
    "Labels": ["com.docker.desktop.address=unix:///home/u/.docker/desktop/docker-cli.sock"],
    "SecurityOptions": ["name=seccomp,profile=unconfined", "name=cgroupns"],
}
CGROUP_V2 = {
    **COMMON,
    "OperatingSystem": "Ubuntu 24.04.1 LTS",
    "CgroupDriver": "systemd",
    "CgroupVersion": "2",
    "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"],
}
ROOTLESS_V2 = {
    **CGROUP_V2,
    "MemoryLimit": False,
    "PidsLimit": False,
    "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless", "name=cgroupns"],
}
IMAGE_STORE = {
    **CGROUP_V2,
    "Driver": "overlayfs",
    "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
}
PODMAN = {
    **COMMON,
    "OperatingSystem": "fedora",
    "Driver": "overlay",
    "CgroupVersion": "2",
    "SecurityOptions": ["name=seccomp,profile=default", "name=rootless", "name=selinux"],
}
USERNS = {
    **COMMON,
    "OperatingSystem": "Debian GNU/Linux 12 (bookworm)",
    "CgroupVersion": "2",
    "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns", "name=userns"],
}


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (CGROUP_V2, []),
        (SELINUX, ["warn engine: Docker Engine 27.3.1 with SELinux, on which botfleet is not tested"]),
        (
            DESKTOP,
            ["warn engine: Docker Engine 27.3.1 of Docker Desktop, on which botfleet is not tested"],
        ),
        (
            ROOTLESS_V2,
            [
                "warn engine: Docker Engine 27.3.1, rootless",
                "fail cgroup: cgroup version 2: memory or process limits are not enforced",
            ],
        ),
        (
            USERNS,
            ["fail engine: Docker Engine 27.3.1 with userns-remap: no bot can write to its folders"],
        ),
    ],
    ids=["cgroup v2", "selinux", "docker desktop", "rootless without delegation", "userns-remap"],
)
def test_each_kind_is_named_in_one_line(info: Mapping[str, Any], expected: list[str]) -> None:
    facts = probe_engine.parse_answers({"Version": "27.3.1", "ApiVersion": "1.47"}, info, 0.0)
    findings = [checks_engine.version(facts), checks_engine.storage(facts), checks_engine.limits(facts)]
    assert [f"{line.level} {line.check}: {line.text}" for line in findings if line.level != "ok"] == expected


@pytest.mark.parametrize(
    ("version", "api", "info", "level"),
    [
        ("19.03.15", "1.40", COMMON, "fail"),
        ("20.10.24", "1.41", COMMON, "ok"),
        ("23.0.6", "1.42", CGROUP_V2, "ok"),
        ("24.0.9", "1.43", CGROUP_V2, "ok"),
        ("25.0.8", "1.44", CGROUP_V2, "ok"),
        ("26.1.5", "1.45", CGROUP_V2, "ok"),
        ("28.5.2", "1.51", IMAGE_STORE, "ok"),
        ("29.0.0", "1.52", IMAGE_STORE, "ok"),
        ("dev", "1.100", IMAGE_STORE, "ok"),
        ("?", "", COMMON, "fail"),
    ],
)
def test_engines_before_20_10_are_refused_and_later_ones_are_not(
    version: str, api: str, info: Mapping[str, Any], level: str
) -> None:
    facts = probe_engine.parse_answers({"Version": version, "ApiVersion": api}, info, 0.0)
    assert (checks_engine.version(facts).level, checks_engine.storage(facts).level) == (level, "ok")


def test_podman_is_called_by_its_name() -> None:
    """Its socket speaks the engine's API, with a version of its own that is no Docker Engine's."""
    version = {
        "Components": [
            {"Name": "Podman Engine", "Version": "5.2.2"},
            {"Name": "Conmon", "Version": "2.1.12"},
        ],
        "Version": "5.2.2",
        "ApiVersion": "1.41",
        "MinAPIVersion": "1.24",
    }
    finding = checks_engine.version(probe_engine.parse_answers(version, PODMAN, 0.0))
    assert f"{finding.level}: {finding.text}" == "warn: Podman 5.2.2, on which botfleet is not tested"


def test_an_engine_that_lists_no_containers_is_no_good_one(sandbox: Sandbox) -> None:
    """`doctor` left out all that concerns the fleet, and found no failure."""
    sandbox.engine.before("containers", lambda: sandbox.engine.die("its answer cannot be read"))
    printed = sandbox.transcript("doctor")
    assert "  fail  " in printed
    assert "its answer cannot be read" in printed
    assert sandbox.exit_code == 5
