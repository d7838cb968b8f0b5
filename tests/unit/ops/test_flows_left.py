"""What `stop` and `down` say of what live bots have left, and whom they ask for it."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from manager.errors import FAILED, OK
from manager.fleet import closed_report
from manager.fleet.supervisor_state import REPORT_FILE
from tests.fakes.sandbox import BOTH, ETH, SOL, Sandbox

RESTING = json.dumps(
    {
        "open_orders": 2,
        "others": 1,
        "orders": [{"side": "sell", "quantity": "0.1", "price": "151"}],
        "position": "-0.6",
        "base": "SOL",
    }
)
NOTHING = json.dumps({"open_orders": 0, "others": 0, "position": "0", "base": "SOL"})
NAMED = (
    "error: bp_sol_01: 2 ORDERS ARE STILL OPEN at backpack, SOL_USDC_PERP: cancel them there (sell 0.1 @ 151)"
)


@pytest.fixture
def live(sandbox: Sandbox) -> Sandbox:
    """A paper bot, and one that trades live and has been started."""
    sandbox.new_image(is_askable=True)
    sandbox.config("bp_sol_01", 5002, mode="live")
    sandbox.bots.answers["bp_sol_01"] = RESTING
    return sandbox


def folder(sandbox: Sandbox) -> Path:
    return sandbox.folder / "volumes" / "state" / "bp_sol_01"


def killed(sandbox: Sandbox) -> None:
    """`docker kill`."""
    sandbox.engine.start_again(SOL)


def crashed(sandbox: Sandbox) -> None:
    """Given up by its supervisor, and then stopped by Docker."""
    sandbox.bots.set_behaviour("bp_sol_01", state="failed")
    sandbox.transcript("restart bp_sol_01")
    sandbox.engine.stop(SOL, 10)


def without_report(sandbox: Sandbox) -> None:
    killed(sandbox)
    (folder(sandbox) / REPORT_FILE).unlink(missing_ok=True)


def older_report(sandbox: Sandbox) -> None:
    """A full disk has kept a later run's supervisor from marking it as that of an earlier run."""
    killed(sandbox)
    report = {"open_orders_left": 0, "position_at_exchange": "0", "at": sandbox.clock.time() - 3600}
    (folder(sandbox) / REPORT_FILE).write_text(json.dumps(report))


def with_orders(sandbox: Sandbox) -> None:
    killed(sandbox)
    report = {"open_orders_left": 3, "position_at_exchange": "0", "at": sandbox.clock.time()}
    (folder(sandbox) / REPORT_FILE).write_text(json.dumps(report))


def of_the_bot_only(sandbox: Sandbox) -> None:
    killed(sandbox)
    report = {"open_orders_left": 0, "position": "0", "at": sandbox.clock.time()}
    (folder(sandbox) / REPORT_FILE).write_text(json.dumps(report))


ENDS = (killed, crashed, without_report, older_report, with_orders, of_the_bot_only)


@pytest.mark.parametrize(("end", "name"), [*((end, "") for end in ENDS), (killed, " bp_sol_01")])
def test_a_stop_asks_for_what_is_down_already(
    live: Sandbox, end: Callable[[Sandbox], None], name: str
) -> None:
    live.transcript("up")
    end(live)
    output = live.transcript(f"stop{name}")
    assert "bp_sol_01: left alone (not running, " in output
    assert "s), 2 open orders left, position -0.6 SOL" in output
    assert NAMED in output
    assert live.exit_code == FAILED


@pytest.mark.parametrize("end", ENDS)
def test_down_asks_before_it_removes_what_could_ask(live: Sandbox, end: Callable[[Sandbox], None]) -> None:
    live.transcript("up")
    end(live)
    output = live.transcript("down")
    calls = [line.removeprefix("  engine: ") for line in output.splitlines() if line.startswith("  engine: ")]
    assert calls.index("start bp_sol_01-left") < calls.index("remove bp_sol_01"), output
    assert NAMED in output
    assert live.exit_code == FAILED
    assert live.states() == {}


