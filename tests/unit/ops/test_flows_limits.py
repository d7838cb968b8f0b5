"""A daily loss limit that halts, from the breach to the engine; and what commands leave for the history."""

from __future__ import annotations

import json
from decimal import Decimal

from manager.config.fleet import Fleet, Limits, Sums
from manager.monitor.history import spool_reader
from manager.monitor.history.curve import Day
from manager.monitor.watch import loss_limits
from manager.monitor.watch.loss_halts import LossHalts
from manager.monitor.watch.loss_limits import Breach
from tests.fakes.sandbox import Sandbox

DAY = "2026-03-20"


def breaches(sandbox: Sandbox, *, of_fleet: int = 0, of_account: int = 0) -> list[Breach]:
    """The limits that bp_sol_01 has exceeded by a loss of 6."""
    fleet = Fleet(
        "desk",
        sandbox.folder,
        sandbox.folder / "volumes",
        sums=Sums("USDC"),
        limits=Limits(Decimal(of_fleet), Decimal(of_account)),
    )
    today = {"bp_sol_01": [Day(DAY, "live", "USDC", Decimal(-6))]}
    return loss_limits.breaches(fleet, today, DAY, [])


def test_an_account_that_has_lost_too_much_is_halted_and_the_others_trade_on(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    halts = LossHalts(sandbox.folder, lambda _subject, _kind: False)
    breached = breaches(sandbox, of_account=5)
    assert halts.carry_out(breached, is_asked=True) == []
    (alert,) = halts.close()
    assert str(alert.text) == "halted for the loss limit, no order is left: bp_sol_01"
    assert sandbox.states() == {"bp_eth_02": "running", "bp_sol_01": "exited"}
    assert "left alone" in sandbox.transcript("up"), "halted, as by the command"
    sandbox.transcript("resume")
    assert halts.carry_out(breached, is_asked=True) == []
    assert sandbox.states() == {"bp_eth_02": "running", "bp_sol_01": "running"}


def test_what_watch_has_halted_for_a_limit_is_told_with_who_and_why(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    halts = LossHalts(sandbox.folder, lambda _subject, _kind: False)
    halts.carry_out(breaches(sandbox, of_account=5), is_asked=True)
    halts.close()
    why = "the account of bp_sol_01 has lost 6.00 USDC today, its limit is 5.00 USDC"
    told = f"halted by `manager watch`: {why}"
    assert told in sandbox.transcript("ps")
    assert "`manager watch`" in sandbox.transcript("--lang zh-TW ps")
    assert f"bp_sol_01: left alone: {told}; `manager resume` starts what ran" in sandbox.transcript("up")
    events = spool_reader.read(
        Fleet("desk", sandbox.folder, sandbox.folder / "volumes").event_spool_file, None
    )
    assert f"halt: halt (`manager watch`: {why})" in [event.text for event in events.events]
    sandbox.transcript("halt")
    assert told in sandbox.transcript("ps"), "a person's halt of all does not take the reason away"
    sandbox.transcript("resume", "halt bp_sol_01")
    assert "`manager watch`" not in sandbox.transcript("ps")


def test_a_fleet_that_has_lost_too_much_is_halted_whole(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    halts = LossHalts(sandbox.folder, lambda _subject, _kind: False)
    halts.carry_out(breaches(sandbox, of_fleet=5), is_asked=True)
    halts.close()
    assert sandbox.states() == {"bp_eth_02": "exited", "bp_sol_01": "exited"}


def test_commands_leave_what_they_did_for_the_history(sandbox: Sandbox) -> None:
    sandbox.transcript("up", "stop bp_sol_01", "halt", "resume", "down")
    fleet = Fleet("desk", sandbox.folder, sandbox.folder / "volumes")
    events = spool_reader.read(fleet.event_spool_file, None).events
    assert [event.text.split(" (")[0] for event in events if event.instance == "bp_eth_02"] == [
        "up: create",
        "halt: halt",
        "resume: start",
        "down: remove",
    ]
    assert {event.what for event in events} == {"command"}


def test_a_spool_that_cannot_be_written_keeps_nothing_from_being_stopped(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    spool = sandbox.folder / "volumes" / "state" / "events.jsonl"
    spool.unlink()
    spool.mkdir()
    sandbox.transcript("halt")
    assert sandbox.exit_code == 0
    assert sandbox.states() == {"bp_eth_02": "exited", "bp_sol_01": "exited"}


def test_what_a_halt_for_a_limit_has_not_closed_is_said(sandbox: Sandbox) -> None:
    """It cancels orders; the positions go on losing."""
    sandbox.new_image(is_askable=True)
    sandbox.config("bp_sol_01", 5002, mode="live")
    held = {"open_orders": 0, "others": 0, "position": "0.2", "base": "SOL"}
    sandbox.bots.answers["bp_sol_01"] = json.dumps(held)
    sandbox.transcript("up")
    halts = LossHalts(sandbox.folder, lambda _subject, _kind: False)
    halts.carry_out(breaches(sandbox, of_account=5), is_asked=True)
    (alert,) = halts.close()
    expected = "halted for the loss limit, no order is left: bp_sol_01; positions left: bp_sol_01 0.2 SOL"
    assert str(alert.text) == expected
