"""The kill switch's pure parts: who is brought back, what an answer is worth, and what the exit code is."""

from __future__ import annotations

import itertools
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from manager.config.exchanges import EXCHANGES
from manager.engine import labels
from manager.engine.container_config import HostContext, body
from manager.engine.containers import observe
from manager.errors import ConfigError, EngineError, Problem, UsageError
from manager.fleet import observe as observing
from manager.fleet import project, state_file
from manager.fleet.bot_report import Position
from manager.fleet.observe import FleetSnapshot
from manager.fleet.selection import Selection
from manager.fleet.state_file import FleetState
from manager.i18n import Text
from manager.ops.actions.action import Action, Outcome
from manager.ops.actions.answer import Answer
from manager.ops.actions.events import Warned
from manager.ops.exchange import oneoff, open_orders
from manager.ops.execution import stop_turns
from manager.ops.halt import halt, stop_for_good
from manager.ops.halt.chosen import chosen_instances, named_by
from manager.ops.halt.halt_result import HaltOutcome
from manager.ops.halt.stop_for_good import Starts
from manager.ops.planning import plan
from tests.builders import FLEET_NAME, a_container, a_fleet, a_row, a_situation, a_spec


def test_a_second_halt_keeps_what_the_first_one_found(tmp_path: Path) -> None:
    once = FleetState("desk").with_wish(["c"], "stopped").with_halted(["a"], ["b", "c"])
    twice = once.with_halted([], ["a", "b", "c"])
    assert twice == once
    state_file.save(tmp_path / "fleet.json", twice)
    assert state_file.load(tmp_path / "fleet.json", "desk") == twice
    assert {name: twice.of(name).halted for name in "abcd"} == {
        "a": "ran",
        "b": "down",
        "c": "down",
        "d": None,
    }


def test_resume_gives_every_wish_back() -> None:
    after = FleetState("desk").with_wish(["c"], "stopped").with_halted(["a"], ["b", "c"]).with_resumed("abc")
    assert [(after.of(name).wish, after.of(name).halted) for name in "abc"] == [
        ("run", None),
        ("run", None),
        ("stopped", None),
    ]


def test_a_persons_word_ends_a_halt_for_that_instance() -> None:
    halted = FleetState("desk").with_halted(["a", "b"], [])
    assert halted.with_wish(["a"], "run").halted == ["b"]


def test_up_leaves_the_halted_alone_and_resume_brings_back_what_ran() -> None:
    plan_input = a_situation(
        {
            "a": {"engine": "exited", "halted": "ran"},
            "b": {"halted": "ran"},
            "c": {"engine": "exited", "halted": "down"},
            "d": {"engine": "running", "halted": "ran"},
            "e": {"engine": "exited", "hash": "h0", "halted": "ran"},
            "f": {"engine": "exited"},
        }
    )
    halted = "halted; `manager resume` starts what ran"
    assert [str(action) for action in plan.up(plan_input)] == [
        *(f"leave {name}: {halted}" for name in "abce"),
        "start f: not running",
    ]
    resumed = plan.resume(plan_input, "abcdef")
    assert [str(outcome) for outcome in resumed] == [
        "start a: not running",
        "create b: no container",
        "leave c: it did not run when it was halted",
        "leave d: already running",
        "recreate e: config changed",
        "leave f: it was not halted; `manager start f` starts it",
    ]
    assert not resumed[0].is_fresh, "what had failed comes back as failed"
    assert [str(action) for action in plan.start(plan_input, ["a"])] == ["start a: not running"]


STOPPED = Outcome(Action("stop", "a", Text("requested")), 1.0)


def an_outcome(mode: str = "live", **changes: Any) -> HaltOutcome:
    outcome = HaltOutcome("a", a_container(), mode, STOPPED, True, reported=0, has_run=True, answer=Answer(0))
    return outcome._replace(**changes)


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (an_outcome(), 0),
        (an_outcome(is_down=False), 1),
        (an_outcome(answer=Answer(2)), 1),
        (an_outcome(answer=Answer(None)), 1),
        (an_outcome(answer=Answer(0), reported=3), 0),
        (an_outcome(stopped=STOPPED._replace(was_killed=True)), 6),
        (an_outcome(stopped=None, answer=None, reported=None), 1),
        (an_outcome(stopped=None, answer=None, reported=3), 1),
        (an_outcome(stopped=None, answer=None, reported=None, has_run=False), 0),
        (an_outcome("paper", answer=None, reported=3), 0),
        (an_outcome("paper", answer=None, is_down=False), 1),
    ],
)
def test_only_what_is_down_and_known_to_have_left_nothing_is_well(outcome: HaltOutcome, code: int) -> None:
    assert outcome.exit_code == code