def test_an_exchange_that_is_away_does_not_keep_a_container(live: Sandbox) -> None:
    live.transcript("up")
    killed(live)
    live.bots.answers.clear()
    assert "exit code" not in live.transcript("down bp_eth_02")
    output = live.transcript("down")
    assert (
        "error: bp_sol_01: whether orders are left is unknown (the exchange is away): check backpack,"
        " SOL_USDC_PERP" in output
    )
    assert (live.exit_code, live.states()) == (FAILED, {})


def test_an_answer_without_a_position_leaves_the_one_that_was_reported(live: Sandbox) -> None:
    """Programs of earlier images tell of orders alone."""
    live.bots.answers["bp_sol_01"] = json.dumps({"open_orders": 0, "others": 0})
    live.transcript("up")
    reporting(live)
    killed(live)
    output = live.transcript("stop")
    assert "left alone (not running, 0.0 s), 0 open orders left, position -0.6 SOL" in output


def test_who_runs_is_asked_for_only_if_its_bot_did_not_say(live: Sandbox) -> None:
    live.bots.set_behaviour("bp_sol_01", open_orders_left=0, position="0.2")
    live.transcript("up")
    assert "left" not in [call.rpartition("-")[2] for call in live.calls()]
    output = live.transcript("stop")
    assert "bp_sol_01: stopped (requested, 0.0 s), 0 open orders left, position 0.2" in output
    assert "-left" not in output
    assert "bp_sol_01: left alone (not running, 0.0 s), 0 open orders left, position 0.2" in live.transcript(
        "stop"
    )
    assert live.exit_code == OK
    assert "-left" not in live.transcript("down")

    live.bots.set_behaviour("bp_sol_01")
    live.transcript("start bp_sol_01")
    live.bots.answers["bp_sol_01"] = NOTHING
    output = live.transcript("stop")
    assert "bp_sol_01: stopped (requested, 0.0 s), 0 open orders left, no position" in output
    assert live.exit_code == OK
    assert "-left" in output


def test_every_bot_is_stopped_before_an_exchange_is_asked(live: Sandbox) -> None:
    live.transcript("up")
    killed(live)
    calls = live.transcript("down")
    assert calls.index("engine: stop bp_eth_02") < calls.index("engine: create bp_sol_01-left")


def test_an_image_that_cannot_ask_is_named_and_no_failure(live: Sandbox) -> None:
    live.new_image()
    live.transcript("up")
    killed(live)
    output = live.transcript("stop")
    assert (
        "warning: bp_sol_01: whether orders are left is unknown (its image has no program for this" in output
    )
    assert live.exit_code == OK


def test_what_never_ran_and_what_was_settled_is_not_asked_for(live: Sandbox) -> None:
    live.engine.ports_taken.add(5002)
    live.transcript("up")
    assert live.states()["bp_sol_01"] == "created"
    assert "bp_sol_01: left alone: not running" in live.transcript("stop")
    assert "-left" not in live.transcript("down")


def test_orphans_that_are_removed_are_asked_for_too(live: Sandbox) -> None:
    live.transcript("up")
    killed(live)
    (live.folder / "config" / "active" / "bp_sol_01.json").unlink()
    assert NAMED in live.transcript("up --remove-orphans")
    assert set(live.states()) == {BOTH[0]}


def test_an_orphan_that_runs_is_not_left_without_a_word_of_what_it_holds(live: Sandbox) -> None:
    """Its config was removed: `down` said "left alone" among the others, and ended with 0."""
    live.transcript("up")
    report = {"report": {"mode": "live", "open_orders": 13, "position": "-0.6", "base": "SOL"}}
    (folder(live) / REPORT_FILE).write_text(json.dumps(report))
    (live.folder / "config" / "active" / "bp_sol_01.json").unlink()
    holds = "(live, backpack, SOL_USDC_PERP, 13 open orders, position -0.6 SOL)"
    assert f"warning: bp_sol_01 STILL RUNS {holds}: no config names it" in live.transcript("down")
    assert live.exit_code == OK
    assert live.states() == {"bp_sol_01": "running"}
    assert "STILL RUNS" in live.transcript("down --json")
    live.engine.stop(SOL, 10)
    assert "STILL RUNS" not in live.transcript("down")
    assert "STILL RUNS" not in live.transcript("down bp_sol_01")
    assert live.states() == {}


