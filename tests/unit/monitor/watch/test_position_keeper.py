"""`watch` tells bots that share an account and a market what the others there hold."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from manager.fleet import lock, supervisor_state
from manager.fleet.observe import FleetSnapshot
from manager.fleet.session import Session
from manager.monitor.watch.position_keeper import EVERY_S, PositionKeeper
from manager.ops.exchange import account_parts
from manager.ops.folders import others_file
from manager.ops.folders.others_file import FILE
from tests.builders import FLEET_NAME
from tests.fakes.sandbox import IMAGE, Sandbox, a_sandbox

UNKNOWN = ("0", 0.0)
"""What a start beside another bot leaves where `watch` does not run: somebody trades there."""


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Two live bots on one account and market."""
    with a_sandbox(tmp_path, monkeypatch, capsys) as sandbox:
        fleet(sandbox, is_shared=True)
        yield sandbox


def fleet(sandbox: Sandbox, *, is_shared: bool) -> None:
    shared = f"allow_shared_credentials = {'true' if is_shared else 'false'}"
    (sandbox.folder / "config" / "fleet.toml").write_text(
        f'name = "{FLEET_NAME}"\nimage = "{IMAGE}"\nmode = "live"\n{shared}\n'
    )


def reports(
    sandbox: Sandbox,
    instance: str,
    at: float,
    position: str | None,
    *,
    has_ended: bool = False,
    is_final: bool = True,
    orders_left: int | None = 0,
    at_exchange: str | None = None,
) -> None:
    report: dict[str, Any] = {"contract": 2, "position": position, "mode": "live", "at": at}
    content: dict[str, Any] = {"schema": 1, "run_ended": has_ended, "written_at": at, "report": report}
    if has_ended:
        report |= {"final": is_final, "position_at_exchange": at_exchange}
        content |= {"open_orders_left": orders_left}
    (sandbox.folder / "volumes/state" / instance / "report.json").write_text(json.dumps(content))


def told(sandbox: Sandbox, instance: str) -> tuple[str, float] | None:
    path = sandbox.folder / "volumes/secrets" / instance / FILE
    if not path.exists():
        return None
    content = json.loads(path.read_text())
    return content["position"], content["at"]


def a_first_look(sandbox: Sandbox, now: float) -> tuple[PositionKeeper, FleetSnapshot]:
    """Return a keeper that has looked, and told what it saw, with that."""
    keeper, snapshot = PositionKeeper(), Session(sandbox.folder).observe()
    keeper.look(snapshot)
    keeper.tell_if_due(snapshot, now)
    return keeper, snapshot


def test_each_is_told_what_the_other_holds_and_when_that_was(sandbox: Sandbox) -> None:
    sandbox.run("up")
    now = time.time()
    reports(sandbox, "bp_sol_01", now - 4, "0.6", has_ended=True)
    keeper, snapshot = a_first_look(sandbox, now)
    assert told(sandbox, "bp_eth_02") == ("0.6", round(now, 3)), "a bot that has ended holds what it held"
    assert told(sandbox, "bp_sol_01") == UNKNOWN, "nothing is known of the other"
    reports(sandbox, "bp_eth_02", now - 4, "-0.2", has_ended=True)
    keeper.tell_if_due(snapshot, now + EVERY_S / 2)
    assert told(sandbox, "bp_sol_01") == UNKNOWN, "not due"
    keeper.tell_if_due(snapshot, now + 2 * EVERY_S)
    assert told(sandbox, "bp_sol_01") == ("-0.2", round(now + 2 * EVERY_S, 3))
    reports(sandbox, "bp_eth_02", now, None)
    keeper.tell_if_due(snapshot, now + 4 * EVERY_S)
    assert told(sandbox, "bp_sol_01") == ("-0.2", round(now + 2 * EVERY_S, 3)), "unknown is not 0"
    sandbox.run("stop bp_eth_02")
    keeper.look(Session(sandbox.folder).observe())
    assert told(sandbox, "bp_eth_02") is None, "only who runs is told"
    assert told(sandbox, "bp_sol_01") is not None, "what a stopped bot holds is still there"


def test_while_a_command_runs_only_those_that_it_is_at_work_on_are_left_to_it(sandbox: Sandbox) -> None:
    sandbox.run("up")
    now = time.time()
    keeper, session = PositionKeeper(), Session(sandbox.folder)
    keeper.look(session.observe())
    reports(sandbox, "bp_sol_01", now, "0.5")
    reports(sandbox, "bp_eth_02", now, "-0.2")
    keeper.tell_if_due(session.observe(), now)
    assert told(sandbox, "bp_eth_02") is not None
    sandbox.run("stop bp_eth_02")
    keeper.look(session.observe(), frozenset({"bp_eth_02"}))
    assert told(sandbox, "bp_eth_02") is not None, "the command has told it, or does so when it starts it"
    keeper.look(session.observe(), frozenset())
    assert told(sandbox, "bp_eth_02") is None, "it has ended by itself"