def test_an_answer_is_believed_only_where_its_types_are_right() -> None:
    good = '{"open_orders": 1, "others": 2, "orders": [{"side": "buy", "price": "144", "quantity": "0.1"}]}'
    assert open_orders.decoded(good) == Answer(1, 2, ("buy 0.1 @ 144",))
    assert open_orders.decoded('{"open_orders": 0}') == Answer(0)
    unknown = '{"open_orders": 1, "orders": [{"side": "buy", "price": "144", "quantity": null}]}'
    assert open_orders.decoded(unknown).orders == ("buy ? @ 144",)
    held = open_orders.decoded('{"open_orders": 0, "position": "-0.6", "base": "SOL"}').position
    assert held == Position(Decimal("-0.6"), "SOL", is_of_exchange=True)
    for bad in ('"NaN"', "true", "[]", '"1e999"'):
        assert open_orders.decoded(f'{{"open_orders": 0, "position": {bad}}}') == Answer(0), bad
    for bad in (
        "",
        "0",
        "[]",
        '{"open_orders": true}',
        '{"open_orders": -1}',
        '{"open_orders": "0"}',
        '{"orders": []}',
        '{"open_orders": 1, "orders": [1]}',
        "[" * 100_000,
    ):
        assert open_orders.decoded(bad).left is None, bad
    assert (
        open_orders.decoded('{"open_orders": 1, "orders": [{"side": "\\u001b[2J"}]}').orders[0].isprintable()
    )


def test_the_one_off_is_the_instance_without_port_restart_and_the_bots_folders() -> None:
    spec, fleet = a_spec(mode="live"), a_fleet()
    made = body(spec, fleet, HostContext(10001, 10001, (10001, 10001), "sha256:one", "c" * 64))
    inspected = {
        "Image": "sha256:one",
        "Config": {key: made[key] for key in ("Hostname", "User", "Cmd", "Env", "Labels")},
        "HostConfig": made["HostConfig"],
    }
    asking = oneoff.body(inspected, spec.id, fleet.name, "/ask it", 45)
    assert asking["Cmd"] == list(spec.command)
    assert set(asking["Env"]) - set(made["Env"]) == {"BOTFLEET_ONCE=45", "BOTFLEET_BOT_COMMAND=/ask it"}
    assert "botfleet.instance" not in asking["Labels"]
    assert asking["Labels"]["com.docker.compose.oneoff"] == "True"
    assert [mount["Target"] for mount in asking["HostConfig"]["Mounts"]] == ["/data", "/botfleet/secrets"]
    assert asking["HostConfig"]["RestartPolicy"] == {"Name": "no"}
    assert not asking["HostConfig"]["PortBindings"]
    assert "ExposedPorts" not in asking
    kept = ("ReadonlyRootfs", "CapDrop", "SecurityOpt", "NetworkMode", "Memory", "PidsLimit")
    assert all(asking["HostConfig"][key] == made["HostConfig"][key] for key in kept)


class Stopping:
    """An engine that stops what it is told to, lists what it is given, and fails at everything else."""

    def __init__(self, project_dir: Path, *listings: list[dict[str, Any]]) -> None:
        self.project_dir, self.listings = project_dir, list(listings)

    def stop(self, container: str, timeout: int) -> None: ...

    def inspect(self, container: str) -> dict[str, Any]:
        return {"State": {"ExitCode": 0}}

    def containers(self, label_filters: list[str]) -> list[dict[str, Any]]:
        raise EngineError("the engine says: {why}", why="no")

    def look(self, *_before: Any) -> observing.FleetSnapshot:
        return observing.assemble(
            project.read(self.project_dir), observe(self.listings.pop(0), FLEET_NAME), observing.NO_IMAGE
        )


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(stop_for_good, "LIST_LAG_S", 0)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "fleet.toml").write_text(f'name = "{FLEET_NAME}"\n')
    return tmp_path


def row(sandbox: Path, instance: str, state: str = "running", **changes: Any) -> dict[str, Any]:
    own = {labels.COMPOSE_WORKING_DIR: str(sandbox), **changes.pop("labels", {})}
    return a_row(instance, state, Mounts=[], labels=own, **changes)


