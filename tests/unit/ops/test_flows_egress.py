"""What commands do where `[container] egress` cannot be put in force: the fake engine's network is not on this machine."""

from __future__ import annotations

import pytest

from manager.cli import report
from manager.fleet import project as projects
from manager.fleet import upgrade_records
from manager.fleet.session import Session
from manager.ops import apply
from manager.ops.egress import egress
from manager.ops.execution import prepare
from manager.ops.planning import changes
from tests.fakes.sandbox import ETH, SOL, Sandbox

WHY = "cannot limit what bots reach ([container] egress)"


def switch(sandbox: Sandbox, value: str) -> None:
    settings = sandbox.folder / "config" / "fleet.toml"
    text = settings.read_text().partition("[container]")[0]
    settings.write_text(f"{text}[container]\negress = {value}\n")


def test_watch_starts_again_whatever_an_engine_crash_left_down(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox.transcript("up")
    switch(sandbox, "true")
    sandbox.engine.die()
    sandbox.engine.start_again(ETH, SOL)
    sandbox.engine.set_state(ETH, "exited", 128)
    sandbox.calls()
    apply.apply(Session(sandbox.folder), changes.recover(["bp_eth_02", "bp_sol_01"]), report.Reporter())
    assert sandbox.states() == {"bp_eth_02": "running", "bp_sol_01": "running"}
    assert "create bp_eth_02" in sandbox.calls(), "one of them made anew, which settles the rules again"
    assert capsys.readouterr().err.count(WHY) == 1


def test_nobody_starts_anything_new_without_the_rules(sandbox: Sandbox) -> None:
    switch(sandbox, "true")
    assert f"error: cannot start bp_eth_02: {WHY}" in sandbox.transcript("up")
    assert sandbox.states() == {}
    switch(sandbox, "false")
    sandbox.transcript("up")
    switch(sandbox, "true")
    assert f"error: {WHY}" in sandbox.transcript("restart")
    assert sandbox.calls() == []


def test_rollback_restores_with_a_warning(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.new_image()
    sandbox.transcript("upgrade")
    switch(sandbox, "true")
    output = sandbox.transcript("rollback")
    assert f"warning: {WHY}" in output
    assert sandbox.exit_code == 0
    assert "bp_eth_02: rolled back" in output


def test_an_upgrade_takes_back_what_failed_though_the_rules_fail_meanwhile(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.transcript("up")
    sandbox.new_image()
    switch(sandbox, "true")
    sandbox.bots.set_behaviour("bp_eth_02", state="failed", healthy_after=3)
    sandbox.engine.before("start", sandbox.bots.behaviours.clear, of=ETH, nth=2)
    settle, count = egress.settle, []

    def once(*arguments: object) -> bool:
        count.append(1)
        return len(count) == 1 or settle(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(egress, "settle", once)
    output = sandbox.transcript("upgrade")
    assert f"warning: {WHY}" in output
    assert "bp_eth_02: rolled back (it is failed" in output
    assert sandbox.states()["bp_eth_02"] == "running"


def test_a_rollback_that_cannot_begin_rejects_nothing(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.transcript("up")
    sandbox.new_image()
    sandbox.transcript("upgrade")

    def fail(*_any: object, **_more: object) -> None:
        raise egress.FirewallFault("no")

    with monkeypatch.context() as patch:
        patch.setattr(prepare, "gather", fail)
        assert "error: no" in sandbox.transcript("rollback")
    fleet = projects.read(sandbox.folder)
    assert not any(fleet.fleet_state.of(instance).refused for instance in ("bp_eth_02", "bp_sol_01"))
    assert upgrade_records.load(fleet.fleet)


def test_rules_of_earlier_that_cannot_be_removed_keep_nobody_from_starting(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_words: list[str], _text: str) -> str:
        raise egress.FirewallFault("sudo: a password is required")

    monkeypatch.setattr(egress, "iptables", refuse)
    fleet = projects.read(sandbox.folder).fleet
    fleet.state_dir.mkdir(parents=True, exist_ok=True)
    fleet.egress_file.write_text('{"hosts": {}}')
    output = sandbox.transcript("up")
    assert sandbox.exit_code == 0
    assert sandbox.states() == {"bp_eth_02": "running", "bp_sol_01": "running"}
    assert (
        "remain, and go on limiting what bots reach: sudo: a password is required; run `manager up`" in output
    )
    assert fleet.egress_file.exists()


def test_the_rules_are_settled_before_a_start_and_after_the_last_stop(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop waits for no firewall, and a fleet that is down leaves no rules."""
    settled: list[int] = []
    monkeypatch.setattr(apply, "_limiter", lambda *_of_command: lambda: settled.append(1))
    for command, times in {"up": True, "stop": False, "down bp_sol_01": False, "down": True}.items():
        settled.clear()
        sandbox.transcript(command)
        assert bool(settled) is times, command