def test_what_is_recreated_or_restarted_is_not_asked_for(live: Sandbox) -> None:
    live.transcript("up")
    for command in ("restart", "up --recreate bp_sol_01", "upgrade"):
        assert "-left" not in live.transcript(command)


def test_what_is_stopped_for_its_port_is_not_asked_for_beside_a_removed_orphan(live: Sandbox) -> None:
    live.config("bp_sol_03", 5003)
    live.transcript("up")
    (live.folder / "config/active/bp_sol_03.json").unlink()
    live.ports_in_use |= {5001, 5002}
    live.config("bp_eth_02", 5002)
    live.config("bp_sol_01", 5001, mode="live")
    output = live.transcript("up --remove-orphans")
    assert output.count("recreated") == 2
    assert "bp_sol_03: removed" in output
    assert "-left" not in output


def test_programs_are_told_the_same(live: Sandbox) -> None:
    live.transcript("up")
    killed(live)
    (outcome,) = json.loads(
        "\n".join(line for line in live.run("stop --json bp_sol_01") if line[:5] != "error")
    )
    assert (outcome["action"], outcome["open_orders_left"], outcome["position"]) == ("leave", 2, "-0.6")
    assert (outcome["open_orders_at_exchange"], outcome["orders_of_others"]) == (2, 1)
    assert (outcome["position_from"], outcome["orders"]) == ("exchange", ["sell 0.1 @ 151"])


GONE = "its container is gone, so the exchange cannot be asked"


def reporting(sandbox: Sandbox, **others: object) -> None:
    """Report from a run that goes on, as its supervisor copies it."""
    report = {
        "mode": "live",
        "position": "-0.6",
        "base": "SOL",
        "open_orders": 13,
        "at": sandbox.clock.time(),
    }
    (folder(sandbox) / REPORT_FILE).write_text(json.dumps({"report": report, **others}))


def removed(sandbox: Sandbox) -> None:
    """`docker rm -f`, so that nothing says how the bot has ended."""
    sandbox.engine.discard(SOL)


@pytest.mark.parametrize("command", ["stop", "down", "stop bp_sol_01", "down bp_sol_01", "halt"])
def test_a_container_that_somebody_removed_cannot_ask_and_that_is_said(live: Sandbox, command: str) -> None:
    live.transcript("up")
    reporting(live)
    removed(live)
    output = live.transcript(command)
    assert (
        f"error: bp_sol_01: whether orders are left is unknown ({GONE}; 0s ago its bot reported 13 open orders,"
        " position -0.6 SOL): check backpack, SOL_USDC_PERP" in output
    )
    assert "-left" not in output
    assert live.exit_code == FAILED
    if command != "halt":
        assert "bp_sol_01: left alone (no container, 0.0 s), position -0.6 SOL as last reported" in output
        assert output.count("bp_sol_01: left alone") == 1


@pytest.mark.parametrize("command", ["stop", "down", "halt"])
def test_one_that_never_reported_is_named_too(live: Sandbox, command: str) -> None:
    live.transcript("up")
    (folder(live) / REPORT_FILE).unlink(missing_ok=True)
    removed(live)
    output = live.transcript(command)
    assert f"({GONE}, and its bot did not report): check backpack, SOL_USDC_PERP" in output
    assert live.exit_code == FAILED


def test_ps_says_that_a_removed_container_may_have_left_orders(live: Sandbox) -> None:
    live.transcript("up")
    reporting(live)
    removed(live)
    output = live.transcript("ps")
    assert (
        "last known position: -0.6 SOL; its container is gone: whether orders are left is unknown" in output
    )


def test_a_paper_bot_or_one_that_said_it_has_left_nothing_is_not_named(live: Sandbox) -> None:
    live.transcript("up")
    reporting(live, open_orders_left=0, run_ended=True)
    removed(live)
    live.engine.discard(ETH)
    for command in ("stop", "down"):
        output = live.transcript(command)
        assert (GONE in output, live.exit_code) == (False, OK)
    assert "whether orders are left" not in live.transcript("ps")


