"""Moves between two machines that fail, are called off, overtaken, or halted meanwhile: never two bots."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple, cast

import pytest

from manager.config import bot_environment
from manager.config.fleet import Fleet
from manager.errors import FAILED, OK, ManagerError
from manager.fleet import halt_mark, state_file, supervisor_state, tombstone
from manager.fleet.session import Session
from manager.fleet.tombstone import Generation, Tombstone
from manager.ops.backup import instance_locks, rehearse, restore, verify
from manager.ops.hosts.registry import Host
from manager.ops.move import account, fitting, journal, moving, orders, staging, steps
from manager.ops.move.bound import Move
from manager.ops.move.sides import Side
from manager.util import moment
from manager.util.moment import Moment

ID = "one"


class Machine:
    """One machine: real files, and a bot that is up or not."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.fleet = Fleet("desk", folder, folder / "volumes")
        self.is_up = self.is_known = self.is_final = False
        self.has_container = self.is_known
        self.drift: list[str] = []
        self.port: int | None = 5001
        self.commands: list[str] = []
        self.clock_is_ahead_s = 0.0
        self.given_at = moment.now()

    def project(self) -> Any:
        spec = SimpleNamespace(id=ID, config_file="config/active/one.json", web_port=self.port)
        specs = {ID: spec} if self.is_known else {}
        loaded = SimpleNamespace(specs=list(specs.values()), elsewhere={}, broken_files=frozenset())
        return SimpleNamespace(
            fleet=self.fleet, specs=specs, variables={}, problems=[], loaded=loaded, blocking_problems=()
        )

    def project_dir(self) -> Path:
        return self.fleet.project_dir

    def observe(self) -> Any:
        status = SimpleNamespace(is_final=self.is_final)
        container = SimpleNamespace(
            id="c", instance=ID, is_up=self.is_up, config_file="config/active/one.json"
        )
        return SimpleNamespace(
            project=self.project(),
            observed=SimpleNamespace(containers={ID: container} if self.has_container else {}, strays=[]),
            plan_input=SimpleNamespace(
                is_up=lambda _id: self.is_up, statuses={ID: status}, drift=lambda _id: self.drift
            ),
            image=SimpleNamespace(id="sha256:1"),
        )

    def engine(self) -> Any:
        def remove(_container: str) -> None:
            assert not self.is_up
            self.has_container = False

        return SimpleNamespace(remove=remove)

    def commanded(self, words: list[str], move: str | None, given_at: Moment | None) -> dict[str, Any]:
        """Halt or start it as the manager's own commands do."""
        self.commands.append(words[0])
        self.fleet.secrets_dir(ID).mkdir(parents=True, exist_ok=True)
        if words[0] == "halt":
            halt_mark.make(self.fleet, ID, "halt", did_run=self.is_up, identity=move)
            self.is_up = False
        elif tombstone.find(self.fleet, ID) is not None:
            return {"code": 1, "out": "", "err": "it was moved"}
        else:
            mark = halt_mark.find(self.fleet, ID)
            assert given_at is not None
            if mark is not None:
                halt_mark.lift(self.fleet, ID, mark)
            state_file.update(self.fleet, lambda state: state.with_wish([ID], "run"))
            self.is_up = self.has_container = True
        return {"code": 0, "out": "", "err": ""}

    def is_told(self, by: str) -> None:
        """Let a user halt or stop the bot, or halt the fleet (`of_all`)."""
        self.fleet.secrets_dir(ID).mkdir(parents=True, exist_ok=True)
        if by == "of_all":
            halt_mark.make_of_fleet(self.fleet)
        else:
            getattr(self, by)()

    def user_halts(self) -> None:
        halt_mark.make(self.fleet, ID, "halt", did_run=self.is_up)
        self.is_up = False

    def user_stops(self) -> None:
        if (mark := halt_mark.find(self.fleet, ID)) is not None:
            halt_mark.lift(self.fleet, ID, mark)
        state_file.update(self.fleet, lambda state: state.with_stopped([ID], moment.now()))
        self.is_up = False


@contextmanager
def clock_ahead(seconds: float) -> Iterator[None]:
    """Have the clock of this process be ahead, or behind, meanwhile."""
    actual = time.time
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: actual() + seconds)
        yield


