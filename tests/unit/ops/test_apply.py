"""What a changing command does besides its actions: marks, the lock, events, calls of the engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from manager.cli import report
from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.engine import compose_name
from manager.engine.containers import Container
from manager.errors import ManagerError
from manager.fleet import definition_drift, env_file, halt_mark, lock, old_daemon_guard, start_lock
from manager.fleet import project as projects
from manager.fleet.container_folder import ForeignFolder
from manager.fleet.observe import FleetSnapshot
from manager.fleet.selection import Selection
from manager.fleet.session import Session
from manager.i18n import Text
from manager.ops import apply
from manager.ops.actions.action import Action, Change, Outcome
from manager.ops.actions.events import Event
from manager.ops.planning import changes
from tests.fakes.sandbox import ETH, SOL, Sandbox


def fleet_of(sandbox: Sandbox) -> Fleet:
    return projects.read(sandbox.folder).fleet


def events_of(sandbox: Sandbox, change: Change) -> list[str]:
    events: list[Event] = []
    apply.apply(Session(sandbox.folder), change, events.append)
    return [type(event).__name__ for event in events]


def test_neither_down_nor_watch_lifts_a_halt(sandbox: Sandbox) -> None:
    """They name instances too, but are no request to run them or to leave them stopped."""
    sandbox.transcript("up", "halt")
    fleet = fleet_of(sandbox)
    apply.apply(Session(sandbox.folder), changes.recover(["bp_eth_02"]), report.Reporter())
    sandbox.transcript("down bp_sol_01")
    assert set(halt_mark.find_all(fleet)) == {"bp_eth_02", "bp_sol_01"}
    sandbox.transcript("stop bp_sol_01")
    assert set(halt_mark.find_all(fleet)) == {"bp_eth_02"}


def test_a_lifted_mark_leaves_a_file_ready_for_the_next_halt(sandbox: Sandbox) -> None:
    """On a full disk that file is what the next mark is made of."""
    sandbox.transcript("up", "halt", "stop bp_sol_01")
    assert (fleet_of(sandbox).secrets_dir("bp_sol_01") / halt_mark.READY).exists()


def test_an_instance_without_a_config_cannot_be_started_by_name(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    (sandbox.folder / "config/active/bp_sol_01.json").unlink()
    sandbox.assert_transcript("""
        $ start bp_sol_01
        error: bp_sol_01 has no config any more; `manager down bp_sol_01` removes its container
          exit code 2
        $ stop bp_sol_01
        bp_sol_01: stopped (requested, 0.0 s)
          engine: stop bp_sol_01
    """)


def test_an_up_without_actions_asks_the_engine_once_and_emits_nothing(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.transcript("up")
    lists: list[object] = []
    containers = sandbox.engine.containers

    def counted(*args: object) -> object:
        lists.append(args)
        return containers(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(sandbox.engine, "containers", counted)
    assert events_of(sandbox, changes.up()) == []
    assert len(lists) == 1


def test_what_the_old_system_runs_is_refused_and_nothing_is_begun(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def still_running(_snapshot: object, ids: list[str]) -> dict[str, ManagerError]:
        return {instance: ManagerError("it runs there") for instance in ids}

    monkeypatch.setattr(old_daemon_guard, "still_running", still_running)
    assert events_of(sandbox, changes.up()) == ["ActionDone", "ActionDone"]
    assert sandbox.states() == {}


def test_a_fleet_with_broken_settings_can_be_stopped(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    (sandbox.folder / "config/fleet.toml").write_text("name = ")
    assert sandbox.run("stop")[:2] == [
        "bp_eth_02: stopped (requested, 0.0 s)",
        "bp_sol_01: stopped (requested, 0.0 s)",
    ]
    assert set(sandbox.states().values()) == {"exited"}
    assert sandbox.run("start")[0].startswith("error: config/fleet.toml: ")


@pytest.mark.parametrize(
    ("options", "waits"), [("--lock-wait 100", True), ("--force --lock-wait 100", False)]
)
def test_force_does_not_wait_for_the_lock(sandbox: Sandbox, options: str, waits: bool) -> None:
    sandbox.transcript("up")
    began = sandbox.clock.monotonic()
    with lock.held(fleet_of(sandbox).lock_file, "upgrade"):
        sandbox.run(f"stop bp_sol_01 {options}")
    assert (sandbox.clock.monotonic() - began >= 100) == waits
    assert sandbox.states()["bp_sol_01"] == "exited"


def test_instance_id_names_the_instance_of_the_config_file(sandbox: Sandbox) -> None:
    file = sandbox.folder / "config/active/bp_sol_01.json"
    sandbox.transcript(f"up --config {file} --instance-id sol_live")
    assert sandbox.states() == {"sol_live": "running"}
    assert Selection(files=[str(file)]).named(projects.read(sandbox.folder)) == ["sol_live"]


def test_a_stop_by_force_stops_again_what_comes_up_meanwhile(sandbox: Sandbox) -> None:
    """Another manager may be in the middle of a start that the first list of containers does not show."""
    sandbox.transcript("up", "stop bp_sol_01")
    sandbox.engine.after("stop", lambda: sandbox.engine.start(SOL), of=ETH)
    with lock.held(fleet_of(sandbox).lock_file, "up"):
        sandbox.run("stop --force")
    assert set(sandbox.states().values()) == {"exited"}


def test_warnings_are_emitted(sandbox: Sandbox) -> None:
    (sandbox.folder / ".env").write_text("")
    assert events_of(sandbox, changes.up())[0] == "Warned"


def test_what_is_left_alone_is_not_refused_for_the_old_system(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.transcript("up", "stop")
    monkeypatch.setattr(
        old_daemon_guard, "still_running", lambda _snapshot, ids: dict.fromkeys(ids, ManagerError("there"))
    )
    assert events_of(sandbox, changes.up()) == ["LeftAlone", "LeftAlone"]
    assert events_of(sandbox, changes.stop()) == ["LeftAlone", "LeftAlone", "ActionDone", "ActionDone"]


@pytest.mark.parametrize("command", ["down", "stop"])
def test_a_forced_command_marks_by_its_own_name(sandbox: Sandbox, command: str) -> None:
    """The next `up` removes the marks of `down`, and leaves those of `stop` alone."""
    sandbox.transcript("up")
    with lock.held(fleet_of(sandbox).lock_file, "upgrade"):
        sandbox.run(f"{command} --force")
    assert {mark.by for mark in halt_mark.find_all(fleet_of(sandbox)).values()} == {command}
    (sandbox.folder / "config/active/bp_sol_01.json").unlink()
    sandbox.run("up")
    assert sandbox.states()["bp_eth_02"] == ("running" if command == "down" else "exited")
    assert len(halt_mark.find_all(fleet_of(sandbox))) == (0 if command == "down" else 2)


def test_resume_lifts_every_mark_of_the_halt(sandbox: Sandbox) -> None:
    """Also that of an instance whose config was removed meanwhile, which is not started."""
    sandbox.transcript("up", "halt")
    (sandbox.folder / "config/active/bp_sol_01.json").unlink()
    sandbox.run("resume")
    assert halt_mark.find_all(fleet_of(sandbox)) == {}
    assert halt_mark.of_fleet(fleet_of(sandbox)) is None
    assert sandbox.states() == {"bp_eth_02": "running", "bp_sol_01": "exited"}


def test_a_container_of_another_folder_is_left_alone_and_prevents_nothing(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.transcript("up")

    def foreign_folder(_snapshot: FleetSnapshot, container: Container) -> ForeignFolder | None:
        return ForeignFolder("/srv/copy", "/srv/desk") if container.instance == "bp_sol_01" else None

    monkeypatch.setattr(FleetSnapshot, "foreign_folder", foreign_folder)
    assert sandbox.run("stop")[:2] == [
        "bp_sol_01: left alone: its container belongs to /srv/copy, not to /srv/desk",
        "bp_eth_02: stopped (requested, 0.0 s)",
    ]
    assert sandbox.states() == {"bp_eth_02": "exited", "bp_sol_01": "running"}


def test_after_a_quick_change_the_engine_is_asked_about_the_touched_instances_only(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lists hundreds of containers more slowly than it stops one."""
    sandbox.transcript("up")
    asked: list[tuple[object, ...]] = []
    containers = sandbox.engine.containers

    def noted(filters: Iterable[str], ids: Iterable[str] = ()) -> list[dict[str, Any]]:
        asked.append(tuple(ids))
        return containers(filters, asked[-1])  # type: ignore[arg-type]

    monkeypatch.setattr(sandbox.engine, "containers", noted)
    sandbox.run("stop bp_sol_01")
    assert [len(ids) for ids in asked] == [0, 1]
    asked.clear()
    sandbox.run("down bp_sol_01")
    assert [len(ids) for ids in asked] == [0, 0]


