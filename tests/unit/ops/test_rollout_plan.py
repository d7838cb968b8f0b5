"""Roll-outs on paper: who, in which order, when one is ready, and what can be brought back."""

from __future__ import annotations

from typing import Any

import pytest

from manager.engine import labels
from manager.engine.container_config import HostContext, body
from manager.engine.containers import Container
from manager.errors import UsageError
from manager.fleet import state_file, supervisor_state, upgrade_records
from manager.fleet.instance import Instance
from manager.fleet.snapshot import PlanInput
from manager.fleet.state_file import FleetState, InstanceState, RejectedRevision
from manager.fleet.status import Status
from manager.fleet.upgrade_records import UpgradeRecord
from manager.ops.planning import plan
from manager.ops.rollout import rollout_plan
from manager.ops.rollout.rollout_plan import Watched
from tests.builders import a_container, a_fleet, a_situation, a_spec, a_supervisor_file

OLD = {"engine": "running", "image": "sha256:old"}


def a_step(phase: upgrade_records.Phase = "done", **changes: Any) -> UpgradeRecord:
    """From image old to image one, with the same config."""
    step = UpgradeRecord(
        phase, "id-of-a", {"Labels": {}, "Image": "x"}, "sha256:old", "h1", "sha256:one", "h1", "now"
    )
    return step._replace(**changes)


def actions_of(plan_input: PlanInput, *named: str, **steps: UpgradeRecord) -> list[str]:
    planned = rollout_plan.plan(plan_input, steps, list(named) or None)
    return [str(action) for action in (*planned.todo, *planned.left)]


def refusing(plan_input: PlanInput, instance: str, why: str = "it is failed") -> PlanInput:
    refused = plan_input.fleet_state.with_refused({instance: RejectedRevision("h1", "sha256:one", why)})
    return plan_input._replace(fleet_state=refused)


def test_up_and_upgrade_name_the_same_way_out_of_a_removed_container_whose_config_was_rejected() -> None:
    """Neither refers to the other, which would not help."""
    gone = refusing(a_situation({"a": {}}), "a")
    way_out = (
        "leave a: its config was rejected (it is failed) and its old container is gone: change the config,"
        " or run the old"
        " one with `manager rollback a` and `manager start a`"
    )
    assert actions_of(gone, "a") == actions_of(gone) == [way_out]
    assert [str(action) for action in plan.up(gone, ["a"])] == [way_out]
    assert [str(action) for action in rollout_plan.rollbacks(gone, {"a": a_step("back")}, ["a"])] == [
        "rollback a: not running, so it stays stopped"
    ]


def test_only_what_runs_and_differs_is_upgraded() -> None:
    plan_input = a_situation(
        {
            "a": OLD,
            "b": {"engine": "running", "hash": "h0", "image": "sha256:old"},
            "c": {"engine": "running"},
            "d": {"engine": "exited", "image": "sha256:old", "wish": "stopped"},
            "e": {},
            "f": {**OLD, "state": "failed"},
            "g": {"engine": "running", "environment": True},
        }
    )
    assert actions_of(plan_input) == [
        "recreate a: new image",
        "recreate b: config changed, new image",
        "recreate g: environment changed",
        "leave d: not running, and an upgrade starts nothing; `manager up --recreate d` starts it upgraded",
        "leave e: no container; `manager up e` creates it",
        "leave f: failed; `manager upgrade f` upgrades and starts it",
    ]
    assert actions_of(plan_input, "c", "f") == ["recreate f: new image", "leave c: nothing to upgrade"]


def test_what_a_killed_upgrade_was_at_is_gone_on_with() -> None:
    plan_input = a_situation({"a": OLD, "b": {}, "c": {"engine": "exited"}, "d": {"engine": "running"}})
    going = {name: a_step("going") for name in "abcd"}
    why = "its upgrade was interrupted"
    assert actions_of(plan_input, **going) == [
        f"recreate a: {why}",
        f"create b: {why}",
        f"start c: {why}",
        f"leave d: {why}",
    ]


