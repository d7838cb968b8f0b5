"""A rootless engine on a machine with cgroup v1: what it answered, and what was wrong of what we said.

Its containers are in no cgroup of their own. So instances.json had no pids, `stats` showed the machine's CPU
and memory for each bot, and nothing but `doctor` said that no limit is enforced. And doctor advised
live-restore: the bots then ran on without network while the engine was away, and its next start killed them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from manager.engine import image_build
from manager.errors import EngineError, ManagerError
from manager.fleet import cgroup_folders, host
from manager.monitor.doctor import checks_engine, probe_engine
from manager.monitor.doctor.facts import ClientFacts, Facts, HostFacts
from manager.monitor.stats import columns, instance_stats, usage
from manager.monitor.stats.instance_stats import InstanceStats
from tests.builders import some_figures
from tests.fakes.sandbox import SOL, Sandbox

INFO: dict[str, Any] = {
    "Driver": "overlay2",
    "CgroupDriver": "none",
    "CgroupVersion": "1",
    "MemoryLimit": False,
    "SwapLimit": False,
    "PidsLimit": False,
    "SecurityOptions": ["name=seccomp,profile=default", "name=rootless"],
    "LiveRestoreEnabled": False,
    "Warnings": [
        "WARNING: Running in rootless-mode without cgroups. To enable cgroups in rootless-mode, you need to"
        " boot the system in cgroup v2 mode."
    ],
}
STATISTICS: dict[str, Any] = {
    "pids_stats": {},
    "blkio_stats": {"io_service_bytes_recursive": []},
    "cpu_stats": {"cpu_usage": {"total_usage": 76509499507376}, "online_cpus": 2},
    "networks": {"eth0": {"rx_bytes": 246, "tx_bytes": 1229, "tx_packets": 17}},
    "memory_stats": {"usage": 899395584, "stats": {"total_inactive_file": 422965248}, "limit": 25277444096},
}
"""Of a bot that uses 20 MB."""
CONTAINER, OTHER = "7527cd85" * 8, "d225a184" * 8
CGROUPS = "5:devices:/\n4:memory:/process_api/876c\n2:cpuacct:/\n0::/\n"
SHIM = f"containerd-shim-runc-v2\0-namespace\0moby\0-id\0{CONTAINER}\0-address\0containerd.sock\0"
MOUNTS = """\
30 24 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
31 24 0:27 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct
"""


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """The processes of one container: shim, init, supervisor and bot."""
    for pid, parent, inner, command in (
        (20, 1, "20", SHIM),
        (21, 20, "21\t1", "docker-init\0"),
        (27, 21, "27\t7", f"python3\0supervisor\0--id\0{OTHER}\0"),
        (29, 27, "29\t9", f"python\0run.py\0-id\0{OTHER}\0"),
    ):
        folder = tmp_path / str(pid)
        folder.mkdir()
        (folder / "status").write_text(f"Name:\tx\nPPid:\t{parent}\nNSpid:\t{inner}\nThreads:\t1\n")
        (folder / "cgroup").write_text(CGROUPS)
        (folder / "cmdline").write_text(command)
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "mountinfo").write_text(MOUNTS)
    return tmp_path


def test_a_bots_pid_is_found_by_the_shim_above_it(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert host.host_pids([(CONTAINER, 9), (CONTAINER, 7)], proc=proc) == {
        (CONTAINER, 9): 29,
        (CONTAINER, 7): 27,
    }
    assert host.host_pids([(OTHER, 9), (OTHER, 7)], proc=proc) == {}, "a bot writes its own command line"
    (proc / "20" / "cmdline").unlink()  # the shim has ended
    monkeypatch.setattr(host, "_known", {})
    assert host.host_pids([(CONTAINER, 9)], proc=proc) == {}


def test_the_machines_cgroup_is_not_a_containers(proc: Path) -> None:
    mounts = cgroup_folders.read_mounts(proc)
    assert mounts
    assert cgroup_folders.find_all_folders([CONTAINER], mounts, proc) == {}
    assert cgroup_folders.Finder(proc).find(CONTAINER) is None


def test_the_machines_use_is_not_a_bots() -> None:
    sample = usage.parse_engine_stats(STATISTICS, 1.0)
    assert sample == usage.Sample(1.0, None, None, received=246, sent=1229, packets_sent=17)
    row = InstanceStats(some_figures("a").view, usage.usage_between(sample._replace(at=0.0), sample))
    assert (row.usage and row.usage.cpu, row.usage and row.usage.memory_share) == (None, None)
    assert columns.total_line(instance_stats.sum_up([row])) == "total: 1 running"
    assert {columns.cells([row])[0][name] for name in ("cpu", "memory", "share", "pids", "disk")} == {""}
    known = usage.parse_engine_stats({**STATISTICS, "pids_stats": {"current": 5}}, 1.0)
    assert known is not None
    assert known.memory == 899395584 - 422965248


@pytest.mark.parametrize("has_systemd", [True, False])
def test_doctor_advises_what_helps_there(has_systemd: bool) -> None:
    host_facts = HostFacts(4, 16 << 30, 0.5, True, 0.2, 128, 65536, 4096, 4_000_000, None)
    host_facts = host_facts._replace(has_systemd=has_systemd)
    facts = probe_engine.parse_answers({"Version": "20.10.24", "ApiVersion": "1.41"}, INFO, 0.0)
    client = ClientFacts("unix:///run/user/1000/docker.sock", "2.26.1", "0.13.1", "3.11.2")
    findings = [
        line
        for line in checks_engine.check_all(Facts(client, host_facts, facts, "", None, "", None))
        if line.level != "ok"
    ]
    assert [f"{line.level} {line.check}: {line.text}" for line in findings] == [
        "warn engine: Docker Engine 20.10.24, rootless",
        "fail cgroup: the engine runs without cgroups: no limit is enforced, and what bots use is not known",
        f"warn engine-warning: engine warning: {INFO['Warnings'][0].removeprefix('WARNING: ')}",
    ]
    assert ("loginctl" if has_systemd else "crontab -e") in str(findings[0].remedy)
    assert "cgroup v2" in str(findings[1].remedy)
    with_it = checks_engine.live_restore(facts._replace(live_restore=True), host_facts)
    assert "live-restore keeps no bot of a rootless engine running" in str(with_it.text)
    assert 'set "live-restore": false in ~/.config/docker/daemon.json' in str(with_it.remedy)


def test_up_says_once_that_no_limit_is_enforced(sandbox: Sandbox) -> None:
    sandbox.engine.more_info = {"MemoryLimit": False, "PidsLimit": False}
    sandbox.is_engine_new = True
    warning = "warning: the engine enforces no memory or process limits"
    assert warning in sandbox.transcript("up")
    sandbox.transcript("down")
    assert warning not in sandbox.transcript("up")


def test_a_restart_policy_is_put_back_though_no_limit_can_be_set(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses its own limits too of a container that runs: it has no cgroup to set them in."""
    sandbox.engine.unkept = {"Memory": 0, "MemorySwap": -1, "PidsLimit": 0}
    sandbox.transcript("up")
    update = sandbox.engine.update

    def without_cgroups(container: str, limits: Mapping[str, Any]) -> None:
        if {*limits} != {"RestartPolicy"}:
            raise EngineError("cannot set memory limit: container could not join or create cgroup")
        update(container, limits)

    monkeypatch.setattr(sandbox.engine, "update", without_cgroups)
    sandbox.engine.update(SOL, {"RestartPolicy": {"Name": "no"}})
    assert "drifted: restart policy" in sandbox.transcript("ps")
    assert "bp_sol_01: updated (not with its restart policy" in sandbox.transcript("up")
    assert "drifted" not in sandbox.transcript("ps")


@pytest.mark.parametrize(
    ("environ", "command"),
    [
        ({}, "manager build"),
        ({"DOCKER_HOST": "unix:///var/run/docker.sock"}, "manager build"),
        (
            {"DOCKER_HOST": "unix:///run/user/1000/docker.sock"},
            "DOCKER_HOST=unix:///run/user/1000/docker.sock manager build",
        ),
    ],
)
def test_root_builds_for_the_engine_that_the_user_has(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], command: str
) -> None:
    """Root's own engine got the image, and the user's still had none."""
    monkeypatch.setattr("os.environ", {"HOME": str(sandbox.folder), **environ})
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("shutil.which", lambda _name: None)
    with pytest.raises(ManagerError, match=f"As root, run `{command}` once"):
        image_build._make_base(sandbox.engine, Path(), "")
