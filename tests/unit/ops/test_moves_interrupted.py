"""A move that nobody goes on with leaves its bot on no machine: everything that looks says so."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from manager.config.bot_environment import LiveContainer
from manager.errors import FAILED
from manager.fleet import tombstone
from manager.fleet.session import Session
from manager.fleet.tombstone import Generation, Tombstone
from manager.monitor.metrics.families import Moves
from manager.monitor.watch.alert_rules import MACHINE, Condition
from manager.monitor.watch.twin_keeper import INTERRUPTED_S, LASTS_S, TwinKeeper
from manager.ops.hosts import account_looks, everywhere, registry
from manager.ops.hosts.generations import GenerationRecord
from manager.ops.hosts.ssh import CommandResult
from manager.ops.move import interrupted, journal, staging, steps
from manager.ops.move.interrupted import ARRIVES_WITHIN_S
from manager.ops.move.journal import Journal, Step
from manager.web.engine_side import answers as page_answers
from manager.web.engine_side.figures import Figures
from manager.web.engine_side.observer import Observer
from tests.fakes.sandbox import Sandbox
from tests.unit.ops.test_account_check import KEYS, Tokyo, fleet_of, tokyo

__all__ = ["tokyo"]

ID = "bp_sol_01"
AT_STEP = {
    "halt": f"{ID} may be down: its move from here to tokyo was interrupted; run `manager move {ID} tokyo`",
    "bury": f"{ID} is on no machine",
    "put": f"{ID} is on no machine: its move from here to tokyo was interrupted, and nothing starts it",
    "start": f"{ID} is on tokyo, and is not known to run there",
}


def is_interrupted(
    sandbox: Sandbox, step: Step, *, did_run: bool = True, source: str = registry.HERE
) -> None:
    """Leave what a command that moves and is killed at this step leaves."""
    fleet, target = fleet_of(sandbox), "tokyo" if source == registry.HERE else registry.HERE
    saved = Journal("m1", source, target, 1, did_run, step)
    journal.save(fleet, ID, saved)
    if saved.has_reached("bury") and source == registry.HERE:
        tombstone.bury(fleet, ID, Tombstone(1, "tokyo", "m1", did_run=did_run))


def rows(sandbox: Sandbox) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = json.loads("\n".join(sandbox.run("ps --json")).partition("\n]")[0] + "]")
    return content


def told_of(sandbox: Sandbox) -> list[str]:
    snapshot = Session(sandbox.folder).observe()
    return [str(move.text) for move in interrupted.find(fleet_of(sandbox), snapshot.views)]


@pytest.mark.parametrize("step", AT_STEP)
def test_an_interrupted_move_is_told_wherever_one_looks(sandbox: Sandbox, tokyo: Tokyo, step: Step) -> None:
    """Only `manager move` told it: `ps`, `doctor`, the page and `watch` called the bot moved."""
    is_interrupted(sandbox, step)
    assert f"error: {AT_STEP[step]}" in sandbox.transcript("ps")
    assert f"error: {AT_STEP[step]}" in sandbox.transcript("list")
    assert f"fail  {AT_STEP[step]}" in sandbox.transcript("doctor")
    assert sandbox.exit_code == FAILED
    session = Session(sandbox.folder)
    told = page_answers.fleet(Observer(session).look(), Figures())
    assert [problem for problem in told["problems"] if problem.startswith(AT_STEP[step])]
    keeper = TwinKeeper()
    keeper.look(fleet_of(sandbox), [])
    keeper.look_at_moves(fleet_of(sandbox), session.observe().views)
    [condition] = keeper.conditions()
    assert (condition.subject, condition.kind, condition.after) == (MACHINE, "move", INTERRUPTED_S)
    assert str(condition.text).startswith(AT_STEP[step])
    assert keeper.moves() == Moves(0, 1)


def test_its_row_tells_it_too_until_it_is_finished(sandbox: Sandbox, tokyo: Tokyo) -> None:
    is_interrupted(sandbox, "put")
    assert "its move to tokyo is not finished" in sandbox.transcript(f"ps {ID}")
    [row] = [row for row in rows(sandbox) if row["id"] == ID]
    assert (row["severity"], row["moved_to"]) == ("bad", None), "what it holds is nobody else's yet"
    assert row["unfinished_move"] == "its move to tokyo is not finished"
    assert "its move to tokyo is not finished" in sandbox.transcript(f"start {ID}")
    journal.save(fleet_of(sandbox), ID, Journal("m1", registry.HERE, "tokyo", 1, True, "clean", is_done=True))
    assert "moved to tokyo" in sandbox.transcript(f"ps {ID}")
    assert "is not finished" not in sandbox.transcript(f"ps {ID}")
    [row] = [row for row in rows(sandbox) if row["id"] == ID]
    assert (row["severity"], row["moved_to"], row["unfinished_move"]) == ("off", "tokyo", None)


def test_ps_of_all_machines_does_not_call_it_moved(
    sandbox: Sandbox, tokyo: Tokyo, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_interrupted(sandbox, "put")
    answer = everywhere.Answer(registry.HERE, CommandResult(0, json.dumps(rows(sandbox)), ""))
    monkeypatch.setattr(everywhere, "run", lambda *_args: [answer])
    output = sandbox.transcript("ps --hosts")
    assert "its move to tokyo is not finished" in output
    assert "moved to tokyo" not in output


def test_what_is_at_work_or_done_is_none(sandbox: Sandbox, tokyo: Tokyo) -> None:
    fleet = fleet_of(sandbox)
    is_interrupted(sandbox, "halt", did_run=False)
    assert told_of(sandbox) == [], "it did not run before, and is here"
    is_interrupted(sandbox, "put")
    for name in staging.LOCKS:
        with staging.locked(fleet, ID, name, 0.0):
            assert told_of(sandbox) == [], "a command is at it"
    assert len(told_of(sandbox)) == 1
    is_interrupted(sandbox, "clean")
    assert told_of(sandbox) == [], "only copies of the backup are left"
    is_interrupted(sandbox, "start", did_run=False)
    assert told_of(sandbox) == [], "it did not run before"
    is_interrupted(sandbox, "put", did_run=False)
    assert len(told_of(sandbox)) == 1, "nothing starts it anywhere"
    tombstone.settle(fleet, ID, Generation(2, "m2"))
    assert told_of(sandbox) == [], "it was moved otherwise since"


def test_what_runs_where_it_belongs_is_none(sandbox: Sandbox, tokyo: Tokyo) -> None:
    sandbox.transcript(f"up {ID}")
    is_interrupted(sandbox, "halt")
    assert told_of(sandbox) == [], "it runs here: a person has resumed it"
    sandbox.transcript(f"down {ID}")
    assert len(told_of(sandbox)) == 1
    is_interrupted(sandbox, "start")
    keeper, session = TwinKeeper(), Session(sandbox.folder)
    tokyo.live = [LiveContainer(ID, "c", "backpack", "SOL_USDC", KEYS)]
    fleet = fleet_of(sandbox)
    account_looks.ask(fleet, account_looks.key_of(fleet), [registry.get(sandbox.folder, "tokyo")])
    keeper.look(fleet, [])
    keeper.look_at_moves(fleet, session.observe().views)
    assert [condition.kind for condition in keeper.conditions() if condition.kind == "move"] == []
    assert told_of(sandbox) == [], "it was started there, as tokyo told last"


def test_what_has_arrived_here_is_on_this_machine_whatever_the_record_of_the_move_says(
    sandbox: Sandbox, tokyo: Tokyo
) -> None:
    """It was started by hand, and `ps` still said that it is on no machine, and offered `--back`."""
    is_interrupted(sandbox, "arrive", source="tokyo")
    assert "is on no machine" in told_of(sandbox)[0]
    tombstone.settle(fleet_of(sandbox), ID, Generation(1, "m1"))
    [text] = told_of(sandbox)
    assert text.startswith(f"{ID} is on here, and is not known to run there")
    assert "--back" not in text
    sandbox.transcript(f"start {ID}")
    assert told_of(sandbox) == []


@pytest.mark.parametrize("has_arrived", [True, False])
def test_what_has_arrived_there_is_there_as_that_machine_tells(
    sandbox: Sandbox, tokyo: Tokyo, *, has_arrived: bool
) -> None:
    is_interrupted(sandbox, "arrive")
    tokyo.generations = {ID: GenerationRecord(1, 1, "m1" if has_arrived else "m0")._asdict()}
    tokyo.live = [LiveContainer(ID, "c", "backpack", "SOL_USDC", KEYS)] if has_arrived else []
    fleet = fleet_of(sandbox)
    account_looks.ask(fleet, account_looks.key_of(fleet), [registry.get(sandbox.folder, "tokyo")])
    assert [AT_STEP["bury"] in text for text in told_of(sandbox)] == ([] if has_arrived else [True])


def test_one_from_another_machine_names_its_command(sandbox: Sandbox, tokyo: Tokyo) -> None:
    is_interrupted(sandbox, "copy", source="tokyo")
    [text] = told_of(sandbox)
    assert f"run `manager move {ID} --from tokyo` again, or `manager move {ID} --back`" in text


def test_what_never_arrived_is_told_where_it_should_have(sandbox: Sandbox) -> None:
    """That machine has neither a journal nor config/hosts.toml."""
    fleet = fleet_of(sandbox)
    assert not fleet.hosts_file.exists()
    (fleet.state_dir / "moves").mkdir(parents=True)
    now = time.time()
    tombstone.bury(fleet, ID, Tombstone(1, "desk", "m1", at=now, is_arriving=True))
    assert told_of(sandbox) == [], "it may still be at that"
    tombstone.bury(fleet, ID, Tombstone(1, "desk", "m1", at=now - ARRIVES_WITHIN_S - 1, is_arriving=True))
    assert "fail  bp_sol_01 is on no machine: its move to this one was interrupted" in sandbox.transcript(
        "doctor"
    )
    keeper = TwinKeeper()
    keeper.look_if_due(fleet, Session(sandbox.folder).observe())
    assert [condition.kind for condition in keeper.conditions()] == ["move"]


def lost_conditions(keeper: TwinKeeper, sandbox: Sandbox) -> list[Condition]:
    keeper.look(fleet_of(sandbox), [], Session(sandbox.folder).observe().views)
    return [condition for condition in keeper.conditions() if condition.kind == "lost"]


def test_watch_tells_of_what_is_not_where_it_went(sandbox: Sandbox, tokyo: Tokyo) -> None:
    """`ps --hosts` ended with an error, and nobody who sleeps was woken."""
    fleet, keeper = fleet_of(sandbox), TwinKeeper()
    assert keeper.unknown() == ["twin", "shared_account", "lost", "move"]
    assert keeper.moves() == Moves()
    journal.save(fleet, ID, Journal("m1", registry.HERE, "tokyo", 1, True, "clean", is_done=True))
    tombstone.bury(fleet, ID, Tombstone(1, "tokyo", "m1"))
    tokyo.is_away = True
    assert lost_conditions(keeper, sandbox) == []
    assert keeper.unknown() == ["lost"], "who is away tells nothing, and ends no alert of before"
    assert keeper.moves() == Moves(None, 0)
    tokyo.is_away = False
    [condition] = lost_conditions(keeper, sandbox)
    assert str(condition.text).startswith(f"{ID} was moved to tokyo, which knows nothing of that")
    assert (condition.subject, condition.after) == (MACHINE, LASTS_S)
    assert (keeper.unknown(), keeper.moves()) == ([], Moves(1, 0))
    tokyo.is_away = True
    assert len(lost_conditions(keeper, sandbox)) == 1, "what it told last counts while it is silent"
    tokyo.is_away, tokyo.generations = False, {ID: GenerationRecord(1, 1, "m1")._asdict()}
    assert lost_conditions(keeper, sandbox) == []
    assert (keeper.unknown(), keeper.moves()) == ([], Moves(0, 0))


def test_an_earlier_manager_is_told_of_a_tombstone_what_it_takes() -> None:
    told = steps._stone_as_told(Tombstone(1, "tokyo", "m1", is_leaving=True))
    assert told is not None
    assert list(told) == ["generation", "to", "move", "at", "is_arriving", "did_run"]
