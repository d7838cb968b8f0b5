"""What an exchange was asked in vain is shown as unknown, whatever happens to the instance, until it is known."""

from __future__ import annotations

import json
from unittest import mock

import pytest

from manager.errors import FAILED
from manager.fleet import leftovers
from manager.fleet.bot_report import KeptReport, Report
from manager.fleet.supervisor_state import REPORT_FILE, STATE_FILE, Condition
from manager.ops.exchange import open_orders
from tests.fakes.sandbox import SOL, Sandbox
from tests.unit.ops.test_flows_left import NOTHING, confirmed, folder, live, shown

__all__ = ["live"]
ASKS_AGAIN = "unknown what is left at the exchange: `manager orders bp_sol_01` asks again"
GONE = "its container is gone: whether orders are left is unknown"


def bad(sandbox: Sandbox) -> bool:
    return shown(sandbox)[0] == "bad"


def reported(sandbox: Sandbox, orders_left: int | None = 0, position: str = "0", **report: object) -> None:
    """Its bot ends with such a report."""
    report_of_end = {
        "contract": 2,
        "mode": "live",
        "final": True,
        "base": "SOL",
        "position": position,
        **report,
    }
    content = {"run_ended": True, "open_orders_left": orders_left}
    text = json.dumps({**content, "report": {**report_of_end, "at": sandbox.clock.time()}})
    (folder(sandbox) / REPORT_FILE).write_text(text)
    sandbox.clock.sleep(1)


@pytest.fixture
def halted(live: Sandbox) -> Sandbox:
    """A live bot that was halted while its exchange was away; it had been told that nothing is left."""
    live.transcript("up")
    live.engine.after("stop", lambda: confirmed(live), of=SOL)
    live.bots.answers.clear()
    live.transcript("halt")
    assert bad(live)
    return live


def test_a_halt_that_cannot_ask_a_removed_container_has_learnt_nothing(halted: Sandbox) -> None:
    halted.engine.remove(SOL)
    assert "whether orders are left is unknown" in halted.transcript("halt")
    assert halted.exit_code == FAILED
    assert bad(halted)


def test_nor_one_that_finds_no_file_of_it(halted: Sandbox) -> None:
    halted.engine.remove(SOL)
    for name in (STATE_FILE, REPORT_FILE):
        (folder(halted) / name).unlink(missing_ok=True)
    assert "whether orders are left is unknown" in halted.transcript("halt")
    assert (halted.exit_code, bad(halted)) == (FAILED, True)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"report": 5}', '{"report": {}}', "\x00" * 9])
def test_a_damaged_report_is_no_answer(halted: Sandbox, content: str) -> None:
    (folder(halted) / REPORT_FILE).write_text(content)
    assert bad(halted)


def test_a_config_that_is_removed_as_well_does_not_forget_it(halted: Sandbox) -> None:
    halted.engine.remove(SOL)
    (halted.folder / "config" / "active" / "bp_sol_01.json").unlink()
    assert "its container and its config are gone" in halted.transcript("ps")
    assert bad(halted)
    assert "0 open orders" not in halted.transcript("down bp_sol_01")
    assert "bp_sol_01" not in halted.transcript("ps")


def test_only_a_persons_word_on_this_very_bot_ends_what_nobody_can_ask(halted: Sandbox) -> None:
    halted.engine.remove(SOL)
    note = f"{GONE}; look at the exchange, then `manager down bp_sol_01` ends this note"
    for _time in range(2):
        assert "0 open orders" not in halted.transcript("down")
        assert (bad(halted), note in halted.transcript("ps")) == (True, True)
    halted.transcript("down bp_sol_01")
    assert (bad(halted), GONE in halted.transcript("ps")) == (False, False)


def test_a_down_that_could_still_ask_is_no_such_word(halted: Sandbox) -> None:
    halted.transcript("down bp_sol_01")
    assert bad(halted)


@pytest.mark.parametrize("command", ["halt", "stop bp_sol_01", "down bp_sol_01"])
def test_a_manager_that_is_killed_while_it_asks_leaves_no_calm(live: Sandbox, command: str) -> None:
    class Killed(BaseException):
        """As by SIGKILL: nothing behind it is done."""

    def killed(*_given: object) -> None:
        raise Killed

    live.transcript("up")
    live.engine.after("stop", lambda: reported(live, 0 if command == "halt" else None), of=SOL)
    with mock.patch.object(open_orders, "_ask", killed), pytest.raises(Killed):
        live.run(command)
    assert (ASKS_AGAIN in live.transcript("ps"), bad(live)) == (True, True)
    live.bots.answers["bp_sol_01"] = NOTHING
    live.transcript("orders bp_sol_01", "stop bp_sol_01")
    assert (shown(live)[0], ASKS_AGAIN in live.transcript("ps")) == ("off", False)


