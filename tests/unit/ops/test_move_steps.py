"""What each step of a move refuses: another move's word, a bot that runs, data that did not arrive whole."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import time
from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from manager.config import dotenv
from manager.engine.containers import observe
from manager.errors import ManagerError
from manager.fleet import closed_report, halt_mark, state_file, tombstone
from manager.fleet import observe as observing
from manager.fleet.observe import FleetSnapshot
from manager.fleet.session import Session
from manager.fleet.tombstone import Generation, Tombstone
from manager.ops.move import orders, staging, steps
from manager.util import atomic_file
from tests.builders import a_row
from tests.unit.ops.backup.test_restore import a_project, backup_of

ID = "bp_sol_01"
MOVE = "m2"
LEAVES = {"move": MOVE, "generation": 2, "to": "tokyo", "did_run": True, "before": {}}
ARRIVES = {"move": MOVE, "generation": 2, "from": "tokyo", "did_run": True, "before": {}}
GONE = Tombstone(2, "tokyo", MOVE)
COMES = Tombstone(2, "tokyo", MOVE, is_arriving=True)
OTHERS = Tombstone(2, "osaka", "m1")


class Machine(Session):
    """One side of a move, whose engine lists these rows."""

    def __init__(self, folder: Path) -> None:
        super().__init__(a_project(folder, ID))
        self.rows: list[dict[str, Any]] = []
        self.fleet = self.project().fleet

    def observe(self, compared: Collection[str] = ()) -> FleetSnapshot:
        return observing.assemble(self.project(), observe(self.rows, "desk"), observing.NO_IMAGE)

    def step(self, name: str, request: dict[str, Any], content: bytes = b"") -> dict[str, Any]:
        """Carry out a step, as the other machine's manager has it done."""
        return dict(steps.STEPS[name](self, ID, request, steps.Streams(io.BytesIO(content), io.BytesIO())))

    @property
    def stone(self) -> Tombstone | None:
        return tombstone.find(self.fleet, ID)


@pytest.fixture(name="machine")
def _machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "desk")


def refused(why: str) -> AbstractContextManager[object]:
    return pytest.raises(ManagerError, match=why)


def test_what_runs_is_not_buried(machine: Machine) -> None:
    machine.rows = [a_row(ID)]
    with refused(f"{ID} runs; nothing was done"):
        machine.step("bury", LEAVES)
    assert machine.stone is None
    machine.rows = [a_row(ID, "exited")]
    machine.step("bury", LEAVES)
    assert machine.stone is not None


