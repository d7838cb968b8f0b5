"""Plans, compared as the text that a dry run prints."""

from __future__ import annotations

from manager.fleet.definition_drift import DriftedPart
from manager.fleet.snapshot import PlanInput
from manager.fleet.state_file import RejectedRevision
from manager.fleet.status import IN_OTHER_CONTAINER, Status
from manager.fleet.tombstone import Tombstone
from manager.i18n import Text
from manager.ops.actions.action import Action
from manager.ops.planning import moved_away, plan, untrusted
from tests.builders import a_situation


def printed(actions: list[Action]) -> list[str]:
    return [str(action) for action in actions]


def refused(plan_input: PlanInput) -> PlanInput:
    """The same after an upgrade of `a` to the present config and image, which was rolled back."""
    rejected = RejectedRevision("h1", "sha256:one", "it crashed")
    return plan_input._replace(fleet_state=plan_input.fleet_state.with_refused({"a": rejected}))


def test_up_creates_what_is_missing_and_leaves_what_is_right() -> None:
    plan_input = a_situation({"a": {}, "b": {"engine": "running"}})
    assert printed(plan.up(plan_input)) == ["create a: no container"]


def test_up_twice_does_nothing() -> None:
    assert plan.up(a_situation({"a": {"engine": "running"}, "b": {"engine": "running"}})) == []


def test_up_recreates_for_a_changed_config() -> None:
    assert printed(plan.up(a_situation({"a": {"engine": "running", "hash": "h0"}}))) == [
        "recreate a: config changed"
    ]


def test_a_new_image_recreates_only_when_asked() -> None:
    plan_input = a_situation({"a": {"engine": "running", "image": "sha256:old"}})
    assert plan.up(plan_input) == []
    assert printed(plan.up(plan_input, recreate=True)) == ["recreate a: new image"]


def test_changed_values_restart_without_a_new_container() -> None:
    plan_input = a_situation({"a": {"engine": "running", "environment": True}})
    assert printed(plan.up(plan_input)) == ["restart a: environment changed"]


def test_up_starts_what_stopped_by_itself_and_keeps_its_final_state() -> None:
    (action,) = plan.up(a_situation({"a": {"engine": "exited"}}))
    assert str(action) == "start a: not running"
    assert not action.is_fresh


def test_what_the_engine_could_not_start_is_made_anew_of_the_same_image() -> None:
    plan_input = a_situation(
        {
            "a": {"engine": "exited", "status": "Exited (128) 2 minutes ago", "image": "sha256:old"},
            "b": {"engine": "created", "status": "Created"},
            "c": {"engine": "exited", "status": "Exited (137) 2 minutes ago"},
        }
    )
    for actions in (plan.up(plan_input), plan.start(plan_input, ["a", "b", "c"]), plan.restart(plan_input)):
        assert printed(actions) == [
            "recreate a: the engine could not start it",
            "recreate b: created but never started",
            "start c: not running",
        ]
        assert [action.keeps_image for action in actions] == [True, True, False]


def test_up_leaves_and_names_what_a_person_stopped() -> None:
    plan_input = a_situation({"a": {"engine": "exited", "wish": "stopped"}, "b": {"wish": "stopped"}})
    assert printed(plan.up(plan_input)) == [
        "leave a: stopped by a user; `manager start a` starts it",
        "leave b: stopped by a user; `manager start b` starts it",
    ]
    assert printed(plan.up(plan_input, ["a", "b"])) == ["start a: not running", "create b: no container"]


def test_up_leaves_and_names_what_ended_for_good() -> None:
    plan_input = a_situation(
        {
            "a": {"engine": "running", "state": "failed"},
            "b": {"engine": "running", "state": "completed"},
            "c": {"engine": "running", "state": "failed", "hash": "h0"},
        }
    )
    assert printed(plan.up(plan_input)) == [
        "leave a: failed (exit code 1); `manager start a` starts it",
        "leave b: completed (completed); `manager start b` starts it",
        "leave c: failed (exit code 1); config changed, `manager up c` applies it",
    ]
    assert printed(plan.up(plan_input, ["a", "b", "c"])) == [
        "restart a: was failed",
        "restart b: was completed",
        "recreate c: config changed",
    ]


