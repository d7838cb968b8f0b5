"""An older copy of a moved instance, as a snapshot brings it back: it is not started, and it is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from manager.errors import BAD_CONFIG, FAILED, OK
from manager.fleet import tombstone
from manager.fleet.session import Session
from manager.fleet.tombstone import Generation, Tombstone
from manager.monitor.doctor import checks_machines
from manager.monitor.watch.alert_rules import MACHINE
from manager.monitor.watch.twin_keeper import TwinKeeper
from manager.ops.hosts import account_looks, everywhere, generations, registry
from manager.ops.hosts.generations import LOST, GenerationRecord, Twin
from manager.ops.hosts.identity import Identity
from manager.ops.hosts.ssh import CommandResult
from manager.ops.move import journal
from manager.ops.move.journal import Journal
from tests.fakes.sandbox import Sandbox
from tests.unit.ops.test_account_check import LIVE, OTHERS, Tokyo, fleet_of, tokyo

__all__ = ["tokyo"]

ID = "bp_sol_01"
HERE_NOW = GenerationRecord(1, 1, "m1")
TOKYO = "ssh://trader@tokyo/srv/desk"
AWAY = GenerationRecord(2, 1, "m1", is_here=False, to="osaka")


def tells(tokyo: Tokyo, held: GenerationRecord) -> None:
    tokyo.generations = {ID: held._asdict()}


def test_an_older_copy_is_not_started(sandbox: Sandbox, tokyo: Tokyo) -> None:
    tells(tokyo, HERE_NOW)
    for command in ("up", f"start {ID}", "plan"):
        output = sandbox.transcript(command)
        assert f"{ID}: left alone: host tokyo has generation 1 of it, and here is 0, an older copy" in output
        assert f"`manager move {ID} --from tokyo`" in output
    assert sandbox.states() == {"bp_eth_02": "running"}
    sandbox.transcript(f"start {ID}")
    assert sandbox.exit_code == BAD_CONFIG
    tombstone.settle(fleet_of(sandbox), ID, Generation(1, "m2"))
    assert f"{ID}: created" in sandbox.transcript("up")
    assert sandbox.exit_code == OK


@pytest.mark.parametrize("command", ["start", "restart"])
def test_of_what_a_command_moved_away_it_is_said_that_it_was_moved(
    sandbox: Sandbox, tokyo: Tokyo, command: str
) -> None:
    """It was called an older copy, whose database was to be moved away: here it is the only one left."""
    tells(tokyo, GenerationRecord(1, 1, "m1"))
    move_away(sandbox)
    output = sandbox.transcript(f"{command} {ID}")
    assert "it was moved to tokyo (generation 1); only another move brings it back" in output
    assert "older copy" not in output
    assert ID not in sandbox.states()


def move_away(sandbox: Sandbox, step: journal.Step = "clean", url: str = "") -> None:
    fleet = fleet_of(sandbox)
    journal.save(fleet, ID, Journal("m1", registry.HERE, "tokyo", 1, True, step, url=url))
    tombstone.bury(fleet, ID, Tombstone(1, "tokyo", "m1"))


@pytest.mark.parametrize(
    ("there", "step", "is_lost"),
    [
        ({}, "clean", True),
        ({"other": HERE_NOW._asdict()}, "start", True),
        ({ID: GenerationRecord(0, 0)._asdict()}, "clean", True),
        ({ID: HERE_NOW._asdict()}, "clean", False),
        ({ID: AWAY._asdict()}, "clean", False),
        (None, "clean", False),
        ({}, "put", False),
    ],
)
def test_what_went_to_a_machine_that_knows_nothing_of_it_is_told(
    sandbox: Sandbox, tokyo: Tokyo, there: dict[str, Any] | None, step: journal.Step, *, is_lost: bool
) -> None:
    """That machine's disk was brought back from before the move; `doctor` and the page called all well."""
    tokyo.generations = there
    move_away(sandbox, step)
    doctor = sandbox.transcript("doctor")
    assert (f"fail  {ID} was moved to tokyo, which knows nothing of that" in doctor) == is_lost
    assert ("close what it holds" in doctor) == is_lost
    tokyo.is_away = True
    assert "which knows nothing" not in sandbox.transcript("doctor"), "who is away tells nothing"