def test_the_last_report_of_a_bot_that_was_killed_or_given_up_is_no_evidence(sandbox: Sandbox) -> None:
    """The orders that it has left are filled after its last word: whoever took that for true would stop, or
    name a position that was closed long ago.
    """
    sandbox.run("up")
    now = time.time()
    sandbox.run("stop bp_sol_01")
    keeper, snapshot = PositionKeeper(), Session(sandbox.folder).observe()
    keeper.look(snapshot)
    state = sandbox.folder / "volumes/state/bp_sol_01/supervisor.json"

    def told_later() -> tuple[str, float] | None:
        others_file.remove(snapshot.project.fleet, "bp_eth_02")
        keeper.tell_if_due(snapshot, max(now, keeper._next) + 1)
        return told(sandbox, "bp_eth_02")

    reports(sandbox, "bp_sol_01", now, "0.6")
    assert told_later() is None, "it was killed"
    reports(sandbox, "bp_sol_01", now, "0.6", has_ended=True, is_final=False, orders_left=None)
    assert told_later() is None, "it was killed, and its supervisor has seen it"
    reports(sandbox, "bp_sol_01", now, "0.6", has_ended=True, orders_left=2)
    assert told_later() is None, "it has left orders"
    reports(sandbox, "bp_sol_01", now, "0.6", has_ended=True, is_final=False)
    assert told_later() is None, "no order is left now, but which were filled nobody knows"
    reports(sandbox, "bp_sol_01", now, "0.6", has_ended=True, is_final=False, at_exchange="0.2")
    assert told_later() is not None, "the exchange was asked since"
    assert (told(sandbox, "bp_eth_02") or "")[0] == "0.2"
    reports(sandbox, "bp_sol_01", now, "0.6", has_ended=True, is_final=False, orders_left=None)
    for progress, is_known in (("running", False), ("failing", False), ("confirmed", True)):
        failed = {"schema": 1, "state": "failed", "pid": 0, "cancel": {"state": progress, "tries": 1}}
        state.write_text(json.dumps({**json.loads(state.read_text()), **failed}))
        assert (told_later() is not None) is is_known, progress