def test_what_the_exchange_said_before_the_removal_is_kept(live: Sandbox) -> None:
    live.bots.answers["bp_sol_01"] = NOTHING
    live.transcript("up")
    reporting(live)
    killed(live)
    live.transcript("down")
    for command in ("down", "stop", "halt"):
        output = live.transcript(command)
        assert ("unknown" in output, live.exit_code) == (False, OK), output
    assert "whether orders are left" not in live.transcript("ps")


def test_what_was_said_once_by_down_is_not_said_for_ever(live: Sandbox) -> None:
    live.transcript("up")
    reporting(live)
    removed(live)
    assert GONE in live.transcript("stop")
    live.clock.sleep(1)
    assert GONE in live.transcript("down")
    assert GONE not in live.transcript("down")
    live.clock.sleep(1)
    live.transcript("start bp_sol_01")
    removed(live)
    assert GONE in live.transcript("down")


def without_config(sandbox: Sandbox) -> None:
    """Its config is deleted, or moved away."""
    (sandbox.folder / "config" / "active" / "bp_sol_01.json").unlink()


@pytest.mark.parametrize(
    "command", ["stop", "down", "stop bp_sol_01", "down bp_sol_01", "halt", "halt bp_sol_01"]
)
@pytest.mark.parametrize("has_report", [True, False])
def test_one_of_which_neither_container_nor_config_is_left_is_named(
    live: Sandbox, command: str, has_report: bool
) -> None:
    live.transcript("up")
    (folder(live) / REPORT_FILE).unlink(missing_ok=True)
    if has_report:
        reporting(live)
    removed(live)
    without_config(live)
    output = live.transcript("ps")
    assert "its container and its config are gone: whether orders are left is unknown" in output
    assert "`manager down bp_sol_01` ends this note" in output
    output = live.transcript(command)
    last = (
        "0s ago its bot reported 13 open orders, position -0.6 SOL"
        if has_report
        else "its bot did not report"
    )
    assert "error: bp_sol_01: whether orders are left is unknown (its container is gone" in output
    assert f"{last}): check its exchange" in output
    assert live.exit_code == FAILED


def test_the_word_of_a_person_ends_it(live: Sandbox) -> None:
    live.transcript("up")
    reporting(live)
    removed(live)
    without_config(live)
    live.clock.sleep(1)
    for command in ("up", "restart", "plan"):
        assert ("bp_sol_01" in live.transcript(command), live.exit_code) == (False, OK)
    assert "bp_sol_01 has neither a container nor a config any more" in live.transcript("start bp_sol_01")
    assert "check its exchange" in live.transcript("down bp_sol_01")
    for command in ("ps", "stop", "down", "halt"):
        assert "bp_sol_01" not in live.transcript(command)
        assert live.exit_code == OK


def test_a_paper_bot_and_one_that_left_nothing_are_forgotten(live: Sandbox) -> None:
    live.transcript("up")
    reporting(live, open_orders_left=0, run_ended=True)
    removed(live)
    live.engine.discard(ETH)
    for config in (live.folder / "config" / "active").iterdir():
        config.unlink()
    for command in ("ps", "stop", "down", "halt"):
        output = live.transcript(command)
        assert ("bp_" in output, live.exit_code) == (False, OK), output


def test_a_stop_looks_once_at_what_is_down_already(live: Sandbox) -> None:
    live.transcript("up")
    killed(live)
    report = {"open_orders_left": 0, "position_at_exchange": "0.2", "at": live.clock.time() + 1}
    (folder(live) / REPORT_FILE).write_text(json.dumps(report))
    with mock.patch.object(live.engine, "inspect", wraps=live.engine.inspect) as inspect:
        live.transcript("stop bp_sol_01")
    assert inspect.call_count == 1


def test_a_moved_fleet_asks_although_another_folder_is_in_its_old_place(live: Sandbox) -> None:
    live.transcript("up")
    live.engine.start_again(ETH, SOL)  # the fake's supervisors write by paths
    old, live.folder = live.folder, live.folder.with_name("moved")
    old.rename(live.folder)
    for name in ("database", "secrets", "state"):
        (old / "volumes" / name / "bp_sol_01").mkdir(parents=True)
    for command in ("stop", "halt"):
        assert NAMED in live.transcript(command)
        assert live.exit_code == FAILED
    output = live.transcript("resume", "start bp_sol_01")
    assert "bp_sol_01: recreated (moved" in output
    assert live.states()["bp_sol_01"] == "running"