def test_the_stops_of_many_live_bots_are_spread_and_starts_have_that_much_longer(
    sandbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_test = EXCHANGES["backpack"]._replace(stops_a_minute=240)
    monkeypatch.setattr(stop_turns, "EXCHANGES", {"backpack": of_test})
    monkeypatch.setattr(stop_turns, "AT_ONCE", 0.0)
    monkeypatch.setattr(stop_turns, "LEAST_AT_ONCE", 1)
    extended: list[float] = []
    monkeypatch.setattr(Starts, "extend", lambda _starts, seconds: extended.append(seconds))
    names = ["a", "b", "c"]
    up = [row(sandbox, name, labels={labels.MODE: "live", labels.EXCHANGE: "backpack"}) for name in names]
    engine: Any = Stopping(sandbox, up, [row(sandbox, name, "exited") for name in names])
    starts, moments = Starts(project.read(sandbox).fleet), []
    events: list[Any] = []
    engine.stop = lambda *_args: moments.append(time.monotonic())
    halted = halt.bring_down(engine.look(), names, engine.look, engine, starts, events.append)
    gaps = [after - before for before, after in itertools.pairwise(moments)]
    assert min(gaps) >= 0.1
    assert moments[-1] - moments[0] >= 0.4
    assert "spread over 0 s" in str(next(event.message for event in events if isinstance(event, Warned)))
    assert halted.is_complete
    assert extended == [pytest.approx(0.5)], "the limit must not pass while the stops wait for their turns"


def test_what_another_manager_has_just_started_ran_too(sandbox: Path) -> None:
    """So that `resume` brings it back; a one-off is nothing that it could."""
    stray = row(sandbox, "b", Names=[f"/{FLEET_NAME}-b-run-1"], labels={labels.COMPOSE_ONEOFF: "True"})
    engine: Any = Stopping(sandbox, [], [row(sandbox, "a"), stray], [row(sandbox, "a", "exited")])
    starts = Starts(project.read(sandbox).fleet)
    halted = halt.bring_down(engine.look(), ["a", "b"], engine.look, engine, starts, lambda _event: None)
    ended = {halted.seen[instance].name for instance in halted.stopped}
    assert ended == {f"{FLEET_NAME}-a", f"{FLEET_NAME}-b-run-1"}
    assert halted.came_up == {"a"}


def test_an_idle_container_runs_no_bot_and_counts_as_down(sandbox: Path) -> None:
    """Its supervisor waits because of the mark; another container of the instance may trade."""
    stray = row(
        sandbox, "a", Names=[f"/{FLEET_NAME}-a-run-1"], Id="s", labels={labels.COMPOSE_ONEOFF: "True"}
    )
    engine: Any = Stopping(sandbox, [row(sandbox, "a"), row(sandbox, "b"), stray])
    seen = engine.look()
    assert {instance.id for instance in halt.running(seen, ["a", "b"])} == {"id-of-a", "id-of-b", "s"}
    idle = seen._replace(plan_input=seen.plan_input._replace(idle=frozenset({"a"})))
    assert {instance.id for instance in halt.running(idle, ["a", "b"])} == {"id-of-b", "s"}


def test_an_idle_container_trades_on_no_account(sandbox: Path) -> None:
    """As one that was started by hand after its instance was moved away; one that is no idle one does."""
    live = {labels.MODE: "live"}
    stray = row(
        sandbox,
        "a",
        Names=[f"/{FLEET_NAME}-a-run-1"],
        Id="s",
        labels={**live, labels.COMPOSE_ONEOFF: "True"},
    )
    seen = Stopping(sandbox, [row(sandbox, "a", labels=live), row(sandbox, "b", labels=live), stray]).look()

    def trading(snapshot: FleetSnapshot, *excepted: str) -> list[str]:
        return [
            container.container.removeprefix(f"{FLEET_NAME}-") for container in snapshot.trading(excepted)
        ]

    assert trading(seen) == ["a", "b", "a-run-1"]
    idle = seen._replace(plan_input=seen.plan_input._replace(idle=frozenset({"a"})))
    assert trading(idle) == ["b", "a-run-1"]
    assert trading(idle, "a") == ["b"]


def chosen(snapshot: FleetSnapshot, *ids: str) -> list[str]:
    return chosen_instances(named_by(Selection(ids), snapshot.project), snapshot).required()


def test_a_stray_without_a_config_is_known_by_its_container(sandbox: Path) -> None:
    stray = row(sandbox, "b", Names=[f"/{FLEET_NAME}-b-run-1"], labels={labels.COMPOSE_ONEOFF: "True"})
    engine: Any = Stopping(sandbox, [row(sandbox, "a"), stray])
    snapshot = engine.look()
    assert chosen(snapshot) == ["a", "b"]
    assert chosen(snapshot, "b") == ["b"]


def test_those_without_a_turn_are_stopped_first(sandbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A live bot that waits for its exchange's turn holds one of the calls."""
    monkeypatch.setattr(halt, "MOST_CALLS", 1)
    live = {labels.MODE: "live", labels.EXCHANGE: "backpack"}
    up = [row(sandbox, "a", labels=live), row(sandbox, "b")]
    engine: Any = Stopping(sandbox, up, [row(sandbox, name, "exited") for name in "ab"])
    stopped: list[str] = []
    engine.stop = lambda container, _timeout: stopped.append(container)
    halt.bring_down(
        engine.look(),
        ["a", "b"],
        engine.look,
        engine,
        Starts(project.read(sandbox).fleet),
        lambda _event: None,
    )
    assert stopped == ["id-of-b", "id-of-a"]


def test_an_engine_that_fails_after_the_stops_leaves_an_answer_of_unknown(sandbox: Path) -> None:
    engine: Any = Stopping(sandbox, [row(sandbox, "a", "exited", labels={labels.MODE: "live"})])
    answers = halt.ask(halt.Halted(engine.look(), {}, {}), ["a"], engine, lambda _event: None)
    assert answers["a"].left is None


def test_another_folders_instances_are_neither_remembered_nor_called_down(sandbox: Path) -> None:
    engine: Any = Stopping(sandbox, [row(sandbox, "a"), a_row("b")])
    snapshot = engine.look()

    assert chosen(snapshot) == ["a"]
    assert [container.instance for container in halt.containers(snapshot, ["a", "b"])] == ["a"]
    assert "belongs to /srv/desk" in str(snapshot.foreign()[0])
    with pytest.raises(ConfigError, match="belongs to /srv/desk"):
        chosen(snapshot, "b")
    with pytest.raises(UsageError, match="there is no instance c"):
        chosen(snapshot, "c")


def test_a_folder_whose_settings_are_broken_is_known_by_its_containers(tmp_path: Path) -> None:
    rows = [
        a_row("a"),
        a_row("a", Names=["/desk-a-run-1"], labels={labels.COMPOSE_ONEOFF: "True"}),
        a_row("b"),
    ]
    problem = Problem.at("config/fleet.toml", "", "is not TOML: {why}", why="x")
    loaded = project.by_containers(Path("/srv/desk"), rows, [problem])
    assert loaded is not None
    assert (loaded.fleet.name, loaded.fleet.data_dir) == (FLEET_NAME, Path("/srv/desk/volumes"))
    assert loaded.problems == (problem,)
    seen = observing.assemble(loaded, observe(rows, FLEET_NAME), observing.NO_IMAGE)
    assert (seen.foreign(), list(seen.views)) == ([], ["a", "b"])
    other = a_row("a", labels={labels.COMPOSE_PROJECT: "desk-before"})
    assert project.by_containers(Path("/srv/desk"), [*rows, other], []) is None
    assert project.by_containers(Path("/srv/desk"), [], []) is None


def test_a_stop_that_fails_is_not_repeated_for_ever(sandbox: Path) -> None:
    engine: Any = Stopping(sandbox, [row(sandbox, "a")], [row(sandbox, "a")])

    def refuse(*_arguments: object) -> None:
        raise EngineError("the engine says: {why}", why="no")

    engine.stop = refuse
    starts = Starts(project.read(sandbox).fleet)
    halted = halt.bring_down(engine.look(), ["a"], engine.look, engine, starts, lambda _event: None)
    assert halted.is_complete
    assert [str(outcome.error) for outcome in halted.stopped.values()] == ["the engine says: no"]


def test_a_start_that_does_not_end_is_not_waited_for_without_end(
    sandbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Starts, "have_ended", lambda _starts: False)
    monkeypatch.setattr(Starts, "are_too_slow", True)
    engine: Any = Stopping(sandbox, [row(sandbox, "a")], [row(sandbox, "a", "exited")])
    starts = Starts(project.read(sandbox).fleet)
    halted = halt.bring_down(engine.look(), ["a"], engine.look, engine, starts, lambda _event: None)
    assert not halted.is_complete