def test_up_names_paused_and_mends_dead_containers() -> None:
    plan_input = a_situation(
        {"a": {"engine": "paused", "state": "unhealthy"}, "b": {"engine": "dead", "state": "failed"}}
    )
    assert printed(plan.up(plan_input)) == [
        "leave a: paused; `docker unpause desk-a` resumes it",
        "recreate b: engine state: dead",
    ]
    assert printed(plan.start(plan_input, ["a"])) == ["leave a: paused; `docker unpause desk-a` resumes it"]


def test_orphans_are_removed_only_when_asked_and_broken_configs_make_none() -> None:
    plan_input = a_situation(
        {"a": {"engine": "running"}},
        orphans={"old": "running", "broken": "running"},
        held_back=frozenset({"broken"}),
    )
    assert printed(plan.up(plan_input)) == ["leave old: it has no config; --remove-orphans removes it"]
    assert printed(plan.up(plan_input, remove_orphans=True)) == ["remove old: it has no config"]


def test_start_never_makes_a_second_one() -> None:
    plan_input = a_situation(
        {
            "a": {"engine": "running"},
            "b": {"engine": "running", "hash": "h0"},
            "c": {"engine": "exited", "hash": "h0"},
            "d": {"engine": "running", "state": "failed"},
            "e": {"engine": "restarting", "state": "restarting"},
        }
    )
    assert printed(plan.start(plan_input, ["a", "b", "c", "d", "e"])) == [
        "leave a: already running",
        "leave b: already running; `manager up b` applies the changed config",
        "recreate c: config changed",
        "restart d: was failed",
        "leave e: already running",
    ]


def test_restart_applies_a_changed_config_and_leaves_the_stopped() -> None:
    plan_input = a_situation(
        {
            "a": {"engine": "running"},
            "b": {"engine": "running", "hash": "h0"},
            "c": {"engine": "exited", "wish": "stopped"},
            "d": {},
        }
    )
    assert printed(plan.restart(plan_input)) == [
        "restart a: requested",
        "recreate b: config changed",
        "leave c: stopped by a user; `manager start c` starts it",
        "create d: no container",
    ]
    assert printed(plan.restart(plan_input, ["c"])) == ["start c: not running"]


def test_stop_needs_no_config() -> None:
    plan_input = a_situation({"a": {"engine": "exited"}, "b": {}}, orphans={"old": "running"})
    assert printed(plan.stop(plan_input)) == ["leave a: not running", "stop old: requested"]
    assert printed(plan.stop(plan_input, ["b"])) == ["leave b: no container"]


def test_down_leaves_orphans_and_says_so() -> None:
    plan_input = a_situation({"a": {"engine": "running"}}, orphans={"old": "running"})
    assert printed(plan.down(plan_input)) == [
        "remove a: requested",
        "leave old: it has no config; --remove-orphans removes it",
    ]
    assert printed(plan.down(plan_input, remove_orphans=True)) == [
        "remove a: requested",
        "remove old: it has no config",
    ]
    assert printed(plan.down(plan_input, ["old", "gone"])) == [
        "remove old: requested",
        "leave gone: no container",
    ]


def test_ports_that_change_hands_are_freed_first() -> None:
    plan_input = a_situation(
        {
            "a": {"engine": "running", "hash": "h0", "old_port": 5001, "port": 5002},
            "b": {"engine": "running", "hash": "h0", "old_port": 5002, "port": 5001},
            "c": {"engine": "running", "hash": "h0", "port": 5003},
        }
    )
    assert [(action.instance, action.first_wave) for action in plan.up(plan_input)] == [
        ("a", True),
        ("b", True),
        ("c", False),
    ]


def test_a_container_that_is_being_stopped_is_not_taken_for_running() -> None:
    ending = a_situation({"a": {"engine": "running", "state": "stopped"}})
    assert printed(plan.up(ending)) == ["restart a: it is being stopped"]
    assert printed(plan.start(ending, ["a"])) == ["restart a: it is being stopped"]


def test_a_container_that_somebody_started_during_a_halt_is_not_said_to_be_stopping() -> None:
    halted = a_situation({"a": {"engine": "running", "state": "stopped", "halted": "ran"}})
    idle = halted._replace(idle=frozenset({"a"}))
    for actions in (plan.resume(idle, ["a"]), plan.start(idle, ["a"]), plan.up(idle, ["a"])):
        assert printed(actions) == ["restart a: its container is up without its bot"]


