"""Which bots another manager's work explains: snapshots and a clock in, yes or no out."""

from __future__ import annotations

import pytest

from manager.fleet import status, supervisor_state
from manager.fleet.instance import Instance
from manager.fleet.state_file import InstanceState
from manager.monitor.watch.others_work import BETWEEN_S, OthersWork
from tests.builders import UPTIME, a_container, a_spec, a_supervisor_file

RUNS = InstanceState(registered_at="2025-11-30T19:00:00", wish="run")
STOPPED = RUNS._replace(wish="stopped")
LOCKED_AT = 1000.0
MOST_S = a_spec().container_stop_timeout + BETWEEN_S


def a_view(
    engine: str | None, saved: InstanceState = RUNS, container: str = "", word: str = "running"
) -> Instance:
    """An instance whose container is in this state of the engine's; None for no container. `word`: its
    supervisor's.
    """
    seen = a_container("bp_sol_01", engine) if engine else None
    if seen is not None and container:
        seen = seen._replace(id=container)
    supervisor = supervisor_state._decoded(a_supervisor_file(word))
    state = status.derive_status(seen, supervisor, configured=True, uptime=UPTIME)
    return Instance("bp_sol_01", state, (), a_spec(), seen, supervisor, saved)


def is_explained(*looks: tuple[float, Instance], at: float) -> bool:
    """Whether the last of these looks shows what a command may have done that has run since LOCKED_AT."""
    work = OthersWork()
    for seconds, view in looks:
        work.note([view], LOCKED_AT + seconds)
    return work.explains(looks[-1][1], LOCKED_AT, LOCKED_AT + at)


@pytest.mark.parametrize("down", [a_view("exited"), a_view(None), a_view("created", container="b" * 64)])
def test_what_goes_down_is_explained_as_long_as_a_restart_takes(down: Instance) -> None:
    looks = (-100, a_view("running")), (600, down)
    assert is_explained(*looks, at=600 + MOST_S - 1)
    assert not is_explained(*looks, at=600 + MOST_S)


def test_what_went_down_before_the_command_is_its_own_affair() -> None:
    assert not is_explained((-100, a_view("running")), (-5, a_view("exited")), at=1)


def test_the_time_between_a_stop_and_a_removal_counts_anew() -> None:
    """A container that was made again is up within the time, or its start has failed and is told."""
    looks = (-9, a_view("running")), (5, a_view("exited")), (90, a_view(None))
    assert is_explained(*looks, at=90 + MOST_S - 1)
    assert not is_explained(*looks, at=90 + MOST_S)


@pytest.mark.parametrize(
    "down", [a_view("exited", STOPPED), a_view("exited", RUNS._replace(halted="ran")), a_view(None, STOPPED)]
)
def test_what_a_user_had_stopped_waits_for_its_turn_however_long(down: Instance) -> None:
    wanted = down._replace(saved=RUNS)
    looks = (-900, a_view("running")), (-800, down), (5, wanted)
    assert is_explained(*looks, at=800)
    assert not is_explained(*looks, (800, a_view("running")), (810, a_view("exited")), at=810 + MOST_S)


def test_what_a_down_removes_may_wait_until_its_exchange_has_answered() -> None:
    asked = a_view("exited", RUNS._replace(taken_down_at=4e9))
    assert is_explained((-100, a_view("running")), (5, asked), at=800)
    anew = RUNS._replace(taken_down_at=1.0)
    assert not is_explained((-100, a_view("running", anew)), (5, a_view("exited", anew)), at=800)


def test_what_was_never_seen_to_run_waits_for_its_turn() -> None:
    assert is_explained((5, a_view(None)), at=800)


def test_a_bot_that_is_up_is_only_explained_if_the_command_has_started_it() -> None:
    """Another one's health is no matter of the command's."""
    assert not is_explained((-100, a_view("running")), (5, a_view("running")), at=10)
    assert is_explained((-100, a_view("running")), (5, a_view("running", container="b" * 64)), at=800)
    assert is_explained((-9, a_view("running")), (5, a_view("exited")), (7, a_view("running")), at=800)


@pytest.mark.parametrize("word", ["stopping", "stopped"])
def test_a_bot_that_takes_long_to_stop_is_explained_meanwhile(word: str) -> None:
    """Its container is up until it has ended, and on a busy machine for some seconds more."""
    assert is_explained((-100, a_view("running")), (5, a_view("running", word=word)), at=45)