def test_a_halt_in_the_middle_of_an_upgrade_holds() -> None:
    plan_input = a_situation({"a": {"engine": "exited", "halted": "ran"}, "b": {"halted": "down"}})
    halted = "halted; `manager resume` starts what ran"
    planned = rollout_plan.plan(plan_input, {name: a_step("going") for name in "ab"}, None)
    assert not planned.todo
    assert [str(skipped) for skipped in planned.left] == [f"leave a: {halted}", f"leave b: {halted}"]


def order(plan_input: PlanInput, **how: Any) -> list[str]:
    planned = rollout_plan.plan(plan_input, {}, None)
    batches = rollout_plan.batches(planned.todo, plan_input, how.pop("interrupted", ()), **how)
    return ["".join(action.instance for action in batch) for batch in batches]


def test_a_healthy_one_on_paper_goes_first_then_batches() -> None:
    facts: dict[str, dict[str, Any]] = dict.fromkeys("abcdefg", OLD)
    facts["b"] = {**OLD, "state": "unhealthy"}
    plan_input = a_situation(facts)
    live = a_container(
        "a", ImageID="sha256:old", labels={"botfleet.mode": "live", "botfleet.config-hash": "h1"}
    )
    plan_input = plan_input._replace(containers={**plan_input.containers, "a": live})
    assert order(plan_input) == ["c", "d", "e", "f", "g", "b", "a"]
    assert order(plan_input, size=4) == ["c", "defg", "ba"]
    assert order(plan_input, canary="b", size=10) == ["b", "cdefga"]
    assert order(plan_input, interrupted=["g"], size=10) == ["g", "cdefba"]
    with pytest.raises(UsageError, match="x cannot be the canary"):
        order(plan_input, canary="x")
    many = a_situation({f"{number:03}": OLD for number in range(101)})
    assert [
        len(batch) for batch in rollout_plan.batches(rollout_plan.plan(many, {}, None).todo, many, ())
    ] == [
        1,
        *[10] * 10,
    ]


def test_a_port_that_another_one_still_has_is_refused_before_anything_is_touched() -> None:
    plan_input = a_situation(
        {"a": {**OLD, "port": 5002, "old_port": 5001}, "b": {**OLD, "port": 5003, "old_port": 5002}}
    )
    (problem,) = rollout_plan.port_problems(rollout_plan.plan(plan_input, {}, None).todo, plan_input)
    assert "port 5002 is still used by b" in str(problem)


def test_what_was_refused_is_left_alone_until_it_is_something_else() -> None:
    plan_input = refusing(a_situation({"a": OLD, "b": OLD}), "a")
    left = (
        "leave a: rolled back (config h1 with image one was rejected: it is failed); `manager upgrade "
        "a` tries again"
    )
    other = "the new image was rejected on a (it is failed); `manager upgrade b` tries it anyway"
    assert actions_of(plan_input) == [left, f"leave b: {other}"]
    assert [str(action) for action in plan.up(plan_input)] == [left]
    assert [str(action) for action in plan.up(plan_input, recreate=True)] == [left, f"leave b: {other}"]
    assert actions_of(plan_input, "a", "b") == ["recreate a: new image", "recreate b: new image"]
    another_image = plan_input._replace(image_id="sha256:two")
    assert actions_of(another_image) == ["recreate a: new image", "recreate b: new image"]


def test_another_image_brings_a_refused_config_back_only_by_an_upgrade() -> None:
    running = {"engine": "running", "hash": "h0", "image": "sha256:old"}
    before = refusing(a_situation({"a": running, "b": OLD}), "a")
    plan_input = before._replace(image_id="sha256:two")
    left = (
        "leave a: rolled back (config h1 with image one was rejected: it is failed); `manager upgrade "
        "a` tries again"
    )
    for actions in (
        plan.up(plan_input),
        plan.up(plan_input, ["a"]),
        plan.up(plan_input, ["a"], recreate=True),
    ):
        assert [str(action) for action in actions] == [left]
    assert [str(action) for action in plan.up(plan_input, recreate=True)] == [left, "recreate b: new image"]
    (action,) = plan.restart(plan_input, ["a"])
    assert (action.kind, action.as_it_was) == ("restart", True)
    assert actions_of(plan_input) == ["recreate a: config changed, new image", "recreate b: new image"]
    (gone,) = plan.up(refusing(a_situation({"a": {}}), "a")._replace(image_id="sha256:two"))
    assert "run the old one with `manager rollback a`" in str(gone)