def test_a_dead_container_whose_config_was_refused_is_not_made_anew_of_it() -> None:
    (action,) = plan.up(refused(a_situation({"a": {"engine": "dead", "hash": "h0"}})))
    assert action.kind == "leave"
    assert str(action.cause) == (
        "its config was rejected (it crashed) and its old container is gone: change the config, or run the"
        " old one with"
        " `manager rollback a` and `manager start a`"
    )


def test_what_was_rolled_back_is_started_as_it_was_and_never_made_anew() -> None:
    for engine, status, expected in (
        ("running", "Up 3 minutes (healthy)", "restart a: requested"),
        ("exited", "Exited (137) 2 minutes ago", "start a: not running"),
        ("created", "Created", "start a: not running"),
    ):
        plan_input = refused(a_situation({"a": {"engine": engine, "status": status, "hash": "h0"}}))
        for moved in (frozenset[str](), frozenset({"a"})):
            (action,) = plan.restart(plan_input._replace(moved=moved))
            assert (str(action), action.as_it_was) == (expected, True)


def test_an_image_that_was_rejected_on_one_is_given_to_no_other_unasked() -> None:
    plan_input = refused(
        a_situation({name: {"engine": "running", "image": "sha256:old"} for name in ("a", "b")})
    )
    assert printed(plan.up(plan_input, recreate=True)) == [
        "leave a: rolled back (config h1 with image one was rejected: it crashed); `manager upgrade a` tries"
        " again",
        "leave b: the new image was rejected on a (it crashed); `manager upgrade b` tries it anyway",
    ]
    assert printed(plan.up(plan_input, ["b"], recreate=True)) == ["recreate b: new image"]


def test_credentials_that_only_this_version_reads_differently_are_given_to_no_live_bot_unasked() -> None:
    plan_input = a_situation({"a": {"engine": "running", "hash": "h0"}})
    wanted = {"a": plan_input.wanted["a"]._replace(reread=("KEY", "SECRET"))}
    plan_input = plan_input._replace(wanted=wanted)
    assert printed(plan.up(plan_input)) == [
        "leave a: KEY, SECRET in .env: read differently by this version; the bot keeps what it was given"
        " until `manager restart a`"
    ]
    assert printed(plan.up(plan_input, ["a"])) == ["recreate a: config changed"]


def test_resume_starts_what_ran_and_keeps_what_had_ended_as_it_was() -> None:
    plan_input = a_situation(
        {
            "a": {"engine": "exited", "halted": "ran"},
            "b": {"engine": "exited", "halted": "down"},
            "c": {"engine": "exited"},
            "d": {"engine": "running", "halted": "ran"},
        }
    )
    actions = plan.resume(plan_input, ["a", "b", "c", "d"])
    assert printed(actions) == [
        "start a: not running",
        "leave b: it did not run when it was halted",
        "leave c: it was not halted; `manager start c` starts it",
        "leave d: already running",
    ]
    assert not actions[0].is_fresh


def test_only_a_named_start_of_one_that_is_ending_clears_a_final_state() -> None:
    ending = a_situation({"a": {"engine": "running", "state": "stopped"}})
    assert [action.is_fresh for action in (*plan.up(ending), *plan.up(ending, ["a"]))] == [False, True]


def test_start_mends_a_dead_container_though_its_state_is_final() -> None:
    assert printed(plan.start(a_situation({"a": {"engine": "dead", "state": "failed"}}))) == [
        "recreate a: engine state: dead"
    ]


def test_a_refused_revision_is_restarted_as_it_was() -> None:
    """A restart must not give it the config and the values that were rolled back."""
    for state, cause in (("stopped", "it is being stopped"), ("failed", "was failed")):
        (again,) = plan.up(a_situation({"a": {"engine": "running", "state": state}}), ["a"])
        assert (str(again), again.as_it_was) == (f"restart a: {cause}", False)
        old = a_situation({"a": {"engine": "running", "state": state, "hash": "h0"}})
        (again,) = plan.up(refused(old), ["a"])
        assert (str(again), again.as_it_was) == (f"restart a: {cause}", True)


