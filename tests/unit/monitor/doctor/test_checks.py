"""Every verdict of doctor's, as text, of facts that a test makes up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from manager.monitor.doctor import checks_engine, checks_host, checks_project
from manager.monitor.doctor.facts import (
    Client,
    Disk,
    Engine,
    Facts,
    Files,
    Fleet,
    Host,
    Instance,
    Owned,
    Port,
    Stale,
)
from manager.monitor.doctor.findings import Line

GB = 1_000_000_000
ENGINE = Engine(
    "26.1.5", "1.45", "overlay2", "json-file", True, "2", False, 4, 16 * GB, "/var/lib/docker", 0.0
)
CLIENT = Client("unix:///var/run/docker.sock", "2.26.1", "0.13.1", "3.11.2")
HOST = Host(4, 16 * GB, 0.5, True, 0.2, 128, 65536, 4096, 4_000_000, None)
FILES = Files("desk", 3, data=Owned("volumes", 1000, 0o755), bot_uid=1000)
FACTS = Facts(CLIENT, HOST, ENGINE, "", FILES, "", Fleet("desk-bot:local", "1"))


def bad(lines: Iterable[Line]) -> list[str]:
    """`level check: text` of everything that is not ok; each of these has a remedy, and nothing else has one."""
    found = list(lines)
    assert all((line.level == "ok") == (line.remedy is None) for line in found)
    return [f"{line.level} {line.check}: {line.text}" for line in found if line.level != "ok"]


def test_nothing_is_wrong_where_nothing_is() -> None:
    for check in (checks_engine, checks_host, checks_project):
        assert bad(check.lines(FACTS)) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"api": "1.24"}, "fail engine: Docker Engine 26.1.5, API 1.24"),
        ({"is_rootless": True}, "warn engine: Docker Engine 26.1.5, rootless"),
        ({"storage_driver": "vfs"}, "warn storage-driver: storage driver vfs"),
        ({"live_restore": False}, "warn live-restore: live-restore is off: bots end with the engine, at each upgrade of it too"),
        ({"limits_memory": False}, "fail cgroup: cgroup version 2: limits of memory or processes are not enforced"),
        ({"filters_bridge": False}, "warn bridge: the kernel does not filter bridges: a bot can reach the other bots' ports"),
        ({"clock_offset": -2.0}, "warn engine-clock: the engine's clock is -2.0 s from this one"),
        ({"clock_offset": 3600.0}, "fail engine-clock: the engine's clock is +3600.0 s from this one"),
        ({"warnings": ("No swap limit support",)}, "warn engine-warning: the engine warns: No swap limit support"),
    ],
)  # fmt: skip
def test_engine(changes: dict[str, Any], expected: str) -> None:
    assert bad(checks_engine.lines(FACTS._replace(engine=ENGINE._replace(**changes)))) == [expected]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"compose": None}, "warn compose: there is no `docker compose`"),
        ({"compose": "1.29.2"}, "warn compose: Compose 1.29.2"),
        (
            {"buildx": None},
            "warn buildx: no docker command here can build images: `manager build` needs buildx",
        ),
    ],
)
def test_client(changes: dict[str, Any], expected: str) -> None:
    assert bad(checks_engine.lines(FACTS._replace(client=CLIENT._replace(**changes)))) == [expected]


def test_without_an_engine_the_rest_is_looked_at() -> None:
    facts = FACTS._replace(engine=None, engine_fault="no Docker Engine answers", fleet=None)
    assert bad(checks_engine.lines(facts)) == ["fail engine: no Docker Engine answers"]
    assert bad(checks_host.lines(facts)) == bad(checks_project.lines(facts)) == []


@pytest.mark.parametrize(
    ("disk", "expected"),
    [
        (Disk("/d", "ext4", 100 * GB, 4 * GB, 1000, 900), ["warn data-disk: /d: 4.0 GB free of 100.0 GB"]),
        (Disk("/d", "ext4", 100 * GB, GB // 2, 1000, 900), ["fail data-disk: /d: 0.5 GB free of 100.0 GB"]),
        (Disk("/d", "ext4", 10_000 * GB, 200 * GB, 1000, 900), []),
        (Disk("/d", "ext4", 2 * GB, GB, 1000, 900), []),
        (
            Disk("/d", "ext4", 100 * GB, 50 * GB, 1000, 9),
            ["warn data-disk-inodes: /d: 9 of 1000 inodes free"],
        ),
        (Disk("/d", "btrfs", 100 * GB, 50 * GB, 0, 0), []),
    ],
)
def test_disks(disk: Disk, expected: list[str]) -> None:
    assert bad(checks_host.lines(FACTS._replace(data_disk=disk))) == expected


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        ("ext4", ""), ("xfs", ""), ("btrfs", ""), ("zfs", ""),
        ("nfs4", "SQLite can lose data there"), ("cifs", "SQLite can lose data there"), ("9p", "SQLite can lose data there"),
        ("vboxsf", "SQLite can lose data there"), ("fuse.sshfs", "SQLite can lose data there"),
        ("overlay", "SQLite can lose data there"), ("tmpfs", "all is lost with a reboot"),
    ],
)  # fmt: skip
def test_file_systems(type_: str, expected: str) -> None:
    found = bad(checks_host.lines(FACTS._replace(database_disks=(Disk("/d", type_, 9 * GB, 9 * GB, 0, 0),))))
    assert len(found) == bool(expected)
    assert all(expected in text for text in found)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"is_clock_synchronised": False}, ["warn clock: nothing keeps this machine's clock right: exchanges refuse requests whose time is off"]),
        ({"is_clock_synchronised": None}, []),
        ({"rtc_offset": 8 * 3600 + 3.0}, []),
        ({"rtc_offset": -300.0}, ["warn hardware-clock: the hardware clock is 300 s off"]),
        ({"load": 9.0}, ["warn load: load 9.0 on 4 cores"]),
        ({"inotify_watches": 100}, ["warn kernel: limits of the kernel are low for 3 instances"]),
        ({"max_pids": 32}, ["warn kernel: limits of the kernel are low for 3 instances"]),
        ({"open_files": 256}, ["warn ulimit: this user's limit nofile is 256"]),
        ({"max_user_processes": 20}, ["warn ulimit: this user's limit nproc is 20"]),
    ],
)  # fmt: skip
def test_machine(changes: dict[str, Any], expected: list[str]) -> None:
    assert bad(checks_host.lines(FACTS._replace(host=HOST._replace(**changes)))) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"memory_limits": 17 * GB},
            ["warn memory-limits: memory limits: 17.0 GB for 3 instances, of 16.0 GB"],
        ),
        ({"cpu_limits": 17.0}, ["warn cpu-limits: CPU limits: 17.0 cores for 3 instances, of 4"]),
    ],
)
def test_limits_together(changes: dict[str, Any], expected: list[str]) -> None:
    assert bad(checks_host.lines(FACTS._replace(files=FILES._replace(**changes)))) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"problems": ("a.json: bad", "b.json: bad")}, ["fail configs: a.json: bad", "fail configs: b.json: bad"]),
        ({"configs": 0}, ["warn configs: there is no config"]),
        ({"ports": (Port("a", 5001, True, False), Port("b", 5002, False, True))}, []),
        ({"ports": (Port("a", 5001, False, False),)}, ["fail ports: a: another program has port 5001"]),
        ({"data": Owned("volumes", 1000, 0o777)}, ["warn owners: volumes is writable by everybody"]),
        ({"databases": (Owned("volumes/database/a", 0, 0o755),)},
         ["warn owners: volumes/database/a belongs to uid 0, the bots run as 1000"]),
        ({"dotenv": Owned(".env", 1000, 0o644)}, ["warn dotenv: .env can be read by others"]),
        ({"dotenv": Owned(".env", 1000, 0o600)}, []),
        ({"secrets": (Owned("s", 1000, 0o700), Owned("s/env.json", 1000, 0o440))},
         ["fail secrets: s/env.json can be read by others (mode 0440)"]),
        ({"lock_held_by": "`manager up` (7)", "lock_held_s": 5.0}, []),
        ({"lock_held_by": "`manager up` (7)", "lock_held_s": 1800.0},
         ["warn lock: `manager up` (7) has held the fleet's lock for 30 min"]),
        ({"stale": (Stale("staged", "volumes/secrets/a/.env.next.json", 1000),)},
         ["warn stale: volumes/secrets/a/.env.next.json: an env file that was never put to use, 0.0 MB; it holds credentials"]),
        ({"stale": (Stale("interrupted", "d/.restoring-a", 5_000_000),)},
         ["warn stale: d/.restoring-a: a restore that was interrupted, 5.0 MB"]),
    ],
)  # fmt: skip
def test_files(changes: dict[str, Any], expected: list[str]) -> None:
    assert bad(checks_project.lines(FACTS._replace(files=FILES._replace(**changes)))) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"image_contract": None}, ["fail image: the image desk-bot:local is not there"]),
        ({"image_contract": ""}, ["fail image: the image desk-bot:local has no botfleet supervisor"]),
        ({"image_contract": "99"}, ["fail image: the image desk-bot:local keeps contract 99, which this manager does not know"]),
        ({"instances": (Instance("a", "running", ""),)}, []),
        ({"instances": (Instance("a", "failed", "exit code 3"),)}, ["warn instances: a is failed: exit code 3"]),
        ({"instances": (Instance("a", "stopped", "container exit code 0"),)}, []),
        ({"instances": (Instance("a", "stopped", "container exit code 137", has_fallen=True),)},
         ["warn instances: a is stopped: container exit code 137"]),
        ({"instances": (Instance("a", "restarting", "SIGKILL"),)}, ["warn instances: a is restarting: SIGKILL"]),
        ({"instances": (Instance("a", "running", "", ("config", "image")),)},
         ["warn drift: a: differ from their configs", "warn image-drift: a: run an older image"]),
        ({"orphans": ("a", "b")}, ["warn orphans: a, b: no config names them"]),
        ({"strays": ("desk-a-2",)}, ["warn strays: desk-a-2: bear the labels of an instance and are not its container"]),
        ({"foreign": ("of another folder",)}, ["fail foreign: of another folder"]),
        ({"old_daemon": ("a is run by process 7",)}, ["fail old-daemon: a is run by process 7"]),
    ],
)  # fmt: skip
def test_fleet(changes: dict[str, Any], expected: list[str]) -> None:
    fleet = Fleet("desk-bot:local", "1")._replace(**changes)
    assert bad(checks_project.lines(FACTS._replace(fleet=fleet))) == expected


def test_what_cannot_be_read_is_one_line() -> None:
    facts = FACTS._replace(files=None, project_fault="config/fleet.toml: name: must match", fleet=None)
    assert bad(checks_project.lines(facts)) == ["fail configs: config/fleet.toml: name: must match"]
    assert bad(checks_host.lines(facts)) == []


def test_a_package_that_is_missing() -> None:
    facts = FACTS._replace(client=CLIENT._replace(missing_packages=("docker",)))
    assert bad(checks_project.lines(facts)) == ["fail python: Python 3.11.2; missing: docker"]