@pytest.mark.parametrize("place", ["another name", "its own name", "the name of a new machine"])
def test_a_machine_that_has_another_name_by_now_is_asked_all_the_same(
    sandbox: Sandbox, tokyo: Tokyo, place: str
) -> None:
    """`host remove tokyo` and `host add kyoto` with its address silenced the error and the alert for good."""
    move_away(sandbox, url=TOKYO if place == "another name" else "")
    urls = {"kyoto": TOKYO}
    if place == "the name of a new machine":
        move_away(sandbox, url=TOKYO)
        urls["tokyo"] = "ssh://trader@new.example/srv/desk"
        tokyo.another = Identity("another's", "y")
    registry.save(sandbox.folder, {name: registry.parse(name, url) for name, url in urls.items()})
    lost = f"{ID} was moved to kyoto, which knows nothing of that"
    assert f"fail  {lost}" in sandbox.transcript("doctor")
    keeper = TwinKeeper()
    keeper.look(fleet_of(sandbox), [], Session(sandbox.folder).observe().views)
    assert [str(condition.text)[: len(lost)] for condition in keeper.conditions()] == [lost]
    tokyo.is_away = True
    keeper.look(fleet_of(sandbox), [], Session(sandbox.folder).observe().views)
    assert len(keeper.conditions()) == 1, "what it told last counts while it is silent"
    tokyo.is_away = False
    tells(tokyo, HERE_NOW)
    assert "knows nothing of that" not in sandbox.transcript("doctor")


