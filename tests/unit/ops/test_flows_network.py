"""The fleet's network: one command leaves none that is still being created, and of two with one name one."""

from __future__ import annotations

import pytest

from manager.engine import fleet_network
from manager.errors import NameTaken
from manager.fleet.session import Session
from manager.i18n import Text
from manager.ops.actions.action import Action
from manager.ops.planning import made_anew
from tests.fakes.sandbox import ETH, REAL_SLEEP, SOL, Sandbox

NETWORK = "desk_default"


def test_a_command_ends_after_its_network_was_created(sandbox: Sandbox) -> None:
    """The next command would not see it, and create another of the same name."""
    sandbox.engine.before("create_network", lambda: REAL_SLEEP(0.5))
    sandbox.engine.fails("create", NameTaken("the name is in use"), of=ETH)
    sandbox.engine.fails("create", NameTaken("the name is in use"), of=SOL)
    with sandbox.real_threads():
        assert "is used by a container outside this fleet" in sandbox.transcript("up")
    assert len(sandbox.engine.networks(NETWORK)) == 1


@pytest.mark.parametrize(
    "command", ["start", "start bp_sol_01", "restart bp_sol_01", "up --recreate bp_sol_01"]
)
def test_of_two_networks_one_stays(sandbox: Sandbox, command: str) -> None:
    sandbox.transcript("up", "stop")
    (first,) = sandbox.engine.networks(NETWORK)
    sandbox.engine.double_network(NETWORK)
    transcript = sandbox.transcript(command)
    assert "exit code" not in transcript
    assert "running" in sandbox.states().values()
    assert sandbox.engine.networks(NETWORK) == [first]


def test_a_restart_of_what_runs_ends_with_one_network(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    (first,) = sandbox.engine.networks(NETWORK)
    sandbox.engine.double_network(NETWORK)
    assert "exit code" not in sandbox.transcript("restart")
    assert set(sandbox.states().values()) == {"running"}
    assert sandbox.engine.networks(NETWORK) == [first]


def test_what_is_created_in_a_fleet_with_two_networks_comes_up(sandbox: Sandbox) -> None:
    sandbox.transcript("up", "down bp_eth_02")
    sandbox.engine.double_network(NETWORK)
    assert "exit code" not in sandbox.transcript("start bp_eth_02")
    assert sandbox.states() == {"bp_eth_02": "running", "bp_sol_01": "running"}
    assert len(sandbox.engine.networks(NETWORK)) == 1


def test_two_networks_of_somebody_else_are_left_alone(sandbox: Sandbox) -> None:
    sandbox.engine.create_network(NETWORK, {"of": "another"}, {})
    sandbox.engine.double_network(NETWORK)
    assert "network desk_default is ambiguous" in sandbox.transcript("up")
    assert len(sandbox.engine.networks(NETWORK)) == 2


def test_down_removes_both(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.engine.double_network(NETWORK)
    assert "exit code" not in sandbox.transcript("down")
    assert not sandbox.engine.networks(NETWORK)


def test_what_is_made_anew_for_its_network_keeps_its_final_state_and_what_starts_as_it_was_its_container(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.transcript("up", "stop")
    session = Session(sandbox.folder)
    snapshot = session.observe()
    container = snapshot.plan_input.containers["bp_sol_01"]._replace(
        networks={snapshot.project.fleet.network: "the one that is gone"}
    )
    snapshot = snapshot._replace(
        plan_input=snapshot.plan_input._replace(
            containers={**snapshot.plan_input.containers, "bp_sol_01": container}
        )
    )
    monkeypatch.setattr(fleet_network, "find", lambda *_of: "another of that name")
    for is_fresh in (False, True):
        start = Action("start", "bp_sol_01", Text("not running"), is_fresh=is_fresh)
        (action,) = made_anew.settle(session, snapshot, [start])
        assert (action.kind, action.is_fresh) == ("recreate", is_fresh)
        as_it_was = start._replace(as_it_was=True)
        assert made_anew.settle(session, snapshot, [as_it_was]) == [as_it_was]


def test_a_network_that_the_engine_keeps_is_named(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 20.10 says “has active endpoints” of one without any container, and lets it go hours later."""
    monkeypatch.setattr(fleet_network, "RETRIES_S", (0.0,))
    sandbox.transcript("up")
    sandbox.engine.keeps_networks = True
    warning = "warning: the engine keeps the network desk_default, though no container is in it"
    for _time in range(2):
        printed = sandbox.transcript("down")
        assert warning in printed
        assert "exit code" not in printed
    sandbox.engine.keeps_networks = False
    assert warning not in sandbox.transcript("down")
    assert not sandbox.engine.network("desk_default")
