"""A Swarm of two real engines: nodes that die, links that are cut. Never two bots, and no lie about them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests import sshd_here
from tests.faults import bots
from tests.faults.bots import Watched
from tests.faults.conftest import SETTINGS, Note, new_project
from tests.faults.engines import needs_root
from tests.faults.linked import Linked, two_engines
from tests.fleet import Project, eventually
from tests.two_machines import another

pytestmark = [
    pytest.mark.engine,
    pytest.mark.long_form,
    needs_root,
    pytest.mark.skipif(sshd_here.server() is None, reason="OpenSSH's server is not installed"),
]

KEY = "a-key-that-nobody-may-see-5d1f"
HERE, AWAY = "one", "two"
SHORT_S, LONG_S = 10, 60
USUAL_S, PATIENT_S = 5, 20
"""How often nodes report. At the usual 5 s a cut of 8 s may already cost a node its tasks."""


class Cluster(NamedTuple):
    """The manager's project, and its two nodes."""

    project: Project
    other: Project
    engines: Linked

    def ps(self, code: int | None = None) -> dict[str, dict[str, Any]]:
        result = self.project.manager("--swarm", "ps", "--json", code=code)
        return {row["id"]: row for row in result.json}

    def until(self, instance: str, state: str, timeout: float = 120) -> None:
        eventually(lambda: self.ps()[instance]["state"] == state, timeout, f"{instance} {state}")

    def has_bot(self, instance: str) -> bool:
        return len(bots.pids(self.project, instance)) == 1

    def task(self, instance: str) -> str:
        """The id of the task that the Swarm wants to run."""
        words = ("--filter", "desired-state=running", "--format", "{{.ID}}")
        return self.engines.first.docker("service", "ps", f"{self.project.name}_{instance}", *words).strip()


@contextmanager
def a_cluster(folder: Path, image: str) -> Iterator[Cluster]:
    with (
        two_engines(image) as engines,
        new_project(folder / "here", image, environ=engines.first.environ) as project,
        another(folder / "there", image) as other,
    ):
        engines.make_swarm()
        settings = other.folder / "config" / "fleet.toml"
        settings.write_text(f'name = "{other.name}"\n{SETTINGS}')
        with sshd_here.running(folder / "s", engines.place_of_second(folder)) as sshd:
            project.environ.update(sshd.environ)
            hosts = project.folder / "config" / "hosts.toml"
            hosts.write_text(f'there = "{sshd.url(other.folder)}"\n')
            (project.folder / ".env").write_text(f"BACKPACK_KEY={KEY}\nBACKPACK_SECRET={KEY}\n")
            bots.add(project, HERE, 0, "well")
            bots.add(project, AWAY, 1, "mute", mode="live", host="there")
            yield Cluster(project, other, engines)


def test_a_node_or_a_link_that_fails_never_makes_two_bots(
    tmp_path: Path, fault_image: str, note: Note
) -> None:
    with a_cluster(tmp_path, fault_image) as cluster, bots.watched(cluster.project) as seen:
        cluster.project.manager("--swarm", "up")
        eventually(lambda: cluster.has_bot(HERE) and cluster.has_bot(AWAY), what="both bots")
        nothing_is_open(cluster)
        doctor_tells_what_the_kernels_say(cluster)
        a_short_cut_changes_nothing(cluster)
        a_long_cut_restarts_it_when_it_heals(cluster)
        a_killed_node_comes_back(cluster)
        a_halt_reaches_a_node_once_it_answers(cluster)
        without_a_majority_nothing_is_claimed(cluster)
        without_its_manager_what_goes_on_is_named(cluster)
        assert_never_two(seen)
    note(
        "a Swarm's node is killed, its link cut for 10 s and 60 s, a halt while it is away, no majority",
        "two dockerd in namespaces; SIGKILL of all that runs there; the cable pulled",
        1,
        "one bot at any moment, `ps` and `halt` end with 1 for what cannot be known, a halt lasts",
    )


def assert_never_two(seen: Watched) -> None:
    assert dict(seen.most) == {HERE: 1, AWAY: 1}
    assert seen.looks > 1000


def nothing_is_open(cluster: Cluster) -> None:
    for instance in (HERE, AWAY):
        inspected = cluster.engines.first.docker("service", "inspect", f"{cluster.project.name}_{instance}")
        assert KEY not in inspected
        assert "Ports" not in json.loads(inspected)[0]["Endpoint"]
    for engine in cluster.engines:
        rows = engine.docker("ps", "-q").split()
        assert rows
        for row in rows:
            inspected = engine.docker("inspect", row)
            assert KEY not in inspected
            assert json.loads(inspected)[0]["NetworkSettings"]["Ports"] in ({}, None)
    assert KEY not in (cluster.project.folder / "stack.yaml").read_text()
    assert not list((cluster.project.folder / "volumes" / "state" / ".swarm").glob("*.json"))
    [container] = cluster.engines.second.docker("ps", "-q").split()
    assert KEY in cluster.engines.second.docker("exec", container, "cat", "/botfleet/secrets/env.json")