def test_a_sum_is_as_old_as_its_oldest_part_and_unknown_where_one_is(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.config("bp_btc_03", 5003)
    sandbox.run("up")
    monkeypatch.setattr(supervisor_state, "has_bot", lambda _folder: True)
    now = time.time()
    reports(sandbox, "bp_sol_01", now - 4, "0.6")
    reports(sandbox, "bp_eth_02", now - 20, "-0.2")
    keeper, snapshot = a_first_look(sandbox, now)
    assert told(sandbox, "bp_btc_03") == ("0.4", round(now - 20, 3))
    assert told(sandbox, "bp_sol_01") == UNKNOWN, "one of the two others has not said anything yet"
    monkeypatch.setattr(account_parts, "time", SimpleNamespace(time=lambda: now))
    assert account_parts.of_others(snapshot, snapshot.observed.containers["bp_btc_03"]) == Decimal("0.4")
    for instance in ("bp_sol_01", "bp_eth_02"):
        reports(sandbox, instance, now - 3601, "0.1")
    keeper.tell_if_due(snapshot, now - 3600)
    assert told(sandbox, "bp_btc_03") == ("0.2", round(now - 3601, 3)), "the clock was set back"


@pytest.mark.parametrize(
    ("age", "is_known"), [(0.0, True), (20.0, True), (60.0, False), (-20.0, True), (-60.0, False)]
)
def test_a_bot_that_runs_may_have_traded_since_an_old_report(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, age: float, is_known: bool
) -> None:
    """A time that is ahead of this clock is no newer for it."""
    now = 1_764_500_000.0
    sandbox.run("up")
    monkeypatch.setattr(supervisor_state, "has_bot", lambda _folder: True)
    monkeypatch.setattr(account_parts, "time", SimpleNamespace(time=lambda: now))
    reports(sandbox, "bp_sol_01", now - age, "0.6")
    snapshot = Session(sandbox.folder).observe()
    assert account_parts.is_known(snapshot, "bp_sol_01") is is_known
    others = account_parts.of_others(snapshot, snapshot.observed.containers["bp_eth_02"])
    assert (others == Decimal("0.6")) is is_known


def test_what_a_bot_holds_whose_container_is_gone_is_still_in_the_account(sandbox: Sandbox) -> None:
    sandbox.run("up")
    sandbox.run("down bp_eth_02")
    now = time.time()
    reports(sandbox, "bp_eth_02", now - 4, "-0.2", has_ended=True)
    a_first_look(sandbox, now)
    assert told(sandbox, "bp_sol_01") == ("-0.2", round(now, 3))


def test_a_start_without_watch_leaves_word_that_others_trade_there(sandbox: Sandbox) -> None:
    """Else each of the two takes the other's trades for a fault of its record, and stops placing."""
    sandbox.run("up bp_sol_01")
    assert told(sandbox, "bp_sol_01") is None, "it is alone"
    sandbox.run("up bp_eth_02")
    assert (told(sandbox, "bp_sol_01"), told(sandbox, "bp_eth_02")) == (UNKNOWN, UNKNOWN), (
        "both, as both need it"
    )
    sandbox.run("stop bp_eth_02")
    sandbox.run("restart bp_sol_01")
    assert told(sandbox, "bp_sol_01") == UNKNOWN, "what a stopped bot holds is still there"
    others_file.remove(Session(sandbox.folder).project().fleet, "bp_eth_02")
    with lock.held(Session(sandbox.folder).project().fleet.watch_lock_file, "watch"):
        sandbox.run("start bp_eth_02")
    assert told(sandbox, "bp_eth_02") is None, "`watch` tells it more"
    sandbox.run("restart bp_eth_02")
    assert told(sandbox, "bp_eth_02") == UNKNOWN
    sandbox.config("bp_sol_01", 5002, metadata={"symbol": "ETH_USDC_PERP"})
    sandbox.run("up")
    assert told(sandbox, "bp_sol_01") is None, "alone on another market"
    assert told(sandbox, "bp_eth_02") == UNKNOWN, "nothing has started it"
    PositionKeeper().look(Session(sandbox.folder).observe())
    assert told(sandbox, "bp_eth_02") is None, "a watch that starts later leaves nothing behind"


def test_a_start_has_word_of_a_bot_whose_container_is_gone_and_whose_position_is_not(
    sandbox: Sandbox,
) -> None:
    sandbox.run("up bp_eth_02")
    sandbox.run("down bp_eth_02")
    reports(sandbox, "bp_eth_02", time.time(), "-0.2", has_ended=True)
    sandbox.run("up bp_sol_01")
    assert told(sandbox, "bp_sol_01") == UNKNOWN


def test_bots_that_compose_starts_have_word_of_each_other(sandbox: Sandbox) -> None:
    sandbox.run("compose")
    assert (told(sandbox, "bp_sol_01"), told(sandbox, "bp_eth_02")) == (UNKNOWN, UNKNOWN)


def test_a_fleet_without_shared_accounts_is_told_nothing(sandbox: Sandbox) -> None:
    fleet(sandbox, is_shared=False)
    sandbox.config("bp_eth_02", 5001, metadata={"symbol": "ETH_USDC_PERP"})
    sandbox.run("up")
    keeper, snapshot = PositionKeeper(), Session(sandbox.folder).observe()
    for instance in ("bp_sol_01", "bp_eth_02"):
        reports(sandbox, instance, time.time(), "1", has_ended=True)
    keeper.look(snapshot)
    keeper.tell_if_due(snapshot, time.time())
    assert (told(sandbox, "bp_sol_01"), told(sandbox, "bp_eth_02")) == (None, None)


def test_a_start_beside_another_bot_says_that_watch_has_to_run(sandbox: Sandbox) -> None:
    output = sandbox.transcript("up")
    assert "bp_eth_02 trades live on the account and market of bp_sol_01" in output
    assert "bp_sol_01 trades live on the account and market of bp_eth_02" in output
    assert "`manager watch` does not run" in output
    assert "bp_sol_01: created" in output, "it is a warning"
    assert "manager watch" not in sandbox.transcript("up"), "nothing starts"
    sandbox.transcript("stop bp_sol_01")
    assert "account and market of bp_eth_02" in sandbox.transcript("start bp_sol_01"), "the other one runs"
    sandbox.transcript("stop bp_sol_01")
    with lock.held(Session(sandbox.folder).project().fleet.watch_lock_file, "watch"):
        assert "manager watch" not in sandbox.transcript("start bp_sol_01")
    sandbox.transcript("stop")
    assert "manager watch" not in sandbox.transcript("start bp_sol_01"), "it is alone"
