"""An instance that was moved away: its config counts here only where nobody answers for its machine."""

from __future__ import annotations

import pytest

from manager.errors import BAD_CONFIG, FAILED, OK
from manager.fleet import host, tombstone
from manager.fleet.session import Session
from manager.fleet.tombstone import Tombstone
from manager.monitor.doctor import probe_project
from tests.fakes.sandbox import Sandbox
from tests.unit.ops.test_account_check import KEYS, OTHERS, SYMBOL, Tokyo, fleet_of
from tests.unit.ops.test_account_check import tokyo as tokyo

MOVED = "bp_sol_01"
OTHER = "bp_sol_09"


def move_away(sandbox: Sandbox, to: str = "tokyo", *, is_arriving: bool = False) -> None:
    """Leave the tombstone of a move."""
    sandbox.transcript("up", f"halt {MOVED}")
    tombstone.bury(fleet_of(sandbox), MOVED, Tombstone(3, to, "m1", 1764529290.0, is_arriving))


@pytest.mark.parametrize(
    "command", ["start", "up", "restart", "resume", "upgrade", "rollback", "plan", "start --dry-run"]
)
def test_who_names_a_live_one_gets_one_answer_and_no_machine_is_asked(
    sandbox: Sandbox, tokyo: Tokyo, command: str
) -> None:
    tokyo.runs(OTHERS)
    move_away(sandbox)
    tokyo.asked = 0
    output = sandbox.transcript(f"{command} {MOVED}")
    assert "it was moved to tokyo (generation 3); only another move brings it back" in output
    assert sandbox.exit_code == FAILED, output
    assert tokyo.asked == 0
    assert sandbox.states()[MOVED] == "exited"


def test_it_needs_no_credentials_where_it_was(sandbox: Sandbox, tokyo: Tokyo) -> None:
    tokyo.runs(OTHERS)
    move_away(sandbox)
    (sandbox.folder / ".env").write_text("")
    for command in ("up", "plan", "config --check"):
        output = sandbox.transcript(command)
        assert f"active/{MOVED}.json" not in output
        assert sandbox.exit_code == OK, output
    assert "it was moved to tokyo" in sandbox.transcript(f"start {MOVED}")
    assert sandbox.exit_code == FAILED


def test_another_program_may_have_its_port_where_it_was(
    sandbox: Sandbox, tokyo: Tokyo, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokyo.runs(OTHERS)
    move_away(sandbox)
    monkeypatch.setattr(host, "is_port_free", lambda *_port: False)
    snapshot = Session(sandbox.folder).observe()
    ports = [port.instance for port in probe_project._ports(snapshot.project, snapshot)]
    assert ports == ["bp_eth_02"]


def test_its_account_is_free_where_its_machine_answers_that_it_is(sandbox: Sandbox, tokyo: Tokyo) -> None:
    tokyo.runs(OTHERS)
    move_away(sandbox)
    sandbox.config(OTHER, 5009, mode="live")
    tokyo.runs(KEYS)
    assert f"{OTHER}: left alone: bp_tokyo_01 of host tokyo trades {SYMBOL} live" in sandbox.transcript("up")
    assert sandbox.exit_code == BAD_CONFIG
    tokyo.runs(OTHERS)
    sandbox.transcript("up")
    assert sandbox.exit_code == OK
    assert sandbox.states()[OTHER] == "running"
    assert "it was moved to tokyo" in sandbox.transcript(f"start {MOVED}")
    assert sandbox.exit_code == FAILED, "also beside one that has its account"


def test_a_machine_that_is_silent_or_was_removed_may_trade_on_it(sandbox: Sandbox, tokyo: Tokyo) -> None:
    tokyo.runs(OTHERS)
    move_away(sandbox)
    sandbox.config(OTHER, 5009, mode="live")
    tokyo.is_away = True  # its last look, a moment ago, knows nothing of the move
    assert f"{MOVED}, apparently with the same credentials, was moved to tokyo" in sandbox.transcript("up")
    assert sandbox.exit_code == BAD_CONFIG
    tokyo.lets_in = True
    assert "`manager host check tokyo`" in sandbox.transcript(f"up {OTHER} --host-is-dead tokyo")
    (sandbox.folder / "config" / "hosts.toml").unlink()
    assert "was moved to tokyo, which is not in config/hosts.toml" in sandbox.transcript("up")
    assert sandbox.exit_code == BAD_CONFIG
    assert OTHER not in sandbox.states()


def test_a_machine_that_has_another_name_by_now_answers_for_it(sandbox: Sandbox, tokyo: Tokyo) -> None:
    """It was moved to `kyoto`, which is `tokyo` in config/hosts.toml now."""
    tokyo.runs(OTHERS)
    move_away(sandbox, to="kyoto")
    sandbox.config(OTHER, 5009, mode="live")
    assert "was moved to kyoto, which is not in config/hosts.toml" in sandbox.transcript("up")
    record = {"newest": 3, "number": 3, "move": "m1", "is_here": True, "to": ""}
    tokyo.generations = {MOVED: {**record, "move": "another"}}
    assert "was moved to kyoto, which is not in config/hosts.toml" in sandbox.transcript("up")
    tokyo.generations = {MOVED: record}
    sandbox.transcript("up")
    assert sandbox.exit_code == OK
    assert sandbox.states()[OTHER] == "running"
    sandbox.transcript(f"down {OTHER}")
    tokyo.is_away = True
    assert "was moved to tokyo, which does not answer" in sandbox.transcript("up")
    sandbox.transcript(f"up {OTHER} --host-is-dead tokyo")
    assert sandbox.exit_code == OK


def test_a_machine_that_is_dead_trades_on_nothing(sandbox: Sandbox, tokyo: Tokyo) -> None:
    tokyo.runs(OTHERS)
    move_away(sandbox)
    sandbox.config(OTHER, 5009, mode="live")
    tokyo.is_away = True
    sandbox.transcript(f"up {OTHER} --host-is-dead tokyo")
    assert sandbox.exit_code == OK
    assert sandbox.states()[OTHER] == "running"


def test_one_whose_move_is_not_finished_keeps_its_account(sandbox: Sandbox, tokyo: Tokyo) -> None:
    tokyo.runs(OTHERS)
    move_away(sandbox, is_arriving=True)
    sandbox.config(OTHER, 5009, mode="live")
    assert f"{MOVED} trades {SYMBOL} live, apparently with the same credentials" in sandbox.transcript("up")
    assert sandbox.exit_code == BAD_CONFIG