class Link(NamedTuple):
    """What one machine calls another: its real steps, without SSH."""

    on: Machine
    host: Host | None = None
    machine: str = ""
    at: Mapping[str, Callable[[], object]] = MappingProxyType({})

    @property
    def name(self) -> str:
        return self.host.name if self.host else "here"

    @property
    def label(self) -> str:
        return self.host.name if self.host else self.on.fleet.project_dir.name

    @property
    def earlier_label(self) -> str:
        return self.label

    def step(self, name: str, request: dict[str, Any], **_more: Any) -> dict[str, Any]:
        self.on.given_at = moment.now()  # each step is a process
        if name in self.at:
            self.at[name]()
        if self.machine and self.machine != staging.machine(self.on.fleet):
            raise ManagerError("this is not the machine")
        with clock_ahead(self.on.clock_is_ahead_s):
            return self._answer(name, request)

    def _answer(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        if name in {"pack", "send"}:
            steps._require_buried(self.on.fleet, ID, request["move"])
            return {"rows": 1, "bytes": 1, "left_out": [], "sha256": ""}
        if name == "receive":
            return {}
        return steps.STEPS[name](cast("Session", self.on), ID, request, cast("steps.Streams", None))


class Sandbox(NamedTuple):
    """Three machines, and what A's and B's managers call each other."""

    a: Machine
    b: Machine
    c: Machine

    def links(self, on: Machine, **at: Callable[[], object]) -> Callable[[str], Side]:
        others = {"alpha": self.a, "tokyo": self.b, "osaka": self.c}

        def link(name: str) -> Side:
            if name == "here":
                return cast("Side", Link(on, at=at))
            host = Host(name, f"{name}.example", None, None, "/srv/desk")
            return cast("Side", Link(others[name], host, at=at))

        return link

    def move(self, on: Machine, source: str, target: str, **at: Callable[[], object]) -> int:
        link = self.links(on, **at)
        asked_at = moment.now()
        return moving.run(Move(on.fleet, ID, link(source), link(target), lambda _text: None, asked_at))

    def back(self, on: Machine) -> int:
        return moving.back(on.fleet, ID, self.links(on), lambda _text: None)

    @property
    def running(self) -> str:
        return "".join(name for name, host in zip("ABC", (self.a, self.b, self.c), strict=True) if host.is_up)


STEPS = ("halt", "bury", "pack", "send", "put", "take-keys", "arrive", "start", "clean")


class Cut(ManagerError):
    """The link is cut."""


class Killed(BaseException):
    """The manager is killed."""


def cut() -> None:
    raise Cut("the link was cut")


def kill() -> None:
    raise Killed


@contextmanager
def nothing(*_words: object) -> Iterator[None]:
    yield


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    made = Sandbox(*(Machine(tmp_path / name) for name in ("alpha", "tokyo", "osaka")))
    made.a.is_up = made.a.is_known = made.a.has_container = True

    def perform(plan: Any, *_more: object) -> None:
        plan.machine.is_known = True

    def commanded(session: Any, words: list[str], **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = session.commanded(words, more.get("move"), more.get("given_at"))
        return answer

    def plan_restore(_backup: object, project: Any, *_more: object) -> Any:
        machine = next(side for side in made if side.fleet is project.fleet)
        return SimpleNamespace(machine=machine, actions=list)

    monkeypatch.setattr(orders, "commanded", commanded)
    monkeypatch.setattr(account, "told", lambda *_more: None)
    monkeypatch.setattr(bot_environment, "named_variables", lambda *_more: {})
    monkeypatch.setattr(rehearse, "rehearse_restore", lambda _path: SimpleNamespace(rows=1, manifest=None))
    monkeypatch.setattr(fitting, "needs_database", lambda *_more: False)
    monkeypatch.setattr(fitting, "other_owner", lambda *_more: None)
    monkeypatch.setattr(fitting, "require_fitting", lambda *_more: None)
    monkeypatch.setattr(fitting, "require_own_keys", lambda _project, _id, values, _present: values)
    monkeypatch.setattr(verify, "workspace", nothing)
    monkeypatch.setattr(instance_locks, "hold_instance_locks", nothing)
    monkeypatch.setattr(restore, "open_backup", lambda *_more: None)
    monkeypatch.setattr(restore, "plan_restore", plan_restore)
    monkeypatch.setattr(restore, "perform", perform)
    monkeypatch.setattr(steps, "_owner", lambda *_more: (0, 0))
    return made


def test_there_and_back(sandbox: Sandbox) -> None:
    assert sandbox.move(sandbox.a, "here", "tokyo") == OK
    assert sandbox.running == "B"
    assert sandbox.move(sandbox.a, "tokyo", "here") == OK
    assert sandbox.running == "A"
    assert tombstone.generation(sandbox.a.fleet, ID).number == 2


@pytest.mark.parametrize("seconds", [600, -600, 400 * 86400])
@pytest.mark.parametrize("side", ["a", "b"])
def test_a_wrong_clock_is_in_the_way_of_no_move(sandbox: Sandbox, side: str, seconds: float) -> None:
    """With SSH, an engine and a clock that is wrong for all of a machine: tests/faults/test_bad_hosts.py."""
    getattr(sandbox, side).clock_is_ahead_s = seconds
    test_there_and_back(sandbox)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("end", ["again", "back"])
def test_a_move_that_is_killed_anywhere_is_ended_by_the_next(sandbox: Sandbox, step: str, end: str) -> None:
    with pytest.raises(Killed):
        sandbox.move(sandbox.a, "here", "tokyo", **{step: kill})
    assert len(sandbox.running) <= 1
    if end == "back":
        if step not in {"start", "clean"}:
            assert sandbox.back(sandbox.a) == OK
            assert sandbox.running == "A"
            return
        with pytest.raises(ManagerError, match="has arrived there"):
            sandbox.back(sandbox.a)
    assert sandbox.move(sandbox.a, "here", "tokyo") == OK
    assert sandbox.running == "B"


@pytest.mark.parametrize("told", ["", "a", "b"])
@pytest.mark.parametrize("by", ["user_halts", "user_stops"])
def test_what_cannot_be_started_where_it_arrived_is_brought_back(
    sandbox: Sandbox, told: str, by: str
) -> None:
    with pytest.raises(ManagerError, match=r"`manager move one --from tokyo` brings it back"):
        sandbox.move(sandbox.a, "here", "tokyo", start=cut)
    if told:
        getattr(sandbox, told).is_told(by)
    assert sandbox.move(sandbox.a, "tokyo", "here") == OK
    assert sandbox.running == ("" if told else "A"), "a halt or stop of meanwhile stays in force"
    assert tombstone.generation(sandbox.a.fleet, ID).number == 2
    assert tombstone.find(sandbox.b.fleet, ID) is not None


def test_a_start_that_failed_halfway_is_made_up_for_where_it_is_brought_back(sandbox: Sandbox) -> None:
    def fails() -> None:
        sandbox.b.commanded(["start"], None, moment.now())
        sandbox.b.is_up = False
        raise Cut("the port is in use")

    with pytest.raises(ManagerError, match="the port is in use"):
        sandbox.move(sandbox.a, "here", "tokyo", start=fails)
    assert halt_mark.own(sandbox.b.fleet, ID) is None
    assert sandbox.move(sandbox.a, "tokyo", "here") == OK
    assert sandbox.running == "A"


def test_what_has_ended_where_it_arrived_is_not_started_anew(sandbox: Sandbox) -> None:
    def ends() -> None:
        sandbox.b.commanded(["start"], None, moment.now())
        sandbox.b.is_up, sandbox.b.is_final = False, True
        raise Cut("the link was cut")

    with pytest.raises(ManagerError):
        sandbox.move(sandbox.a, "here", "tokyo", start=ends)
    assert sandbox.move(sandbox.a, "tokyo", "here") == OK
    assert not sandbox.running


def test_only_the_machine_that_it_arrived_on_gives_it_back(sandbox: Sandbox) -> None:
    with pytest.raises(ManagerError):
        sandbox.move(sandbox.a, "here", "tokyo", start=cut)
    with pytest.raises(ManagerError, match="not the machine"):
        sandbox._replace(b=sandbox.c).move(sandbox.a, "tokyo", "here")
    with pytest.raises(ManagerError, match="is being moved"):
        sandbox.move(sandbox.a, "osaka", "here")


def test_a_newer_instance_on_the_target_is_never_called_off(sandbox: Sandbox) -> None:
    assert sandbox.move(sandbox.a, "here", "tokyo") == OK
    with pytest.raises(ManagerError):
        sandbox.move(sandbox.a, "tokyo", "here", pack=cut)
    assert sandbox.back(sandbox.a) == OK
    assert sandbox.running == "B"
    with pytest.raises(ManagerError, match="moved to tokyo"):  # not taken for a move without its journal
        sandbox.move(sandbox.a, "here", "tokyo")
    with pytest.raises(ManagerError, match="no move of one"):
        sandbox.back(sandbox.a)
    assert sandbox.running == "B"


def test_a_target_that_has_called_off_a_move_of_its_own_still_has_the_instance(sandbox: Sandbox) -> None:
    with pytest.raises(ManagerError):
        sandbox.move(sandbox.a, "here", "tokyo", start=cut)
    sandbox.b.commanded(["start"], None, moment.now())
    with pytest.raises(ManagerError):
        sandbox.move(sandbox.b, "here", "osaka", receive=cut)
    assert sandbox.back(sandbox.b) == OK
    assert sandbox.running == "B"
    with pytest.raises(ManagerError, match="has arrived there"):
        sandbox.back(sandbox.a)
    assert sandbox.running == "B"


@pytest.mark.parametrize(
    ("stone", "present"),
    [
        (None, Generation(1, "another")),
        (None, Generation(2, "")),
        (Tombstone(2, "osaka", "another"), Generation(1, "m")),
        (Tombstone(1, "osaka", "another"), Generation()),
    ],
)
def test_what_is_newer_or_of_another_move_is_not_forgotten(
    sandbox: Sandbox, stone: Tombstone | None, present: Generation
) -> None:
    tombstone.settle(sandbox.b.fleet, ID, present)
    if stone is not None:
        tombstone.bury(sandbox.b.fleet, ID, stone)
    asked = {"id": ID, "move": "m", "generation": 1, "from": "alpha"}
    with pytest.raises(ManagerError, match="has arrived there"):
        Link(sandbox.b).step("forget", asked)


def test_what_was_forgotten_can_never_arrive(sandbox: Sandbox) -> None:
    asked = {"id": ID, "move": "m", "generation": 1, "from": "alpha"}
    Link(sandbox.b).step("forget", asked)
    Link(sandbox.b).step("forget", asked)
    assert tombstone.find(sandbox.b.fleet, ID) is not None
    with pytest.raises(ManagerError, match="cannot arrive"):
        Link(sandbox.b).step("arrive", asked)


def test_another_machine_of_the_same_name_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(Killed):
        sandbox.move(sandbox.a, "here", "tokyo", start=kill)
    swapped = sandbox._replace(b=sandbox.c)
    with pytest.raises(ManagerError, match="not the machine"):
        swapped.back(sandbox.a)
    with pytest.raises(ManagerError, match="not the machine"):
        swapped.move(sandbox.a, "here", "tokyo")
    kept = journal.load(sandbox.a.fleet, ID)
    assert kept is not None
    journal.save(sandbox.a.fleet, ID, kept._replace(url="ssh://old.example/srv/desk"))
    with pytest.raises(ManagerError, match=r"was ssh://old\.example"):
        sandbox.back(sandbox.a)
    with pytest.raises(ManagerError, match=r"was ssh://old\.example"):
        sandbox.move(sandbox.a, "here", "tokyo")
    assert not sandbox.running


@pytest.mark.parametrize("step", ["bury", "pack", "put", "arrive", "told"])
@pytest.mark.parametrize("by", ["user_halts", "user_stops", "of_all"])
@pytest.mark.parametrize("side", ["a", "b"])
def test_a_halt_or_stop_meanwhile_is_not_undone(sandbox: Sandbox, step: str, by: str, side: str) -> None:
    machine = getattr(sandbox, side)

    def order() -> None:
        machine.is_told(by)

    assert sandbox.move(sandbox.a, "here", "tokyo", **{step: order}) == FAILED
    assert not sandbox.running
    assert sandbox.b.commands == []
    assert tombstone.generation(sandbox.b.fleet, ID).number == 1
    kept = journal.load(sandbox.a.fleet, ID)
    assert kept is not None
    assert kept.is_done


@pytest.mark.parametrize("by", ["user_halts", "user_stops", "of_all"])
@pytest.mark.parametrize("side", ["a", "b"])
def test_a_halt_while_the_move_is_loaded_is_not_undone(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, by: str, side: str
) -> None:
    """It was asked for before, and looks at both machines only after."""
    clock = itertools.count(1)  # on a busy machine, time passes between two lines
    monkeypatch.setattr(moment, "now", lambda: moment.Moment("this boot", next(clock) / 100))
    machine, link = getattr(sandbox, side), sandbox.links(sandbox.a)
    asked_at = moment.now()
    for _ in range(5):
        moment.now()
    machine.is_told(by)
    moving.run(Move(sandbox.a.fleet, ID, link("here"), link("tokyo"), lambda _text: None, asked_at))
    assert not sandbox.running
    assert sandbox.b.commands == []


@pytest.mark.parametrize("by", ["user_halts", "user_stops", "of_all"])
@pytest.mark.parametrize(("side", "look"), [("a", 1), ("b", 2)])
def test_a_halt_while_a_sides_process_loads_is_not_undone(
    sandbox: Sandbox, by: str, side: str, look: int
) -> None:
    """That process has begun, and looks only when it has read the configs."""
    machine, looks = getattr(sandbox, side), itertools.count(1)

    def order() -> None:
        if next(looks) != look:
            return
        time.sleep(0.05)  # a moment is known to 1/100 s
        machine.is_told(by)
        time.sleep(0.05)

    sandbox.move(sandbox.a, "here", "tokyo", look=order)
    assert not sandbox.running
    assert sandbox.b.commands == []


@pytest.mark.parametrize("by", ["user_halts", "user_stops"])
def test_a_halt_before_the_move_is_called_off_or_run_again_is_not_undone(sandbox: Sandbox, by: str) -> None:
    with pytest.raises(ManagerError):
        sandbox.move(sandbox.a, "here", "tokyo", send=cut)
    getattr(sandbox.a, by)()
    assert sandbox.back(sandbox.a) == FAILED
    assert not sandbox.running
    assert sandbox.a.commands == ["halt"]


def test_marks_and_wishes_of_before_the_move_do_not_keep_it_down(sandbox: Sandbox) -> None:
    assert sandbox.move(sandbox.a, "here", "tokyo") == OK
    assert sandbox.move(sandbox.a, "tokyo", "here") == OK
    halt_mark.make_of_fleet(sandbox.b.fleet)  # since long ago: what is named starts all the same
    state_file.update(sandbox.b.fleet, lambda state: state.with_stopped([ID], moment.now()))
    assert sandbox.move(sandbox.a, "here", "tokyo") == OK
    assert sandbox.running == "B"


def test_what_has_ended_is_not_started_anew(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.a.is_final = True
    assert sandbox.move(sandbox.a, "here", "tokyo") == OK
    assert not sandbox.running
    assert sandbox.b.commands == []


def test_going_back_resumes_and_starts_nothing_that_has_ended(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ManagerError, match="as it was before"):
        sandbox.move(sandbox.a, "here", "tokyo", bury=cut)
    assert sandbox.a.commands == ["halt", "resume"]
    assert sandbox.running == "A"
    with pytest.raises(ManagerError):
        sandbox.move(sandbox.a, "here", "tokyo", pack=cut)
    monkeypatch.setattr(supervisor_state, "is_final", lambda _folder: True)
    assert sandbox.back(sandbox.a) == FAILED
    assert not sandbox.running


def test_a_move_that_lost_counts_no_more(sandbox: Sandbox) -> None:
    with pytest.raises(Killed):
        sandbox.move(sandbox.a, "here", "tokyo", halt=kill)
    assert sandbox.move(sandbox.b, "alpha", "here") == OK
    assert sandbox.back(sandbox.a) == FAILED
    assert sandbox.running == "B"
    assert sandbox.move(sandbox.a, "tokyo", "here") == OK
    assert sandbox.running == "A"


def test_an_old_journal_does_not_lower_the_generation(sandbox: Sandbox) -> None:
    with pytest.raises(Killed):
        sandbox.move(sandbox.a, "here", "tokyo", halt=kill)
    assert sandbox.move(sandbox.b, "alpha", "here") == OK
    assert sandbox.move(sandbox.b, "here", "alpha") == OK
    assert tombstone.generation(sandbox.a.fleet, ID).number == 2
    Link(sandbox.a).step("dig-up", {"id": ID, "move": "old", "generation": 1})
    assert tombstone.generation(sandbox.a.fleet, ID).number == 2
    assert sandbox.move(sandbox.a, "here", "tokyo") == OK
    assert sandbox.running == "B"
    assert tombstone.generation(sandbox.b.fleet, ID).number == 3


def test_a_lost_journal_is_made_up_for(sandbox: Sandbox) -> None:
    for step in ("send", "arrive"):
        with pytest.raises(ManagerError):
            sandbox.move(sandbox.a, "here", "tokyo", **{step: cut})
        journal.remove(sandbox.a.fleet, ID)
    with pytest.raises(ManagerError):
        sandbox.move(sandbox.a, "here", "tokyo", pack=cut)
    assert sandbox.back(sandbox.a) == OK
    assert sandbox.running == "A"
    with pytest.raises(ManagerError, match="cannot arrive"):
        Link(sandbox.b).step("arrive", {"id": ID, "move": "m", "generation": 1})


def test_what_goes_on_later_is_checked_again(sandbox: Sandbox) -> None:
    with pytest.raises(Killed):
        sandbox.move(sandbox.a, "here", "tokyo", bury=kill)
    sandbox.a.commands.clear()
    with pytest.raises(Killed):
        sandbox.move(sandbox.a, "here", "tokyo", receive=kill)
    assert sandbox.a.commands == ["halt"]
    sandbox.b.is_known = True
    with pytest.raises(ManagerError, match="of its own"):
        sandbox.move(sandbox.a, "here", "tokyo")
    assert not sandbox.running
    sandbox.b.fleet.dotenv_file.write_text("KEY=other\n")
    with pytest.raises(ManagerError, match=r"KEY in \.env"):
        Link(sandbox.b).step(
            "take-keys", {"id": ID, "move": "m", "generation": 1, "values": {"KEY": "mine", "NEW": "1"}}
        )
    assert sandbox.b.fleet.dotenv_file.read_text() == "KEY=other\n"


def test_a_container_of_an_earlier_stay_is_not_what_starts(sandbox: Sandbox) -> None:
    """It has the image and the variables of that time."""
    assert sandbox.move(sandbox.a, "here", "tokyo") == OK
    assert sandbox.a.has_container, "its logs are there until `down`"
    with pytest.raises(ManagerError):
        sandbox.move(sandbox.a, "tokyo", "here", **{"take-keys": cut})
    assert not sandbox.a.has_container
    assert sandbox.move(sandbox.a, "tokyo", "here") == OK
    assert sandbox.running == "A"


def test_a_backup_from_before_a_move_that_was_called_off_is_not_outdated(sandbox: Sandbox) -> None:
    """Nothing has traded elsewhere since."""
    with pytest.raises(ManagerError):
        sandbox.move(sandbox.a, "here", "tokyo", send=cut)
    assert tombstone.oldest(sandbox.a.fleet, ID) == 1, "it may arrive yet"
    assert sandbox.back(sandbox.a) == OK
    assert tombstone.oldest(sandbox.a.fleet, ID) == 0
    with pytest.raises(ManagerError):
        sandbox.move(sandbox.a, "here", "tokyo", send=cut)
    assert sandbox.back(sandbox.a) == OK
    assert (tombstone.oldest(sandbox.a.fleet, ID), tombstone.newest(sandbox.a.fleet, ID)) == (0, 2)
    assert tombstone.oldest(sandbox.b.fleet, ID) == 2, "the target has a tombstone"
    assert sandbox.move(sandbox.a, "here", "tokyo") == OK
    assert sandbox.move(sandbox.a, "tokyo", "here") == OK
    assert tombstone.oldest(sandbox.a.fleet, ID) == 4


def test_a_step_that_comes_late_buries_nothing_that_was_brought_back(sandbox: Sandbox) -> None:
    with pytest.raises(Killed):
        sandbox.move(sandbox.a, "here", "tokyo", bury=kill)
    kept = journal.load(sandbox.a.fleet, ID)
    assert kept is not None
    assert sandbox.back(sandbox.a) == OK
    sandbox.a.is_up = False  # between the way back and the start
    late = {"id": ID, "to": "tokyo", "move": kept.move, "generation": kept.generation, "did_run": True}
    with pytest.raises(ManagerError, match="knows of generation 1"):
        Link(sandbox.a).step("bury", {**late, "before": {}})
    assert tombstone.find(sandbox.a.fleet, ID) is None


def test_an_interrupted_copy_is_made_anew(sandbox: Sandbox) -> None:
    """What was copied may be gone, as by the end of an earlier move."""
    packs = []
    with pytest.raises(ManagerError):
        sandbox.move(sandbox.a, "here", "tokyo", put=cut)
    staging.clean(sandbox.a.fleet, ID)
    assert sandbox.move(sandbox.a, "here", "tokyo", pack=lambda: packs.append(1)) == OK
    assert packs
    assert sandbox.running == "B"


def test_one_that_may_have_been_copied_is_forgotten_there_also_after_a_second_try(sandbox: Sandbox) -> None:
    with pytest.raises(ManagerError):
        sandbox.move(sandbox.a, "here", "tokyo", **{"take-keys": cut})
    with pytest.raises(ManagerError):
        sandbox.move(sandbox.a, "here", "tokyo", pack=cut, **{"take-keys": cut})
    assert sandbox.back(sandbox.a) == OK
    stone = tombstone.find(sandbox.b.fleet, ID)
    assert stone is not None
    assert not stone.is_arriving


@pytest.mark.parametrize("side", ["a", "b"])
def test_what_was_copied_leaves_room_for_calling_the_move_off(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    with pytest.raises(ManagerError):
        sandbox.move(sandbox.a, "here", "tokyo", put=cut)
    fleet = getattr(sandbox, side).fleet
    copied = staging.make(fleet, ID) / staging.BACKUP
    copied.touch()
    write = tombstone._write

    def on_a_full_disk(of: Fleet, *words: Any) -> None:
        if of is fleet and copied.exists():
            raise ManagerError("No space left on device")
        write(of, *words)

    monkeypatch.setattr(tombstone, "_write", on_a_full_disk)
    assert sandbox.back(sandbox.a) == OK
    assert sandbox.running == "A"


def test_the_end_of_an_earlier_move_removes_nothing_of_a_newer_one(sandbox: Sandbox) -> None:
    assert sandbox.move(sandbox.a, "here", "tokyo") == OK
    first = journal.load(sandbox.a.fleet, ID)
    assert first is not None
    with pytest.raises(ManagerError):
        sandbox.move(sandbox.b, "here", "alpha", **{"take-keys": cut})
    assert staging.is_restored(
        sandbox.a.fleet, ID, (tombstone.find(sandbox.a.fleet, ID) or Tombstone(0, "", "")).move
    )
    Link(sandbox.a).step("clean", {"id": ID, "move": first.move})
    assert staging.folder(sandbox.a.fleet, ID).exists()
    assert sandbox.move(sandbox.b, "here", "alpha") == OK
    assert sandbox.running == "A"


def test_a_journal_that_cannot_be_written_takes_it_back(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = journal.save

    def save(fleet: Fleet, instance: str, new: journal.Journal) -> None:
        if new.step == "bury":
            raise ManagerError("no space left")
        saved(fleet, instance, new)

    monkeypatch.setattr(journal, "save", save)
    with pytest.raises(ManagerError, match="is as it was before: no space left"):
        sandbox.move(sandbox.a, "here", "tokyo")
    assert sandbox.running == "A"


def test_a_config_that_was_changed_and_not_applied_is_named(sandbox: Sandbox) -> None:
    messages: list[object] = []
    sandbox.a.drift = ["config"]
    link = sandbox.links(sandbox.a)
    assert (
        moving.run(Move(sandbox.a.fleet, ID, link("here"), link("tokyo"), messages.append), is_dry=True) == OK
    )
    assert "was changed since its container was made" in str(messages[0])


@pytest.mark.parametrize("is_tried", [False, True])
def test_a_move_that_was_overtaken_is_in_the_way_of_no_other(sandbox: Sandbox, *, is_tried: bool) -> None:
    """Two callers, one on each machine, have brought it back at once; one of them came too late."""
    sandbox.move(sandbox.a, "here", "tokyo")
    with pytest.raises(Killed):
        sandbox.move(sandbox.a, "tokyo", "here", bury=kill)
    sandbox.move(sandbox.b, "here", "alpha")
    if is_tried:  # once more in the direction of the one that came too late
        with pytest.raises(ManagerError, match="it was moved to alpha"):
            sandbox.move(sandbox.a, "tokyo", "here")
    sandbox.move(sandbox.a, "here", "tokyo")
    assert tombstone.find(sandbox.a.fleet, ID) is not None
    assert tombstone.generation(sandbox.b.fleet, ID).number == 3
    assert sandbox.running in ("", "B")