def test_a_copy_asks_nothing_for_the_original(live: Sandbox) -> None:
    live.transcript("up")
    killed(live)
    live.folder = Path(shutil.copytree(live.folder, live.folder.with_name("copy"), symlinks=True))
    for command in ("stop", "halt", "down"):
        output = live.transcript(command)
        assert ("-left" in output, "-orders" in output) == (False, False), output
    assert set(live.states()) == set(BOTH)


@pytest.mark.parametrize("is_removed", [False, True])
def test_orders_that_a_bot_has_reported_are_an_error_while_its_exchange_is_away(
    live: Sandbox, is_removed: bool
) -> None:
    live.transcript("up")
    with_orders(live)
    live.bots.answers.clear()
    if is_removed:
        removed(live)
    output = live.transcript("stop")
    assert "error: bp_sol_01 has stopped and reported 3 open orders left: check the exchange" in output
    assert "warning: bp_sol_01: backpack could not be asked, its bot has reported what is left (" in output
    assert live.exit_code == FAILED


def test_orders_that_a_halt_has_left_are_no_calm_state_until_the_exchange_has_none(live: Sandbox) -> None:
    """Nobody answers their fills, although a person has stopped the bot."""

    live.transcript("up")
    live.transcript("halt")
    assert shown(live) == ("bad", True)
    live.transcript("orders bp_sol_01")
    assert shown(live) == ("bad", True)
    live.bots.answers["bp_sol_01"] = NOTHING
    live.transcript("orders bp_sol_01")
    assert shown(live) == ("off", False)


def status(sandbox: Sandbox) -> dict[str, Any]:
    """Return what `status` prints of the live bot."""
    text = sandbox.transcript("status bp_sol_01").partition("\n")[2]
    return dict(json.JSONDecoder().raw_decode(text)[0])  # the exit code comes after it


def test_status_says_what_a_stopped_bot_has_left_as_ps_does(live: Sandbox) -> None:
    """It said nothing of orders: only `ps` and the command that stopped the bot did."""
    live.transcript("up")
    assert (status(live)["open_orders_left"], status(live)["note"]) == (None, None)
    live.transcript("halt")
    assert status(live)["open_orders_left"] == 2
    assert status(live)["note"] in live.transcript("ps")
    assert status(live)["note"].endswith("2 open orders left")
    live.bots.answers["bp_sol_01"] = NOTHING
    live.transcript("orders bp_sol_01")
    assert (status(live)["open_orders_left"], "open orders" in status(live)["note"]) == (0, False)


@pytest.mark.parametrize("command", ["halt", "stop bp_sol_01", "orders bp_sol_01"])
def test_an_answer_is_kept_for_a_bot_that_was_killed_before_its_first_report(
    live: Sandbox, command: str
) -> None:
    """The report of the run before stands there until then; the answer was taken for that one's."""
    live.transcript("up")
    condition = {"code": "finished", "params": {"by": "duration", "limit": "60"}}
    report = {"contract": 2, "mode": "live", "at": live.clock.time(), "position": "0.3", "final": True}
    content = {"run_ended": True, "previous_run": True, "report": {**report, "condition": condition}}
    killed(live)
    (folder(live) / REPORT_FILE).write_text(json.dumps(content))
    assert "it was killed: whether orders are left is unknown" in status(live)["note"]
    assert status(live)["open_orders_left"] is None
    live.transcript(command)
    assert status(live)["open_orders_left"] == 2
    note = status(live)["note"]
    assert ("position left: -0.6 SOL; 2 open orders left" in note, "unknown" in note) == (True, False)
    assert status(live)["doing"] is None, "it has not finished as planned: the run before had"


