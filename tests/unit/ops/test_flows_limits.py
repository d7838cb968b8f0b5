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
from tests.fakes.desk import Desk

DAY = "2026-03-20"


def breaches(desk: Desk, *, of_fleet: int = 0, of_account: int = 0) -> list[Breach]:
    """The limits that bp_sol_01 has exceeded by a loss of 6."""
    fleet = Fleet(
        "desk",
        desk.folder,
        desk.folder / "volumes",
        sums=Sums("USDC"),
        limits=Limits(Decimal(of_fleet), Decimal(of_account)),
    )
    today = {"bp_sol_01": [Day(DAY, "live", "USDC", Decimal(-6))]}
    return loss_limits.breaches(fleet, today, DAY, [])


def test_an_account_that_has_lost_too_much_is_halted_and_the_others_trade_on(desk: Desk) -> None:
    desk.play("up")
    halts = LossHalts(desk.folder, lambda _subject, _kind: False)
    found = breaches(desk, of_account=5)
    assert halts.carry_out(found, is_asked=True) == []
    (alert,) = halts.close()
    assert str(alert.text) == "halted for the loss limit, no order is left: bp_sol_01"
    assert desk.states() == {"bp_eth_02": "running", "bp_sol_01": "exited"}
    assert "left alone" in desk.play("up"), "halted, as by the command"
    desk.play("resume")
    assert halts.carry_out(found, is_asked=True) == []
    assert desk.states() == {"bp_eth_02": "running", "bp_sol_01": "running"}


def test_a_fleet_that_has_lost_too_much_is_halted_whole(desk: Desk) -> None:
    desk.play("up")
    halts = LossHalts(desk.folder, lambda _subject, _kind: False)
    halts.carry_out(breaches(desk, of_fleet=5), is_asked=True)
    halts.close()
    assert desk.states() == {"bp_eth_02": "exited", "bp_sol_01": "exited"}


def test_commands_leave_what_they_did_for_the_history(desk: Desk) -> None:
    desk.play("up", "stop bp_sol_01", "halt", "resume", "down")
    fleet = Fleet("desk", desk.folder, desk.folder / "volumes")
    events = spool_reader.read(fleet.event_spool_file, None).events
    assert [each.text.split(" (")[0] for each in events if each.instance == "bp_eth_02"] == [
        "up: create",
        "halt: halt",
        "resume: start",
        "down: remove",
    ]
    assert {each.what for each in events} == {"command"}


def test_a_spool_that_cannot_be_written_keeps_nothing_from_being_stopped(desk: Desk) -> None:
    desk.play("up")
    spool = desk.folder / "volumes" / "state" / "events.jsonl"
    spool.unlink()
    spool.mkdir()
    desk.play("halt")
    assert desk.exit_code == 0
    assert desk.states() == {"bp_eth_02": "exited", "bp_sol_01": "exited"}


def test_what_a_halt_for_a_limit_has_not_closed_is_said(desk: Desk) -> None:
    """It cancels orders; the positions go on losing."""
    desk.new_image(is_askable=True)
    desk.config("bp_sol_01", 5002, mode="live")
    held = {"open_orders": 0, "others": 0, "position": "0.2", "base": "SOL"}
    desk.bots.answers["bp_sol_01"] = json.dumps(held)
    desk.play("up")
    halts = LossHalts(desk.folder, lambda _subject, _kind: False)
    halts.carry_out(breaches(desk, of_account=5), is_asked=True)
    (alert,) = halts.close()
    said = "halted for the loss limit, no order is left: bp_sol_01; positions left: bp_sol_01 0.2 SOL"
    assert str(alert.text) == said