def test_what_was_refused_is_started_and_restarted_as_it_was() -> None:
    down = refusing(a_situation({"a": {"engine": "exited", "hash": "h0"}}), "a")
    up = refusing(a_situation({"a": {"engine": "running", "hash": "h0", "environment": True}}), "a")
    for actions in (
        plan.up(down),
        plan.start(down, ["a"]),
        plan.restart(down, ["a"]),
        plan.restart(up, ["a"]),
    ):
        (action,) = actions
        assert action.kind in {"start", "restart"}
        assert action.as_it_was
    (gone,) = plan.up(refusing(a_situation({"a": {}}), "a"), ["a"])
    assert "run the old one with `manager rollback a`" in str(gone)


def a_view(state: Any) -> Instance:
    return Instance("a", Status(state), (), None, a_container(), None, InstanceState())


def test_ready_is_healthy_without_a_break_for_as_long_as_was_asked() -> None:
    watched = Watched()
    for now, state, result in [
        (1, "starting", None),
        (2, "running", None),
        (9, "unhealthy", None),
        (10, "running", None),
        (19, "running", None),
        (20, "running", "ready"),
    ]:
        watched = watched.next(a_view(state), now, ready=10, deadline=100)
        assert watched.result == result, now
    late = Watched().next(a_view("starting"), 101, ready=10, deadline=100)
    assert "not healthy in time" in str(late.result)
    for state in ("restarting", "failed", "completed", "stopped", "missing"):
        assert (
            str(Watched(5).next(a_view(state), 6, ready=10, deadline=100).result)
            == f"it is {state} ({state})"
        )


def test_a_bot_whose_exchange_is_away_is_neither_ready_nor_failed() -> None:
    view = a_view("running")
    assert view.container is not None
    health = {"ok": True, "condition": {"code": "exchange_away", "params": {}, "since": 1}}
    supervisor = supervisor_state._decoded(a_supervisor_file(container=view.container.id, health=health))
    away = view._replace(supervisor=supervisor)
    watched = Watched()
    for now in (1, 50, 101, 1_800):
        watched = watched.next(away, now, ready=10, deadline=100)
        assert watched == Watched(degraded_since=1)
    watched = watched.next(view, 1_801, ready=10, deadline=100)
    assert watched.next(view, 1_811, ready=10, deadline=100).result == "ready"
    assert watched.next(away, 1_802, ready=10, deadline=100).result == "unproven"


def test_a_bot_that_says_that_it_is_starting_is_waited_for_beyond_the_deadline() -> None:
    view = a_view("starting")
    assert view.container is not None
    health = {
        "ok": False,
        "starting": True,
        "detail": "503 loading the markets",
        "reason": {"code": "http_status", "params": {"status": 503, "detail": "loading the markets"}},
    }

    def with_health(**changes: Any) -> Instance:
        its = {"container": view.container and view.container.id}
        file = a_supervisor_file(state="starting", health={**health, **changes}, **its)
        return view._replace(supervisor=supervisor_state._decoded(file))

    starting = with_health()
    early = Watched().next(starting, 99, ready=10, deadline=100)
    assert early == Watched()
    late = early.next(starting, 101, ready=10, deadline=100)
    assert late == Watched(is_late=True)
    well = late.next(a_view("running"), 800, ready=10, deadline=100)
    assert well.next(a_view("running"), 810, ready=10, deadline=100).result == "ready"
    silent = with_health(starting=False)
    assert str(late.next(silent, 900, ready=10, deadline=100).result) == (
        "it was not healthy in time (its bot is not ready yet: 503 loading the markets)"
    )