def older_copy(sandbox: Sandbox) -> None:
    """As `older_report`, by a supervisor that keeps copies."""
    report = {"contract": 2, "mode": "live", "at": sandbox.clock.time() - 3600, "position_at_exchange": "0"}
    killed(sandbox)
    content = {"run_ended": True, "open_orders_left": 0, "previous_run": False, "report": report}
    (folder(sandbox) / REPORT_FILE).write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("end", "before"),
    [
        (older_report, None),
        (older_copy, None),
        (without_report, None),
        (with_orders, 3),
        (of_the_bot_only, 0),
    ],
)
def test_what_a_killed_bot_has_left_is_as_was_told_last(
    live: Sandbox, end: Callable[[Sandbox], None], before: int | None
) -> None:
    """A word of before its last run is none, and what its exchange answers replaces the bot's own file."""
    live.transcript("up")
    live.clock.sleep(10)
    live.transcript("restart bp_sol_01")
    end(live)
    assert status(live)["open_orders_left"] == before
    assert ("whether orders are left is unknown" in status(live)["note"]) == (before is None)
    live.bots.answers["bp_sol_01"] = NOTHING if before != 0 else RESTING
    live.transcript("orders bp_sol_01")
    assert status(live)["open_orders_left"] == (2 if before == 0 else 0)
    assert "unknown" not in status(live)["note"]


def confirmed(sandbox: Sandbox) -> None:
    """Its last report is that of a bot to which the exchange has confirmed that nothing is left."""
    report = {"contract": 2, "mode": "live", "final": True, "position": "0", "position_at_exchange": "0"}
    content = {"run_ended": True, "open_orders_left": 0, "report": {**report, "at": sandbox.clock.time()}}
    (folder(sandbox) / REPORT_FILE).write_text(json.dumps(content))
    sandbox.clock.sleep(1)


def test_what_a_halt_could_not_learn_is_no_calm_state_until_the_exchange_has_answered(live: Sandbox) -> None:
    """The bot had been told that nothing is left; the halt asks after that, and gets no answer."""
    live.transcript("up")
    live.engine.after("stop", lambda: confirmed(live), of=SOL)
    live.bots.answers.clear()
    assert "whether orders are left is unknown" in live.transcript("halt")
    note = "unknown what is left at the exchange: `manager orders bp_sol_01` asks again"
    assert (shown(live)[0], note in live.transcript("ps")) == ("bad", True)
    live.transcript("orders bp_sol_01")
    assert shown(live)[0] == "bad", "it has not answered"
    assert "2 ORDERS" not in live.transcript("stop")
    assert shown(live)[0] == "bad", "a person's stop is no answer either"
    live.bots.answers["bp_sol_01"] = NOTHING
    live.transcript("orders bp_sol_01")
    assert (shown(live)[0], note in live.transcript("ps")) == ("off", False)


@pytest.mark.parametrize("command", ["halt", "stop", "down"])
def test_a_later_answer_ends_that_whoever_asks(live: Sandbox, command: str) -> None:
    live.transcript("up")
    live.engine.after("stop", lambda: confirmed(live), of=SOL)
    live.bots.answers.clear()
    live.transcript("halt")
    live.bots.answers["bp_sol_01"] = RESTING
    assert NAMED in live.transcript(command)
    assert shown(live) == ("bad", True)
    assert "unknown what is left" not in live.transcript("ps")


def test_orders_that_are_known_stay_loud_without_a_container_until_a_person_has_looked(live: Sandbox) -> None:
    """They were a calm row with a note."""
    live.transcript("up")
    live.engine.after("stop", lambda: confirmed(live), of=SOL)
    live.bots.answers.clear()
    live.transcript("halt")
    live.bots.answers["bp_sol_01"] = RESTING
    live.transcript("down")
    note = "2 open orders left: cancel them at the exchange, then `manager down bp_sol_01` ends this note"
    for command in ("ps", "down", "stop", "down bp_eth_02"):
        live.transcript(command)
        assert (shown(live)[0], status(live)["open_orders_left"]) == ("bad", 2), command
        assert note in live.transcript("ps")
    live.transcript("down bp_sol_01")
    assert (shown(live), status(live)["open_orders_left"]) == (("off", False), None)
    live.transcript("resume", "start bp_sol_01")
    live.engine.after("stop", lambda: confirmed(live), of=SOL)
    live.clock.sleep(1)
    live.bots.answers["bp_sol_01"] = RESTING
    live.bots.answers.clear()
    live.transcript("halt", "down")
    assert shown(live)[0] == "bad", "that was said of the run before"


