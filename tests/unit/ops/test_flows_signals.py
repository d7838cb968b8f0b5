"""Ctrl-C and SIGTERM in the middle of a change: nothing more is begun, nothing is left half done, and it is said."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from manager.fleet import event_spool, lock, project
from manager.util import interrupts
from tests.fakes.sandbox import ETH, SOL, Sandbox
from tests.unit.ops.test_flows_up import MORE_MEMORY

RUN = {"bp_eth_02": "running", "bp_sol_01": "running"}
NUMBERS = [signal.SIGINT, signal.SIGTERM]


def send(number: int) -> Callable[[], None]:
    """Return what sends this process a signal."""
    return lambda: os.kill(os.getpid(), number)


@pytest.fixture(params=NUMBERS, ids=["SIGINT", "SIGTERM"])
def number(request: pytest.FixtureRequest) -> int:
    """Each signal."""
    return int(request.param)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_bot_that_was_stopped_for_its_restart_is_started_again(
    sandbox: Sandbox, number: int, when: str
) -> None:
    sandbox.transcript("up")
    getattr(sandbox.engine, when)("stop", send(number), of=ETH)
    sandbox.assert_transcript(f"""
        $ restart
        bp_eth_02: restarted (requested, 0.0 s)
        bp_sol_01: failed (requested, 0.0 s)
        error: bp_sol_01 was left as it was: interrupted
        error: interrupted: what had begun was finished, and nothing else was begun
          engine: stop bp_eth_02
          engine: start bp_eth_02
          exit code {128 + number}
    """)
    assert sandbox.states() == RUN


def test_so_is_one_whose_container_is_made_anew(sandbox: Sandbox, number: int) -> None:
    sandbox.transcript("up")
    for port, instance in enumerate(RUN, start=5001):
        sandbox.config(instance, port, daemon_config=MORE_MEMORY)
    sandbox.engine.after("remove", send(number), of=ETH)
    output = sandbox.transcript("up")
    assert "bp_eth_02: recreated (config changed" in output
    assert "bp_sol_01 was left as it was: interrupted" in output
    assert sandbox.exit_code == 128 + number
    assert sandbox.states() == RUN


def test_so_are_those_that_exchange_their_ports(sandbox: Sandbox, number: int) -> None:
    """Both have gone when the first one is made anew: none can be left as it was."""
    sandbox.transcript("up")
    sandbox.config("bp_eth_02", 5002)
    sandbox.config("bp_sol_01", 5001)
    sandbox.engine.after("remove", send(number), of=ETH)
    output = sandbox.transcript("up")
    assert output.count(": recreated (config changed") == 2
    assert sandbox.exit_code == 128 + number
    assert sandbox.states() == RUN


def test_a_halt_that_came_too_is_obeyed(sandbox: Sandbox, number: int) -> None:
    sandbox.transcript("up")
    sandbox.engine.before("stop", send(number), of=ETH)
    sandbox.engine.after("stop", sandbox.meanwhile("halt"), of=ETH)
    output = sandbox.transcript("restart")
    assert "bp_eth_02 is not started: the fleet was stopped by force meanwhile" in output
    assert sandbox.exit_code == 128 + number
    assert set(sandbox.states().values()) == {"exited"}


@pytest.mark.parametrize("command", ["stop", "down"])
def test_what_is_to_be_down_is_taken_down(sandbox: Sandbox, number: int, command: str) -> None:
    sandbox.transcript("up")
    sandbox.engine.before("stop", send(number), of=ETH)
    output = sandbox.transcript(command)
    assert output.count("ed (requested, 0.0 s)") == 2
    assert sandbox.exit_code == 128 + number
    assert "running" not in sandbox.states().values()


def test_nothing_more_is_created(sandbox: Sandbox, number: int) -> None:
    sandbox.engine.after("create", send(number), of=ETH)
    output = sandbox.transcript("up")
    assert "bp_eth_02 is not started: interrupted" in output
    assert "bp_sol_01 is not started: interrupted" in output
    assert sandbox.exit_code == 128 + number
    assert sandbox.states() == {"bp_eth_02": "created"}


def test_nobody_waits_until_it_is_healthy(sandbox: Sandbox, number: int) -> None:
    sandbox.engine.after("start", send(number), of=SOL)
    output = sandbox.transcript("up --wait")
    assert "bp_sol_01: created" in output
    assert sandbox.exit_code == 128 + number
    assert sandbox.states() == RUN


@pytest.mark.parametrize("place", ["stop", "remove", "create", "start"])
def test_an_upgrade_ends_after_its_batch_and_goes_on_when_it_is_asked_to(
    sandbox: Sandbox, number: int, place: str
) -> None:
    sandbox.transcript("up")
    sandbox.new_image()
    sandbox.engine.after(place, send(number), nth=1)
    output = sandbox.transcript("upgrade --canary bp_eth_02")
    assert "bp_eth_02: FAILED: interrupted before it was known to be ready; it stays upgraded" in output
    assert "not reached: bp_sol_01\nthe roll-out has stopped: interrupted" in output
    assert sandbox.exit_code == 128 + number
    assert sandbox.states() == RUN
    assert "upgraded: bp_eth_02, bp_sol_01" in sandbox.transcript("upgrade")


def test_a_rollback_that_has_begun_is_finished(sandbox: Sandbox, number: int) -> None:
    sandbox.transcript("up")
    sandbox.new_image()
    sandbox.transcript("upgrade")
    sandbox.engine.after("remove", send(number), of=ETH)
    output = sandbox.transcript("rollback")
    assert "bp_eth_02: rolled back" in output
    assert "bp_sol_01 was left as it was: interrupted" in output
    assert sandbox.exit_code == 128 + number
    assert sandbox.states() == RUN


@pytest.fixture
def is_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a signal just behind another one be a second one."""
    monkeypatch.setattr(interrupts, "SAME_ENDING_S", 0)


