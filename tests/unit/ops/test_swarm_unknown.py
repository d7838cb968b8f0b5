"""What a Swarm does not tell: whether bots can gain privileges, and what runs without its manager."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from manager.config.fleet import Fleet
from manager.errors import NO_ENGINE, ManagerError
from manager.ops.hosts import ssh
from manager.ops.hosts.registry import Host
from manager.ops.hosts.ssh import CommandResult
from manager.ops.swarm import checks, last_seen, privileges
from manager.ops.swarm.privileges import NodePrivileges
from tests.builders import a_config, write_config
from tests.fakes.sandbox import Sandbox
from tests.unit.ops.test_swarm import a_node, a_project, a_service, a_task, seen

TOKYO = Host("tokyo", "tokyo.example", None, None, "/srv/desk")


def findings_of(*machines: NodePrivileges) -> list[str]:
    findings = checks.of_privileges([a_service(node="n2")], [a_node("n1"), a_node("n2")], machines)
    return [f"{finding.level}: {finding.text}" for finding in findings]


def test_what_the_kernel_says_of_each_nodes_bots_is_told() -> None:
    home = NodePrivileges("home", "n1", {"one": "1", "two": "1"})
    assert findings_of(home, NodePrivileges("tokyo", "n2", {"three": "0"})) == [
        "ok: node n1: no bot can gain privileges (no-new-privileges)",
        'warning: node n2: the bots can gain privileges (three): write "no-new-privileges": true into'
        " /etc/docker/daemon.json there, and restart its engine",
    ]
    mixed = findings_of(NodePrivileges("home", "n1", {"one": "0", "two": "?", "three": "1"}))
    assert "can gain privileges (one)" in mixed[0]
    assert "is unknown: the kernel there does not show the privileges of the processes of two" in mixed[1]


@pytest.mark.parametrize(
    ("machine", "why"),
    [
        (NodePrivileges("machine-n2", "n2"), "no bot of this fleet runs there"),
        (NodePrivileges("machine-n2", why=ManagerError("it is off")), "it is off"),
        (
            NodePrivileges("else", "n9", {"one": "1"}),
            "no machine in config/hosts.toml reports that it is this",
        ),
        (NodePrivileges("machine-n2", ""), "no machine in config/hosts.toml reports that it"),
    ],
)
def test_what_is_not_known_is_said(machine: NodePrivileges, why: str) -> None:
    _first, second = findings_of(machine)
    assert second.startswith(f"warning: node n2: whether its bots can gain privileges is unknown: {why}")


def test_what_a_machine_tells() -> None:
    text = "node n1\ntask one 1\ntask two 0\ntask three ?\ntask four 7\nnoise\n"
    told = privileges.told("tokyo", text)
    assert (told.node, dict(told.tasks)) == ("n1", {"one": "1", "two": "0", "three": "?", "four": "?"})
    assert privileges.told("tokyo", "node \n").node == ""


def test_a_machine_that_does_not_answer_is_told_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "ended", lambda *_more: CommandResult(1, "", "no docker\n"))
    monkeypatch.setattr(ssh, "shell", lambda *_more, **_options: [])
    monkeypatch.setattr(privileges, "_here", lambda _fleet: CommandResult(0, "node n1\n", ""))
    here, tokyo = privileges.ask(Fleet("desk", tmp_path, tmp_path, host="home"), [TOKYO])
    assert (here.machine, here.node) == ("home", "n1")
    assert (tokyo.machine, str(tokyo.why)) == ("tokyo", "no docker")


DOCKER = """\
#!/bin/sh
case "$1 $2" in
  "info --format") echo "node n1" ;;
  "ps --no-trunc")
    [ "$4" = "label=com.docker.stack.namespace=desk" ] || exit 1
    echo "GROUP one"; echo "other two" ;;
  "inspect --format") echo PID ;;
esac
"""


def test_the_processes_are_asked_and_not_those_of_another_machine(tmp_path: Path) -> None:
    """A cgroup that is not the container's belongs to a process that only has the same number."""
    docker = tmp_path / "docker"
    group = Path("/proc/self/cgroup").read_text().splitlines()[0]
    docker.write_text(DOCKER.replace("GROUP", group[-3:].replace(" ", "")).replace("PID", "$PPID"))
    docker.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", privileges.ASK, "desk"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    told = privileges.told("home", done.stdout)
    wanted = next(
        line.split()[1]
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("NoNewPrivs:")
    )
    assert (told.node, dict(told.tasks)) == ("n1", {"one": wanted, "two": "?"})


def test_what_the_swarm_told_is_remembered(tmp_path: Path) -> None:
    project = a_project(
        tmp_path, one=a_config("one"), two={**a_config("two", None, mode="live"), "host": "tokyo"}
    )
    by_configs = last_seen.known(project)
    assert by_configs.at is None
    assert [(service.instance, service.machine, service.mode) for service in by_configs.services] == [
        ("one", "home", "paper"),
        ("two", "tokyo", "live"),
    ]
    last_seen.save(project.fleet, [seen(a_task()), seen(replicas=0)._replace(instance="off")])
    known = last_seen.known(project)
    assert [(service.instance, service.state, service.may_run) for service in known.services] == [
        ("one", "running", True),
        ("off", "stopped", False),
    ]
    (tmp_path / "volumes" / "state" / ".hosts" / "swarm.json").write_text("{")
    assert last_seen.known(project) == by_configs


@pytest.fixture
def gone(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sandbox:
    """A fleet whose Swarm's manager is this machine, where no engine answers."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    (sandbox.folder / "config" / "fleet.toml").write_text('name = "desk"\nhost = "home"\n')
    write_config(sandbox.folder, {**a_config("bp_sol_01", None), "host": "tokyo"}, "bp_sol_01")
    return sandbox


def test_a_halt_without_an_engine_names_what_may_go_on(gone: Sandbox) -> None:
    text = gone.transcript("--swarm halt")
    assert "by their configs these may run: bp_eth_02 (home), bp_sol_01 (tokyo)" in text
    assert "`manager --swarm halt` there" in text
    assert gone.exit_code == NO_ENGINE
    fleet = Fleet("desk", gone.folder, gone.folder / "volumes")
    last_seen.save(fleet, [seen(a_task()), seen(replicas=0)._replace(instance="off")])
    text = gone.transcript("--swarm halt")
    assert "by what the Swarm reported 0s ago, these may run: one (machine-n1)" in text
    assert "off" not in text.partition("these may run")[2].splitlines()[0]
    rows = json.loads("\n".join(gone.run("--swarm halt --json")).partition("\n]")[0] + "]")
    assert [(row["id"], row["node"], row["how"]) for row in rows] == [("one", "machine-n1", "unreachable")]
    (gone.folder / "config" / "fleet.toml").write_text("name = 1\n")
    assert "bots on other nodes may go on; which, is not known" in gone.transcript("--swarm down")
    assert gone.exit_code == NO_ENGINE
