"""The trader's other machines in the metrics: asked aside, and one that is away keeps what it had."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from threading import Event

import pytest

from manager.config.fleet import Fleet
from manager.monitor.metrics import families
from manager.monitor.metrics.families import FleetSample
from manager.monitor.metrics.other_hosts import HostStatus, OtherHosts
from manager.ops.hosts import account_looks, accounts, identity, registry, ssh
from manager.ops.hosts.identity import Identity
from manager.ops.hosts.registry import Host
from manager.ops.hosts.ssh import CommandResult, Unreachable
from tests.fleet import eventually


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    (tmp_path / "config").mkdir()
    names = ("here-too", "osaka", "tokyo")
    registry.save(tmp_path, {name: registry.parse(name, f"ssh://{name}/srv/desk") for name in names})
    return Fleet("desk", tmp_path, tmp_path / "volumes", host="here-too")


def ask(fleet: Fleet) -> tuple[HostStatus, ...]:
    """What is known once all have answered."""
    hosts = OtherHosts()
    hosts.latest(fleet)
    for thread in hosts.begin(fleet):
        thread.join()
    eventually(lambda: len(hosts.latest(fleet)) == 2, timeout=30, what="the answers")
    return hosts.latest(fleet)


def test_a_machine_that_is_away_keeps_its_last_states(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    away, gate = {"osaka"}, Event()
    gate.set()

    def run(host: Host, words: Iterable[str], _timeout: float, stdin: bytes = b"") -> CommandResult:
        gate.wait(60)
        if host.name in away:
            raise Unreachable("{name}", name=host.name)
        if tuple(words) == account_looks.WORDS:
            who = identity.of(fleet) if host.name == "here-too" else Identity(host.name, "")
            key = bytes.fromhex(stdin.decode())
            return CommandResult(0, json.dumps(accounts.answer(key, "here-too", [], ["k"], (), who)), "")
        rows = [
            {"id": "a", "state": "running"},
            {"id": "b", "state": "running"},
            {"id": "c", "state": "failed"},
        ]
        return CommandResult(0, json.dumps(rows), "")

    monkeypatch.setattr(ssh, "run", run)
    osaka, tokyo = ask(fleet)
    assert osaka == HostStatus("osaka", False, None, {})
    assert (tokyo.is_up, tokyo.states) == (True, {"running": 2, "failed": 1})
    key = account_looks.key_of(fleet)
    away.add("tokyo")
    [look] = account_looks.ask(fleet, key, [registry.get(fleet.project_dir, "tokyo")])
    assert look.look is not None, "the next start has a look that is a minute old at most"
    assert look.look.known == {*accounts.fingerprints(key, ["k"])}
    assert ask(fleet)[1] == tokyo._replace(is_up=False)

    hosts = OtherHosts()
    gate.clear()
    assert hosts.latest(fleet) == (), "nobody waits for it"
    gate.set()
    eventually(lambda: len(hosts.latest(fleet)) == 2, timeout=30, what="the answers")
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for family in families.families(FleetSample("desk", "1", (), 0.0, hosts=hosts.latest(fleet)))
        for sample in family.samples
        if "_host_" in sample.name
    }
    assert values == {
        ("botfleet_host_up", "desk", "osaka"): 0,
        ("botfleet_host_up", "desk", "tokyo"): 0,
        ("botfleet_host_last_seen_timestamp_seconds", "desk", "tokyo"): tokyo.at,
        ("botfleet_host_instances", "desk", "tokyo", "failed"): 1,
        ("botfleet_host_instances", "desk", "tokyo", "running"): 2,
    }
    registry.path(fleet.project_dir).unlink()
    assert hosts.latest(fleet) == ()