@pytest.mark.usefixtures("is_second")
def test_a_second_signal_ends_it_and_names_what_is_left(sandbox: Sandbox, number: int) -> None:
    sandbox.transcript("up")
    sandbox.engine.before("stop", send(number), of=SOL)
    sandbox.engine.after("stop", send(number), of=SOL)
    output = sandbox.transcript("restart bp_sol_01")
    assert "error: interrupted in the middle of bp_sol_01: whether these run is unknown" in output
    assert sandbox.exit_code == 128 + number
    assert lock._note_at(sandbox.folder / "volumes" / "state" / lock.NAME), (
        "the next one gives the engine time"
    )
    assert sandbox.transcript("restart").count("started") == 2
    assert sandbox.states() == RUN


@pytest.mark.usefixtures("is_second")
def test_so_are_those_named_that_were_to_exchange_their_ports(sandbox: Sandbox, number: int) -> None:
    """Both are stopped before one is made anew; a third one was not begun with."""
    sandbox.transcript("up")
    sandbox.config("bp_eth_02", 5002)
    sandbox.config("bp_sol_01", 5001)
    sandbox.config("aa_btc_03", 5003)
    sandbox.engine.before("stop", send(number), of=ETH)
    sandbox.engine.after("stop", send(number), of=ETH)
    output = sandbox.transcript("up")
    assert "error: interrupted in the middle of bp_eth_02, bp_sol_01: whether these run is unknown" in output
    assert sandbox.exit_code == 128 + number
    assert lock._note_at(sandbox.folder / "volumes" / "state" / lock.NAME)
    assert "aa_btc_03: created" in sandbox.transcript("up")
    assert sandbox.states() == {**RUN, "aa_btc_03": "running"}


def spooled(sandbox: Sandbox) -> list[tuple[str, str, str, bool]]:
    """Return what the history gets of each event: command, instance, action, whether it was done."""
    spool = project.read(sandbox.folder).fleet.event_spool_file
    events = [event_spool.parsed(line) for line in spool.read_bytes().splitlines()]
    return [(event.command, event.instance, event.what, event.is_done) for event in events if event]


@pytest.mark.usefixtures("is_second")
@pytest.mark.parametrize(("command", "kind"), [("restart", "restart"), ("stop", "stop"), ("down", "remove")])
def test_a_second_signal_loses_nothing_of_the_history(
    sandbox: Sandbox, number: int, command: str, kind: str
) -> None:
    """What was done until then was in no history, and neither was what it had interrupted."""
    sandbox.transcript("up")
    known = len(spooled(sandbox))
    sandbox.engine.before("stop", send(number), of=SOL)
    sandbox.engine.after("stop", send(number), of=SOL)
    sandbox.transcript(command)
    assert spooled(sandbox)[known:] == [
        (command, "bp_eth_02", kind, True),
        (command, "bp_sol_01", kind, False),
    ]


@pytest.mark.usefixtures("is_second")
def test_nor_does_it_of_an_upgrade_and_a_rollback(sandbox: Sandbox, number: int) -> None:
    sandbox.transcript("up")
    sandbox.new_image()
    known = len(spooled(sandbox))
    sandbox.engine.after("stop", send(number), of=ETH)
    sandbox.engine.before("remove", send(number), of=ETH)
    sandbox.transcript("upgrade bp_eth_02")
    assert spooled(sandbox)[known:] == [("upgrade", "bp_eth_02", "upgrade", False)]
    sandbox.transcript("upgrade")
    known = len(spooled(sandbox))
    sandbox.engine.before("stop", send(number), of=SOL)
    sandbox.engine.after("stop", send(number), of=SOL)
    sandbox.transcript("rollback")
    assert spooled(sandbox)[known:] == [
        ("rollback", "bp_eth_02", "rollback", True),
        ("rollback", "bp_sol_01", "rollback", False),
    ]


@pytest.mark.usefixtures("is_second")
def test_a_resume_halted_and_ended_twice_stays_on_the_list(sandbox: Sandbox, number: int) -> None:
    """A halt comes too: what the restart had stopped is what the next `resume` starts."""
    sandbox.transcript("up")
    sandbox.engine.before("stop", send(number), of=SOL)
    sandbox.engine.after("stop", sandbox.meanwhile("halt"), of=SOL)
    sandbox.engine.after("stop", send(number), of=SOL)
    sandbox.transcript("restart bp_sol_01")
    assert "bp_sol_01: started" in sandbox.transcript("resume")


def test_before_anything_has_begun_it_ends_at_once(sandbox: Sandbox, number: int) -> None:
    sandbox.transcript("up")
    sandbox.engine.before("containers", send(number))
    sandbox.assert_transcript(f"""
        $ restart
        interrupted
          exit code {128 + number}
    """)


def test_a_resume_that_was_ended_is_gone_on_with(sandbox: Sandbox, number: int) -> None:
    sandbox.transcript("up", "halt")
    sandbox.engine.after("start", send(number), of=ETH)
    output = sandbox.transcript("resume")
    assert "bp_sol_01 is not started: interrupted" in output
    assert sandbox.exit_code == 128 + number
    assert "bp_sol_01: left alone: halted" in sandbox.transcript("up")
    assert "bp_sol_01: started" in sandbox.transcript("resume")
    assert sandbox.states() == RUN