def test_a_position_that_is_looked_at_is_no_word_of_the_orders(live: Sandbox) -> None:
    live.transcript("up")
    live.engine.after("stop", lambda: confirmed(live), of=SOL)
    live.bots.answers.clear()
    live.transcript("halt")
    live.clock.sleep(1)
    for _time in range(2):
        closed_report.keep(folder(live), Decimal(0), {})
        assert shown(live)[0] == "bad"
    closed_report.keep(folder(live), Decimal(0), {}, is_settled=True)
    assert shown(live)[0] == "off"


def test_a_removed_container_makes_it_no_better_known(live: Sandbox) -> None:
    live.transcript("up")
    live.engine.after("stop", lambda: confirmed(live), of=SOL)
    live.bots.answers.clear()
    live.transcript("halt", "down")
    assert shown(live)[0] == "bad"
    assert "its container is gone: whether orders are left is unknown" in live.transcript("ps")
    live.bots.answers["bp_sol_01"] = NOTHING
    live.transcript("resume", "start bp_sol_01")
    assert shown(live)[0] in {"calm", "note"}, "it runs, and tells itself"
    live.engine.after("stop", lambda: confirmed(live), of=SOL)
    live.transcript("stop bp_sol_01")
    assert shown(live)[0] == "off"


def shown(sandbox: Sandbox) -> tuple[str, bool]:
    """Return how urgent the live bot is shown, and whether with its two orders."""
    [of_live] = [
        row
        for row in json.loads(sandbox.transcript("ps --json").partition("\n")[2])
        if row["id"] == "bp_sol_01"
    ]
    return of_live["severity"], "2 open orders left" in sandbox.transcript("ps")


@pytest.mark.parametrize("state", ["completed", "failed"])
def test_nor_are_those_of_a_bot_that_has_ended_by_itself(live: Sandbox, state: str) -> None:
    live.bots.set_behaviour("bp_sol_01", state=state)
    live.transcript("up")
    condition = {"code": "finished", "params": {"by": "duration", "limit": "60"}}
    report = {"contract": 2, "at": live.clock.time(), "final": True, "condition": condition, "position": "0"}
    content = {"run_ended": True, "open_orders_left": 2, "report": report}
    (folder(live) / REPORT_FILE).write_text(json.dumps(content))
    assert shown(live) == ("bad", True)
    live.bots.answers["bp_sol_01"] = json.dumps(
        {"open_orders": 0, "others": 0, "position": "0", "base": "SOL"}
    )
    live.transcript("orders bp_sol_01")
    assert shown(live) == ("calm" if state == "completed" else "bad", False)


def test_what_a_bot_has_open_that_runs_is_not_what_it_has_left(live: Sandbox) -> None:
    live.transcript("up")
    before = (folder(live) / REPORT_FILE).exists() and (folder(live) / REPORT_FILE).read_text()
    live.transcript("orders bp_sol_01")
    assert ((folder(live) / REPORT_FILE).exists() and (folder(live) / REPORT_FILE).read_text()) == before


def test_what_a_halt_has_left_is_said_last(live: Sandbox) -> None:
    """Where the reader of many lines is: at their end."""
    live.config("paper_01", 5003)
    live.bots.set_behaviour("paper_01", stops_in=900)
    live.transcript("up")
    output = [line for line in live.transcript("halt").splitlines() if line.startswith("error:")]
    assert output == ["error: paper_01 did not stop in time and was killed", NAMED]


def test_a_signal_leaves_the_container_from_which_its_exchange_can_be_asked(live: Sandbox) -> None:
    """It had been removed unasked, and nothing could be asked from any more."""
    live.transcript("up")
    killed(live)
    live.engine.before("stop", lambda: os.kill(os.getpid(), signal.SIGTERM), of=ETH)
    output = live.transcript("down")
    assert "bp_sol_01 was stopped and is not removed: its exchange can be asked only while" in output
    assert live.exit_code == 128 + signal.SIGTERM
    assert "bp_sol_01" in live.states()
    assert NAMED in live.transcript("down bp_sol_01")
    assert live.states() == {}