@pytest.mark.parametrize("command", ["stop", "down"])
def test_what_a_stop_could_not_learn_is_no_calm_state_either(live: Sandbox, command: str) -> None:
    live.transcript("up")
    live.engine.after("stop", lambda: reported(live, None, "0.5"), of=SOL)
    live.bots.answers.clear()
    assert "whether orders are left is unknown" in live.transcript(command)
    assert bad(live)
    note = ASKS_AGAIN if command == "stop" else GONE
    assert f"last known position: 0.5 SOL; {note}" in live.transcript("ps")
    live.transcript("start bp_sol_01")
    live.engine.after("stop", lambda: reported(live, None), of=SOL)
    live.bots.answers["bp_sol_01"] = NOTHING
    live.transcript("stop bp_sol_01")
    assert shown(live)[0] == "off"


def test_a_bot_whose_image_cannot_ask_stops_as_calmly_as_before(sandbox: Sandbox) -> None:
    sandbox.config("bp_sol_01", 5002, mode="live")
    sandbox.transcript("up", "stop")
    assert shown(sandbox)[0] == "off"


def test_a_position_of_before_is_called_the_last_one_known(halted: Sandbox) -> None:
    reported(halted, 0, "0.5", position_at_exchange="0.5", at=halted.clock.time() - 60)
    halted.transcript("halt")
    assert f"last known position: 0.5 SOL; {ASKS_AGAIN}" in halted.transcript("ps")


def test_a_bot_on_paper_in_its_place_learns_nothing_of_it(halted: Sandbox) -> None:
    halted.transcript("down")
    halted.config("bp_sol_01", 5002, mode="paper")
    halted.transcript("resume")
    note = (
        "unknown what its live run has left at the exchange: look there, then `manager down bp_sol_01` ends"
    )
    for command in ("start bp_sol_01", "stop bp_sol_01"):
        halted.transcript(command)
        assert (bad(halted), note in halted.transcript("ps")) == (True, True)
    halted.transcript("down bp_sol_01")
    assert not bad(halted)


def test_a_live_bot_that_trades_again_has_asked(halted: Sandbox) -> None:
    """A crash of it, weeks later, is not what that halt left."""
    kept = KeptReport(Report(contract=2, mode="live", condition=Condition("trading")), at=200.0)
    assert leftovers.is_left_known(100.0, kept, None)
    never = {
        "before": kept._replace(at=100.0),
        "on paper": kept._replace(report=kept.report._replace(mode="paper")),
        "of an earlier run": kept._replace(is_previous=True),
        "without its exchange": kept._replace(
            report=kept.report._replace(condition=Condition("exchange_away"))
        ),
        "without a word": kept._replace(report=kept.report._replace(condition=None)),
        "a position was looked at": kept._replace(orders_told_at=90.0),
    }
    assert [why for why, report in never.items() if leftovers.is_left_known(100.0, report, None)] == []


def test_one_that_never_reports_has_asked_when_it_was_started_again(halted: Sandbox) -> None:
    (folder(halted) / REPORT_FILE).unlink()
    halted.transcript("resume")
    (folder(halted) / REPORT_FILE).unlink(missing_ok=True)
    assert not bad(halted)


def test_a_state_of_before_that_was_kept_is_read(live: Sandbox) -> None:
    """`state/fleet.json` of 0.30.0 has no such key; one with a damaged value is said to be damaged."""
    live.transcript("up", "halt")
    file = live.folder / "volumes" / "state" / "fleet.json"
    content = json.loads(file.read_text())
    assert not any("left_unknown_at" in kept for kept in content["instances"].values())
    assert "error" not in live.transcript("ps")
    content["instances"]["bp_sol_01"]["left_unknown_at"] = "soon"
    file.write_text(json.dumps(content))
    assert "is not a botfleet state file" in live.transcript("ps")


def test_what_was_said_before_the_clock_was_set_back_is_no_answer(live: Sandbox) -> None:
    """Its time is later than that of the question."""
    live.transcript("up")

    def stop() -> None:
        confirmed(live)
        live.clock.set_by = -3600

    live.engine.after("stop", stop, of=SOL)
    live.bots.answers.clear()
    live.transcript("halt")
    assert live.exit_code == FAILED
    assert bad(live)
