import socket
from pathlib import Path

import pytest

from supervisor import host

ID = "3f0c" * 16
OTHER = "ab12" * 16


def mountinfo(root: str, point: str = "/etc/hostname") -> str:
    return f"1 2 8:1 / / rw - ext4 /dev/sda rw\n3 1 8:1 {root} {point} rw,relatime - ext4 /dev/sda1 rw\n"


@pytest.mark.parametrize(
    ("mounts", "cgroup", "container"),
    [
        (mountinfo(f"/var/lib/docker/containers/{ID}/hostname"), "", ID),
        (mountinfo(f"/docker/containers/{ID}/hostname"), f"0::/docker/{OTHER}\n", ID),
        (mountinfo(f"/var/lib/containers/storage/overlay-containers/{ID}/userdata/hostname"), "", ID),
        (mountinfo(f"/var/lib/docker/containers/{OTHER}/x", "/app/logs"), f"5:memory:/docker/{ID}\n", ID),
        (mountinfo("/hostname"), f"0::/system.slice/docker-{ID}.scope\n", ID),
        (mountinfo("/hostname"), f"0::/{ID}ab\n", None),
        ("", "0::/\n", None),
        (None, None, None),
    ],
)
def test_container_id(tmp_path: Path, mounts: str | None, cgroup: str | None, container: str | None) -> None:
    if mounts is not None:
        (tmp_path / "mountinfo").write_text(mounts)
    if cgroup is not None:
        (tmp_path / "cgroup").write_text(cgroup)
    assert host.container_id(str(tmp_path)) == (container or socket.gethostname())


def test_oom_kills_of_both_cgroup_versions(tmp_path: Path) -> None:
    assert host.oom_kills(str(tmp_path)) is None
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory/memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    assert host.oom_kills(str(tmp_path)) == 2
    (tmp_path / "memory.events").write_text("low 0\nhigh 0\nmax 9\noom 3\noom_kill 5\noom_group_kill 1\n")
    assert host.oom_kills(str(tmp_path)) == 5


def test_uptime_is_the_kernels() -> None:
    kernel = float(Path("/proc/uptime").read_text().split()[0])
    assert kernel <= host.uptime() < kernel + 60
