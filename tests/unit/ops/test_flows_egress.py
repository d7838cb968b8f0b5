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
from tests.fakes.desk import ETH, SOL, Desk

WHY = "cannot limit what bots reach ([container] egress)"


def switch(desk: Desk, value: str) -> None:
    settings = desk.folder / "config" / "fleet.toml"
    text = settings.read_text().partition("[container]")[0]
    settings.write_text(f"{text}[container]\negress = {value}\n")


def test_watch_starts_again_whatever_an_engine_crash_left_down(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.play("up")
    switch(desk, "true")
    desk.engine.die()
    desk.engine.start_again(ETH, SOL)
    desk.engine.set_state(ETH, "exited", 128)
    desk.calls()
    apply.apply(Session(desk.folder), changes.recover(["bp_eth_02", "bp_sol_01"]), report.Reporter())
    assert desk.states() == {"bp_eth_02": "running", "bp_sol_01": "running"}
    assert "create bp_eth_02" in desk.calls(), "one of them made anew, which settles the rules again"
    assert capsys.readouterr().err.count(WHY) == 1


def test_nobody_starts_anything_new_without_the_rules(desk: Desk) -> None:
    switch(desk, "true")
    assert f"error: cannot start bp_eth_02: {WHY}" in desk.play("up")
    assert desk.states() == {}
    switch(desk, "false")
    desk.play("up")
    switch(desk, "true")
    assert f"error: {WHY}" in desk.play("restart")
    assert desk.calls() == []


def test_rollback_restores_with_a_warning(desk: Desk) -> None:
    desk.play("up")
    desk.new_image()
    desk.play("upgrade")
    switch(desk, "true")
    said = desk.play("rollback")
    assert f"warning: {WHY}" in said
    assert desk.exit_code == 0
    assert "bp_eth_02: rolled back" in said


def test_an_upgrade_takes_back_what_failed_though_the_rules_fail_meanwhile(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.play("up")
    desk.new_image()
    switch(desk, "true")
    desk.bots.fate("bp_eth_02", state="failed", healthy_after=3)
    desk.engine.before("start", desk.bots.fates.clear, of=ETH, nth=2)
    settle, count = egress.settle, []

    def once(*arguments: object) -> bool:
        count.append(1)
        return len(count) == 1 or settle(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(egress, "settle", once)
    said = desk.play("upgrade")
    assert f"warning: {WHY}" in said
    assert "bp_eth_02: rolled back (it is failed" in said
    assert desk.states()["bp_eth_02"] == "running"


def test_a_rollback_that_cannot_begin_rejects_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.play("up")
    desk.new_image()
    desk.play("upgrade")

    def fail(*_any: object, **_more: object) -> None:
        raise egress.FirewallFault("no")

    with monkeypatch.context() as patch:
        patch.setattr(prepare, "gather", fail)
        assert "error: no" in desk.play("rollback")
    fleet = projects.read(desk.folder)
    assert not any(fleet.fleet_state.of(instance).refused for instance in ("bp_eth_02", "bp_sol_01"))
    assert upgrade_records.load(fleet.fleet)


def test_rules_of_earlier_that_cannot_be_removed_keep_nobody_from_starting(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_words: list[str], _text: str) -> str:
        raise egress.FirewallFault("sudo: a password is required")

    monkeypatch.setattr(egress, "iptables", refuse)
    fleet = projects.read(desk.folder).fleet
    fleet.state_dir.mkdir(parents=True, exist_ok=True)
    fleet.egress_file.write_text('{"hosts": {}}')
    said = desk.play("up")
    assert desk.exit_code == 0
    assert desk.states() == {"bp_eth_02": "running", "bp_sol_01": "running"}
    assert (
        "remain, and go on limiting what bots reach: sudo: a password is required; run `manager up`" in said
    )
    assert fleet.egress_file.exists()