@pytest.mark.parametrize(
    ("line", "compared"),
    [
        ("restart bp_sol_01", {"bp_sol_01"}),
        ("restart", {"bp_sol_01", "bp_eth_02"}),
        ("status bp_sol_01", {"bp_sol_01"}),
        ("status", {"bp_sol_01", "bp_eth_02"}),
        ("logs bp_sol_01 --tail 1", set()),
    ],
)
def test_only_the_containers_that_a_command_is_about_are_compared_with_their_definitions(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, line: str, compared: set[str]
) -> None:
    """Comparing all of 40 is a third of the work of a restart of one."""
    sandbox.transcript("up")
    noted, noted_env = set(), set()

    def drift(container: Container, *rest: Any) -> Any:
        noted.add(container.instance)
        return real(container, *rest)

    def env_differs(spec: InstanceSpec, *rest: Any) -> Any:
        noted_env.add(spec.id)
        return real_env(spec, *rest)

    real, real_env = definition_drift.drift, env_file.env_differs
    monkeypatch.setattr(definition_drift, "drift", drift)
    monkeypatch.setattr(env_file, "env_differs", env_differs)
    sandbox.run(line)
    assert (noted, noted_env) == (compared, compared)


def test_a_start_that_does_not_end_is_reported_by_a_forced_stop(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    fleet = fleet_of(sandbox)
    with lock.held(fleet.lock_file, "up"), start_lock.under_way(fleet):
        assert sandbox.run("stop --force")[-1] == (
            "error: another manager may still start bots; stop it, and run the command again"
        )
    assert sandbox.exit_code == 1
    assert set(sandbox.states().values()) == {"exited"}


def test_the_compose_file_of_another_fleet_is_rendered_anew_by_up_alone(sandbox: Sandbox) -> None:
    """In a clone, `docker compose stop` would stop the bots of the fleet that it was copied from."""
    sandbox.transcript("up")
    file = fleet_of(sandbox).compose_file
    file.write_text(f"{compose_name.HEAD}\nname: 'other'\nservices: {{}}\n")
    sandbox.transcript("stop")
    assert compose_name.name_in(file) == "other"
    assert "compose.yaml was that of fleet other; it was rendered anew" in sandbox.transcript("up")
    assert compose_name.name_in(file) == fleet_of(sandbox).name
    assert "rendered anew" not in sandbox.transcript("up")


def test_what_is_held_back_keeps_its_mark(sandbox: Sandbox) -> None:
    """Its start, which another manager may have in progress, is still not wanted."""
    sandbox.transcript("up")
    with lock.held(fleet_of(sandbox).lock_file, "upgrade"):
        sandbox.run("down --force")
    sandbox.config("bp_sol_01", 5001)
    sandbox.config("bp_eth_02", 5001)
    sandbox.config("bp_btc_03", 5003)
    sandbox.run("up")
    assert sandbox.states() == {"bp_btc_03": "running"}
    assert set(halt_mark.find_all(fleet_of(sandbox))) == {"bp_eth_02", "bp_sol_01"}


def test_only_a_quick_change_without_a_failure_needs_no_whole_look() -> None:
    def touched(*outcomes: Outcome[Action]) -> list[str] | None:
        return apply._only_touched(outcomes)

    quick = Outcome(Action("stop", "a", Text("x")), 0.1)
    assert touched(quick) == ["a"]
    assert touched(quick, quick._replace(error=ManagerError("no"))) is None, "who knows what it left"
    assert touched(quick, quick._replace(seconds=apply.LOOK_HOLDS_S)) is None, "others changed meanwhile"
    assert touched(quick._replace(action=quick.action._replace(kind="recreate"))) is None
    assert touched(*[quick] * apply.FEW) is not None
    assert touched(*[quick] * (apply.FEW + 1)) is None