def test_what_is_made_anew_for_another_path_keeps_its_image() -> None:
    plan_input = a_situation({"a": {"engine": "exited", "image": "sha256:old"}})
    (again,) = plan.up(plan_input._replace(moved=frozenset({"a"})))
    assert (str(again), again.keeps_image) == ("recreate a: moved", True)


def made(plan_input: PlanInput, *drifts: DriftedPart) -> PlanInput:
    """The same, with a container of `a` that differs in these from its definition."""
    return plan_input._replace(made={"a": drifts})


def test_another_image_that_was_a_persons_choice_is_replaced_only_where_the_instance_is_named() -> None:
    plan_input = made(a_situation({"a": {"engine": "exited", "halted": "ran"}}), "other image")
    stopped = made(a_situation({"a": {"engine": "exited"}}), "other image")
    assert printed(plan.start(stopped)) == ["start a: not running"]
    assert printed(plan.resume(plan_input, ["a"])) == ["start a: not running"]
    for actions in (plan.start(stopped, ["a"]), plan.restart(stopped, ["a"]), plan.up(stopped, ["a"])):
        (action,) = actions
        assert (action.kind, action.keeps_image) == ("recreate", False)
    (action,) = plan.up(made(stopped, "user"), ["a"])
    assert (action.kind, action.keeps_image) == ("recreate", True)


def test_a_refused_config_that_changed_is_offered_to_nobody() -> None:
    changed = a_situation({"a": {"engine": "running", "hash": "h0"}})
    assert printed(plan.start(changed)) == [
        "leave a: already running; `manager up a` applies the changed config"
    ]
    assert printed(plan.start(refused(changed))) == ["leave a: already running"]


def test_a_bot_in_another_container_is_stopped_where_it_has_none_of_its_own() -> None:
    plan_input = a_situation({"a": {}})
    elsewhere = plan_input._replace(statuses={"a": Status("unhealthy", IN_OTHER_CONTAINER)})
    assert printed(plan.stop(plan_input, ["a"])) == ["leave a: no container"]
    assert printed(plan.stop(elsewhere, ["a"])) == ["stop a: requested"]


def test_a_limit_below_what_a_bot_uses_is_put_back_only_where_it_is_named() -> None:
    updated = made(a_situation({"a": {"engine": "running"}}), "limits")
    assert [action.kind for action in plan.up(updated)] == ["update"]
    outgrown = updated._replace(outgrown=frozenset({"a"}))
    assert [action.kind for action in plan.up(outgrown)] == ["leave"]
    assert [action.kind for action in plan.up(outgrown, ["a"])] == ["restart"]


def test_what_starts_as_it_was_is_not_said_to_get_its_limits_back() -> None:
    updated = made(a_situation({"a": {"engine": "exited"}}), "limits")
    assert printed(plan.restart(updated)) == ["start a: not running, not with its limits"]
    (action,) = plan.restart(refused(updated))
    assert str(action) == "start a: not running"
    assert action.as_it_was


def test_a_moved_container_of_a_refused_config_is_a_failure_only_where_nothing_runs() -> None:
    for engine, is_refused in (("running", False), ("exited", True)):
        plan_input = a_situation({"a": {"engine": engine}})._replace(
            moved=frozenset({"a"}), untrusted={"a": Text("too much")}
        )
        (action,) = untrusted.settle(plan_input, plan.up(plan_input))
        assert str(action) == (
            "leave a: its container cannot be made again, because its config is refused: too much"
        )
        assert action.is_refused is is_refused


def test_what_was_moved_away_is_started_by_nothing_and_may_be_stopped_and_removed() -> None:
    stone = Tombstone(1, "tokyo", "m1")
    plan_input = a_situation({"a": {"engine": "running", "environment": True}})._replace(
        tombstones={"a": stone}
    )
    assert printed(moved_away.settle(plan_input, plan.up(plan_input))) == [f"leave a: {stone.why}"]
    for actions in (plan.stop(plan_input), plan.down(plan_input)):
        assert moved_away.settle(plan_input, actions) == actions


def test_what_the_engine_is_removing_is_made_anew() -> None:
    """An engine that was killed in the middle of a removal lists it for ever."""
    plan_input = a_situation({"a": {"engine": "removing"}})
    assert printed(plan.up(plan_input)) == ["recreate a: engine state: removing"]
