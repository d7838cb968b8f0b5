"""`watch` keeps the bots' shares, and tells of bans: a liar cannot hold the others up for long."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from manager.fleet.session import Session
from manager.fleet.supervisor_state import Condition
from manager.monitor.watch.request_keeper import ALONE_S, Claim, RequestKeeper, find_claims
from manager.ops.requests.request_budget import Caller
from manager.ops.requests.request_files import FILE, MOST_BANNED_S
from tests.fakes.sandbox import Sandbox, a_sandbox
from tests.unit.ops.test_flows_requests import limits

NOW = 1_764_500_000.0
HERE, THERE = ("aster", ""), ("aster", "proxy")


def running(count: int, address: str = "") -> dict[str, Caller]:
    return {
        (name := f"b{number}{address}"): Caller(name, "aster", True, 24.0, name, address)
        for number in range(count)
    }


def claims(*instances: str, until: float = NOW + 600) -> dict[str, Claim]:
    return {instance: Claim(instance, until) for instance in instances}


@pytest.fixture
def keeper() -> RequestKeeper:
    return RequestKeeper(print)


def test_a_ban_that_two_report_is_told_to_all_of_their_address(keeper: RequestKeeper) -> None:
    bots = running(5) | running(5, "proxy")
    assert keeper.bans(bots, claims("b0", "b1"), NOW) == {HERE: NOW + 600}
    assert keeper.bans(bots, claims("b0proxy", "b1proxy"), NOW) == {THERE: NOW + 600}
    assert keeper.bans(bots, {}, NOW + 30) == {}
    for first, second in ((60, 600), (600, 60)):
        unlike = claims("b0", until=NOW + first) | claims("b1", until=NOW + second)
        assert keeper.bans(bots, unlike, NOW) == {HERE: NOW + 600}, "until the last one ends"


def test_nobody_bans_the_others_until_2099(keeper: RequestKeeper) -> None:
    for until in (4_070_908_800.0, float("inf")):
        assert keeper.bans(running(5), claims("b0", "b1", until=until), NOW) == {HERE: NOW + MOST_BANNED_S}
    assert keeper.bans(running(5), claims("b0", "b1", until=float("nan")), NOW) == {}


def test_a_single_one_is_believed_for_two_minutes_and_not_again(keeper: RequestKeeper) -> None:
    bots, liar = running(5), claims("b0", until=NOW + 1e9)
    assert keeper.bans(bots, liar, NOW) == {HERE: NOW + ALONE_S}
    assert keeper.bans(bots, liar, NOW + 60) == {HERE: NOW + ALONE_S}
    for after in (ALONE_S, 600, 3000, 100_000):
        assert keeper.bans(bots, liar, NOW + after) == {}
    assert keeper.bans(bots, claims("b0", "b3", until=NOW + 1000), NOW + 600) == {HERE: NOW + 1000}


def test_a_ban_that_is_over_is_no_second_witness(keeper: RequestKeeper) -> None:
    told = claims("b0", until=NOW - 1) | claims("b1", until=NOW + 1e9)
    assert keeper.bans(running(5), told, NOW) == {HERE: NOW + ALONE_S}


def test_taking_a_lie_back_does_not_make_it_news(keeper: RequestKeeper) -> None:
    bots, believed = running(5), 0.0
    for second in range(0, 3600, 10):
        liar = claims("b0", until=NOW + 1e9) if second // 60 % 2 == 0 else {}
        believed += 10 * bool(keeper.bans(bots, liar, NOW + second))
    assert believed <= ALONE_S


@pytest.mark.parametrize("until", [None, "soon", True, [], {}])
def test_a_report_without_a_time_is_none(sandbox: Sandbox, until: Any) -> None:
    sandbox.run("up")
    views = dict(Session(sandbox.folder).observe().views)
    view = views["bp_sol_01"]
    assert view.supervisor is not None
    told = Condition("exchange_away", {"cause": "banned", "retry_at": until})
    supervisor = view.supervisor._replace(health_condition=told)
    assert find_claims({"bp_sol_01": view._replace(supervisor=supervisor)}) == {}
    told = Condition("orders_refused", {"cause": "banned", "retry_at": NOW})
    supervisor = view.supervisor._replace(health_condition=told)
    assert find_claims({"bp_sol_01": view._replace(supervisor=supervisor)}) == {}, "it is not away"
    told = Condition("exchange_away", {"cause": "banned", "retry_at": NOW})
    supervisor = view.supervisor._replace(health_condition=told, bot_pid=8)
    assert find_claims({"bp_sol_01": view._replace(supervisor=supervisor)}) == claims("bp_sol_01", until=NOW)


def test_shares_follow_who_runs_and_a_ban_is_told_and_taken_back(sandbox: Sandbox) -> None:
    limits(sandbox, 2000)
    sandbox.run("up")
    keeper, session = RequestKeeper(print), Session(sandbox.folder)

    def told(instance: str = "bp_eth_02") -> dict[str, Any]:
        content = json.loads((sandbox.folder / "volumes/secrets" / instance / FILE).read_text())
        assert isinstance(content, dict)
        return content

    keeper.look(session.observe(), NOW)
    assert told()["a_minute"] == 800
    snapshot = session.observe()
    views = dict(snapshot.views)
    supervisor = views["bp_sol_01"].supervisor
    assert supervisor is not None
    banned = Condition("exchange_away", {"cause": "banned", "retry_at": NOW + 60})
    views["bp_sol_01"] = views["bp_sol_01"]._replace(supervisor=supervisor._replace(health_condition=banned))
    keeper.look(snapshot._replace(views=views), NOW + 1)
    assert told()["banned_until"] == NOW + 60
    assert "banned_until" not in told("bp_sol_01"), "it knows itself"
    keeper.look(session.observe(), NOW + 2)
    assert "banned_until" not in told()
    sandbox.run("stop bp_sol_01")
    keeper.look(session.observe(), NOW + 3)
    assert told()["a_minute"] == 1600


def test_while_a_command_runs_a_ban_is_told_and_the_shares_that_it_gave_stay(sandbox: Sandbox) -> None:
    """It may run for half an hour, and a bot that goes on asking makes a ban longer."""
    limits(sandbox, 2000)
    sandbox.run("up")
    keeper, session = RequestKeeper(print), Session(sandbox.folder)
    keeper.look(session.observe(), NOW)
    file = sandbox.folder / "volumes/secrets/bp_eth_02" / FILE
    given = json.loads(file.read_text())
    snapshot = session.observe()
    supervisor = snapshot.views["bp_sol_01"].supervisor
    assert supervisor is not None
    banned = Condition("exchange_away", {"cause": "banned", "retry_at": NOW + 60})
    banned_view = snapshot.views["bp_sol_01"]._replace(
        supervisor=supervisor._replace(health_condition=banned)
    )
    seen = snapshot._replace(views={**snapshot.views, "bp_sol_01": banned_view})
    keeper.look(seen, NOW + 1, frozenset({"bp_eth_02"}))
    assert json.loads(file.read_text()) == given, "the command is at work on it"
    keeper.look(seen, NOW + 2, frozenset())
    assert json.loads(file.read_text()) == {**given, "banned_until": NOW + 60}
    sandbox.run("stop bp_sol_01")
    keeper.look(session.observe(), NOW + 3, frozenset())
    assert json.loads(file.read_text()) == given
    keeper.look(session.observe(), NOW + 4)
    assert json.loads(file.read_text())["a_minute"] > given["a_minute"]


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Two live bots on a fake engine."""
    with a_sandbox(tmp_path, monkeypatch, capsys) as sandbox:
        yield sandbox
