"""What a container uses, read from its cgroup's files: every layout the kernel and the engine have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from manager.fleet import cgroup_folders
from manager.monitor.stats import cgroups
from manager.monitor.stats.usage import Sample

CONTAINER = "e35877b9b1cf58c28caa51ca1336811815c4981597987f94bc3cb293cb65c320"
PID = 12983
MIB = 1 << 20

V1_FILES = {
    "cpuacct/cpuacct.usage": "71902439\n",
    "memory/memory.usage_in_bytes": "9818112\n",
    "memory/memory.limit_in_bytes": "67108864\n",
    "memory/memory.stat": "cache 8192\nrss 8941568\ninactive_file 1\ntotal_inactive_file 4096\n",
    "pids/pids.current": "3\n",
    "blkio/blkio.throttle.io_service_bytes_recursive": (
        "8:0 Read 4096\n8:0 Write 8192\n8:0 Total 12288\n8:16 Read 1\n8:16 Write 2\nTotal 12291\n"
    ),
}
V2_FILES = {
    "cpu.stat": "usage_usec 71902\nuser_usec 60000\nsystem_usec 11902\n",
    "memory.current": "9818112\n",
    "memory.max": "67108864\n",
    "memory.stat": "anon 8941568\nfile 8192\ninactive_file 4096\nactive_file 4096\n",
    "pids.current": "3\n",
    "io.stat": "8:0 rbytes=4096 wbytes=8192 rios=1 wios=2\n8:16 rbytes=1 wbytes=2 rios=1 wios=1\n",
}
NETWORK = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     702      10    0    0    0     0          0         0      702      10    0    0    0     0       0          0
  eth0:    1223      19    0    0    0     0          0         0      534       7    0    0    0     0       0          0
"""  # noqa: E501 - as the kernel writes it
V1_NAMES = ("name=systemd", "pids", "blkio", "memory", "cpu,cpuacct")


class Machine:
    """A /proc and a /sys/fs/cgroup with one container in them."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder / "proc"
        self.sys = folder / "sys"
        self._mounts = ["22 1 0:20 / /proc rw - proc proc rw"]
        self._paths: list[str] = []

    def with_v1(self, path: str, *, root: str = "/") -> Machine:
        for name in V1_NAMES:
            at = self.sys / name.removeprefix("name=")
            self._mounts.append(f"30 24 0:26 {root} {at} rw,relatime shared:9 - cgroup cgroup rw,{name}")
            self._paths.append(f"{len(self._paths) + 1}:{name}:{path}")
        for file, content in V1_FILES.items():
            controller, _slash, leaf = file.partition("/")
            folder = "cpu,cpuacct" if controller == "cpuacct" else controller
            self.write(self.sys / folder / path.removeprefix(root).lstrip("/") / leaf, content)
        return self

    def with_v2(self, path: str, files: Mapping[str, str] = V2_FILES, at: str = "") -> Machine:
        self._mounts.append(f"30 24 0:26 / {self.sys / at} rw,relatime - cgroup2 cgroup2 rw,nsdelegate")
        self._paths.append(f"0::{path}")
        for leaf, content in files.items():
            self.write(self.sys / at / path.lstrip("/") / leaf, content)
        return self

    def sampled(self) -> Sample | None:
        """What the container has used, found from nothing but its id."""
        self.write(self.proc / "self/mountinfo", "\n".join(self._mounts) + "\n")
        process = self.proc / str(PID)
        self.write(process / "status", f"Name:\tdocker-init\nNSpid:\t{PID}\t1\nThreads:\t1\n")
        self.write(process / "cgroup", "\n".join(self._paths) + "\n")
        self.write(process / "net/dev", NETWORK)
        folders = cgroup_folders.find_all_folders(
            [CONTAINER], cgroup_folders.read_mounts(self.proc), self.proc
        )
        return cgroups.take_sample(folders[CONTAINER], self.proc) if folders else None

    @staticmethod
    def write(path: Path, content: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def require_whole(sample: Sample | None) -> None:
    assert sample is not None
    assert sample.cpu_s == pytest.approx(0.0719024, abs=1e-6)
    assert (sample.memory, sample.memory_limit, sample.pids) == (9818112 - 4096, 64 * MIB, 3)
    assert (sample.received, sample.sent, sample.packets_sent) == (1223, 534, 7)
    assert (sample.read, sample.written) == (4097, 8194)


@pytest.mark.parametrize("path", [f"/docker/{CONTAINER}", f"/system.slice/docker-{CONTAINER}.scope"])
def test_version_1_with_either_driver(machine: Machine, path: str) -> None:
    require_whole(machine.with_v1(path).sampled())


@pytest.mark.parametrize("path", [f"/docker/{CONTAINER}", f"/system.slice/docker-{CONTAINER}.scope"])
def test_version_2_with_either_driver(machine: Machine, path: str) -> None:
    require_whole(machine.with_v2(path).sampled())


def test_the_hybrid_has_its_figures_in_version_1(machine: Machine) -> None:
    path = f"/docker/{CONTAINER}"
    require_whole(machine.with_v1(path).with_v2(path, {"cgroup.procs": f"{PID}\n"}, at="unified").sampled())


def test_a_hierarchy_that_is_mounted_from_further_down(machine: Machine) -> None:
    require_whole(machine.with_v1(f"/machine/one/docker/{CONTAINER}", root="/machine/one").sampled())


def test_a_container_above_what_is_mounted_is_out_of_sight(machine: Machine) -> None:
    assert machine.with_v1(f"/docker/{CONTAINER}", root="/machine/one").sampled() is None


def test_no_limit_is_none(machine: Machine, tmp_path: Path) -> None:
    sample = machine.with_v2(f"/docker/{CONTAINER}", {**V2_FILES, "memory.max": "max\n"}).sampled()
    assert sample is not None
    assert sample.memory_limit is None
    other = Machine(tmp_path / "other").with_v1(f"/docker/{CONTAINER}")
    other.write(other.sys / f"memory/docker/{CONTAINER}/memory.limit_in_bytes", "9223372036854771712\n")
    sample = other.sampled()
    assert sample is not None
    assert sample.memory_limit is None


def test_what_cannot_be_read_is_not_known_rather_than_nothing(machine: Machine) -> None:
    files = {name: V2_FILES[name] for name in ("cpu.stat", "memory.current")}
    sample = machine.with_v2(f"/docker/{CONTAINER}", files).sampled()
    assert sample is not None
    assert (sample.memory, sample.memory_limit, sample.pids) == (9818112, None, None)


def test_a_container_that_is_gone_has_no_sample(machine: Machine) -> None:
    assert machine.with_v2(f"/docker/{CONTAINER}", {}).sampled() is None


def test_a_machine_without_cgroups(tmp_path: Path) -> None:
    assert cgroup_folders.read_mounts(tmp_path) == {}
    assert cgroup_folders.find_all_folders([CONTAINER], {}, tmp_path) == {}


def test_a_space_in_a_mount_point(tmp_path: Path) -> None:
    Machine.write(tmp_path / "self/mountinfo", r"30 24 0:26 / /größe\040x rw - cgroup2 cgroup2 rw" + "\n")
    assert cgroup_folders.read_mounts(tmp_path)[cgroup_folders.UNIFIED].at == "/größe x"