def test_ps_of_all_machines_ends_with_an_error_for_it(
    sandbox: Sandbox, tokyo: Tokyo, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = everywhere.Answer(registry.HERE, CommandResult(0, "[]", ""))
    monkeypatch.setattr(everywhere, "run", lambda *_args: [rows])
    tells(tokyo, HERE_NOW)
    move_away(sandbox)
    sandbox.transcript("ps --hosts")
    assert sandbox.exit_code == OK
    tokyo.generations = {}
    assert f"error: {ID} was moved to tokyo, which knows nothing" in sandbox.transcript("ps --hosts")
    assert sandbox.exit_code == FAILED


def test_without_other_machines_this_ones_own_record_counts_all_the_same(
    sandbox: Sandbox, tokyo: Tokyo
) -> None:
    """With its host removed and its tombstone deleted by hand, a moved instance was started here as well."""
    move_away(sandbox)
    (fleet_of(sandbox).secrets_dir(ID) / tombstone.MARK).unlink()
    registry.save(sandbox.folder, {})
    output = sandbox.transcript(f"start {ID}")
    assert f"{ID}: left alone: by this machine's own record it was moved to tokyo as generation 1" in output
    assert sandbox.exit_code == BAD_CONFIG
    assert ID not in sandbox.states()


def test_a_record_without_an_address_counts_too(sandbox: Sandbox, tokyo: Tokyo) -> None:
    """The first version that moved wrote none: with its tombstone deleted it was started here as well."""
    move_away(sandbox)
    fleet = fleet_of(sandbox)
    (fleet.secrets_dir(ID) / tombstone.MARK).unlink()
    path = fleet.moves_dir / f"{ID}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "url": None}))
    assert generations.held(fleet, ID).newest == 1
    path.write_text(
        json.dumps({name: value for name, value in json.loads(path.read_text()).items() if name != "url"})
    )
    assert f"{ID}: left alone: by this machine's own record it was moved" in sandbox.transcript(f"start {ID}")
    for damaged in ("[]", "7", "null"):
        path.write_text(damaged)
        assert generations.held(fleet, ID) == generations.NEVER_MOVED


@pytest.mark.parametrize("is_reused", [False, True], ids=["", "its old name is another machine's"])
def test_what_is_to_be_done_names_the_machine_as_it_is_called_now(
    sandbox: Sandbox, tokyo: Tokyo, *, is_reused: bool
) -> None:
    move_away(sandbox)
    (fleet_of(sandbox).secrets_dir(ID) / tombstone.MARK).unlink()
    tells(tokyo, HERE_NOW)
    urls = {"kyoto": TOKYO}
    if is_reused:
        urls["tokyo"] = "ssh://trader@new.example/srv/desk"
        tokyo.another = Identity("another's", "y")
    registry.save(sandbox.folder, {name: registry.parse(name, url) for name, url in urls.items()})
    assert f"`manager move {ID} --from kyoto` brings it back" in sandbox.transcript(f"start {ID}")


def test_a_generation_that_cannot_be_read_is_called_that_and_no_older_copy(
    sandbox: Sandbox, tokyo: Tokyo
) -> None:
    """The newest copy was to be halted: “in generation ?, and here knows of generation 0”."""
    path = fleet_of(sandbox).secrets_dir(ID) / tombstone.GENERATION
    path.parent.mkdir(parents=True)
    path.write_text("garbage")
    output = sandbox.transcript(f"start {ID}")
    assert f"its generation here, volumes/secrets/{ID}/generation, cannot be read" in output
    assert f"replace that file by volumes/secrets/{ID}/moved of the machine that it came from" in output
    assert sandbox.exit_code == BAD_CONFIG
    stone = {"generation": 1, "to": "here", "nonce": "m1", "at": 0.0, "by": "moved"}
    tells(tokyo, GenerationRecord(1, 0, "", is_here=False, to="here"))
    path.write_text(json.dumps(stone))  # as the message says; without the file it was an older copy
    assert f"{ID}: created" in sandbox.transcript(f"start {ID}")
    sandbox.transcript(f"down {ID}")
    tokyo.generations = {}
    twin = Twin(ID, "tokyo", LOST, registry.HERE, 0)
    assert "cannot be read" in str(twin.text)
    assert "older copy, as" not in str(twin.text)
    path.unlink()
    assert f"{ID}: created" in sandbox.transcript(f"start {ID}")


@pytest.mark.parametrize("command", ["start bp_sol_01", "resume bp_sol_01", "restart bp_sol_01"])
def test_nor_is_one_whose_container_is_there(sandbox: Sandbox, tokyo: Tokyo, command: str) -> None:
    sandbox.transcript("up", "halt bp_sol_01" if "resume" in command else "stop bp_sol_01")
    tells(tokyo, AWAY)
    output = sandbox.transcript(command)
    assert "host tokyo knows that it went to osaka in generation 2, and here is 0" in output
    assert f"remove volumes/secrets/{ID} and volumes/state/moves/{ID}.json on tokyo" in output
    assert sandbox.exit_code == BAD_CONFIG
    assert sandbox.states()[ID] != "running"


def test_one_that_runs_is_not_started_anew_by_what_is_known(sandbox: Sandbox, tokyo: Tokyo) -> None:
    sandbox.transcript("up")
    tells(tokyo, HERE_NOW)
    sandbox.transcript("stop bp_sol_01", "start bp_sol_01")
    tokyo.generations = {}
    sandbox.transcript(f"start {ID}")
    tells(tokyo, HERE_NOW)
    fleet = fleet_of(sandbox)
    account_looks.ask(fleet, account_looks.key_of(fleet), [registry.get(sandbox.folder, "tokyo")])
    tokyo.asked = 0
    assert "host tokyo has generation 1 of it" in sandbox.transcript(f"restart {ID}")
    assert tokyo.asked == 0
    assert sandbox.states()[ID] == "running", "it is shown, and a person ends it"
    tokyo.is_away = True
    assert "left alone" in sandbox.transcript(f"restart {ID}")
    assert f"{ID}: restarted" in sandbox.transcript(f"restart {ID} --host-is-dead tokyo")


def test_this_machines_own_entry_makes_no_copy_of_what_it_runs(sandbox: Sandbox, tokyo: Tokyo) -> None:
    tombstone.settle(fleet_of(sandbox), ID, Generation(1, "m1"))
    tokyo.own_generations = {ID: HERE_NOW._asdict()}
    sandbox.transcript("up", f"stop {ID}", f"start {ID}")
    assert f"{ID}: restarted" in sandbox.transcript(f"restart {ID}")


def test_what_a_host_has_just_told_counts_before_what_is_remembered_of_it(
    sandbox: Sandbox, tokyo: Tokyo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that a full disk has not kept is an answer."""
    sandbox.transcript("up")
    tells(tokyo, HERE_NOW)
    fleet = fleet_of(sandbox)
    account_looks.ask(fleet, account_looks.key_of(fleet), [registry.get(sandbox.folder, "tokyo")])
    tokyo.generations = {}
    monkeypatch.setattr(account_looks, "_remember", lambda *_answer: None)
    (sandbox.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in OTHERS.items()))
    assert f"{ID}: restarted" in sandbox.transcript(f"restart {ID}"), "it changes its account: they are asked"


def test_what_is_set_to_paper_ends_as_the_older_copy_that_it_is(sandbox: Sandbox, tokyo: Tokyo) -> None:
    sandbox.transcript("up")
    tells(tokyo, HERE_NOW)
    fleet = fleet_of(sandbox)
    account_looks.ask(fleet, account_looks.key_of(fleet), [registry.get(sandbox.folder, "tokyo")])
    sandbox.config(ID, 5002, mode="paper")
    assert f"{ID}: recreated" in sandbox.transcript("up")


def test_a_host_that_is_away_counts_as_it_was_last_seen(sandbox: Sandbox, tokyo: Tokyo) -> None:
    tells(tokyo, HERE_NOW)
    settings = sandbox.folder / "config" / "fleet.toml"
    settings.write_text(settings.read_text() + "allow_shared_credentials = true\n")
    sandbox.transcript("up")
    tokyo.is_away = True
    assert "host tokyo has generation 1 of it" in sandbox.transcript("up"), "shared credentials or not"
    assert f"{ID}: created" in sandbox.transcript("up --host-is-dead tokyo")


def test_a_host_that_answers_counts_whoever_calls_it_dead(sandbox: Sandbox, tokyo: Tokyo) -> None:
    """An older copy would trade beside the bot that it was moved to."""
    tells(tokyo, HERE_NOW)
    output = sandbox.transcript("up --host-is-dead tokyo")
    assert f"{ID}: left alone: host tokyo has generation 1 of it, and here is 0, an older copy" in output
    assert ID not in sandbox.states()


def test_this_machines_own_record_counts(sandbox: Sandbox, tokyo: Tokyo) -> None:
    fleet = fleet_of(sandbox)
    moved = Journal("m1", "here", "tokyo", 1, did_run=True, step="pack")
    journal.save(fleet, ID, moved)
    assert generations.held(fleet, ID) == GenerationRecord(), "it has not arrived"
    journal.save(fleet, ID, moved._replace(step="clean", is_done=True))
    output = sandbox.transcript("up")
    assert "by this machine's own record it was moved to tokyo as generation 1; here is 0" in output
    assert sandbox.exit_code == BAD_CONFIG
    journal.save(fleet, ID, moved._replace(source="tokyo", target="here", step="clean", is_done=True))
    tombstone.settle(fleet, ID, Generation(1, "m1"))
    assert f"{ID}: created" in sandbox.transcript("up")


def test_two_of_one_generation_are_copies_of_one_disk(sandbox: Sandbox, tokyo: Tokyo) -> None:
    tombstone.settle(fleet_of(sandbox), ID, Generation(1, "m1"))
    tells(tokyo, HERE_NOW)
    assert f"{ID}: created" in sandbox.transcript("up"), "it does not trade there"
    sandbox.transcript(f"down {ID}")
    tokyo.runs(OTHERS)
    tokyo.live = [tokyo.live[0]._replace(instance=ID)]
    assert "one of the two is a copy of the other's disk" in sandbox.transcript("up")


def test_an_unreadable_generation_is_older_than_any(sandbox: Sandbox, tokyo: Tokyo) -> None:
    fleet = fleet_of(sandbox)
    fleet.secrets_dir(ID).mkdir(parents=True)
    (fleet.secrets_dir(ID) / tombstone.GENERATION).write_text("{")
    assert generations.held(fleet, ID).number == LOST
    assert "left alone" in sandbox.transcript("up")


def test_an_earlier_manager_tells_nothing_and_that_is_said(sandbox: Sandbox, tokyo: Tokyo) -> None:
    tokyo.generations = None
    output = sandbox.transcript("up")
    assert "host tokyo has an earlier manager" in output
    assert f"{ID}: created" in output


@pytest.mark.parametrize(
    "content", [None, [], {ID: {}}, {ID: 1}, {ID: {**GenerationRecord()._asdict(), "newest": "x"}}]
)
def test_what_is_no_answer_is_none(content: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        generations.read(content)


def test_what_is_told_is_read(sandbox: Sandbox, tokyo: Tokyo) -> None:
    fleet = fleet_of(sandbox)
    tombstone.bury(fleet, ID, Tombstone(1, "tokyo", "m1"))
    known = generations.known(fleet)
    assert known == {ID: GenerationRecord(1, 0, "", is_here=False, to="tokyo")}
    assert generations.read(json.loads(json.dumps({ID: known[ID]._asdict()}))) == known


def test_twins_are_the_older_ones_that_are_live() -> None:
    new, old = GenerationRecord(1, 1, "m"), GenerationRecord()
    live = {ID: True}
    twins = list(generations.twins({"here": ({ID: old}, live), "tokyo": ({ID: new}, live)}))
    assert twins == [Twin(ID, "here", 0, "tokyo", 1)]
    assert not list(generations.twins({"here": ({}, {}), "tokyo": ({ID: new}, live)})), "it is down here"
    moved = GenerationRecord(1, 0, "", is_here=False, to="tokyo")
    assert not list(generations.twins({"here": ({ID: moved}, {}), "tokyo": ({ID: new}, live)}))
    both = list(generations.twins({"here": ({ID: new}, live), "tokyo": ({ID: new}, live)}))
    assert both == [Twin(ID, "tokyo", 1, "here", 1)]
    assert not list(generations.twins({"here": ({}, live), "tokyo": ({}, live)})), "two bots of one name"


def test_a_copy_is_of_one_and_the_same_move() -> None:
    """Two moves of two places may come to the same number."""
    mine = GenerationRecord(1, 1, "m1")
    assert generations.is_copy(mine, GenerationRecord(1, 1, "m1"))
    assert not generations.is_copy(mine, GenerationRecord(1, 1, "m2"))
    assert not generations.is_copy(mine, GenerationRecord(2, 2, "m1"))
    assert not generations.is_copy(mine, GenerationRecord(1, 1, "m1", is_here=False))
    assert not generations.is_copy(GenerationRecord(), GenerationRecord()), "never moved"


def test_a_twin_is_shown(sandbox: Sandbox, tokyo: Tokyo, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.transcript(f"up {ID}")
    tells(tokyo, HERE_NOW)
    tokyo.runs(OTHERS)

    def run(_hosts: Any, _here: Any, _words: Any, _timeout: float) -> list[everywhere.Answer]:
        rows = [
            {"id": ID, "mode": "live", "state": "running"},
            {"id": "x", "mode": "live", "state": "stopped"},
        ]
        return [everywhere.Answer(name, CommandResult(0, json.dumps(rows), "")) for name in ("here", "tokyo")]

    monkeypatch.setattr(everywhere, "run", run)
    output = sandbox.transcript("ps --hosts")
    assert f"{ID} trades on here in generation 0, and tokyo knows of generation 1" in output
    assert f"`manager halt {ID}` ends it" in output
    assert sandbox.exit_code == FAILED
    rows = json.loads("\n".join(sandbox.run("ps --hosts --json")).partition("\n]")[0] + "]")
    assert [(row["host"], row["id"]) for row in rows if row["twin"]] == [("here", ID)]

    fleet, keeper = fleet_of(sandbox), TwinKeeper()
    keeper.look(fleet, [LIVE])
    assert [(condition.subject, condition.kind) for condition in keeper.conditions()] == [(MACHINE, "twin")]
    keeper.look(fleet, [])
    assert keeper.conditions() == []

    hosts = [registry.get(sandbox.folder, "tokyo")]
    answers = account_looks.ask(fleet, account_looks.key_of(fleet), hosts)
    twins = account_looks.twins(fleet, [ID], answers)
    levels = [(finding.level, finding.check) for finding in checks_machines.check_all(answers, twins, [])]
    assert levels == [("ok", "host"), ("fail", "twin"), ("ok", "shared-account")]
    away = answers[0]._replace(why=twins[0].text)
    assert [finding.level for finding in checks_machines.check_all([away], [], [])] == ["fail", "ok", "ok"]


def test_answers_of_a_moment_ago_are_not_asked_for_again(sandbox: Sandbox, tokyo: Tokyo) -> None:
    fleet, hosts = fleet_of(sandbox), list(registry.load(sandbox.folder).values())
    first = account_looks.recent(fleet, hosts, 60)
    assert account_looks.recent(fleet, hosts, 60)[0].is_here is first[0].is_here is True
    assert tokyo.asked == 1
    account_looks.recent(fleet, hosts, -1)
    assert tokyo.asked == 2


def test_an_older_copy_that_runs_may_go_to_paper(sandbox: Sandbox, tokyo: Tokyo) -> None:
    sandbox.transcript(f"up {ID}")
    tells(tokyo, HERE_NOW)
    account_looks.ask(
        fleet_of(sandbox), account_looks.key_of(fleet_of(sandbox)), [registry.get(sandbox.folder, "tokyo")]
    )
    assert "left alone" in sandbox.transcript(f"restart {ID}")
    sandbox.config(ID, 5002, mode="paper")
    assert f"{ID}: recreated" in sandbox.transcript("up")
    assert sandbox.exit_code == OK