def doctor_tells_what_the_kernels_say(cluster: Cluster) -> None:
    [pid] = bots.pids(cluster.project, AWAY)
    lines = Path("/proc", str(pid), "status").read_text().splitlines()
    [value] = [line.split()[1] for line in lines if line.startswith("NoNewPrivs:")]
    findings = cluster.project.manager("--swarm", "doctor", "--json", code=None).json
    texts = [row["text"] for row in findings if "gain privileges" in row["text"]]
    assert len(texts) == 2
    assert not any("unknown" in text for text in texts)
    assert any((f"can gain privileges ({AWAY})" in text) == (value == "0") for text in texts)


def without_its_manager_what_goes_on_is_named(cluster: Cluster) -> None:
    cluster.project.manager("--swarm", "ps", code=None)
    cluster.engines.first.kill(everything=True)
    try:
        halted = cluster.project.manager("--swarm", "halt", code=5)
        assert f"{AWAY} (there)" in halted.err
        assert cluster.has_bot(AWAY)
    finally:
        cluster.engines.first.start()


def a_short_cut_changes_nothing(cluster: Cluster) -> None:
    """With the heartbeat that docs/hosts.md names."""
    beats(cluster, PATIENT_S)
    before, pids = cluster.task(AWAY), bots.pids(cluster.project, AWAY)
    cluster.engines.cut()
    time.sleep(SHORT_S)
    cluster.engines.heal()
    time.sleep(SHORT_S)
    assert cluster.task(AWAY) == before
    assert bots.pids(cluster.project, AWAY) == pids
    beats(cluster, USUAL_S)


def beats(cluster: Cluster, seconds: int) -> None:
    """Set the heartbeat; a node hears of it in the answer to its next one."""
    cluster.engines.first.docker("swarm", "update", "--dispatcher-heartbeat", f"{seconds}s")
    time.sleep(PATIENT_S + USUAL_S)


def a_long_cut_restarts_it_when_it_heals(cluster: Cluster) -> None:
    pids = bots.pids(cluster.project, AWAY)
    cluster.engines.cut()
    ends = time.monotonic() + LONG_S
    cluster.until(AWAY, "unreachable")
    assert cluster.ps(code=1)[AWAY]["may_run"] is True
    assert cluster.project.manager("--swarm", "logs", AWAY, code=1).err
    assert bots.pids(cluster.project, AWAY) == pids
    time.sleep(max(0.0, ends - time.monotonic()))
    cluster.engines.heal()
    cluster.until(AWAY, "running")
    eventually(
        lambda: cluster.has_bot(AWAY) and bots.pids(cluster.project, AWAY) != pids,
        what="the new task has the bot, although the old one ended slowly",
    )


def a_killed_node_comes_back(cluster: Cluster) -> None:
    cluster.engines.second.kill(everything=True)
    cluster.until(AWAY, "unreachable")
    cluster.engines.second.start()
    cluster.until(AWAY, "running")
    eventually(lambda: cluster.has_bot(AWAY), what="the bot after its node came back")


def a_halt_reaches_a_node_once_it_answers(cluster: Cluster) -> None:
    cluster.engines.cut()
    cluster.until(AWAY, "unreachable")
    halted = cluster.project.manager("--swarm", "halt", AWAY, code=1)
    assert "does not answer; its bot may run and trade" in halted.err
    assert cluster.has_bot(AWAY)
    cluster.engines.heal()
    eventually(lambda: not bots.pids(cluster.project, AWAY), what="the halted bot ends")
    cluster.until(AWAY, "halted")
    again = eventually(  # the link has just healed, and a busy sshd serves its first login late
        lambda: (done := cluster.project.manager("--swarm", "up", code=None)).code == 0 and done,
        what="a deployment after the link was healed",
    )
    assert f"because they were halted: {AWAY}" in again.err
    assert not bots.pids(cluster.project, AWAY)
    assert "not known from here" in cluster.project.manager("--swarm", "halt", AWAY, code=1).err
    cluster.project.manager("--swarm", "up", AWAY)
    eventually(lambda: cluster.has_bot(AWAY), what="the bot that was named")


def without_a_majority_nothing_is_claimed(cluster: Cluster) -> None:
    node = cluster.engines.second.docker("info", "--format", "{{.Swarm.NodeID}}").strip()
    cluster.engines.first.docker("node", "promote", node)
    eventually(
        lambda: (
            cluster.engines.second.docker("info", "--format", "{{.Swarm.ControlAvailable}}").strip() == "true"
        )
    )
    cluster.engines.cut()
    halted = eventually(lambda: (done := cluster.project.manager("--swarm", "halt", code=None)).code and done)
    assert "the Swarm has no leader" in halted.err or halted.code == 5, halted.err
    assert cluster.has_bot(HERE)
    assert cluster.has_bot(AWAY)
    cluster.engines.heal()
    eventually(lambda: cluster.project.manager("--swarm", "halt", HERE, code=None).code == 0, 180)
    eventually(lambda: not bots.pids(cluster.project, HERE))