def test_only_the_last_upgrade_is_taken_back_and_a_stopped_one_stays_down() -> None:
    facts = {
        "a": {"engine": "running"},
        "b": {"engine": "exited", "wish": "stopped"},
        "c": OLD,
        "d": {"engine": "exited", "image": "sha256:old"},
        "e": {},
    }
    plan_input = a_situation(facts)
    steps = {
        "a": a_step(),
        "b": a_step(),
        "c": a_step("going", container="id-of-c"),
        "d": a_step("going"),
        "e": a_step("going"),
    }
    assert [
        (str(action), action.stays_down) for action in rollout_plan.rollbacks(plan_input, steps, [*"abcdef"])
    ] == [
        ("rollback a: requested", False),
        ("rollback b: not running, so it stays stopped", True),
        ("leave c: already rolled back", False),
        ("rollback d: requested", False),
        ("rollback e: requested", False),
        ("leave f: there is no upgrade to roll back", False),
    ]


def test_a_step_is_forgotten_when_somebody_has_changed_the_instance_since() -> None:
    def has(image: str, config: str = "h1") -> dict[str, Container]:
        return {"a": a_container("a", ImageID=image, labels={"botfleet.config-hash": config})}

    done, back, going = ({"a": a_step(phase)} for phase in ("done", "back", "going"))
    assert upgrade_records.valid(done, has("sha256:one"), "a")
    assert upgrade_records.valid(done, {}, "a")
    assert not upgrade_records.valid(done, has("sha256:one", "h2"), "a")
    assert not upgrade_records.valid(done, has("sha256:old"), "a")
    assert upgrade_records.valid(back, has("sha256:old"), "a")
    assert not upgrade_records.valid(back, has("sha256:one"), "a")
    assert upgrade_records.valid(going, has("sha256:three"), "a")
    assert not upgrade_records.valid(going, {}, "b")


def test_what_was_taken_back_is_known_by_what_it_is_made_of_however_often_it_is_made_anew() -> None:
    """Of an upgrade that changed values only, nothing else tells the old container from the new one."""
    made = {"image_id": "sha256:old", "config_hash": "h1"}
    old = a_container("a", ImageID="sha256:old", labels={labels.CONFIG_HASH: "h1"})
    anew = a_container("a", ImageID="sha256:old", Id="another", labels={labels.CONFIG_HASH: "h1"})
    assert [a_step("back", **made).is_old(one) for one in (old, anew)] == [True, True]
    assert [a_step("done", **made).is_old(one) for one in (old, anew)] == [True, False]
    other = a_container("a", ImageID="sha256:one", labels={labels.CONFIG_HASH: "h1"})
    assert not a_step("back", **made).is_old(other)


def test_a_refusal_and_a_step_survive_being_written(tmp_path: Any) -> None:
    fleet = a_fleet(data_dir=tmp_path)
    before = FleetState("desk").with_refused({"a": RejectedRevision("h1", "sha256:one", "it is failed")})
    state_file.save(tmp_path / "fleet.json", before)
    assert state_file.load(tmp_path / "fleet.json", "desk") == before
    assert upgrade_records.load(fleet) == {}
    upgrade_records.save(fleet, {"a": a_step()})
    assert upgrade_records.load(fleet) == {"a": a_step()}


def test_the_old_definition_is_the_container_with_its_image_by_our_name() -> None:
    spec, fleet = a_spec(), a_fleet()
    made = body(spec, fleet, HostContext(10001, 10001, (10001, 10001), "sha256:one", "c" * 64))
    config = {
        key: made[key] for key in ("Hostname", "User", "Cmd", "Env", "Labels", "StopTimeout", "Healthcheck")
    }
    config |= {"Image": "desk-bot:local", "ExposedPorts": made["ExposedPorts"], "Volumes": None}
    again = upgrade_records.definition(
        {"Config": config, "HostConfig": made["HostConfig"]}, spec.id, "desk-bot:rollback-1"
    )
    assert again == {**made, "Image": "desk-bot:rollback-1"}