def test_the_mark_is_made_before_the_tombstone(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that is killed between the two must leave nothing that starts the bot after a move back."""

    def fail(*_: object, **_more: object) -> None:
        raise ManagerError("no space left")

    monkeypatch.setattr(halt_mark, "make", fail)
    with refused("no space left"):
        machine.step("bury", LEAVES)
    assert machine.stone is None


def test_a_full_disk_leaves_no_mark_that_the_move_does_not_know_when_it_is_run_again(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty mark was taken for a person's halt: the instance arrived, and was not started."""

    def refuse(_descriptor: int, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(atomic_file, "write_all", refuse)
        with refused("No space left"):
            machine.step("bury", LEAVES)
    assert halt_mark.own(machine.fleet, ID) is None
    machine.step("bury", LEAVES)
    mark = halt_mark.own(machine.fleet, ID)
    assert mark is not None
    assert mark.identity == MOVE


@pytest.mark.parametrize(
    ("stone", "may_send"), [(None, False), (OTHERS, False), (COMES, False), (GONE, True)]
)
@pytest.mark.parametrize("step", ["pack", "send"])
def test_only_what_this_move_has_buried_is_packed_and_sent(
    machine: Machine, step: str, stone: Tombstone | None, *, may_send: bool
) -> None:
    """Else its database is taken while its bot trades, or what is only arriving is sent on."""
    if stone is not None:
        tombstone.bury(machine.fleet, ID, stone)
    (staging.make(machine.fleet, ID) / staging.BACKUP).touch()
    with nullcontext() if may_send else refused("has no tombstone of this move here; nothing was done"):
        machine.step(step, {"move": MOVE})


@pytest.mark.parametrize("damage", ["", "changed", "short"])
def test_a_backup_that_was_damaged_on_its_way_is_not_kept(machine: Machine, damage: str) -> None:
    whole = b"a backup"
    request = {"move": MOVE, "bytes": len(whole), "sha256": hashlib.sha256(whole).hexdigest()}
    content = {"": whole, "changed": b"A backup", "short": whole[:-1]}[damage]
    with refused("did not arrive whole; run the move again") if damage else nullcontext():
        machine.step("receive", request, content)
    assert (staging.folder(machine.fleet, ID) / staging.BACKUP).exists() is (not damage)
    assert not (staging.folder(machine.fleet, ID) / "backup.tar.part").exists()


@pytest.mark.parametrize("arrived", ["", "m1", MOVE])
def test_nothing_arrives_without_its_data(machine: Machine, arrived: str) -> None:
    """It would trade here with an empty database, and its orders of before would be nobody's."""
    tombstone.bury(machine.fleet, ID, COMES)
    if arrived:
        staging.note_restored(machine.fleet, ID, arrived)
    with nullcontext() if arrived == MOVE else refused("its data are missing"):
        machine.step("arrive", ARRIVES)
    assert (machine.stone is None) is (arrived == MOVE)


def test_what_another_move_has_buried_is_not_dug_up(machine: Machine) -> None:
    """It trades on the machine that the other move has brought it to."""
    tombstone.bury(machine.fleet, ID, OTHERS)
    with refused("is not brought back: it was moved to osaka"):
        machine.step("dig-up", {**LEAVES, "generation": 3})
    assert machine.stone is not None
    tombstone.bury(machine.fleet, ID, GONE)
    machine.step("dig-up", {**LEAVES, "generation": 3})
    assert machine.stone is None


@pytest.mark.parametrize("stone", [Tombstone(3, "osaka", "m3"), None])
def test_a_late_clean_leaves_a_newer_moves_copies(machine: Machine, stone: Tombstone | None) -> None:
    if stone is not None:
        tombstone.bury(machine.fleet, ID, stone)
    else:
        tombstone.settle(machine.fleet, ID, Generation(3, "m3"))
    folder = staging.make(machine.fleet, ID)
    machine.step("clean", {"move": MOVE})
    assert folder.exists()
    machine.step("clean", {"move": "m3"})
    assert not folder.exists()


def test_a_generation_that_is_here_does_not_come_once_more(machine: Machine) -> None:
    """Two moves to one number: the second would replace the database of the first."""
    tombstone.settle(machine.fleet, ID, Generation(2, "m1"))
    with refused("knows of generation 2, and the move is to make it 2"):
        machine.step("put", ARRIVES)
    with refused("knows of generation 2"):
        machine.step("bury", LEAVES)
    with refused("knows of generation 2"):
        machine.step("take-keys", {**ARRIVES, "values": {}})


def test_nothing_is_put_beside_a_bot_that_runs(machine: Machine) -> None:
    machine.rows = [a_row(ID)]
    folder = staging.make(machine.fleet, ID)
    backup_of(machine.fleet.project_dir).path.rename(folder / staging.BACKUP)
    with refused(f"{ID} runs; nothing was done"):
        machine.step("put", ARRIVES)
    assert machine.stone is None


def test_a_step_is_done_only_on_the_machine_that_the_move_was_begun_with(machine: Machine) -> None:
    """Its name may lead to another one by now: config/hosts.toml was changed, or DNS."""

    def run(named: str) -> bytes:
        line = b'{"id": "%s", "protocol": %d, "machine": "%s", "move": "m2"}\n'
        request = line % (ID.encode(), steps.PROTOCOL, named.encode())
        streams = steps.Streams(io.BytesIO(request), io.BytesIO())
        steps.run(machine, "clean", streams)
        assert isinstance(streams.target, io.BytesIO)
        return streams.target.getvalue()

    with refused("this is not the machine that the move of"):
        run("another")
    assert run(staging.machine(machine.fleet)) == b"{}\n"


def test_a_key_that_has_another_value_here_is_not_passed_over(machine: Machine) -> None:
    """The bot would trade on the account of this machine's key, with the record of another account's."""
    values = {"BACKPACK_KEY": "another", "BACKPACK_SECRET": "s"}
    with refused("BACKPACK_KEY in .env has another value than on the machine that it comes from"):
        machine.step("take-keys", {**ARRIVES, "values": values})
    assert "BACKPACK_SECRET" not in dotenv.read(machine.fleet.dotenv_file).variables


@pytest.mark.parametrize(
    ("mark", "is_ours"), [(None, True), (MOVE, True), ("known", True), ("a person's", False)]
)
def test_a_halt_that_came_meanwhile_is_not_taken_for_the_moves(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, mark: str | None, *, is_ours: bool
) -> None:
    """The move would take the mark away at its end, and start what a person has halted."""
    marked: list[str | None] = []

    def commanded(_session: Session, _words: object, *, move: str | None) -> dict[str, Any]:
        marked.append(move)
        return {}

    monkeypatch.setattr(orders, "commanded", commanded)
    if mark is not None:
        machine.fleet.secrets_dir(ID).mkdir(parents=True)
        halt_mark.make(machine.fleet, ID, "halt", did_run=True, identity=mark)
    machine.step("halt", {"move": MOVE, "before": {"own": "known"}})
    assert marked == [MOVE if is_ours else None]


@pytest.mark.parametrize(
    ("there", "told", "expected"),
    [
        (None, True, True),
        (None, False, False),
        (5.0, False, False),
        (5.0, True, True),
        (5.0, None, True),  # an earlier manager sends it
    ],
)
def test_that_nobody_knows_what_is_left_arrives_with_it(
    machine: Machine, tmp_path: Path, there: float | None, told: bool | None, *, expected: bool
) -> None:
    """Its config may be on paper by now, and then the move's own halt asks no exchange."""
    tokyo = Machine(tmp_path / "tokyo")
    if there is not None:
        state_file.update(tokyo.fleet, lambda state: state.with_left_unknown({ID: there}))
    if told:
        state_file.update(machine.fleet, lambda state: state.with_left_unknown({ID: time.time() + 3600}))
    tombstone.bury(machine.fleet, ID, GONE)
    content = b"a backup"
    (staging.make(machine.fleet, ID) / staging.BACKUP).write_bytes(content)
    facts = machine.step("send", {"move": MOVE})
    if told is None:
        del facts["is_left_unknown"]
    tokyo.step("receive", {"move": MOVE, **facts}, content)
    tombstone.bury(tokyo.fleet, ID, COMES)
    staging.note_restored(tokyo.fleet, ID, MOVE)
    for _ in range(2):  # it may be repeated, and its exchange may have answered by then
        tokyo.step("arrive", ARRIVES)
        marked_at = state_file.load(tokyo.fleet.state_file, "desk").of(ID).left_unknown_at
        assert (marked_at is not None) is expected
        assert marked_at is None or marked_at <= time.time()
    state_file.update(tokyo.fleet, lambda state: state.with_left_known([ID]))
    tokyo.step("arrive", ARRIVES)
    assert state_file.load(tokyo.fleet.state_file, "desk").of(ID).left_unknown_at is None


def test_an_earlier_manager_does_not_send_on_what_the_source_of_an_unfinished_move_has_said(
    machine: Machine,
) -> None:
    content = b"a backup"
    facts = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    machine.step("receive", {"move": "m1", **facts, "is_left_unknown": True}, content)
    machine.step("receive", {"move": MOVE, **facts}, content)
    tombstone.bury(machine.fleet, ID, COMES)
    staging.note_restored(machine.fleet, ID, MOVE)
    machine.step("arrive", ARRIVES)
    assert state_file.load(machine.fleet.state_file, "desk").of(ID).left_unknown_at is None


def test_what_was_answered_since_is_no_longer_unknown_on_either_machine(machine: Machine) -> None:
    """The file that has the answer stays behind."""
    state_file.update(machine.fleet, lambda state: state.with_left_unknown({ID: 5.0}))
    folder = machine.fleet.instance_state_dir(ID)
    folder.mkdir(parents=True)
    closed_report.keep_answer(folder, 0, None)
    tombstone.bury(machine.fleet, ID, GONE)
    (staging.make(machine.fleet, ID) / staging.BACKUP).touch()
    assert machine.step("send", {"move": MOVE})["is_left_unknown"] is False


def test_a_move_that_is_called_off_leaves_it_unknown_where_it_was(machine: Machine, tmp_path: Path) -> None:
    tokyo = Machine(tmp_path / "tokyo")
    state_file.update(machine.fleet, lambda state: state.with_left_unknown({ID: 5.0}))
    tombstone.bury(machine.fleet, ID, GONE)
    (staging.make(machine.fleet, ID) / staging.BACKUP).touch()
    facts = machine.step("send", {"move": MOVE})
    tokyo.step("receive", {"move": MOVE, **facts})
    tokyo.step("forget", ARRIVES)
    machine.step("dig-up", {**LEAVES, "generation": 2})
    assert state_file.load(tokyo.fleet.state_file, "desk").of(ID).left_unknown_at is None
    assert staging.is_left_unknown(tokyo.fleet, ID) is None
    assert state_file.load(machine.fleet.state_file, "desk").of(ID).left_unknown_at == 5.0
