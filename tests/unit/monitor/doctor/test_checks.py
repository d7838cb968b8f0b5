"""Every verdict of doctor's, as text, of facts that a test makes up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from manager.i18n import Text
from manager.monitor.doctor import (
    checks_engine,
    checks_host,
    checks_project,
    checks_requests,
    checks_supervisors,
)
from manager.monitor.doctor.facts import (
    ClientFacts,
    Disk,
    EgressFacts,
    EngineFacts,
    Facts,
    FleetFacts,
    HostFacts,
    InstanceFacts,
    OwnedPath,
    ProjectFacts,
    RequestLoad,
    RequestRefusal,
    StaleFile,
    WebPort,
)
from manager.monitor.doctor.findings import Finding

GB = 1_000_000_000
ENGINE = EngineFacts(
    "26.1.5", "1.45", "overlay2", "json-file", True, "2", False, 4, 16 * GB, "/var/lib/docker", 0.0
)
CLIENT = ClientFacts("unix:///var/run/docker.sock", "2.26.1", "0.13.1", "3.11.2")
HOST = HostFacts(4, 16 * GB, 0.5, True, 0.2, 128, 65536, 4096, 4_000_000, None)
FILES = ProjectFacts("desk", 3, data=OwnedPath("volumes", 1000, 0o755), bot_uid=1000)
FACTS = Facts(CLIENT, HOST, ENGINE, "", FILES, "", FleetFacts("desk-bot:local", "1"))


def bad(lines: Iterable[Finding]) -> list[str]:
    """`level check: text` of everything that is not ok; each of these has a remedy, and nothing else has
    one.
    """
    findings = list(lines)
    assert all((line.level == "ok") == (line.remedy is None) for line in findings)
    return [f"{line.level} {line.check}: {line.text}" for line in findings if line.level != "ok"]


def test_nothing_is_wrong_where_nothing_is() -> None:
    for check in (checks_engine, checks_host, checks_project):
        assert bad(check.check_all(FACTS)) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"api": "1.24"}, "fail engine: Docker Engine 26.1.5, API 1.24"),
        (
            {"maps_users": True},
            "fail engine: Docker Engine 26.1.5 with userns-remap: no bot can write to its folders",
        ),
        ({"is_rootless": True, "live_restore": False}, "warn engine: Docker Engine 26.1.5, rootless"),
        ({"storage_driver": "vfs"}, "warn storage-driver: storage driver vfs"),
        (
            {"live_restore": False},
            "warn live-restore: live-restore is disabled: bots stop when the engine"
            " stops, including during its upgrades",
        ),
        (
            {"limits_memory": False},
            "fail cgroup: cgroup version 2: memory or process limits are not enforced",
        ),
        (
            {"filters_bridge": False},
            "warn bridge: the kernel does not filter bridge traffic: a bot can reach the other bots' ports",
        ),
        (
            {"clock_offset": -2.0},
            "warn engine-clock: the engine's clock differs by -2.0 s from this machine's",
        ),
        (
            {"clock_offset": 3600.0},
            "fail engine-clock: the engine's clock differs by +3600.0 s from this machine's",
        ),
        (
            {"warnings": ("No swap limit support",)},
            "warn engine-warning: engine warning: No swap limit support",
        ),
    ],
)
def test_engine(changes: dict[str, Any], expected: str) -> None:
    assert bad(checks_engine.check_all(FACTS._replace(engine=ENGINE._replace(**changes)))) == [expected]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"compose": None}, "warn compose: `docker compose` is not installed"),
        ({"compose": "1.29.2"}, "warn compose: Compose 1.29.2"),
        (
            {"buildx": None},
            "warn buildx: no installed docker command can build images; `manager build` needs buildx",
        ),
    ],
)
def test_client(changes: dict[str, Any], expected: str) -> None:
    assert bad(checks_engine.check_all(FACTS._replace(client=CLIENT._replace(**changes)))) == [expected]


def test_without_an_engine_the_rest_is_looked_at() -> None:
    facts = FACTS._replace(engine=None, engine_fault="no Docker Engine answers", fleet=None)
    assert bad(checks_engine.check_all(facts)) == ["fail engine: no Docker Engine answers"]
    assert bad(checks_host.check_all(facts)) == bad(checks_project.check_all(facts)) == []


@pytest.mark.parametrize(
    ("disk", "expected"),
    [
        (Disk("/d", "ext4", 100 * GB, 4 * GB, 1000, 900), ["warn data-disk: /d: 4 GB free of 100 GB"]),
        (Disk("/d", "ext4", 100 * GB, GB // 2, 1000, 900), ["fail data-disk: /d: 500 MB free of 100 GB"]),
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
    assert bad(checks_host.check_all(FACTS._replace(data_disk=disk))) == expected


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        ("ext4", ""),
        ("xfs", ""),
        ("btrfs", ""),
        ("zfs", ""),
        ("nfs4", "SQLite can lose data there"),
        ("cifs", "SQLite can lose data there"),
        ("9p", "SQLite can lose data there"),
        ("vboxsf", "SQLite can lose data there"),
        ("fuse.sshfs", "SQLite can lose data there"),
        ("overlay", "SQLite can lose data there"),
        ("tmpfs", "its content is lost on reboot"),
    ],
)
def test_file_systems(type_: str, expected: str) -> None:
    texts = bad(
        checks_host.check_all(FACTS._replace(database_disks=(Disk("/d", type_, 9 * GB, 9 * GB, 0, 0),)))
    )
    assert len(texts) == bool(expected)
    assert all(expected in text for text in texts)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"is_clock_synchronised": False},
            [
                "warn clock: no time service synchronises the clock: exchanges"
                " reject requests with a wrong time"
            ],
        ),
        ({"is_clock_synchronised": None}, []),
        ({"rtc_offset": 8 * 3600 + 3.0}, []),
        ({"rtc_offset": -300.0}, ["warn hardware-clock: the hardware clock is 300 s off"]),
        ({"load": 9.0}, ["warn load: load 9.0 on 4 cores"]),
        ({"inotify_watches": 100}, ["warn kernel: kernel limits are too low for 3 instances"]),
        ({"max_pids": 32}, ["warn kernel: kernel limits are too low for 3 instances"]),
        ({"open_files": 256}, ["warn ulimit: this user's nofile limit is 256"]),
        ({"max_user_processes": 20}, ["warn ulimit: this user's nproc limit is 20"]),
    ],
)
def test_machine(changes: dict[str, Any], expected: list[str]) -> None:
    assert bad(checks_host.check_all(FACTS._replace(host=HOST._replace(**changes)))) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"memory_limits": 17 * GB},
            ["warn memory-limits: memory limits: 16212 MiB for 3 instances; the machine has 15259 MiB"],
        ),
        (
            {"cpu_limits": 17.0},
            ["warn cpu-limits: CPU limits: 17.0 cores for 3 instances; the machine has 4"],
        ),
    ],
)
def test_limits_together(changes: dict[str, Any], expected: list[str]) -> None:
    assert bad(checks_host.check_all(FACTS._replace(files=FILES._replace(**changes)))) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"problems": ("a.json: bad", "b.json: bad")},
            ["fail configs: a.json: bad", "fail configs: b.json: bad"],
        ),
        ({"configs": 0}, ["warn configs: no configs found"]),
        ({"ports": (WebPort("a", 5001, True, False), WebPort("b", 5002, False, True))}, []),
        (
            {"ports": (WebPort("a", 5001, False, False),)},
            ["fail ports: a: port 5001 is in use by another program"],
        ),
        ({"data": OwnedPath("volumes", 1000, 0o777)}, ["warn owners: volumes is world-writable"]),
        (
            {"databases": (OwnedPath("volumes/database/a", 0, 0o755),)},
            ["warn owners: volumes/database/a belongs to uid 0, but the bots run as uid 1000"],
        ),
        ({"dotenv": OwnedPath(".env", 1000, 0o644)}, ["warn dotenv: .env is readable by other users"]),
        ({"dotenv": OwnedPath(".env", 1000, 0o600)}, []),
        (
            {"unlimited": ("config_variables", "variables")},
            [
                "warn variables: config_variables in config/fleet.toml fits every name: each config may give "
                "its bot every variable of .env, whosever secret it is",
                "warn variables: variables in config/fleet.toml fits every name: every bot is given all "
                "variables of .env and of the manager's environment",
            ],
        ),
        (
            {"secrets": (OwnedPath("s", 1000, 0o700), OwnedPath("s/env.json", 1000, 0o440))},
            ["fail secrets: s/env.json is readable by other users (mode 0440)"],
        ),
        ({"lock_held_by": "`manager up` (7)", "lock_held_s": 5.0}, []),
        (
            {"lock_held_by": "`manager up` (7)", "lock_held_s": 1800.0},
            ["warn lock: `manager up` (7) has held the fleet's lock for 30m"],
        ),
        (
            {"stale": (StaleFile("staged", "volumes/secrets/a/.env.next.json", 1000),)},
            ["warn stale: volumes/secrets/a/.env.next.json: unused env file that contains credentials, 1 kB"],
        ),
        (
            {"stale": (StaleFile("interrupted", "d/.restoring-a", 5_000_000),)},
            ["warn stale: d/.restoring-a: interrupted restore, 5 MB"],
        ),
    ],
)
def test_files(changes: dict[str, Any], expected: list[str]) -> None:
    assert bad(checks_project.check_all(FACTS._replace(files=FILES._replace(**changes)))) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"image_contract": None}, ["fail image: image desk-bot:local does not exist"]),
        (
            {"image_contract": ""},
            ["fail image: image desk-bot:local does not contain the botfleet supervisor"],
        ),
        (
            {"image_contract": "99"},
            [
                "fail image: image desk-bot:local uses contract version 99, which this"
                " manager does not support"
            ],
        ),
        ({"instances": (InstanceFacts("a", "running", ""),)}, []),
        (
            {"instances": (InstanceFacts("a", "failed", "exit code 3"),)},
            ["warn instances: a is failed: exit code 3"],
        ),
        ({"instances": (InstanceFacts("a", "stopped", "container exit code 0"),)}, []),
        (
            {
                "instances": (
                    InstanceFacts("a", "stopped", "container exit code 137", exited_unexpectedly=True),
                )
            },
            ["warn instances: a was stopped, but not by the manager: container exit code 137"],
        ),
        (
            {"instances": (InstanceFacts("a", "restarting", "SIGKILL"),)},
            ["warn instances: a is restarting: SIGKILL"],
        ),
        (
            {"instances": (InstanceFacts("a", "running", "", ("config", "image")),)},
            ["warn drift: a: differ from their configs", "warn image-drift: a: run an older image"],
        ),
        ({"orphans": ("a", "b")}, ["warn orphans: a, b: have no config"]),
        (
            {"unexpected": ("desk-a-2",)},
            ["warn strays: desk-a-2: unexpected containers with the labels of an instance"],
        ),
        ({"foreign": ("of another folder",)}, ["fail foreign: of another folder"]),
        ({"old_daemon": ("a is run by process 7",)}, ["fail old-daemon: a is run by process 7"]),
        ({"egress": EgressFacts(is_in_force=True)}, []),
        (
            {"egress": EgressFacts(is_in_force=False, why="no root")},
            ["fail egress: [container] egress is not in force: no root"],
        ),
    ],
)
def test_fleet(changes: dict[str, Any], expected: list[str]) -> None:
    fleet = FleetFacts("desk-bot:local", "1")._replace(**changes)
    assert bad(checks_project.check_all(FACTS._replace(fleet=fleet))) == expected


ALL_OLD = frozenset({"anchor_pid", "cancel", "condition"})
HALT = "does not check for a halt itself"
OUTAGE = "restarts its bot while the exchange is away, and counts these restarts"
REPORT = "does not keep the bot's last report"
ORDERS = "does not cancel the open orders of a failed bot"
PID = "gives instances.json a pid that changes with each restart of the bot"


@pytest.mark.parametrize(
    ("instances", "expected"),
    [
        ([InstanceFacts("a", "running", "", mode="live")], []),
        (
            [
                InstanceFacts("a", "running", "", ("image",), mode="live", supervisor_lacks=ALL_OLD),
                InstanceFacts("b", "stopped", "", ("image",), supervisor_lacks=ALL_OLD),
                InstanceFacts("c", "running", "", ("image",), supervisor_lacks=ALL_OLD),
            ],
            [
                f"a: older supervisor: {HALT}; {OUTAGE}; {REPORT}; {ORDERS}; {PID} → run `manager upgrade`",
                f"b, c: older supervisor: {HALT}; {OUTAGE}; {REPORT}; {PID} → run `manager upgrade`",
            ],
        ),
        (
            [InstanceFacts("a", "running", "", supervisor_lacks=frozenset({"anchor_pid"}))],
            [f"a: older supervisor: {PID} → rebuild the image (`manager build`), then run `manager upgrade`"],
        ),
    ],
)
def test_what_older_supervisors_lack(instances: list[InstanceFacts], expected: list[str]) -> None:
    facts = FleetFacts("desk-bot:local", "1", tuple(instances))
    findings = checks_supervisors.check_all(facts)
    assert [f"{finding.text} → {finding.remedy}" for finding in findings] == expected


def test_what_cannot_be_read_is_one_line() -> None:
    facts = FACTS._replace(files=None, project_fault="config/fleet.toml: name: must match", fleet=None)
    assert bad(checks_project.check_all(facts)) == ["fail configs: config/fleet.toml: name: must match"]
    assert bad(checks_host.check_all(facts)) == []


def test_a_package_that_is_missing() -> None:
    facts = FACTS._replace(client=CLIENT._replace(missing_packages=("docker",)))
    assert bad(checks_project.check_all(facts)) == ["fail python: Python 3.11.2; missing: docker"]
    in_checkout = next(checks_project.check_all(facts))
    from_wheel = next(
        checks_project.check_all(facts._replace(client=facts.client._replace(is_from_wheel=True)))
    )
    assert "make clean" in str(in_checkout.remedy)
    assert "pipx reinstall" in str(from_wheel.remedy)


def test_who_is_refused_and_who_sends_most() -> None:
    refused = RequestRefusal(
        "aster", ("a", "b"), Text("probably because of c"), (Text("sent:"), Text("c: 9"))
    )
    (finding,) = checks_requests.refusals([refused])
    assert finding.level == "warn"
    assert str(finding.text) == (
        "aster refuses requests of a, b: there were too many; probably because of c sent: c: 9"
    )
    (unknown,) = checks_requests.refusals([RequestRefusal("aster", ("a",))])
    assert str(unknown.text) == "aster refuses requests of a: there were too many"
    assert list(checks_requests.refusals([])) == []


def test_the_request_limits() -> None:
    loads = [RequestLoad("aster", used, Text("aster")) for used in (0.1, 0.8, 1.0, 1.01)]
    assert [finding.level for finding in checks_requests.check_all(loads)] == ["ok", "warn", "warn", "fail"]
