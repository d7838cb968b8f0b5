"""What a bot cannot do: to its host, to the others, to the manager."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.faults import bots
from tests.faults.conftest import Note
from tests.fleet import Project, eventually

pytestmark = pytest.mark.engine

READ_BY_THE_MANAGER = (
    "/botfleet/state/supervisor.json",
    "/botfleet/state/report.json",
    "/app/logs/bot.pid",
    "/app/logs/daemon.pid",
)
REACH = """
import socket, sys
for host in sys.argv[2:]:
    try:
        socket.create_connection((host, int(sys.argv[1])), 1).close()
        print("reached", host)
    except OSError as error:
        print("refused", host, error)
"""


def test_one_instance_harms_no_other(project: Project, note: Note) -> None:
    for port, instance_id in enumerate(("evil", "good")):
        bots.add(
            project, instance_id, port, daemon_config={"memory_limit_mb": 400, "max_restart_attempts": 20}
        )
    project.manager("up", "--wait")
    evil, good = project.container("evil"), project.container("good")
    bot = bots.pids(project, "evil")[0]
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{bot}/status").read_text().splitlines() if ":" in line
    )
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert status["NoNewPrivs"].strip() == "1"
    assert status["Seccomp"].strip() == "2"
    assert "0" not in status["Uid"].split()
    assert "0" not in status["Gid"].split()
    settings = json.loads(project.docker("inspect", evil))[0]
    assert settings["HostConfig"]["ReadonlyRootfs"]
    assert not settings["HostConfig"]["Privileged"]
    assert {mount["Destination"] for mount in settings["Mounts"]} == {
        "/app/logs",
        "/data",
        "/botfleet/state",
        "/botfleet/secrets",
    }
    assert not any("docker.sock" in mount["Source"] for mount in settings["Mounts"])
    for path in ("/app/x", "/etc/x", "/opt/x", "/botfleet/secrets/x", "/usr/bin/x"):
        assert "Read-only" in tried(project, evil, f"touch {path}"), path
    note(
        "a bot wants more rights",
        "looked at /proc and tried from inside",
        1,
        "no capability, no new privileges, seccomp, not root, nothing writable but its own folders, no"
        " engine socket",
    )

    address = json.loads(project.docker("inspect", good))[0]["NetworkSettings"]["Networks"][
        f"{project.name}_default"
    ]
    output = project.docker(
        "exec", evil, "python3", "-c", REACH, str(project.first_port + 1), address["IPAddress"], "good", good
    )
    assert output.count("refused") == 3
    assert "reached" not in output
    mounts = {mount["Source"] for mount in settings["Mounts"]}
    assert all(source.endswith("/evil") for source in mounts)
    assert "No such file" in tried(project, evil, "ls /data/../good /botfleet/state/../good")
    note(
        "a bot wants another's files or web port",
        "exec, by address and by name",
        3,
        "not mounted, not reachable",
    )

    assert settings["HostConfig"]["PidsLimit"] > 0
    assert settings["HostConfig"]["Memory"] == 400 << 20


@pytest.mark.long_form
def test_a_fork_bomb_and_a_memory_hog_harm_no_other(project: Project, note: Note) -> None:
    for port, name in enumerate(("evil", "good")):
        bots.add(project, name, port, daemon_config={"memory_limit_mb": 400, "max_restart_attempts": 20})
    project.manager("up", "--wait")
    evil, good = project.container("evil"), project.container("good")
    settings = json.loads(project.docker("inspect", evil))[0]
    bots.tell(project, "evil", "bomb")
    bots.tell(project, "good", "say still here")
    eventually(lambda: "still here" in bots.printed(project, good), what="the other one works")
    pids = settings["HostConfig"]["PidsLimit"]
    cgroup = eventually(
        lambda: count_processes(settings["Id"]) > pids - 30 and count_processes(settings["Id"]),
        what="a full container",
    )
    assert cgroup <= pids
    time.sleep(2)
    assert project.states()["good"] == "running"
    project.manager("restart", "evil", "--wait")
    note(
        "a fork bomb in one instance",
        "os.fork without end",
        1,
        f"ends at {pids} processes; the other one healthy; `restart` clears it",
    )

    bots.tell(project, "evil", "hog")
    row = eventually(lambda: (now := project.ps()["evil"])["restarts"] and now, what="out of memory")
    assert (row["last_exit"]["oom"], row["last_exit"]["why"]) == (True, "SIGKILL (out of memory)")
    assert project.ps()["good"]["restarts"] == 0
    bots.until(project, "running", "evil", "good")
    note(
        "a memory hog in one instance",
        "400 MB limit",
        1,
        "killed, reported as out of memory, restarted; the other one healthy",
    )


def test_what_a_hostile_bot_leaves_in_its_folders_harms_no_command(project: Project, note: Note) -> None:
    bots.add(project, "evil", 0)
    bots.add(project, "good", 1)
    project.manager("up", "--wait")
    evil = project.container("evil")
    for name, command in (
        ("a FIFO", "rm -rf {0} && mkfifo {0}"),
        ("a link to the host's secrets", "rm -rf {0} && ln -s /etc/shadow {0}"),
        ("a link to a device", "rm -rf {0} && ln -s /dev/zero {0}"),
        ("a folder", "rm -rf {0} && mkdir {0}"),
        ("a huge file", "rm -rf {0} && truncate -s 20G {0}"),
        ("deep JSON", "rm -rf {0} && python3 -c \"open('{0}', 'w').write('[' * 900000)\""),
    ):
        # Again where its supervisor has just written the file anew.
        script = "; ".join(f"until ({command.format(path)}); do :; done" for path in READ_BY_THE_MANAGER)
        project.docker("exec", evil, "sh", "-c", script)
        began = time.monotonic()
        assert project.states()["good"] == "running", name
        done = project.manager("export", timeout=20)
        assert "root:" not in done.out + done.err
        instances = project.instances()
        assert instances["good"]["status"] == "running"
        assert time.monotonic() - began < 15
        project.docker("exec", evil, "sh", "-c", "rm -rf /botfleet/state/*.json /app/logs/*.pid")
        note(
            f"a bot puts {name} where the manager reads",
            "supervisor.json, report.json, bot.pid, daemon.pid",
            4,
            "no hang, nothing followed; the others' states and export are right",
        )
    assert project.manager("stop", code=None).code in {0, 1, 6}
    assert bots.pids(project, "evil") == []


def tried(project: Project, container: str, command: str) -> str:
    """What a shell in the container says."""
    return project.docker("exec", container, "sh", "-c", f"{command} 2>&1", check=False)


def count_processes(container: str) -> int:
    """How many processes the container's cgroup holds."""
    for path in (
        f"/sys/fs/cgroup/pids/docker/{container}/pids.current",
        f"/sys/fs/cgroup/docker/{container}/pids.current",
        f"/sys/fs/cgroup/system.slice/docker-{container}.scope/pids.current",
    ):
        if Path(path).exists():
            return int(Path(path).read_text())
    return 0
